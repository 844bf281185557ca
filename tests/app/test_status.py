"""`dsr status` has a line for every kind of artefact, with what there is to say of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from click.testing import CliRunner

from dsr.app.commands.status import command
from dsr.experiments.graph.places import GROUPS
from dsr.experiments.summaries import (
    EvaluationSummary,
    HeaderSummary,
    ImagesSummary,
    LossesSummary,
    PerceptualSummary,
    ShardsSummary,
    TemperatureSummary,
    TrainingSummary,
)
from dsr.tfrecords.building import building
from dsr.tfrecords.manifest import Identity

SHARDS = ShardsSummary(12, 12, 0, 8, 8, 0.25, 0.2, 0.3, 30.0, 0.9, 10.0, 1.5)
MADE = {
    "shards": ("shards", SHARDS, "12 images, 0.250 bpp"),
    "codecs": ("codec", TrainingSummary(70, 9.0, 5, 3), "70 steps in"),
    "restorers": ("restorer", TrainingSummary(80, 9.0, 5, 3), "80 steps in"),
    "segmenters": ("segmenter", TrainingSummary(90, 9.0, 5, 3), "90 steps in"),
    "evaluations": ("evaluation", EvaluationSummary(12, 0.4321, 0.9, {}, []), "mIoU 43.21 %"),
    "perceptual": ("perceptual", PerceptualSummary(12, None, 21.5), "hosa 21.50"),
    "features": ("features", ImagesSummary(12), "12 images"),
    "temperatures": ("temperature", TemperatureSummary(12, 99, 1.25), "temperature 1.250"),
    "losses": ("losses", LossesSummary(12, 0.43217, 0.4, []), "0.4322 bits a pixel"),
}


def test_a_manifest_that_says_something_else_is_named_and_the_rest_listed(tmp_path: Path) -> None:
    for number, summary in enumerate(({}, {"images": "12"}, {"images": None}, {"images": [1]})):
        with building(tmp_path / "features" / "set" / f"name{number}-12345678", Identity("features", "n", {})) as build:
            build.summary.update(summary)
    with building(tmp_path / "features" / "set" / "whole-12345678", Identity("features", "n", {})) as build:
        build.summary.update(images=12)
    result = CliRunner().invoke(command, ["--work", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.output.count("manifest.json is damaged") == 4 and "12 images" in result.output


def test_every_kind_of_artefact_has_its_line(tmp_path: Path) -> None:
    assert set(MADE) == set(GROUPS)
    for group, (kind, summary, _) in MADE.items():
        with building(tmp_path / group / "set" / "name-12345678", Identity(kind, "set/name", {})) as build:
            build.summary.update(asdict(summary))
    result = CliRunner().invoke(command, ["--work", str(tmp_path)])
    assert result.exit_code == 0, result.output
    *listed, total = result.output.splitlines()
    headings, lines = listed[::2], listed[1::2]
    assert total.startswith(f"{len(GROUPS)} artefacts, ")
    assert headings == list(GROUPS)
    for group, line in zip(GROUPS, lines):
        assert "set/name-12345678" in line
        assert MADE[group][2] in line
        assert ("niqe" in line, "hosa" in line) == (False, group == "perceptual")


def test_what_came_compressed_is_told_by_kind(tmp_path: Path) -> None:
    kinds = [("bpg", 36, "4:2:0", 9), ("bpg", 37, "4:2:0", 8), ("jpeg", 20, None, 7), ("webp", None, None, 3)]
    kinds += [("bpg", 38, "4:4:4", 2), ("bpg", 51, "gray", 1)]
    headers = [HeaderSummary(*kind) for kind in kinds]
    with building(tmp_path / "shards" / "set" / "name-12345678", Identity("shards", "set/name", {})) as build:
        build.summary.update(asdict(replace(SHARDS, headers=headers)))
    result = CliRunner().invoke(command, ["--work", str(tmp_path)])
    assert (
        "12 images, 0.250 bpp, came as 9 bpg qp 36 4:2:0, 8 bpg qp 37 4:2:0, 7 jpeg quality 20, 3 webp, "
        "3 of 2 other kinds" in result.output
    )


def test_what_was_begun_is_said(tmp_path: Path) -> None:
    (tmp_path / "features" / "set" / "name-12345678.partial").mkdir(parents=True)
    result = CliRunner().invoke(command, ["--work", str(tmp_path)])
    assert "name-12345678.partial" in result.output and "not finished" in result.output
