"""What `mixed` trains on is what came, compressed once more, and nothing that a server has not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.schema import DatasetConfig
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import Study
from dsr.tfrecords.manifest import records
from tests.experiments import studies
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY


def mixed(study: Study) -> Artefact:
    return study.adapted(Domain("C", *study.degradations), 0, "mixed")


def check(study: Study) -> None:
    inputs = mixed(study).inputs
    make(inputs.values(), Progress())
    sent = list(records(inputs["shards"].folder))
    assert len(sent) == study.images("train") > 0
    for role, quality in (("shards1", 20), ("shards2", 10)):
        codec = make_codec("jpeg", quality)
        again = list(records(inputs[role].folder))
        assert [record.key for record in again] == [record.key for record in sent]
        for first, second in zip(sent, again):
            bitstream = codec.encode(first.pixels())
            assert second.bitstream == bitstream and second.label == first.label
            np.testing.assert_array_equal(second.pixels(), codec.decode(bitstream))


def test_each_version_is_the_compressed_image_compressed_harder(tmp_path: Path) -> None:
    check(Study(apply_overrides(studies.small(), [*TINY, "points=jpeg-quality40"]), tmp_path, HERE))


def photographs(root: Path, qualities: tuple[int, ...]) -> Path:
    """A dataset whose training images came as JPEG of these qualities."""
    rng = np.random.default_rng(0)
    for split in ("restore", "train", "test"):
        for number in range(4):
            pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
            path = root / "images" / split / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if split == "train":
                codec = make_codec("jpeg", qualities[number % len(qualities)])
                path.with_suffix(".jpg").write_bytes(codec.encode(pixels))
            else:
                Image.fromarray(pixels).save(path)
            label = root / "labels" / split / f"{number}.png"
            label.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels[..., 0] > 128).astype(np.uint8)).save(label)
    (root / "classes.csv").write_text("id,name\n0,dark\n1,bright\n")
    return root


def received(root: Path, work: Path) -> Study:
    config = apply_overrides(studies.small(), [setting for setting in TINY if not setting.startswith("dataset")])
    dataset = DatasetConfig("folder", str(root), options={"received": "train"})
    return Study(dataclasses.replace(config, dataset=dataset, adaptations=("mixed", "recalibrated")), work, HERE)


def test_images_that_came_compressed_are_compressed_harder_alike(tmp_path: Path) -> None:
    study = received(photographs(tmp_path / "data", (40,)), tmp_path / "work")
    assert {(c.configuration, c.adaptation) for c in study.rivals()} == {
        ("CO", "mixed"), ("CO", "recalibrated"), ("RO", "recalibrated"),
    }  # fmt: skip
    check(study)


def test_images_that_came_at_several_rates_are_mixed_already(tmp_path: Path) -> None:
    study = received(photographs(tmp_path / "data", (40, 20)), tmp_path / "work")
    with pytest.raises(ConfigError, match="mixed compresses training images once more"):
        mixed(study)
