"""Converting, verifying and repairing from the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pytest
from PIL import Image

from dsr.app.cli import cli
from dsr.models.errors import UserError
from dsr.tfrecords import files
from tests.tfrecords.object_store import object_store

JPEG = ["convert", "--codec", "jpeg", "--quality", "20", "--role", "test", "--workers", "1"]
SMALL = [
    *JPEG,
    *("--set", "dataset.options.height=16", "--set", "dataset.options.width=24"),
    *("--set", "dataset.options.test=4", "--set", "images_per_shard=2"),
]


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Dsr = Callable[..., Ended]


@pytest.fixture
def dsr(capsys: pytest.CaptureFixture[str]) -> Dsr:
    """Runs a command in this process; a UserError comes as it is."""

    def run(*arguments: object, work: Path) -> Ended:
        status = 0
        try:
            cli([*map(str, arguments), "--work", str(work)], standalone_mode=False)
        except SystemExit as end:
            status = int(end.code or 0)
        return Ended(status, *capsys.readouterr())

    return run


def contents(work: Path) -> dict[str, bytes]:
    return {
        path.relative_to(work).as_posix(): path.read_bytes()
        for path in work.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    cli([*SMALL, "--work", str(work)], standalone_mode=False)
    return work


@pytest.mark.slow
def test_a_rate_is_that_of_the_whole_picture_though_a_smaller_one_is_sent(dsr: Dsr, tmp_path: Path) -> None:
    """All images are the sample, so that what is said beforehand is what it comes to."""
    sizes = ("dataset.options.height=64", "dataset.options.width=96", "dataset.options.train=4")
    settings = [word for one in (*sizes, "points=downsample2+jpeg-quality50") for word in ("--set", one)]
    result = dsr("convert", "--target-bpp", "0.6", "--role", "train", "--workers", "1", *settings, work=tmp_path)
    said = re.search(r"downsample2[+]jpeg-quality(\d+) takes ([0-9.]+) bpp on a sample", result.err)
    came = re.search(r"downsample2[+]jpeg-quality(\d+): 4 images, ([0-9.]+) bpp", result.out)
    assert said and came and said.groups() == came.groups()
    assert float(came[2]) == pytest.approx(0.6, rel=0.1)


@pytest.mark.slow
def test_images_that_the_mean_psnr_leaves_out_are_said_beside_it(dsr: Dsr, tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for number in range(3):  # gray ones come back as they were, noise does not
        pixels = (
            np.full((32, 32, 3), 128, np.uint8) if number else np.random.default_rng(0).integers(0, 256, (32, 32, 3))
        )
        Image.fromarray(pixels.astype(np.uint8)).save(photographs / f"{number}.png")
    result = dsr(*JPEG, "--dataset", "photos", "--root", photographs, work=tmp_path / "work")
    assert re.search(r"3 images, .* PSNR \d+[.]\d\d dB \(without 2 identical\), MS-SSIM", result.out)


def test_a_quality_alone_is_one_of_the_study_s_point_with_all_that_it_is(dsr: Dsr, tmp_path: Path) -> None:
    point = "points=downsample2+bpg-qp28+chroma=4:4:4"
    asked = ["convert", "--set", point, "--qp", "36", "--role", "train", "--dry-run"]
    result = dsr(*asked, work=tmp_path)
    assert "downsample2+bpg-qp36+chroma=4:4:4" in result.out


@pytest.mark.slow
def test_verify_finds_what_convert_repairs(dsr: Dsr, converted: Path) -> None:
    before = contents(converted)
    originals, compressed = sorted((converted / "shards/streets/test").iterdir(), key=lambda path: "jpeg" in path.name)
    assert dsr("verify", "--deep", "--workers", "1", work=converted).status == 0
    shard = compressed / "shard-00001-of-00002.tfrecord"
    data = bytearray(shard.read_bytes())
    data[-9] ^= 1
    shard.write_bytes(data)
    (originals / "errors.jsonl").unlink()
    result = dsr("verify", "--workers", "1", work=converted)
    assert result.status == 1
    assert [line.split()[0] for line in result.out.splitlines()] == [f"{shard}:", str(originals / "errors.jsonl")]
    assert result.err.endswith("2 artefacts, 2 findings\n")
    result = dsr(*SMALL, work=converted)
    assert result.err.count("  repair ") == 2
    assert contents(converted) == before
    assert dsr("verify", str(compressed), str(originals), "--workers", "1", work=converted).status == 0


@pytest.mark.slow
def test_parts_join_to_what_one_run_makes(dsr: Dsr, converted: Path, tmp_path: Path) -> None:
    assert "part 2/2 is done" in dsr(*SMALL, "--shards", "2/2", work=tmp_path).out
    with pytest.raises(UserError, match="those of 1/2; convert these parts again"):
        dsr(*SMALL, "--finish", work=tmp_path)
    dsr(*SMALL, "--shards", "1/2", work=tmp_path)
    assert dsr(*SMALL, "--finish", work=tmp_path).out.startswith("streets/test/jpeg-quality20: 4 images")
    assert contents(tmp_path) == contents(converted)


@pytest.mark.slow
def test_folders_that_lost_their_manifest_or_changed_places_are_found(
    dsr: Dsr, converted: Path, tmp_path: Path
) -> None:
    folders = sorted((converted / "shards/streets/test").iterdir())
    swapped = [tmp_path / folder.name for folder in reversed(folders)]
    for folder, place in zip(folders, swapped):
        place.mkdir()
        for path in folder.iterdir():
            (place / path.name).write_bytes(path.read_bytes())
    result = dsr("verify", str(tmp_path), "--workers", "1", work=converted)
    assert sorted(result.out.splitlines()) == sorted(f"{p} holds another artefact than its name says" for p in swapped)
    (swapped[0] / "manifest.json").unlink()
    result = dsr("verify", str(tmp_path), "--workers", "1", work=converted)
    assert f"{swapped[0] / 'manifest.json'} is missing" in result.out


def test_a_place_where_nothing_is_was_not_verified(dsr: Dsr, tmp_path: Path) -> None:
    result = dsr("verify", str(tmp_path / "nowhere"), work=tmp_path)
    assert result.status == 1
    assert "nowhere: there is nothing here that dsr made" in result.out


@pytest.mark.parametrize("option", [["--shards", "4/3"], ["--shards", "1/2", "--finish"]])
def test_parts_that_cannot_be_are_a_usage_error(dsr: Dsr, option: list[str], tmp_path: Path) -> None:
    with pytest.raises(click.UsageError):
        dsr(*SMALL, *option, work=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_images_that_cannot_be_converted_stop_a_run_unless_they_may_be_left_out(dsr: Dsr, tmp_path: Path) -> None:
    root, work = tmp_path / "data", tmp_path / "work"
    for folder in ("images", "labels"):
        (root / folder / "test").mkdir(parents=True)
    for name in ("a", "b", "c"):
        Image.new("RGB", (24, 16)).save(root / f"images/test/{name}.png")
        Image.new("L", (24, 16)).save(root / f"labels/test/{name}.png")
    (root / "images/test/b.png").write_bytes(b"")
    (root / "classes.csv").write_text("id,name\n0,road\n")
    options = [
        "--dataset",
        "folder",
        "--root",
        str(root),
        "--set",
        "dataset.train=test",
        "--set",
        "dataset.restore=test",
    ]
    with pytest.raises(UserError, match=r"image 'b': images/test/b\.png: cannot be decoded"):
        dsr(*JPEG, *options, work=work)
    result = dsr(*JPEG, *options, "--max-errors", 1, work=work)
    assert "folder/test/original: left out 1 of 3 images" in result.out
    (errors,) = work.glob("shards/folder/test/original-*/errors.jsonl")
    assert errors.read_text().startswith(
        '{"file":"test/b.png","key":"b","reason":"images/test/b.png: cannot be decoded'
    )


@pytest.mark.tensorflow
def test_a_work_folder_may_be_a_url(dsr: Dsr, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with object_store(tmp_path) as (environment, objects):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        work = files.location("gs://bucket/work")
        assert dsr(*SMALL, work=work).status == 0
        stored = {name.partition("work/")[2]: data for name, data in objects.items() if "manifest.json" not in name}
        # What a command remembers of its own runs is kept on this machine's disk alone.
        assert stored == {name: data for name, data in contents(converted).items() if not name.startswith("studies/")}
        assert dsr("verify", work=work).status == 0
        there = dict(objects)
        with pytest.raises(UserError, match="gs:.*networks are trained in a work folder on a disk; give --work"):
            dsr("train", "--config", "CO", *JPEG[1:5], *SMALL[len(JPEG) :], work=work)
        assert objects == there, "no shards were made for what cannot be trained there"
        listed = dsr("status", work=work).out
        assert listed.count("images, ") == 2 and listed.splitlines()[-1].startswith("2 artefacts")


def test_files_that_are_not_read_stop_a_command_unless_they_may_be_left_out(dsr: Dsr, tmp_path: Path) -> None:
    root, work = tmp_path / "data", tmp_path / "work"
    root.mkdir()
    Image.new("RGB", (24, 16)).save(root / "a.png")
    (root / "b.heic").touch()
    options = ["--dataset", "photos", "--root", str(root)]
    with pytest.raises(UserError, match=r"holds 1 file or folder \(b\.heic: its suffix is not read\).*--skip-others"):
        dsr(*JPEG, *options, work=work)
    assert not work.exists()
    result = dsr(*JPEG, *options, "--skip-others", work=work)
    assert "leaves out 1 file or folder (b.heic: its suffix is not read)" in result.err
    result = dsr(*JPEG, *options, "--skip-others", work=work)
    assert "its 1 source files are as they were" in result.err
