"""A codec of one's own: trained by one command, used by the next, tuned by a third."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.codecs.msh import SHIPPED
from dsr.models.errors import UserError
from dsr.models.hyperprior.saved import WEIGHTS_FILE, read_hyperprior
from dsr.tfrecords.manifest import Manifest
from tests.data_pipelines.codecs.conftest import scene

pytestmark = pytest.mark.tensorflow

SMALL = [
    *("--set", "codec.network.filters=8", "--set", "codec.network.latents=12", "--set", "codec.patch=64"),
    *("--set", "codec.batch=1", "--set", "codec.steps=2", "--set", "codec.log_every=1", "--workers", "1"),
]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(3):
        Image.fromarray(scene(64, 96, seed=number)).save(folder / f"{number}.png")
    return folder


def train(photographs: Path, work: Path, *more: str) -> Path:
    """The folder of the codec."""
    chosen = ["--dataset", "photos", "--root", str(photographs), "--work", str(work)]
    started = [] if "--start" in more else ["--start", "none"]
    cli(["train-codec", *chosen, *SMALL, *started, *more], standalone_mode=False)
    return max((work / "codecs" / "photos").iterdir(), key=lambda folder: folder.stat().st_mtime)


@pytest.fixture(scope="module")
def trained(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(photographs, tmp_path_factory.mktemp("work"), "--quality", "5")


def test_what_was_trained_is_a_codec(trained: Path) -> None:
    codec = make_codec("msh", model=str(trained))
    assert codec.point.startswith("msh-quality5+model=")
    pixels = scene(40, 70)
    assert codec.decode(codec.encode(pixels)).shape == pixels.shape


def test_curves_and_events_stay_beside_it(trained: Path) -> None:
    assert {"curves.json", "tensorboard", "manifest.json", WEIGHTS_FILE} == {path.name for path in trained.iterdir()}


def test_convert_takes_it(photographs: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--dataset", "photos", "--root", str(photographs), "--role", "test", "--workers", "1"]
    model = ["--codec", "msh", "--model", str(trained / WEIGHTS_FILE)]
    cli(["convert", *chosen, *model, "--work", str(tmp_path)], standalone_mode=False)
    point = make_codec("msh", model=str(trained)).point
    assert f"photos/all/{point}: 3 images" in capsys.readouterr().out


def test_a_training_goes_on_from_another_and_its_start_is_part_of_what_it_is(photographs: Path, trained: Path) -> None:
    work = trained.parents[2]
    tuned = train(photographs, work, "--quality", "6", "--start", str(trained / WEIGHTS_FILE))
    assert tuned != trained
    assert read_hyperprior(tuned).qualities == (6,)
    digest = hashlib.sha256((trained / WEIGHTS_FILE).read_bytes()).hexdigest()
    assert (Manifest.load(trained).config["start"], Manifest.load(tuned).config["start"]) == (None, f"sha256:{digest}")


def test_all_qualities_are_trained_at_once_and_any_between_them_codes(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(photographs, tmp_path)
    assert folder.name.rpartition("-")[0] == "msh"
    said = capsys.readouterr().out
    assert all(f"  quality {quality}: " in said for quality in range(1, 7))
    codec = make_codec("msh", 2.75, model=str(folder))
    pixels = scene(40, 70)
    assert codec.decode(codec.encode(pixels)).shape == pixels.shape


def test_what_comes_with_dsr_is_tuned_by_default_to_a_real_quality(photographs: Path, tmp_path: Path) -> None:
    chosen = ["--dataset", "photos", "--root", str(photographs), "--work", str(tmp_path), "--quality", "2.5"]
    small = [
        "--set",
        "codec.patch=64",
        "--set",
        "codec.batch=1",
        "--set",
        "codec.steps=1",
        "--set",
        "codec.log_every=1",
    ]
    cli(["train-codec", *chosen, *small, "--set", "codec.learning_rate=1e-9", "--workers", "1"], standalone_mode=False)
    (folder,) = (tmp_path / "codecs" / "photos").iterdir()
    assert folder.name.startswith("msh-quality2.5-")
    shipped, tuned = read_hyperprior(SHIPPED), read_hyperprior(folder)
    assert tuned.qualities == (2.5,)
    for before, after in zip(shipped.log_gains(2.5), tuned.log_gains(2.5)):
        np.testing.assert_allclose(after, before, atol=1e-6)
    for name in ("analysis.0.kernel", "synthesis.3.kernel", "prior.matrix_1"):
        np.testing.assert_allclose(tuned.arrays[name], shipped.arrays[name], atol=1e-6)


def test_a_start_of_another_size_is_refused(photographs: Path, trained: Path) -> None:
    with pytest.raises(UserError, match="8"):
        more = ("--set", "codec.network.filters=12")
        train(photographs, trained.parents[2], "--quality", "5", "--start", str(trained / WEIGHTS_FILE), *more)


def test_a_quality_off_the_scale_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="9"):
        cli(["train-codec", "--quality", "9"], standalone_mode=False)
