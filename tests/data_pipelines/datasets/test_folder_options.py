"""Labels whose names end in something, EXIF that is not meant, ids that are not to count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets import IGNORE, DatasetError, open_source
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.schema import DatasetConfig

LANDSCAPE_TURNED = 6


def make(root: Path, images: str = "images", labels: str = "labels", end: str = "", orientation: int = 1) -> None:
    """Three images of 6x4 and their labels, ids 0 1 2 by thirds."""
    ids = np.repeat(np.array([[0, 0, 1, 1, 2, 2]], np.uint8), 4, axis=0)
    for name in ("a", "b", "c"):
        for folder in (images, labels):
            (root / folder / "train").mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.stack([ids * 9] * 3, axis=-1)).save(root / images / f"train/{name}.png", exif=exif)
        Image.fromarray(ids).save(root / labels / f"train/{name}{end}.png", exif=exif)
    (root / "classes.csv").write_text("id,name\n0,road\n1,car\n2,pole\n")


def test_labels_are_found_by_the_end_of_their_names_also_beside_their_images(tmp_path: Path) -> None:
    make(tmp_path, end="_mask")
    make(tmp_path / "one", labels="images", end="_mask")
    two = open_source("folder", tmp_path, label_suffix="_mask")
    one = open_source("folder", tmp_path / "one", label_suffix="_mask", labels="images")
    for source in (one, two):
        samples = source.samples("train")
        assert [sample.key for sample in samples] == ["a", "b", "c"]
        assert [sample.label for sample in samples] == [f"train/{name}_mask.png" for name in "abc"]
        _, labels = source.read(samples[0])
        assert labels is not None and np.unique(labels).tolist() == [0, 1, 2]


def test_a_label_without_the_end_is_told_and_without_the_option_nothing_pairs(tmp_path: Path) -> None:
    make(tmp_path, end="_mask")
    assert all(sample.flaw for sample in open_source("folder", tmp_path).samples("train"))
    (tmp_path / "labels/train/b_mask.png").rename(tmp_path / "labels/train/b.png")
    source = open_source("folder", tmp_path, label_suffix="_mask", skip_others=True)
    assert source.others("train") == ["labels/train/b.png: its name does not end in _mask"]
    assert [bool(sample.flaw) for sample in source.samples("train")] == [False, True, False]


def test_what_is_no_label_beside_images_is_told_once(tmp_path: Path) -> None:
    make(tmp_path, labels="images", end="_mask")
    (tmp_path / "images/train/a.png").rename(tmp_path / "images/train/d_mask.JPG")
    (tmp_path / "images/e.heic").write_bytes(b"x")
    source = open_source("folder", tmp_path, labels="images", label_suffix="_mask", skip_others=True)
    assert source.others("train") == [
        "images/train/d_mask.JPG: its name is a label's by _mask, and labels end in .png, .tif, .tiff, .bmp",
        "images/e.heic: beside the split folders",
    ]


def test_images_to_restore_need_no_labels_where_those_of_others_lie_beside_them(tmp_path: Path) -> None:
    make(tmp_path, labels="images", end="_mask")
    (tmp_path / "images/restore").mkdir()
    (tmp_path / "images/train/a.png").rename(tmp_path / "images/restore/f.png")
    source = open_source("folder", tmp_path, labels="images", label_suffix="_mask")
    (sample,) = source.samples("restore")
    assert (sample.key, sample.label, sample.flaw) == ("f", None, None)
    (tmp_path / "images/train/a_mask.png").rename(tmp_path / "images/restore/f_mask.png")
    (sample,) = source.samples("restore")
    assert (sample.label, sample.flaw) == ("restore/f_mask.png", None)


def test_exif_turns_image_and_label_unless_it_is_not_meant(tmp_path: Path) -> None:
    make(tmp_path, orientation=LANDSCAPE_TURNED)
    upright, stored = (open_source("folder", tmp_path, exif=exif) for exif in ("upright", "stored"))
    (turned, its_label), (kept, label) = (source.read(source.samples("train")[0]) for source in (upright, stored))
    assert its_label is not None and label is not None
    assert (turned.shape, its_label.shape) == ((6, 4, 3), (6, 4)) and (kept.shape, label.shape) == ((4, 6, 3), (4, 6))
    np.testing.assert_array_equal(np.rot90(kept, -1), turned)
    np.testing.assert_array_equal(np.rot90(label, -1), its_label)
    assert upright.fingerprint("train") != stored.fingerprint("train")
    assert upright.fingerprint("train") == open_source("folder", tmp_path).fingerprint("train")


def test_ids_that_are_ignored_leave_the_classes_and_need_not_be_in_the_list(tmp_path: Path) -> None:
    make(tmp_path)
    label = np.array(Image.open(tmp_path / "labels/train/a.png"))
    label[0] = 254
    Image.fromarray(label).save(tmp_path / "labels/train/a.png")
    with pytest.raises(DatasetError, match="254"):
        plain = open_source("folder", tmp_path)
        plain.read(plain.samples("train")[0])
    source = open_source("folder", tmp_path, ignore_ids="254,1")
    _, ids = source.read(source.samples("train")[0])
    assert ids is not None
    assert [one.name for one in source.table.classes] == ["road", "pole"]
    expected = np.where(label == 0, 0, np.where(label == 2, 1, IGNORE))
    np.testing.assert_array_equal(ids, expected)
    assert open_source("folder", tmp_path, ignore_ids=254).table.num_classes == 3
    assert open_source("folder", tmp_path, ignore_ids="254,1,254").table == source.table


def test_texts_that_look_like_numbers_are_texts(tmp_path: Path) -> None:
    make(tmp_path, images="2024", labels="1e3", end="1_0")
    said = ["images=2024", "labels=1e3", "label_suffix=1_0", "ignore_ids=2"]
    config = apply_overrides(DatasetConfig.of("folder", str(tmp_path)), [f"options.{option}" for option in said])
    source = config.open()
    assert [sample.label for sample in source.samples("train")] == [f"train/{name}1_0.png" for name in "abc"]
    assert [one.name for one in source.table.classes] == ["road", "car"]
    shares = ["options.test_share=0", "options.seed=3", "options.skip_others=true"]
    assert apply_overrides(config, shares).options["seed"] == 3
    with pytest.raises(DatasetError, match="received=1 must name folders"):
        apply_overrides(config, ["options.received=1"]).open()


@pytest.mark.parametrize(
    "option", [{"label_suffix": "a/b"}, {"label_suffix": 3}, {"exif": "no"}, {"ignore_ids": "x"}, {"ignore_ids": -1}]
)
def test_values_that_make_no_sense_are_refused_by_name(option: dict[str, object], tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DatasetError, match=next(iter(option))):
        open_source("folder", tmp_path, **option)
