"""An image that cannot be converted is written down or ends the run; nothing is left out in silence."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets import open_source
from dsr.data_pipelines.datasets.files import read_bytes, unreadable
from dsr.models.errors import ReadError
from dsr.tfrecords.conversions import to_originals
from dsr.tfrecords.engine import How
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.ledger import joined_sources
from dsr.tfrecords.manifest import Manifest, check, records
from dsr.tfrecords.plan import Part
from tests.tfrecords.fakes import CountingSource, FakeCodec, FakeRestorer, FakeSample, FakeSource, inline
from tests.tfrecords.writing import write_compressed, write_originals, write_restored


def errors(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "errors.jsonl").read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A dataset of two's own images in which nearly everything is wrong in its own way."""
    root = tmp_path / "data"
    rgb, ids = np.full((8, 12, 3), 90, np.uint8), np.zeros((8, 12), np.uint8)
    names = [
        "good",
        "turned",
        "truncated",
        "empty",
        "text",
        "cmyk",
        "deep",
        "clear",
        "bomb",
        "size",
        "ids",
        "unlabelled",
        "twice",
    ]
    for name in names:
        save(root / f"images/train/{name}.png", rgb)
        save(root / f"labels/train/{name}.png", ids)
    images, labels = root / "images/train", root / "labels/train"
    exif = Image.Exif()
    exif[0x0112] = 6
    save(images / "turned.png", np.full((12, 8, 3), 90, np.uint8), exif=exif)  # upright, it has its label's size
    (images / "truncated.png").write_bytes((images / "good.png").read_bytes()[:-30])
    (images / "empty.png").write_bytes(b"")
    (images / "text.png").write_text("no image")
    (images / "cmyk.png").unlink()
    save(images / "cmyk.jpg", rgb, "CMYK")
    save(images / "deep.png", np.full((8, 12), 3000, np.uint16))
    save(images / "clear.png", np.dstack([rgb, ids]))
    save(images / "bomb.png", np.zeros((50, 50, 3), np.uint8))
    save(labels / "size.png", ids[:4])
    save(labels / "ids.png", ids + 7)
    (labels / "unlabelled.png").unlink()
    save(labels / "imageless.png", ids)
    save(images / "twice.tif", rgb)
    (root / "classes.csv").write_text("id,name\n0,road\n")
    return root


REASONS = {
    "bomb": "images/train/bomb.png: 50x50 is more than 2000 pixels",
    "clear": "images/train/clear.png: has transparent pixels",
    "cmyk": "images/train/cmyk.jpg: holds CMYK pixels",
    "deep": "images/train/deep.png: holds I;16 pixels",
    "empty": "images/train/empty.png: cannot be decoded",
    "ids": "labels/train/ids.png: 96 pixels hold ids that the class list does not have, such as 7",
    "imageless": "labels/train/imageless.png: has no image named 'imageless' beside it",
    "size": "labels/train/size.png: the label is 12x4 but its image size.png 12x8",
    "text": "images/train/text.png: cannot be decoded",
    "truncated": "images/train/truncated.png: cannot be decoded",
    "twice": "images/train/twice.png and twice.tif are one image by name",
    "unlabelled": "images/train/unlabelled.png: has no label named 'unlabelled' beside it",
}


def test_every_kind_of_bad_input_is_written_down_with_file_and_reason(hostile: Path, tmp_path: Path) -> None:
    source = open_source("folder", hostile, max_pixels=2000)
    manifest = write_originals(source, "train", tmp_path / "o", images_per_shard=4, max_errors=13, engine=inline)
    assert [record.key for record in records(tmp_path / "o")] == ["good", "turned"]
    told = errors(tmp_path / "o")
    assert [error["key"] for error in told] == sorted([*REASONS, "twice"])  # two files, two errors
    for error in told:
        assert error["reason"].startswith(REASONS[error["key"]]), error
        assert Path(error["file"]).stem == error["key"]
    assert str(tmp_path) not in (tmp_path / "o" / "errors.jsonl").read_text()
    assert {name: manifest.summary[name] for name in ("inputs", "images", "errors")} == {
        "inputs": 15,
        "images": 2,
        "errors": 13,
    }
    check(tmp_path / "o")


def test_a_file_of_a_dataset_that_cannot_be_read_now_is_never_left_out(
    hostile: Path, tmp_path: Path, monkeypatch
) -> None:
    source = open_source("folder", hostile, max_pixels=2000)

    def refusing(path: Path, limit: int) -> bytes:
        if path.name == "good.png":
            raise unreadable(path, PermissionError(errno.EACCES, "Permission denied"))
        return read_bytes(path, limit)

    monkeypatch.setattr("dsr.data_pipelines.datasets.images.read_bytes", refusing)
    with pytest.raises(ReadError, match=r"good\.png: cannot be read \(Permission denied\)"):
        write_originals(source, "train", tmp_path / "o", max_errors=99, engine=inline)
    assert not (tmp_path / "o").exists()
    monkeypatch.undo()
    write_originals(source, "train", tmp_path / "o", max_errors=99, engine=inline)
    assert "good" in {record.key for record in records(tmp_path / "o")}


