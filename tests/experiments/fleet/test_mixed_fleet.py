"""A fleet of several qualities, and with one old JPEG camera among BPG ones: encoded, received, restored, converted."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.fleet.restorers import Point
from dsr.models.restorers.rdn import build_rdn
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.saved import save_network
from dsr.tfrecords.building import building
from dsr.tfrecords.manifest import Identity, records
from tests.experiments.fleet.conftest import picture

pytestmark = pytest.mark.tensorflow

CAMERAS = {"front": ("bpg", 36, 3), "left": ("bpg", 37, 2), "right": ("bpg", 44, 2), "rear": ("jpeg", 20, 2)}
SUFFIXES = {"bpg": ".bpg", "jpeg": ".jpg"}
HEIGHT, WIDTH = 48, 64


def dsr(*words: object) -> str:
    run = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    return run.output


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset whose train images each camera has sent as `dsr encode` writes them, all in one folder."""
    root = tmp_path / "data"
    seed = 0
    for camera, (codec, quality, count) in CAMERAS.items():
        taken = tmp_path / "taken" / camera
        taken.mkdir(parents=True)
        for number in range(count):
            seed += 1
            Image.fromarray(picture(seed, WIDTH, HEIGHT)).save(taken / f"{number}.png")
            label = root / "labels" / "train" / camera / f"{number}.png"
            label.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((picture(seed, WIDTH, HEIGHT)[..., 0] > 128).astype(np.uint8)).save(label)
        sent = tmp_path / "sent" / camera
        dsr("encode", taken, sent, "--codec", codec, "--quality", quality, "--workers", 1)
        for path in sent.glob(f"*{SUFFIXES[codec]}"):
            arrived = root / "images" / "train" / camera / path.name
            arrived.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, arrived)
    for split in ("test", "restore"):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir()
            for number in range(2):
                pixels = picture(100 + number, WIDTH, HEIGHT)
                made = pixels if kind == "images" else (pixels[..., 0] > 128).astype(np.uint8)
                Image.fromarray(made).save(root / kind / split / f"{number}.png")
    (root / "classes.csv").write_text("id,name\n0,dark\n1,bright\n")
    return root


@pytest.fixture
def restorer(tmp_path: Path) -> Path:
    """A tiny network that says that it was trained for BPG at QP 36 and 42."""
    config = RdnConfig(blocks=1, layers=1, growth=2, features=4)
    folder = tmp_path / "restorer"
    with building(folder, Identity("restorer", "tiny", {})) as build:
        save_network(build_rdn(config), config, build.path)
        points = [Point("bpg", 36, "4:2:0", 0.5), Point("bpg", 42, "4:2:0", 0.5)]
        build.summary["trained_on"] = [point.to_json() for point in points]
    return folder


def test_a_restorer_s_owner_is_warned_of_just_the_files_that_it_was_not_trained_for(
    root: Path, restorer: Path, tmp_path: Path
) -> None:
    out = tmp_path / "restored"
    fleet, labels = root / "images" / "train", root / "labels" / "train"
    said = dsr("restore", fleet, out, "--restorer", restorer, "--labels", labels, "--workers", 1)
    warnings = [line for line in said.splitlines() if line.startswith("warning")]
    known = "the restorer was trained for bpg qp 36 4:2:0, bpg qp 42 4:2:0"
    assert sorted(warnings) == [
        f"warning: 2 files are bpg qp 44 4:2:0; {known}",
        f"warning: 2 files are jpeg quality 20 4:2:0; {known}",
    ]
    rows = {row["received"]: row for row in csv.DictReader((out / "received.csv").open())}
    assert len(rows) == 9
    for camera, (codec, quality, count) in CAMERAS.items():
        for number in range(count):
            row = rows[f"{camera}/{number}{SUFFIXES[codec]}"]
            assert (row["codec"], row["quality"], row["chroma"]) == (codec, str(quality), "4:2:0")
            for kind in ("images", "labels"):
                assert Image.open(out / kind / camera / f"{number}.png").size == (WIDTH, HEIGHT)


def test_a_received_dataset_keeps_every_file_and_says_what_they_are(root: Path, tmp_path: Path) -> None:
    words = ["--dataset", "folder", "--root", root, "--set", "dataset.options.received=train", "--work", tmp_path / "w"]
    dsr("convert", *words, "--role", "train", "--workers", 1)
    (folder,) = (tmp_path / "w" / "shards" / "folder" / "train").iterdir()
    for record in records(folder):
        codec, quality, _ = CAMERAS[record.key.partition("/")[0]]
        sent = (root / "images" / "train" / f"{record.key}{SUFFIXES[codec]}").read_bytes()
        assert record.bitstream == sent
        assert np.array_equal(record.pixels(), make_codec(codec).decode(sent))
        assert record.provenance["measured"]["quality"] == quality
    (line,) = (line for line in dsr("status", "--work", tmp_path / "w").splitlines() if folder.name in line)
    told = ["3 bpg qp 36 4:2:0", "2 bpg qp 37 4:2:0", "2 bpg qp 44 4:2:0", "2 jpeg quality 20 4:2:0"]
    assert line.endswith("came as " + ", ".join(told))
    headers = json.loads((folder / "manifest.json").read_text())["summary"]["headers"]
    assert sum(header["files"] for header in headers) == 9
