"""Datasets of dsr as TensorFlow Datasets."""

from __future__ import annotations

import numpy as np
import pytest

from dsr.data_pipelines.datasets import DATASETS, IGNORE, open_source
from tests.data_pipelines.datasets.files import ids, labelled, picture, save

pytestmark = pytest.mark.tensorflow

tfds = pytest.importorskip("tensorflow_datasets")
builders = pytest.importorskip("dsr.data_pipelines.datasets.builders")


def prepare(builder):
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    return builder


def test_every_dataset_has_a_registered_builder():
    classes = builders.SourceBuilder.__subclasses__()
    assert [builder.SOURCE for builder in classes] == list(DATASETS)
    assert [builder.name for builder in classes] == [f"dsr_{name}" for name in DATASETS]


def test_a_prepared_dataset_holds_what_its_source_reads(tmp_path):
    for split in ("train", "restore"):
        save(tmp_path / "in" / "images" / split / "a.png", picture(0, 12, 16))
        save(tmp_path / "in" / "images" / split / "b.png", picture(1, 14, 10))
    save(tmp_path / "in" / "labels" / "train" / "a.png", ids(0, 12, 16, [0, 1, 2]))
    save(tmp_path / "in" / "labels" / "train" / "b.png", ids(1, 14, 10, [0, 1, 2]))
    (tmp_path / "in" / "classes.csv").write_text("id,name,train_id\n0,a,0\n1,b,1\n2,c,\n")
    builder = prepare(builders.DsrFolder(root=tmp_path / "in", data_dir=tmp_path / "out"))
    source = open_source("folder", tmp_path / "in")
    assert {name: info.num_examples for name, info in builder.info.splits.items()} == {"train": 2, "restore": 2}
    expected = {sample.key: labelled(source, sample) for sample in source.samples("train")}
    for example in tfds.as_numpy(builder.as_dataset(split="train")):
        pixels, label = expected.pop(example["key"].decode())
        np.testing.assert_array_equal(example["image"], pixels)
        np.testing.assert_array_equal(example["label"][..., 0], label)
    assert not expected
    for example in tfds.as_numpy(builder.as_dataset(split="restore")):
        assert (example["label"] == IGNORE).all()


def test_other_options_are_prepared_in_another_directory(tmp_path):
    options = {"height": 16, "width": 24, "train": 1, "test": 1, "restore": 1, "data_dir": tmp_path}
    first, same, other = (builders.DsrStreets(seed=seed, **options) for seed in (0, 0, 1))
    assert first.data_dir == same.data_dir != other.data_dir
    (example,) = tfds.as_numpy(prepare(first).as_dataset(split="test"))
    source = open_source("streets", height=16, width=24)
    np.testing.assert_array_equal(example["image"], source.read(source.samples("test")[0])[0])
