"""`dsr rate-distortion` compares codecs on the images that all of them can encode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import codec_class

pytestmark = pytest.mark.slow  # processes

WEBP_SIDE = 16383
"""WebP can be no wider."""


def write_images(root: Path, widths: list[int]) -> None:
    rng = np.random.default_rng(0)
    for split in ("restore", "train", "test"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
    for number, width in enumerate(widths):
        pixels = np.repeat(rng.integers(0, 256, (4, width // 4, 3), np.uint8), 4, axis=0).repeat(4, axis=1)
        split = ("restore", "train")[number] if number < 2 else "test"
        Image.fromarray(pixels).save(root / "images" / split / f"{number}.png")
        Image.fromarray(np.zeros((16, pixels.shape[1]), np.uint8)).save(root / "labels" / split / f"{number}.png")
    (root / "classes.csv").write_text("id,name\n0,all\n")


def compared(folder: Path, *options: str) -> Any:
    given = ["--dataset", "folder", "--root", str(folder / "data"), "--work", str(folder / "work"), "--workers", "1"]
    codecs = ["--codec", "jpeg", "--codec", "webp", "--max-errors", "1"]
    return CliRunner().invoke(cli, ["rate-distortion", *given, *codecs, *options])


def test_an_image_that_one_codec_cannot_encode_is_measured_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for codec in ("jpeg", "webp"):
        monkeypatch.setattr(codec_class(codec), "ladder", (20, 60))
    said = {}
    for name, widths in (("some", [16, 16, 64, 48, 64, WEBP_SIDE + 1]), ("small", [16, 16, 64, 48, 64])):
        write_images(tmp_path / name / "data", widths)
        run = compared(tmp_path / name, "--json")
        assert run.exit_code == 0, run.output
        said[name] = json.loads(run.stdout)
    (some, small) = said["some"], said["small"]
    assert some["images"] == small["images"] == 3 and small["left_out"] == []
    assert some["points"] == small["points"]
    webp = [point["point"] for point in some["points"] if point["codec"] == "webp"]
    assert [(one["point"], len(one["keys"])) for one in some["left_out"]] == [(point, 1) for point in webp]
    words = "Nothing is measured on 1 of 4 images, so that all is compared on the same: "
    assert words in compared(tmp_path / "some").stdout
    page = " ".join(Path(some["page"]).read_text().split())
    assert words in page and ", 3 images</p>" in page
    assert "Nothing is measured" not in Path(small["page"]).read_text()


def test_other_images_and_another_role_replace_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_class("jpeg"), "ladder", (20, 60))
    for root in ("one/day", "one/night", "two/day"):
        write_images(tmp_path / root, [16, 16, 64])
    work = ["--work", str(tmp_path / "work"), "--workers", "1", "--codec", "jpeg"]

    def run(root: str, *options: str) -> Any:
        return CliRunner().invoke(
            cli, ["rate-distortion", "--dataset", "folder", "--root", str(tmp_path / root), *work, "--json", *options]
        )

    runs = [run("one/day"), run("one/night"), run("one/day", "--role", "train"), run("two/day", "--name", "dusk")]
    pages = [Path(json.loads(run.stdout)["page"]) for run in runs]
    names = [f"rate-distortion-{name}" for name in ("day", "night", "day-train", "dusk")]
    assert [page.parent.name for page in pages] == names
    assert "<b>day-train</b>, 1 image</p>" in pages[2].read_text()
    before = pages[0].read_text()
    refused = run("two/day")
    assert refused.exit_code == 1 and "is of other images" in str(refused.exception), refused.output
    assert pages[0].read_text() == before