def test_a_file_that_changes_between_its_parts_is_noticed() -> None:
    first, other = ({"kind": "image", "name": "a.tif", "sha256": digest} for digest in ("1", "2"))
    last = {"kind": "image", "name": "b.tif", "sha256": "3"}
    assert list(joined_sources([[first], [first, last], [last]])) == [first, last]
    with pytest.raises(ArtefactError, match=r"image a\.tif changed while it was converted; convert again"):
        list(joined_sources([[first], [other, last]]))


def test_the_first_bad_image_ends_a_run_that_allows_none_and_its_file_is_named(hostile: Path, tmp_path: Path) -> None:
    source = open_source("folder", hostile, max_pixels=2000)
    with pytest.raises(ArtefactError, match=r"image 'bomb': images/train/bomb\.png: 50x50 .*max-errors"):
        write_originals(source, "train", tmp_path / "o", engine=inline)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.slow
def test_what_was_done_before_the_error_stays_and_is_not_done_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    source = CountingSource(12, broken=(7,), log=str(log))
    with pytest.raises(ArtefactError, match="image 'test/image 007': test/007.png: cannot be read"):
        write_originals(source, "test", tmp_path / "o", images_per_shard=3, workers=1)
    log.unlink()
    write_originals(replace(source, broken=()), "test", tmp_path / "o", images_per_shard=3, workers=1)
    assert log.read_text().split("\n")[:-1] == [f"test/image {i:03d}" for i in range(6, 12)]
    assert errors(tmp_path / "o") == []


def test_errors_of_all_shards_count_and_are_tried_again_after_a_stop(tmp_path: Path) -> None:
    source = FakeSource(12, broken=(1, 4, 7))
    with pytest.raises(ArtefactError, match="3 images cannot be converted, more than 2; the last is .*007"):
        write_originals(source, "test", tmp_path / "o", images_per_shard=3, max_errors=2, engine=inline)
    # One that has come back is converted; the bound holds for the others.
    source = replace(source, broken=(1, 4))
    summary = write_originals(source, "test", tmp_path / "o", images_per_shard=3, max_errors=2, engine=inline).summary
    assert (summary["inputs"], summary["images"], summary["errors"]) == (12, 10, 2)


@pytest.mark.slow
def test_the_bound_changes_neither_bytes_nor_identity(tmp_path: Path) -> None:
    source = FakeSource(10, broken=(0, 9))
    for bound, workers in ((2, 1), (9, 2)):
        write_originals(
            replace(source, shuffled=bound),
            "test",
            tmp_path / str(bound),
            images_per_shard=2,
            max_errors=bound,
            workers=workers,
        )
    assert contents(tmp_path / "2") == contents(tmp_path / "9")
    assert Manifest.load(tmp_path / "2").fingerprint == Manifest.load(tmp_path / "9").fingerprint
    assert errors(tmp_path / "2") == [
        {
            "key": f"test/image {number:03d}",
            "file": f"test/{number:03d}.png",
            "reason": f"test/{number:03d}.png: cannot be read <decoder object>",
        }
        for number in (0, 9)
    ]


class Repeating(FakeSource):
    """The last image of a shard and the first of the next have one key."""

    def samples(self, split: str) -> list[FakeSample]:
        return [FakeSample("a", "1.png"), FakeSample("b", "3.png"), FakeSample("b", "2.png"), FakeSample("c", "4.png")]

    def read(self, sample: FakeSample) -> tuple[np.ndarray, None]:
        return np.zeros((9, 9, 3), np.uint8), None


def test_none_of_the_images_that_share_a_key_is_taken_for_the_one(tmp_path: Path) -> None:
    manifest = write_originals(Repeating(4), "test", tmp_path / "o", images_per_shard=2, max_errors=2, engine=inline)
    assert [record.key for record in records(tmp_path / "o")] == ["a", "c"]
    assert [(error["key"], error["file"]) for error in errors(tmp_path / "o")] == [("b", "2.png"), ("b", "3.png")]
    assert "other images have this key too" in errors(tmp_path / "o")[0]["reason"]
    assert [manifest.files[name]["errors"] for name in manifest.shards] == [1, 1]


