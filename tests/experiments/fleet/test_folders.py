"""A folder of files becomes another one: what it was made of counts, and nothing that lies there is lost unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.fleet import restoring
from dsr.experiments.fleet.encoding import encoded_folder
from dsr.experiments.fleet.folders import BatchWriter, Folder
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.fleet.rates import Fixed
from dsr.experiments.fleet.restoring import restored_folder
from dsr.experiments.graph.progress import Progress
from dsr.tfrecords.building import building
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.ledger import SOURCES
from dsr.tfrecords.manifest import Manifest
from tests.experiments.fleet.conftest import contents, picture
from tests.tfrecords.fakes import inline

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


def make(folder: Folder, target: Path) -> dict[str, Any]:
    return folder.make(target, None, Progress(), inline).summary


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


def test_a_run_that_goes_on_takes_label_maps_as_they_are_now(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    fleet, labels = labelled
    begin(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")
    replace(labels / "3.bmp", picture(77)[..., 0] // 64)
    make(restored_folder(fleet, tmp_path, labels, Format()), tmp_path / "out")
    assert (tmp_path / "out" / "labels" / "3.bmp").read_bytes() == (labels / "3.bmp").read_bytes()


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


def test_no_more_is_read_of_a_file_than_any_image_has(bitmaps: Path, tmp_path: Path) -> None:
    with (bitmaps / "3.bmp").open("wb") as file:
        file.truncate(1 << 40)  # a hole
    summary = make(encoded_folder(bitmaps, JPEG, False), tmp_path / "out")
    assert (summary["files_made"], summary["errors"]) == (9, 1)
