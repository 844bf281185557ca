"""Received bitstreams become restored images with the label maps that belong to them, and nothing is lost unseen."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.codecs.base import Inspection
from dsr.experiments.fleet.items import find_items
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.fleet.restorers import Point, strangers
from dsr.experiments.fleet.restoring import restored_folder
from dsr.experiments.graph.progress import Progress
from dsr.models.restorers.rdn import build_rdn
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.saved import load_network, save_network
from dsr.models.restorers.tiling import restore
from tests.experiments.fleet.conftest import contents, picture
from tests.experiments.fleet.test_encoding import errors

CODECS = {"front": ("bpg", 36, ".bpg"), "rear": ("jpeg", 20, ".jpg"), "left": ("webp", 10, ".webp")}


@pytest.fixture(scope="module")
def restorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network with weights from a seed."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("restorer")
    config = RdnConfig(blocks=1, layers=1, growth=2, features=4)
    save_network(build_rdn(config), config, folder)
    return folder


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """Three images of each of three cameras, each camera with a codec of its own, and their label maps."""
    for camera, (codec, quality, suffix) in CODECS.items():
        for number in range(3):
            path = tmp_path / "fleet" / camera / f"{number}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(make_codec(codec, quality).encode(picture(number)))
            label = tmp_path / "labels" / camera / f"{number}.png"
            label.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(number)[..., 0] // 64).save(label, compress_level=number)
    return tmp_path / "fleet"


def test_each_image_is_what_the_network_makes_of_the_bitstream(fleet: Path, restorer: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    manifest = restored_folder(fleet, restorer, labels, Format()).make(tmp_path / "out", 1, Progress())
    network = load_network(restorer)
    for camera, (codec, _, suffix) in CODECS.items():
        for number in range(3):
            bitstream = (fleet / camera / f"{number}{suffix}").read_bytes()
            expected = restore(*network, make_codec(codec).decode(bitstream))
            found = np.asarray(Image.open(tmp_path / "out" / "images" / camera / f"{number}.png"))
            assert np.abs(found.astype(int) - expected).max() <= 1  # one thread here, several there
            label = (tmp_path / "out" / "labels" / camera / f"{number}.png").read_bytes()
            assert label == (labels / camera / f"{number}.png").read_bytes()
    rows = {row["received"]: row for row in csv.DictReader((tmp_path / "out" / "received.csv").open())}
    assert len(rows) == 9
    for name, row in rows.items():
        assert row["sha256"] == hashlib.sha256((fleet / name).read_bytes()).hexdigest()
    assert (rows["front/0.bpg"]["codec"], rows["front/0.bpg"]["quality"]) == ("bpg", "36")
    for name, entry in manifest.files.items():
        assert entry["sha256"] == hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest()


def test_a_killed_run_goes_on_to_the_same_bytes_with_any_number_of_workers(
    fleet: Path, restorer: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dsr.app.cli", "restore", str(fleet), str(out), "--restorer", str(restorer)]
    process = subprocess.Popen([*command, "--workers", "1"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list((tmp_path / "out.partial").rglob("*.png")) and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for folder, workers in ((out, 2), (tmp_path / "undisturbed", 1)):
        restored_folder(fleet, restorer, None, Format()).make(folder, workers, Progress())
    assert contents(out) == contents(tmp_path / "undisturbed")
    assert not (tmp_path / "out.partial").exists()


def test_bad_files_are_named_and_cost_no_other(fleet: Path, restorer: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    whole = (fleet / "front" / "0.bpg").read_bytes()
    (fleet / "front" / "0.bpg").write_bytes(whole[:-9])
    (fleet / "rear" / "0.jpg").write_bytes(whole)
    Image.new("L", (47, 32)).save(labels / "left" / "0.png")
    (labels / "left" / "1.png").unlink()
    Image.new("L", (48, 32)).save(labels / "nobody.png")
    manifest = restored_folder(fleet, restorer, labels, Format()).make(tmp_path / "out", 1, Progress())
    found = errors(tmp_path / "out")
    assert set(found) == {"front/0.bpg", "rear/0.jpg", "left/0.webp", "left/1.webp", "nobody.png"}
    assert "cut" in found["front/0.bpg"]
    assert "holds a bpg bitstream" in found["rear/0.jpg"]
    assert "has 47x32 pixels, but left/0.webp 48x32" in found["left/0.webp"]
    assert "no label map" in found["left/1.webp"]
    assert "no image" in found["nobody.png"]
    assert manifest.summary["files_made"] == 5
    for kind in ("images", "labels"):
        assert len(list((tmp_path / "out" / kind).rglob("*.png"))) == 5


def test_files_of_another_kind_than_the_restorer_knows_are_told() -> None:
    points = [Point("bpg", 36, "4:2:0", 0.5), Point("jpeg", 20, None, 0.5)]
    headers = [
        Inspection("bpg", 8, 8, 36, "4:2:0"),
        Inspection("bpg", 8, 8, 40, "4:2:0"),
        Inspection("bpg", 9, 9, 40, "4:2:0"),
        Inspection("bpg", 8, 8, 36, "4:4:4"),
        Inspection("jpeg", 8, 8, 21, "4:2:2"),
        Inspection("webp", 8, 8, None, None),
    ]
    assert strangers(headers, points) == {"bpg qp 40 4:2:0": 2, "bpg qp 36 4:4:4": 1, "webp": 1}


def test_hidden_files_and_others_are_no_images(fleet: Path) -> None:
    (fleet / ".cache").mkdir()
    (fleet / ".cache" / "a.bpg").write_bytes(b"x")
    (fleet / "notes.txt").write_text("x")
    assert len(find_items(fleet, (".bpg", ".jpg", ".webp"))) == 9


def test_a_restorer_trained_like_a_fleet_knows_its_files(fleet: Path, tmp_path: Path) -> None:
    originals = tmp_path / "originals"
    originals.mkdir()
    for number in range(20):
        Image.fromarray(picture(100 + number)).save(originals / f"{number}.png")
    settings = ["blocks=1", "layers=1", "growth=2", "features=4"]
    tiny = [f"restorer.rdn.network.{setting}" for setting in settings] + [
        "restorer.rdn.patch=32",
        "restorer.rdn.steps=4",
    ]
    run = CliRunner().invoke(
        cli,
        ["train-restorer", "--originals", str(originals), "--like", str(fleet), "--restorer", "rdn-psnr"]
        + ["--out", str(tmp_path / "restorer"), "--work", str(tmp_path / "work"), "--workers", "1"]
        + [word for setting in tiny for word in ("--set", setting)],
        catch_exceptions=False,
    )
    assert run.exit_code == 0, run.output
    told = json.loads((tmp_path / "restorer" / "manifest.json").read_text())["summary"]
    known = {(point["codec"], point["share"]) for point in told["trained_on"]}
    assert known == {("bpg", 0.3333), ("jpeg", 0.3333), ("webp", 0.3333)}
    assert told["held_out"]["images"] == 2
    compressed = [row for row in run.output.splitlines() if row.startswith("compressed")]
    assert f"{told['held_out']['compressed']['psnr']:.2f}" in compressed[0]
    (fleet / "front" / "other.bpg").write_bytes(make_codec("bpg", 44).encode(picture(7)))
    run = CliRunner().invoke(
        cli,
        ["restore", str(fleet), str(tmp_path / "out"), "--restorer", str(tmp_path / "restorer"), "--workers", "1"],
        catch_exceptions=False,
    )
    assert run.exit_code == 0, run.output
    assert "warning: 1 files are bpg qp 44 4:2:0" in run.output
    assert run.output.count("warning") == 1
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 10