def test_later_stages_go_on_without_what_was_left_out_and_count_their_own(tmp_path: Path) -> None:
    write_originals(
        FakeSource(10, broken=(0,)), "test", tmp_path / "o", images_per_shard=4, max_errors=1, engine=inline
    )
    codec = FakeCodec(8, fails_at=22)  # images 2, 5 and 8
    summary = write_compressed(tmp_path / "o", codec, tmp_path / "c", max_errors=3, engine=inline).summary
    assert (summary["inputs"], summary["images"], summary["errors"]) == (9, 6, 3)
    assert errors(tmp_path / "c")[0] == {
        "key": "test/image 002",
        "file": "test/002.png",
        "reason": "the codec does not like it",
    }
    summary = write_restored(tmp_path / "c", tmp_path / "o", FakeRestorer(8), tmp_path / "r", engine=inline).summary
    assert (summary["inputs"], summary["images"], summary["errors"]) == (6, 6, 0)
    originals = {record.key: record.pixels() for record in records(tmp_path / "o")}
    rows = json.loads((tmp_path / "r" / "images.json").read_text())
    for row, record in zip(rows, records(tmp_path / "r")):
        mse = np.mean((originals[record.key].astype(float) - record.pixels()) ** 2)
        assert row["psnr"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-3)


def test_a_set_of_which_nothing_can_be_converted_is_no_artefact(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="none of 3 images can be converted; image 'test/image 000'"):
        write_originals(FakeSource(3, broken=(0, 1, 2)), "test", tmp_path / "o", max_errors=9, engine=inline)
    assert not (tmp_path / "o").exists()


@dataclass(frozen=True)
class LockedSource(FakeSource):
    """Some images cannot be read at the moment."""

    locked: tuple[int, ...] = ()

    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        if int(sample.key.rpartition(" ")[2]) in self.locked:
            raise ReadError(f"/somewhere/{sample.image} cannot be read: Permission denied")
        return super().read(sample)


def test_an_image_that_cannot_be_read_now_is_not_left_out_as_if_it_were_broken(tmp_path: Path) -> None:
    how = {"images_per_shard": 2, "max_errors": 5, "engine": inline}
    with pytest.raises(ReadError, match="004.png cannot be read: Permission denied"):
        write_originals(LockedSource(6, broken=(1,), locked=(4,)), "test", tmp_path / "it", **how)
    assert not (tmp_path / "it").exists()
    write_originals(LockedSource(6, broken=(1,)), "test", tmp_path / "it", **how)
    assert [error["key"] for error in errors(tmp_path / "it")] == ["test/image 001"]

    class LockedCodec(FakeCodec):
        def encode(self, pixels: np.ndarray) -> bytes:
            raise ReadError("the codec's weights cannot be read: Input/output error")

    with pytest.raises(ReadError, match="weights cannot be read"):
        write_compressed(tmp_path / "it", LockedCodec(8), tmp_path / "c", max_errors=5, engine=inline)


def test_a_shard_whose_result_is_damaged_is_made_again(tmp_path: Path) -> None:
    originals = to_originals(FakeSource(4), "test", images_per_shard=2)
    whole = originals.write(tmp_path / "whole", How(engine=inline))
    originals.write_part(tmp_path / "it", Part(1, 1), How(engine=inline))
    result = tmp_path / "it.partial" / ".building" / "shard-00001-of-00002.tfrecord.json"
    written = result.read_bytes()
    for data in (
        b"",
        written[:-9],
        b"[]",
        b"{}",
        written.replace(b'"bytes":', b'"bytes":1', 1),
        b"\xff" + written,
        *(bytes(byte ^ (n == place) for n, byte in enumerate(written)) for place in range(0, len(written), 7)),
    ):
        assert data != written
        result.write_bytes(data)
        with pytest.raises(ArtefactError, match="1 of 2 shards are missing or damaged"):
            originals.finish(tmp_path / "it")
        originals.write_part(tmp_path / "it", Part(1, 1), How(engine=inline))
        assert result.read_bytes() == written
    assert originals.finish(tmp_path / "it").files == whole.files


@pytest.mark.parametrize("data", [b"", b"soon", b"nan", b"-1", b"inf", b"\xff", b"1" * 1000])
def test_a_damaged_clock_is_named_and_can_be_deleted(tmp_path: Path, data: bytes) -> None:
    originals = to_originals(FakeSource(4), "test", images_per_shard=2)
    originals.write_part(tmp_path / "it", Part(1, 1), How(engine=inline))
    clock = tmp_path / "it.partial" / ".building" / "seconds-1-of-1"
    clock.write_bytes(data)
    with pytest.raises(ArtefactError, match=r"building/seconds-1-of-1.*delete it, and the time"):
        originals.finish(tmp_path / "it")
    clock.unlink()
    assert originals.finish(tmp_path / "it").summary["images"] == 4
