"""Photographs without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets import DatasetError, open_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, (width, height) in {"b.png": (60, 40), "deep/er/a.png": (20, 30)}.items():
        Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)).save(tmp_path / name)
    return tmp_path


def test_images_at_any_depth_are_found_and_have_no_label(folder: Path) -> None:
    source = open_source("photos", folder)
    assert [sample.key for sample in source.samples("all")] == ["b", "deep/er/a"]
    for sample in source.samples("all"):
        pixels, label = source.read(sample)
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(folder / f"{sample.key}.png")))
        assert label is None


def test_only_images_larger_than_the_short_side_are_reduced(folder: Path) -> None:
    source = open_source("photos", folder, short_side=25)
    shapes = {sample.key: source.read(sample)[0].shape for sample in source.samples("all")}
    assert shapes == {"b": (25, 38, 3), "deep/er/a": (30, 20, 3)}


def test_the_reduction_is_part_of_the_identity(folder: Path) -> None:
    prints = {open_source("photos", folder, short_side=side).fingerprint("all") for side in (0, 25, 30)}
    assert len(prints) == 3


def test_another_split_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="no split 'train'; it has all"):
        open_source("photos", folder).samples("train")


def test_a_short_side_below_zero_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="short_side"):
        open_source("photos", folder, short_side=-1)
