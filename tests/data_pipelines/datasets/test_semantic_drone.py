from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets import IGNORE, DatasetError, open_source
from dsr.data_pipelines.datasets.semantic_drone import LAYOUTS, TABLE
from tests.data_pipelines.datasets.files import ids, labelled, picture, save

SMALL = {"width": 60, "height": 40, "patch_width": 24, "patch_height": 16, "test": 2, "restore": 1}
VALUES = list(range(24))


def make(root, layout, *, colors=False):
    """Six images of 120x80, as JPEG, with labels that are constant over 2x2 pixels."""
    palette = np.array([label.color for label in TABLE.labels], np.uint8)
    for number in range(6):
        save(root / layout[0] / f"{number:03d}.jpg", picture(number, 80, 120), quality=95)
        label = ids(number, 40, 60, VALUES).repeat(2, axis=0).repeat(2, axis=1)
        save(root / layout[1] / f"{number:03d}.png", palette[label] if colors else label)
    return root


@pytest.mark.parametrize("layout", LAYOUTS, ids=["published", "kaggle", "flat"])
def test_every_known_layout_is_read(tmp_path, layout):
    source = open_source("semantic_drone", make(tmp_path, layout), **SMALL)
    assert [len(source.samples(split)) for split in source.splits] == [3 * 12, 2 * 12, 1 * 12]


def test_splits_share_no_image_and_leave_none_out(tmp_path):
    source = open_source("semantic_drone", make(tmp_path, LAYOUTS[2]), **SMALL)
    images = [{sample.image for sample in source.samples(split)} for split in source.splits]
    assert len(set.union(*images)) == sum(map(len, images)) == 6
    other = open_source("semantic_drone", tmp_path, **{**SMALL, "seed": 1})
    assert [{sample.image for sample in other.samples(split)} for split in other.splits] != images


def test_colour_labels_as_published_equal_id_labels(tmp_path):
    by_id = open_source("semantic_drone", make(tmp_path / "a", LAYOUTS[1]), **SMALL)
    by_color = open_source("semantic_drone", make(tmp_path / "b", LAYOUTS[0], colors=True), **SMALL)
    for one, other in zip(by_id.samples("test"), by_color.samples("test")):
        assert one.key == other.key
        np.testing.assert_array_equal(labelled(by_id, one)[1], labelled(by_color, other)[1])


def test_patches_are_windows_of_the_resized_image_and_its_labels(tmp_path):
    source = open_source("semantic_drone", make(tmp_path, LAYOUTS[0]), **SMALL)
    mapping = np.array([label.train_id for label in TABLE.labels], np.uint8)
    for sample in source.samples("train"):
        row, column = divmod(sample.part, 4)
        window = np.s_[12 * row : 12 * row + 16, 12 * column : 12 * column + 24]
        pixels, label = labelled(source, sample)
        number = int(sample.key.split("/")[0])
        np.testing.assert_array_equal(label, mapping[ids(number, 40, 60, VALUES)[window]])
        resized = Image.open(tmp_path / sample.image).resize((60, 40), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(pixels, np.asarray(resized)[window])


def test_twenty_classes_as_in_the_paper():
    assert TABLE.num_classes == 20
    assert [label.name for label in TABLE.labels if label.train_id == IGNORE] == [
        "unlabeled",
        "ar-marker",
        "conflicting",
    ]


def test_the_papers_defaults():
    source = open_source("semantic_drone", "anywhere")
    expected = {"width": 3000, "height": 2000, "patch_width": 1200, "patch_height": 800, "columns": 4, "rows": 3}
    assert source.options() == {**expected, "test": 70, "restore": 65, "seed": 0}


def test_too_few_images_and_too_large_patches_are_refused(tmp_path):
    make(tmp_path, LAYOUTS[0])
    with pytest.raises(DatasetError, match="6 images leave none for training after 70 for test"):
        open_source("semantic_drone", tmp_path).samples("train")
    with pytest.raises(DatasetError, match="a patch of 1200x800 does not fit into 1000x2000"):
        open_source("semantic_drone", tmp_path, width=1000)


def test_real_images_are_read(shared):
    options = {"width": 528, "height": 352, "patch_width": 212, "patch_height": 142, "test": 1, "restore": 1}
    source = open_source("semantic_drone", shared / "semantic_drone_sample", **options)
    samples = [sample for split in source.splits for sample in source.samples(split)]
    assert len(samples) == 6 * 12
    seen = set()
    for sample in samples:
        pixels, label = labelled(source, sample)
        assert pixels.shape == (142, 212, 3) and label.shape == (142, 212)
        seen |= set(np.unique(label).tolist())
    names = {source.table.classes[i].name for i in seen - {IGNORE}}
    assert {"paved-area", "grass", "roof", "person", "obstacle"} <= names
