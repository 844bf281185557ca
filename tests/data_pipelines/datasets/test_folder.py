from __future__ import annotations

import os

import numpy as np
import pytest

from dsr.data_pipelines.datasets import IGNORE, DatasetError, open_source
from tests.data_pipelines.datasets.files import ids, labelled, picture, save

CLASSES = "id,name,r,g,b,small\n3,field,10,200,10,0\n0,path,90,90,90,0\n7,post,255,0,0,1\n"


@pytest.fixture()
def root(tmp_path):
    for number in range(10):
        save(tmp_path / "images" / "walk one" / f"IMG_{number}.jpg", picture(number, 12, 16))
        save(tmp_path / "labels" / "walk one" / f"IMG_{number}.png", ids(number, 12, 16, [0, 3, 7]))
    (tmp_path / "classes.csv").write_text(CLASSES)
    return tmp_path


def test_classes_are_numbered_in_the_order_of_the_list(root):
    table = open_source("folder", root).table
    assert [(label.name, label.id, label.train_id) for label in table.classes] == [
        ("field", 3, 0),
        ("path", 0, 1),
        ("post", 7, 2),
    ]
    assert [label.small for label in table.classes] == [False, False, True]
    assert table.classes[0].color == (10, 200, 10)


def test_images_are_shared_out_once_each_and_keys_are_safe(root):
    source = open_source("folder", root, test_share=0.3, restore_share=0.1)
    samples = {split: source.samples(split) for split in source.splits}
    assert {split: len(found) for split, found in samples.items()} == {"train": 6, "test": 3, "restore": 1}
    keys = [sample.key for found in samples.values() for sample in found]
    assert sorted(keys) == sorted(f"walk%20one/IMG_{number}" for number in range(10))
    for sample in samples["test"]:
        raw = ids(int(sample.key[-1]), 12, 16, [0, 3, 7])
        np.testing.assert_array_equal(labelled(source, sample)[1], np.select([raw == 3, raw == 0], [0, 1], 2))


def test_split_folders_are_the_splits_and_restore_needs_no_labels(tmp_path):
    for split in ("train", "test", "restore"):
        save(tmp_path / "pictures" / split / "a.png", picture(0, 12, 16))
        if split != "restore":
            save(tmp_path / "maps" / split / "a.png", ids(0, 12, 16, [0, 1]))
    (tmp_path / "list.csv").write_text("id,name\n0,a\n1,b\n")
    source = open_source("folder", tmp_path, images="pictures", labels="maps", classes="list.csv")
    assert source.splits == ("train", "test", "restore")
    assert source.read(source.samples("restore")[0])[1] is None
    np.testing.assert_array_equal(labelled(source, source.samples("test")[0])[1], ids(0, 12, 16, [0, 1]))


def test_labels_may_be_ignored_or_share_a_class(root):
    (root / "classes.csv").write_text("id, name, train_id\n0, path, 0\n3, field, \n7, post, 0\n")
    source = open_source("folder", root)
    sample = source.samples("test")[0]
    raw = ids(int(sample.key[-1]), 12, 16, [0, 3, 7])
    np.testing.assert_array_equal(labelled(source, sample)[1], np.where(raw == 3, IGNORE, 0))
    assert len({label.color for label in source.table.labels} | {(0, 0, 0)}) == 4


@pytest.mark.parametrize(
    "text, message",
    [
        ("name,colour\na,1\n", r"classes\.csv: the first line must name columns id,name"),
        ("id,name,r\n1,a,2\n", r"the first line must name columns"),
        ("id,name\n0,a\nx,b\n", r"classes\.csv, line 3: .*'x'"),
        ("id,name,small\n0,a,yes\n", r"line 2: small must be 1 or 0, not 'yes'"),
        ("id,name,r,g,b\n0,a,0,0,256\n", r"line 2: r, g, b and train_id go from 0 to 255"),
        ("id,name\n0\n", r"line 2"),
        ("id,name\n0,a\n0,b\n", r"classes\.csv: .*ids that repeat"),
        ("", r"the first line must name columns"),
    ],
)
def test_a_class_list_that_is_wrong_is_named_with_its_line(root, text, message):
    (root / "classes.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        open_source("folder", root)


def test_a_missing_class_list_and_impossible_shares_are_refused(root):
    with pytest.raises(DatasetError, match=r"nowhere\.csv: the class list cannot be read"):
        open_source("folder", root, classes="nowhere.csv")
    with pytest.raises(DatasetError, match="leave a share for training"):
        open_source("folder", root, test_share=0.5, restore_share=0.5)
    with pytest.raises(DatasetError, match="too few for a split 'restore'"):
        open_source("folder", root, restore_share=0.01).samples("restore")


def test_the_class_list_is_part_of_the_fingerprint(root):
    before = open_source("folder", root).fingerprint("test")
    (root / "classes.csv").write_text(CLASSES.replace("post", "pole"))
    assert open_source("folder", root).fingerprint("test") != before


def test_two_images_of_one_name_share_a_split_and_neither_can_be_read(root):
    save(root / "images" / "walk one" / "IMG_3.png", picture(3, 12, 16))
    source = open_source("folder", root)
    flawed = [sample for split in source.splits for sample in source.samples(split) if sample.flaw]
    assert [(sample.key, sample.image) for sample in flawed] == [
        ("walk%20one/IMG_3", "walk one/IMG_3.jpg"),
        ("walk%20one/IMG_3", "walk one/IMG_3.png"),
    ]
    for sample in flawed:
        with pytest.raises(DatasetError, match=r"IMG_3\.jpg and IMG_3\.png are one image by name; keep one of them"):
            source.read(sample)


def test_a_file_name_that_is_not_utf_8_is_listed_and_named(root):
    name = os.fsdecode(b"IMG_\xff")
    save(root / "images" / f"{name}.jpg", picture(3, 12, 16))
    save(root / "labels" / f"{name}.png", ids(3, 12, 16, [0, 3, 7]))
    source = open_source("folder", root)
    (flawed,) = (sample for split in source.splits for sample in source.samples(split) if sample.flaw)
    assert (flawed.key, flawed.image) == ("IMG_%FF", "IMG_\ufffd.jpg")
    with pytest.raises(DatasetError, match="its name is not UTF-8; rename the file"):
        source.read(flawed)
    assert len({source.fingerprint(split) for split in source.splits}) == 3
