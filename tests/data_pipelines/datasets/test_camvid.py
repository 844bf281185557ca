from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets import IGNORE, DatasetError, open_source
from tests.data_pipelines.datasets.files import ids, labelled, picture, save


@pytest.fixture()
def root(tmp_path):
    for number, split in enumerate(("train", "val", "test")):
        for name in ("0001TP_006690", "0001TP_006720"):
            save(tmp_path / split / f"{name}.png", picture(number, 36, 48))
            save(tmp_path / f"{split}annot" / f"{name}.png", ids(number, 36, 48, list(range(12))))
    return tmp_path


def test_segnets_layout_is_read(root):
    source = open_source("camvid", root)
    samples = source.samples("val")
    assert [sample.key for sample in samples] == ["0001TP_006690", "0001TP_006720"]
    pixels, label = labelled(source, samples[1])
    np.testing.assert_array_equal(pixels, picture(1, 36, 48))
    raw = ids(1, 36, 48, list(range(12)))
    np.testing.assert_array_equal(label, np.where(raw == 11, IGNORE, raw))


def test_webp_files_are_read_as_the_png_they_replace(root):
    source = open_source("camvid", root)
    before = labelled(source, source.samples("test")[0])
    path = root / "test" / "0001TP_006690.png"
    Image.open(path).save(path.with_suffix(".webp"), lossless=True)
    flawed = [sample for sample in source.samples("test") if sample.flaw]
    assert [Path(sample.image).name for sample in flawed] == ["0001TP_006690.png", "0001TP_006690.webp"]
    for sample in flawed:
        with pytest.raises(DatasetError, match="0001TP_006690.png and 0001TP_006690.webp are one image by name"):
            source.read(sample)
    path.unlink()
    after = labelled(source, source.samples("test")[0])
    for one, other in zip(before, after):
        np.testing.assert_array_equal(one, other)


def test_the_fingerprint_knows_content_listing_but_not_the_place(root, tmp_path_factory):
    first = open_source("camvid", root).fingerprint("train")
    moved = tmp_path_factory.mktemp("moved") / "elsewhere"
    root.rename(moved)
    source = open_source("camvid", moved)
    assert source.fingerprint("train") == first
    assert pickle.loads(pickle.dumps(source)).fingerprint("train") == first
    assert source.fingerprint("train") != source.fingerprint("test")
    save(moved / "train" / "0001TP_006690.png", picture(9, 36, 49))
    assert source.fingerprint("train") != first


def test_hidden_files_of_a_mac_are_no_images(root):
    (root / "train" / "._0001TP_006690.png").write_bytes(b"\0\5\x16\7")
    assert len(open_source("camvid", root).samples("train")) == 2


def test_an_image_or_label_without_its_partner_is_listed_and_cannot_be_read(root):
    source = open_source("camvid", root)
    whole = {split: source.fingerprint(split) for split in ("train", "test")}
    (root / "trainannot" / "0001TP_006720.png").unlink()
    (root / "test" / "0001TP_006720.png").unlink()
    for split, message in (
        ("train", r"train/0001TP_006720\.png: has no label named '0001TP_006720' beside it"),
        ("test", r"testannot/0001TP_006720\.png: has no image named '0001TP_006720' beside it"),
    ):
        (flawed,) = (sample for sample in source.samples(split) if sample.flaw)
        assert flawed.key == "0001TP_006720"
        with pytest.raises(DatasetError, match=message):
            source.read(flawed)
        assert source.fingerprint(split) != whole[split]


def test_a_label_of_another_size_is_named(root):
    save(root / "valannot" / "0001TP_006690.png", ids(0, 36, 47, [0]))
    source = open_source("camvid", root)
    with pytest.raises(DatasetError, match=r"valannot/0001TP_006690\.png: the label is 47x36 but its image .* 48x36"):
        source.read(source.samples("val")[0])


def test_a_file_that_changes_between_reads_is_read_again(root):
    source = open_source("camvid", root)
    sample = source.samples("train")[0]
    source.read(sample)
    save(root / "trainannot" / "0001TP_006690.png", np.full((36, 48), 77, np.uint8), compress_level=0)
    with pytest.raises(DatasetError, match=r"trainannot/0001TP_006690\.png: 1728 pixels hold ids .* 77"):
        source.read(sample)


def test_what_is_read_may_be_written_to(root):
    source = open_source("camvid", root)
    sample = source.samples("train")[0]
    pixels, _ = source.read(sample)
    expected = pixels.copy()
    pixels[:] = 0
    np.testing.assert_array_equal(source.read(sample)[0], expected)


def test_the_public_set_has_its_known_splits_and_classes(shared):
    source = open_source("camvid", shared / "camvid")
    assert [len(source.samples(split)) for split in source.splits] == [367, 101, 233]
    counts = np.zeros(256, np.int64)
    for sample in source.samples("train")[::40]:
        pixels, label = labelled(source, sample)
        assert pixels.shape == (360, 480, 3) and label.shape == (360, 480)
        counts += np.bincount(label.ravel(), minlength=256)
    assert set(np.flatnonzero(counts)) == {*range(11), IGNORE}
    names = [label.name for label in source.table.classes]
    assert names[int(counts[:11].argmax())] in ("road", "building")


def test_labels_in_the_original_colours_are_refused_with_advice_that_can_be_followed(root):
    save(root / "valannot" / "0001TP_006690.png", np.full((36, 48, 3), (128, 128, 192), np.uint8))  # road shoulder
    source = open_source("camvid", root)
    with pytest.raises(
        DatasetError, match=r"\[128, 128, 192\]; the class list of camvid is built in: .*SegNet.*32 classes"
    ):
        source.read(source.samples("val")[0])


def test_images_that_are_not_read_are_named_and_left_out_only_when_told(root):
    (root / "train" / "0001TP_006750.jpg").touch()
    (root / "train" / "more").mkdir()
    (root / "train" / "more" / "a.png").touch()
    with pytest.raises(
        DatasetError, match=r"2 files or folders \(train/0001TP_006750\.jpg: .*train/more: .*--skip-others"
    ):
        open_source("camvid", root).samples("train")
    source = open_source("camvid", root, skip_others=True)
    assert len(source.samples("train")) == len(source.others("train")) == 2
    assert source.fingerprint("val") == open_source("camvid", root).fingerprint("val")


def test_a_folder_of_nothing_but_others_says_so(root):
    for path in (root / "val").iterdir():
        path.rename(path.with_suffix(".tga"))
    with pytest.raises(
        DatasetError, match=r"val holds no \.png, \.webp file, but 2 files or folders \(val/0001TP_006690\.tga"
    ):
        open_source("camvid", root).samples("val")
