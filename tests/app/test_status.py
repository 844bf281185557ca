"""`dsr status` has a line for every kind of artefact, with what there is to say of it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from dsr.app.commands.status import KINDS, command
from dsr.tfrecords.building import building
from dsr.tfrecords.manifest import Identity

MADE = {
    "shards": ("shards", {"images": 12, "bpp": 0.25}, "12 images, 0.250 bpp"),
    "codecs": ("codec", {"steps": 70}, "70 steps in"),
    "restorers": ("restorer", {"steps": 80}, "80 steps in"),
    "segmenters": ("segmenter", {"steps": 90}, "90 steps in"),
    "evaluations": ("evaluation", {"images": 12, "miou": 0.4321}, "mIoU 43.21 %"),
    "perceptual": ("perceptual", {"images": 12, "niqe": None, "hosa": 21.5}, "hosa 21.50"),
    "features": ("features", {"images": 12}, "12 images"),
}


def test_every_kind_of_artefact_has_its_line(tmp_path: Path) -> None:
    assert set(MADE) == set(KINDS)
    for group, (kind, summary, _) in MADE.items():
        with building(tmp_path / group / "set" / "name-12345678", Identity(kind, "set/name", {})) as build:
            build.summary.update(summary)
    result = CliRunner().invoke(command, ["--work", str(tmp_path)])
    assert result.exit_code == 0, result.output
    headings, lines = result.output.splitlines()[::2], result.output.splitlines()[1::2]
    assert headings == list(KINDS)
    for group, line in zip(KINDS, lines):
        assert "set/name-12345678" in line
        assert MADE[group][2] in line
        assert ("niqe" in line, "hosa" in line) == (False, group == "perceptual")


def test_what_was_begun_is_said(tmp_path: Path) -> None:
    (tmp_path / "features" / "set" / "name-12345678.partial").mkdir(parents=True)
    result = CliRunner().invoke(command, ["--work", str(tmp_path)])
    assert "name-12345678.partial" in result.output and "not finished" in result.output
