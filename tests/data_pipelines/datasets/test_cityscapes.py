from __future__ import annotations

import numpy as np
import pytest

from dsr.data_pipelines.datasets import IGNORE, DatasetError, open_source
from tests.data_pipelines.datasets.files import ids, labelled, picture, save


@pytest.fixture()
def root(tmp_path):
    names = {"train": ["aachen_000000_000019", "zurich_000121_000019"], "val": ["munster_000000_000019"]}
    for split, stems in names.items():
        for stem in stems:
            city = stem.split("_")[0]
            save(tmp_path / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", picture(0, 32, 64))
            save(tmp_path / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png", ids(0, 32, 64, list(range(34))))
            save(tmp_path / "gtFine" / split / city / f"{stem}_gtFine_color.png", picture(1, 32, 64))
            (tmp_path / "gtFine" / split / city / f"{stem}_gtFine_polygons.json").write_text("{}")
    for number in range(5):
        stem = f"bayreuth_000000_{number:06d}_leftImg8bit.png"
        save(tmp_path / "leftImg8bit" / "train_extra" / "bayreuth" / stem, picture(number, 32, 64))
    return tmp_path


def test_the_official_layout_is_read(root):
    source = open_source("cityscapes", root)
    samples = source.samples("train")
    assert [sample.key for sample in samples] == ["aachen/aachen_000000_000019", "zurich/zurich_000121_000019"]
    pixels, label = labelled(source, samples[0])
    np.testing.assert_array_equal(pixels, picture(0, 32, 64))
    assert set(np.unique(label)) == {*range(19), IGNORE}


def test_train_ids_are_those_of_the_benchmark(root):
    table = open_source("cityscapes", root).table
    # cityscapesScripts, helpers/labels.py: the 19 evaluated labelIds in the order of their train ids.
    evaluated = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    raw = np.arange(34, dtype=np.uint8)[None]
    mapped = table.to_train_ids(raw, "labelIds.png")[0]
    assert [int(mapped[i]) for i in evaluated] == list(range(19))
    assert all(mapped[i] == IGNORE for i in range(34) if i not in evaluated)


def test_coarse_images_come_without_labels_and_as_many_as_asked_for(root):
    source = open_source("cityscapes", root, coarse_limit=3)
    samples = source.samples("coarse")
    assert [sample.key[-6:] for sample in samples] == ["000000", "000001", "000002"]
    assert source.read(samples[2])[1] is None
    full = open_source("cityscapes", root)
    assert len(full.samples("coarse")) == 5
    assert full.fingerprint("train") == source.fingerprint("train")
    assert full.fingerprint("coarse") != source.fingerprint("coarse")


def test_a_missing_label_package_is_named(root):
    (root / "gtFine").rename(root / "gtCoarse")
    with pytest.raises(
        DatasetError, match=r"no folder .*gtFine/train; root must be a folder with leftImg8bit/ and gtFine/"
    ):
        open_source("cityscapes", root).samples("train")
