from __future__ import annotations

import hashlib
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

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
        ("id,name,r,g,b\n0,a,0,0,256\n", r"line 2: b must be a whole number from 0 to 255, not '256'"),
        ("id,name\n0\n", r"line 2: has more or fewer cells"),
        ("id,name\n0,a\n1,b, c\n", r"line 3: has more or fewer cells"),
        ("id,name\n0,a\n1_0,b\n", r"line 3: id must be a whole number from 0 to 65535, not '1_0'"),
        ("id,name\n0,a\n99999999999999999999,b\n", r"line 3: id must be"),
        ("id,name\n0,a\n1, \n", r"line 3: has no name"),
        ("id,name\n0,a\n0,b\n", r"line 3: has the id 0 as line 2 has, 'a'"),
        ("id,name\n0,a\n1,car\n2,car \n", r"line 4: has the name car as line 3 has"),
        ("id,name,r,g,b\n0,a,1,2,3\n1,b,1,2,3\n", r"line 3: has the colour \(1, 2, 3\) as line 2 has, 'a'"),
        ("id,name,id\n0,a,0\n", r"the first line must name columns .*each once"),
        ("id,name\n0,road\n1,car\n255,void\n", r"line 4: 'void' \(id 255\) would be a class that is learned"),
        ("id,name\n0,road\n1,car\n255,building\n", r"line 4: 'building' \(id 255\) would be a class"),
        ("id,name\n0,road\n255,void\n", r"line 3: 'void' \(id 255\) would be a class"),
        (
            "id,name,train_id\n0,a,\n1,b,0\n2,c,\n",
            r"line 2: has no train_id, which ignores it, and so do all rows but one",
        ),
        ("id,name\n" + "".join(f"{i},class {i}\n" for i in range(256)), r"line 257: is one more than 255 classes"),
        ("id,name\n0,a\0b\n" + "1," + "x" * 200000, r"line 2: field larger than"),
        ("", r"the first line must name columns"),
    ],
)
def test_a_class_list_that_is_wrong_is_named_with_its_line(root, text, message):
    (root / "classes.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        open_source("folder", root)


@pytest.mark.parametrize(
    "text, train_ids",
    [
        ("id,name\n255,building\n0,background\n", [0, 1]),  # a mask of 0 and 255
        ("id,name,train_id\n0,road,0\n1,car,1\n255,void,255\n", [0, 1, IGNORE]),
        ("id,name,train_id\n0,road,0\n1,street,0\n2,car,\n", [0, 0, IGNORE]),
        ("id,name,train_id\n0,car,0\n1,car,0\n2,void,255\n3,void,255\n", [0, 0, IGNORE, IGNORE]),
        ("id,name,r,g,b,train_id\n0,a,1,2,3,0\n1,b,1,2,3,0\n2,c,9,9,9,1\n", [0, 0, 1]),
        ("id,name\n" + "".join(f"{i},class {i}\n" for i in range(255)), list(range(255))),
    ],
)
def test_class_lists_that_say_what_they_mean_are_read(root, text, train_ids):
    (root / "classes.csv").write_text(text)
    table = open_source("folder", root).table
    assert [label.train_id for label in table.labels] == train_ids
    assert table.coloured == ("r,g,b" in text)


def test_a_missing_class_list_and_impossible_shares_are_refused(root):
    with pytest.raises(DatasetError, match=r"nowhere\.csv: the class list cannot be read"):
        open_source("folder", root, classes="nowhere.csv")
    for shares in ((0.5, 0.5), (float("nan"), 0.1), (-0.1, 0.1), ("0.1", 0.1), (True, 0)):
        with pytest.raises(DatasetError, match="leave a share for training"):
            open_source("folder", root, test_share=shares[0], restore_share=shares[1])
    for option in ("images", "labels", "classes"):
        with pytest.raises(DatasetError, match=f"{option} must be a path, not 5"):
            open_source("folder", root, **{option: 5})
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


def test_folders_named_almost_as_a_split_are_refused_with_the_name_that_is_read(tmp_path):
    (tmp_path / "classes.csv").write_text("id,name\n0,a\n1,b\n")
    for side in ("images", "labels"):
        save(tmp_path / side / "train" / "a.png", ids(0, 4, 4, [0, 1]))
    for name, split in (("Test", "test"), ("validation", "val"), ("Valid", "val"), ("TRAINING", "train")):
        for side in ("images", "labels"):
            save(tmp_path / side / name / "a.png", ids(0, 4, 4, [0, 1]))
            with pytest.raises(DatasetError, match=rf"{side}/{name}: looks like a split.*rename it to {split}"):
                open_source("folder", tmp_path)
            (tmp_path / side / name / "a.png").unlink()
            (tmp_path / side / name).rmdir()
    assert open_source("folder", tmp_path).splits == ("train",)


def test_what_lies_beside_split_folders_is_named_and_left_out_only_when_told(tmp_path):
    (tmp_path / "classes.csv").write_text("id,name\n0,a\n1,b\n")
    for side in ("images", "labels"):
        for place in ("train/a", "extra/b", "c"):
            save(tmp_path / side / f"{place}.png", ids(0, 4, 4, [0, 1]))
    (tmp_path / "images" / "train.txt").write_text("a")
    with pytest.raises(
        DatasetError, match=r"4 files or folders .*images/c\.png: beside the split folders.*--skip-others"
    ):
        open_source("folder", tmp_path).samples("train")
    source = open_source("folder", tmp_path, skip_others=True)
    assert [sample.key for sample in source.samples("train")] == ["a"]
    assert [other.partition(":")[0] for other in source.others("train")] == [
        *("images/c.png", "images/extra", "labels/c.png", "labels/extra")
    ]
    assert source.options() == open_source("folder", tmp_path).options()


def test_home_folders_are_expanded(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    source = open_source("folder", f"~/{root.name}", classes=f"~/{root.name}/classes.csv")
    assert source.root == root and len(source.samples("train")) == 6


def test_accents_written_in_two_ways_are_one_name(root):
    save(root / "images" / unicodedata.normalize("NFC", "café.jpg"), picture(0, 12, 16))
    save(root / "labels" / unicodedata.normalize("NFD", "café.png"), ids(0, 12, 16, [0, 3, 7]))
    source = open_source("folder", root)
    (sample,) = (s for split in source.splits for s in source.samples(split) if s.key.startswith("caf"))
    assert sample.key == "caf%C3%A9" and sample.flaw is None
    assert labelled(source, sample)[1].shape == (12, 16)
    save(root / "images" / unicodedata.normalize("NFD", "café.jpg"), picture(0, 12, 16))
    twice = [s for split in source.splits for s in source.samples(split) if s.key.startswith("caf")]
    assert len(twice) == 2 and all("one image by name" in s.flaw for s in twice)


def test_orientations_that_differ_are_refused_by_name(root):
    turned = Image.Exif()
    turned[0x0112] = 6
    image, label = root / "images" / "walk one" / "IMG_3.jpg", root / "labels" / "walk one" / "IMG_3.png"
    source = open_source("folder", root)
    (sample,) = (s for split in source.splits for s in source.samples(split) if s.key.endswith("3"))
    save(image, picture(3, 12, 16), exif=turned)
    with pytest.raises(
        DatasetError, match=r"IMG_3\.png: the EXIF orientation of the label is 1, that of its image IMG_3\.jpg 6"
    ):
        source.read(sample)
    save(label, ids(3, 16, 12, [0, 3, 7]))  # drawn on what viewers show
    assert labelled(source, sample)[0].shape[:2] == labelled(source, sample)[1].shape == (16, 12)
    save(label, ids(3, 12, 16, [0, 3, 7]), exif=turned)
    assert labelled(source, sample)[1].shape == (16, 12)
    save(image, picture(3, 16, 12))
    with pytest.raises(
        DatasetError, match="the EXIF orientation of the label is 6, that of its image IMG_3.jpg 1; turn both"
    ):
        source.read(sample)


def test_the_files_behind_samples_have_the_digests_of_their_contents(root):
    source = open_source("folder", root)
    sample = source.samples("test")[0]
    image, label = source.files([sample, sample])
    for file, path in ((image, root / "images" / sample.image), (label, root / "labels" / sample.label)):
        data = path.read_bytes()
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (image.kind, image.pixels, label.kind, label.pixels) == ("image", 12 * 16, "label", None)
