"""A folder of files becomes another one: what it was made of counts, and nothing that lies there is lost unseen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets.images import read_picture
from dsr.data_pipelines.datasets.labels import Label, LabelTable
from dsr.experiments.fleet import folders, restoring
from dsr.experiments.fleet.encoding import decoded_folder, encoded_folder
from dsr.experiments.fleet.errors import FleetError
from dsr.experiments.fleet.folders import BatchWriter, Folder, check_apart
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.fleet.rates import Fixed
from dsr.experiments.fleet.restoring import restored_folder
from dsr.models.errors import UserError
from dsr.tfrecords.building import building
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.ledger import SOURCES
from dsr.tfrecords.manifest import Manifest
from tests.experiments.fleet.conftest import contents, make, picture
from tests.experiments.fleet.test_encoding import errors

JPEG = Fixed(make_codec("jpeg", 30))


@pytest.fixture
def bitmaps(tmp_path: Path) -> Path:
    """Ten images in files that have one size whatever they show; more than a batch of them."""
    folder = tmp_path / "bitmaps"
    folder.mkdir()
    for number in range(10):
        Image.fromarray(picture(number)).save(folder / f"{number}.bmp")
    return folder


class Unchanged:
    """A restorer that needs no TensorFlow."""

    def __init__(self, folder: Path) -> None: ...

    def describe(self) -> dict[str, Any]:
        return {}

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return pixels


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Ten bitstreams, and label maps of one size whatever they hold."""
    monkeypatch.setattr(restoring, "SavedRestorer", Unchanged)
    fleet, labels = tmp_path / "fleet", tmp_path / "labels"
    for folder in (fleet, labels):
        folder.mkdir()
    for number in range(10):
        (fleet / f"{number}.jpg").write_bytes(JPEG.codec.encode(picture(number)))
        Image.fromarray(picture(number)[..., 0] // 64).save(labels / f"{number}.bmp")
    return fleet, labels


def begin(folder: Folder, target: Path) -> None:
    """Make the first batch, and stop."""
    with pytest.raises(KeyboardInterrupt), building(target, folder.identity) as build:
        list(BatchWriter(folder.roots, folder.change, build.path, build.scratch)(folder.batches[0]))
        raise KeyboardInterrupt


def replace(path: Path, pixels: np.ndarray) -> None:
    """By another image of the same size in bytes."""
    size = path.stat().st_size
    Image.fromarray(pixels).save(path)
    assert path.stat().st_size == size


def test_a_run_that_goes_on_takes_files_as_they_are_now(bitmaps: Path, tmp_path: Path) -> None:
    begin(encoded_folder(bitmaps, JPEG, False), tmp_path / "out")
    replace(bitmaps / "3.bmp", picture(77))
    made = encoded_folder(bitmaps, JPEG, False)
    assert made.left(tmp_path / "out") == 10
    make(made, tmp_path / "out")
    assert (tmp_path / "out" / "3.jpg").read_bytes() == JPEG.codec.encode(picture(77))
    make(encoded_folder(bitmaps, JPEG, False), tmp_path / "anew")
    assert contents(tmp_path / "out") == contents(tmp_path / "anew")


def test_a_dry_run_refuses_what_was_begun_differently_as_the_run_does(bitmaps: Path, tmp_path: Path) -> None:
    begin(encoded_folder(bitmaps, JPEG, False), tmp_path / "out")
    finer = encoded_folder(bitmaps, Fixed(make_codec("jpeg", 50)), False)
    for ask in (finer.left, lambda target: make(finer, target)):
        with pytest.raises(ArtefactError, match=r"out\.partial holds an unfinished .*quality is 30 there and 50 here"):
            ask(tmp_path / "out")
    assert encoded_folder(bitmaps, JPEG, False).left(tmp_path / "out") == 2


@pytest.mark.parametrize("labelling", [False, True])
def test_more_files_than_a_manifest_can_list_are_refused_before_any_work(
    labelling: bool, labelled: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the manifest of a finished folder would be too long to be read, and the folder as good as lost."""
    fleet, labels = labelled
    long = "n" * 200
    for folder in labelled:
        for path in folder.iterdir():
            path.rename(folder / f"{long}{path.name}")
    made = restored_folder(fleet, tmp_path, labels if labelling else None, Format())
    make(made, tmp_path / "out")
    listed = {name: entry for name, entry in Manifest.load(tmp_path / "out").files.items() if long in name}
    needed = len(json.dumps({"files": listed}, indent=1))
    monkeypatch.setattr(folders, "MAX_BYTES", needed - 100)
    assert made.left(tmp_path / "out") == 0  # what there is can be read
    for ask in (made.left, lambda target: make(made, target)):
        with pytest.raises(FleetError, match="restore fleet: 10 files are more than the manifest of one folder can"):
            ask(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fleet", "labels", "out"]
    monkeypatch.setattr(folders, "MAX_BYTES", needed + needed // 10)
    assert made.left(tmp_path / "other") == 10


def test_a_run_that_goes_on_takes_label_maps_as_they_are_now(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    fleet, labels = labelled
    begin(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")
    replace(labels / "3.bmp", picture(77)[..., 0] // 64)
    make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")
    assert (tmp_path / "out" / "labels" / "3.bmp").read_bytes() == (labels / "3.bmp").read_bytes()


def test_a_repair_leaves_files_alone_that_are_called_almost_as_a_damaged_one(bitmaps: Path, tmp_path: Path) -> None:
    (bitmaps / "9.bmp").rename(bitmaps / "x1.bmp")
    made = encoded_folder(bitmaps, JPEG, False)
    make(made, tmp_path / "out")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.jpg")}
    (tmp_path / "out" / "x1.jpg").write_bytes(b"")
    make(made, tmp_path / "out")
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.jpg")}
    assert {name for name in after if after[name] != before[name]} == {"8.jpg", "x1.jpg"}  # a batch


def test_what_was_finished_of_other_contents_is_refused_and_kept(bitmaps: Path, tmp_path: Path) -> None:
    out, original = tmp_path / "out", (bitmaps / "3.bmp").read_bytes()
    make(encoded_folder(bitmaps, JPEG, False), out)
    before = contents(out)
    replace(bitmaps / "3.bmp", picture(77))
    replace(bitmaps / "9.bmp", picture(78))
    said = r"out was made before .*bitmaps/3\.bmp and 1 more changed; choose another folder, or delete it"
    with pytest.raises(ArtefactError, match=said):
        make(encoded_folder(bitmaps, JPEG, False), out)
    with pytest.raises(ArtefactError, match=said):
        encoded_folder(bitmaps, JPEG, False).left(out)
    assert contents(out) == before
    (bitmaps / "3.bmp").write_bytes(original)
    replace(bitmaps / "9.bmp", picture(9))
    make(encoded_folder(bitmaps, JPEG, False), out)


def test_what_was_finished_with_other_label_maps_is_refused(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    fleet, labels = labelled
    make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")
    replace(labels / "3.bmp", picture(77)[..., 0] // 64)
    with pytest.raises(ArtefactError, match=r"out was made before .*labels/3\.bmp changed; choose another folder"):
        make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")


def test_a_finished_folder_of_an_earlier_version_does_not_say_what_it_was_made_of_and_stays(
    bitmaps: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    make(encoded_folder(bitmaps, JPEG, False), out)
    manifest = Manifest.load(out)
    del manifest.files[SOURCES]
    manifest.save(out)
    (out / SOURCES).unlink()
    before = contents(out)
    make(encoded_folder(bitmaps, JPEG, False), out)
    assert contents(out) == before


def test_an_unfinished_folder_of_an_earlier_version_is_made_of_what_is_there_now(bitmaps: Path, tmp_path: Path) -> None:
    made = encoded_folder(bitmaps, JPEG, False)
    begin(made, tmp_path / "out")
    (result,) = (tmp_path / "out.partial" / ".building").glob("batch-*.json")
    content = json.loads(result.read_bytes())
    del content["sources"]
    result.write_text(json.dumps(content))
    assert made.left(tmp_path / "out") == 10


def test_where_nothing_could_be_made_nothing_stands_in_the_way_of_another_try(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"no image")
    with pytest.raises(ArtefactError, match="none of 1 files can be taken; a.png: "):
        make(encoded_folder(tmp_path / "in", Fixed(make_codec("jpeg", 50)), False), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    Image.fromarray(picture(0)).save(tmp_path / "in" / "a.png")
    assert (
        make(encoded_folder(tmp_path / "in", Fixed(make_codec("jpeg", 50)), False), tmp_path / "out")["files_made"] == 1
    )


def test_a_file_where_the_folder_should_be_is_no_damaged_folder(bitmaps: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtefactError, match=r"notes\.txt is no folder: choose another name$"):
        make(encoded_folder(bitmaps, JPEG, False), tmp_path / "notes.txt")


def test_no_more_is_read_of_a_file_than_any_image_has(bitmaps: Path, tmp_path: Path) -> None:
    with (bitmaps / "3.bmp").open("wb") as file:
        file.truncate(1 << 40)  # a hole
    summary = make(encoded_folder(bitmaps, JPEG, False), tmp_path / "out")
    assert (summary["files_made"], summary["errors"]) == (9, 1)


def test_linked_folders_are_read_once_and_links_in_a_ring_have_an_end(bitmaps: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    Image.fromarray(picture(50)).save(elsewhere / "deep" / "a.png")
    (bitmaps / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(bitmaps)
    summary = make(encoded_folder(bitmaps, JPEG, False), tmp_path / "out")
    assert summary["files_made"] == 11
    assert (tmp_path / "out" / "linked" / "deep" / "a.jpg").is_file()
    assert summary["others"] == {"number": 1, "names": ["linked/back: a link to a folder that is listed already"]}


def test_files_that_are_not_read_are_named_and_side_files_are_not(bitmaps: Path, tmp_path: Path) -> None:
    for name in ("a.heic", "b.mp4", "Thumbs.db", "notes.txt", "0.json", ".hidden.heic", "NOTICE"):
        (bitmaps / name).write_bytes(b"x")
    (bitmaps / "gone.png").symlink_to(tmp_path / "nowhere")
    summary = make(encoded_folder(bitmaps, JPEG, False), tmp_path / "out")
    assert (summary["files_made"], summary["errors"]) == (10, 0)
    assert summary["others"] == {
        "number": 3,
        "names": ["a.heic: its suffix is not read", "b.mp4: its suffix is not read", "gone.png: a dangling link"],
    }


def test_files_beside_label_maps_that_are_not_read_are_named(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    fleet, labels = labelled
    (labels / "10.jpg").write_bytes(b"x")
    summary = make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")
    assert summary["others"] == {"number": 1, "names": ["label 10.jpg: its suffix is not read"]}


def test_nothing_is_said_of_files_that_are_not_there(bitmaps: Path, tmp_path: Path) -> None:
    assert "others" not in make(encoded_folder(bitmaps, JPEG, False), tmp_path / "out")


@pytest.mark.parametrize("how", [[], ["--dry-run"]])
def test_the_command_says_what_it_does_not_read(how: list[str], bitmaps: Path, tmp_path: Path) -> None:
    for name in ("a.heic", "b.mp4"):
        (bitmaps / name).write_bytes(b"x")
    words = ["encode", str(bitmaps), str(tmp_path / "out"), "--codec", "jpeg", "--workers", "1", *how]
    run = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert run.exit_code == 0
    assert "not read: 2 files or folders (a.heic: its suffix is not read, b.mp4: its suffix" in run.output
    told = json.loads(CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False).stdout)
    assert told["others"]["number"] == 2


def test_a_folder_of_other_files_alone_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "camera").mkdir()
    (tmp_path / "camera" / "a.heic").write_bytes(b"x")
    with pytest.raises(FleetError, match=r"camera holds no .*\.bmp.* file, but 1 file or folder \(a\.heic"):
        encoded_folder(tmp_path / "camera", JPEG, False)


@pytest.mark.parametrize("suffix", [".jp2", ".j2k", ".jpc", ".j2c", ".jpf", ".jpx"])
def test_all_names_that_jpeg_2000_files_have_are_read(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / f"a{suffix}").write_bytes(make_codec("jpeg2000").encode(picture(0)))
    assert make(decoded_folder(tmp_path / "fleet", Format()), tmp_path / "out")["files_made"] == 1


def test_a_folder_that_is_a_link_is_made_where_the_link_leads(bitmaps: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk" / "fleet"
    disk.mkdir(parents=True)
    (tmp_path / "out").symlink_to(disk)
    made = encoded_folder(bitmaps, JPEG, False)
    begin(made, tmp_path / "out")
    assert (tmp_path / "disk" / "fleet.partial").is_dir()
    assert made.left(tmp_path / "out") == 2
    make(made, tmp_path / "out")
    assert (tmp_path / "out").is_symlink() and (disk / "0.jpg").is_file()
    assert made.left(tmp_path / "out") == 0
    (disk / "0.jpg").unlink()
    make(made, tmp_path / "out")
    assert (disk / "0.jpg").is_file()


def test_a_link_to_nowhere_becomes_a_folder_there(bitmaps: Path, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "new")
    make(encoded_folder(bitmaps, JPEG, False), tmp_path / "out")
    assert (tmp_path / "new" / "0.jpg").is_file()


def test_a_mount_point_is_refused_before_anything_is_made(
    bitmaps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: os.fspath(path) in (os.fspath(out), "/"))
    words = ["encode", str(bitmaps), str(out), "--codec", "jpeg", "--target-bpp", "1"]
    for more in ([], ["--dry-run"]):
        run = CliRunner().invoke(cli, [*words, *more])
        assert isinstance(run.exception, UserError) and "out is a mount point" in str(run.exception)
        assert "asked for" not in run.output  # and so no quality was searched
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bitmaps", "out"]
    with monkeypatch.context() as unmounted:
        unmounted.setattr(os.path, "ismount", lambda path: path == "/")
        make(encoded_folder(bitmaps, JPEG, False), out)
    check_apart(bitmaps, out)  # one that is finished can be compared where it is mounted
    make(encoded_folder(bitmaps, JPEG, False), out)


@pytest.mark.parametrize("command", ["encode", "decode", "restore", "predict", "export"])
def test_folders_are_not_made_in_object_stores(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "camera").mkdir()
    needed = {"restore": ["--restorer", "shipped"], "predict": ["--segmenter", "none"]}.get(command, [])
    run = CliRunner().invoke(cli, [command, "camera", "gs://bucket/out", *needed])
    assert run.exit_code == 2 and "gs://bucket/out: files are made on this machine only" in run.output
    assert [path.name for path in tmp_path.iterdir()] == ["camera"]


def test_what_is_made_is_not_made_in_what_it_is_made_of(bitmaps: Path, tmp_path: Path) -> None:
    source = bitmaps.rename(tmp_path / "out.partial")
    (source / "link").symlink_to(source)
    for target in (tmp_path / "out", source / "0", source / "link" / "0"):
        with pytest.raises(FleetError, match="lie in each other"):
            check_apart(source, target)
    run = CliRunner().invoke(cli, ["encode", str(source), str(tmp_path / "out")])
    assert isinstance(run.exception, FleetError)
    assert not (source / ".building").exists() and not (tmp_path / "out").exists()


def label_of(seed: int) -> np.ndarray:
    return picture(seed)[..., 0] // 64


def turned_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_label_map_that_is_turned_as_its_image_lies_on_it(
    orientation: int, labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    fleet, labels = labelled
    exif = turned_exif(orientation)
    palette = Image.fromarray(label_of(1))
    palette.putpalette([9, 8, 7, 0, 0, 1, 5, 5, 5, 255, 0, 0])
    of_kinds = [
        Image.fromarray(label_of(0)),
        palette,
        Image.fromarray(picture(2)),
        Image.fromarray(label_of(3).astype(np.uint16) * 300),
        Image.fromarray(label_of(4) > 1),
    ]
    for number, label in enumerate(of_kinds):
        Image.fromarray(picture(number)).save(fleet / f"{number}.jpg", exif=exif, quality=95)
        (labels / f"{number}.bmp").unlink()
        label.save(labels / f"{number}.png", exif=exif)
    make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")
    table = LabelTable((Label(0, 0, "any", (0, 0, 0)),))
    for number, label in enumerate(of_kinds):
        after = read_picture(tmp_path / "out" / "labels" / f"{number}.png")
        assert after.orientation == 1
        assert after.size == Image.open(tmp_path / "out" / "images" / f"{number}.png").size
        assert np.array_equal(after.labels(table), read_picture(labels / f"{number}.png").labels(table))
        assert (after.image.mode, after.image.getpalette()) == (label.mode, label.getpalette())


def test_a_label_map_whose_name_writes_an_accent_in_another_way_is_its_image_s(
    labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    fleet, labels = labelled
    (fleet / "0.jpg").rename(fleet / "caf\u00e9.jpg")
    (labels / "0.bmp").rename(labels / "cafe\u0301.bmp")
    made = make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")
    assert (made["files_made"], made["errors"]) == (10, 0)
    assert (tmp_path / "out" / "images" / "caf\u00e9.png").is_file()
    assert (tmp_path / "out" / "labels" / "caf\u00e9.bmp").is_file()


def test_a_label_map_that_cannot_be_turned_and_kept_is_left_out(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    fleet, labels = labelled
    exif = turned_exif(3)
    Image.fromarray(picture(0)).save(fleet / "0.jpg", exif=exif)
    (labels / "0.bmp").unlink()
    Image.fromarray(label_of(0)).save(labels / "0.png", "WEBP", exif=exif)
    assert make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")["errors"] == 1
    assert errors(tmp_path / "out")["0.jpg"].startswith("0.png: is compressed with loss")


def test_a_label_map_that_is_turned_otherwise_than_its_image_is_left_out(
    labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    fleet, labels = labelled
    Image.fromarray(picture(0)).save(fleet / "0.jpg", exif=turned_exif(6))
    for number, orientation in ((0, 8), (1, 3)):
        (labels / f"{number}.bmp").unlink()
        Image.fromarray(label_of(number)).save(labels / f"{number}.png", exif=turned_exif(orientation))
    assert make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")["errors"] == 2
    found = errors(tmp_path / "out")
    assert "the EXIF orientation of the label 0.png is 8, that of its image 0.jpg 6" in found["0.jpg"]
    assert "the EXIF orientation of the label 1.png is 3, that of its image 1.jpg 1" in found["1.jpg"]
    assert sorted(path.stem for path in (tmp_path / "out" / "labels").iterdir()) == list("23456789")


def test_a_label_map_without_an_orientation_is_copied_as_it_is(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    fleet, labels = labelled
    Image.fromarray(picture(0)).save(fleet / "0.jpg", exif=turned_exif(3))
    make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")
    for path in labels.iterdir():
        assert (tmp_path / "out" / "labels" / path.name).read_bytes() == path.read_bytes()


def test_a_measurement_that_has_no_table_to_go_into_is_refused(bitmaps: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, ["encode", str(bitmaps / "0.bmp"), str(tmp_path / "0.bpg"), "--psnr"])
    assert run.exit_code == 2 and "--psnr is for a folder" in run.output
    assert not (tmp_path / "0.bpg").exists()


@pytest.mark.parametrize("command", ["encode", "decode", "restore"])
def test_folders_whose_names_are_not_utf_8_are_worked_with(
    command: str, labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    fleet, _ = labelled
    (fleet / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    odd = fleet.rename(tmp_path / os.fsdecode(b"c\xff"))
    out = tmp_path / os.fsdecode(b"o\xff")
    if command == "restore":
        made = restored_folder(odd, tmp_path, None, Format())
    else:
        made = encoded_folder(odd, JPEG, False) if command == "encode" else decoded_folder(odd, Format())
    assert make(made, out)["files_made"] == 10
    assert str(tmp_path) not in errors(out)["broken.jpg"]
    if command == "encode":
        run = CliRunner().invoke(cli, ["encode", str(odd), str(tmp_path / "out"), "--codec", "jpeg", "--workers", "1"])
        assert run.exit_code == 0, run.exception


def test_a_name_that_is_too_long_once_it_has_its_new_suffix_costs_no_other(bitmaps: Path, tmp_path: Path) -> None:
    (bitmaps / "0.bmp").rename(bitmaps / f"{'n' * 251}.bmp")
    (bitmaps / "1.bmp").rename(bitmaps / f"{'m' * 250}.bmp")
    summary = make(encoded_folder(bitmaps, Fixed(make_codec("webp", 30)), False), tmp_path / "out")
    assert (summary["files_made"], summary["errors"]) == (9, 1)
    assert "longer than 255 bytes; rename the file" in errors(tmp_path / "out")[f"{'n' * 251}.bmp"]


def test_a_file_that_would_be_called_as_a_folder_of_others_costs_no_other(
    labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    fleet, labels = labelled
    for folder, suffix in ((fleet, ".jpg"), (labels, ".bmp")):
        inner = folder / "0.png" / "deep"
        inner.mkdir(parents=True)
        (folder / f"9{suffix}").rename(inner / f"9{suffix}")
    made = restored_folder(fleet, tmp_path, labels, Format())
    assert [make(made, tmp_path / "out")[what] for what in ("files_made", "errors")] == [9, 1]
    assert "images/0.png would be called as the folder that other files go into" in errors(tmp_path / "out")["0.jpg"]
    assert (tmp_path / "out" / "images" / "0.png" / "deep" / "9.png").is_file()
