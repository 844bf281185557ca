"""Times of stages, and what they say of the configurations."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dsr.app.cli import cli
from dsr.experiments.analysis.inference_times import costs, inference_times_table
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.measurements.kept import INFERENCE_TIMES
from dsr.experiments.results import InferenceTimes, StageTimes
from dsr.experiments.study import Study
from tests.experiments import studies

pytestmark = pytest.mark.tensorflow


def stage(name: str, *milliseconds: float, point: str | None = None, restorer: str | None = None) -> StageTimes:
    return StageTimes(name, point, restorer, [ms / 1000 for ms in milliseconds])


TIMES = InferenceTimes(
    device="a stone tablet",
    height=8,
    width=16,
    stages=[
        stage("encode", 90, 100, 900, point="bpg-qp40"),
        stage("decode", 20, point="bpg-qp40"),
        stage("restore", 300, restorer="gan"),
        stage("restore", 50, restorer="rdn-psnr"),
        stage("segment", 70, 90),
    ],
)


def test_a_configuration_costs_the_stages_its_test_images_pass() -> None:
    found = {(c.configuration, c.restorer): c.total for c in costs(TIMES)}
    expected = {("RO", None): 80, ("CC", None): 200, ("OR", "gan"): 500, ("OR", "rdn-psnr"): 250}
    assert found == pytest.approx(expected)


def test_costs_are_compared_with_compression_before_inference() -> None:
    """The paper's "faster by 26 %" is 0.74 here."""
    versus = {row[0]: row[-1] for row in inference_times_table(TIMES).rows}
    assert versus["RO"] == pytest.approx(0.4) and versus["CC"] == 1 and versus["OR"] > 1


def test_stages_that_a_configuration_does_not_have_are_empty_cells() -> None:
    table = inference_times_table(TIMES)
    rows = list(csv.DictReader(table.to_csv().splitlines()))
    assert [r["encode_ms"] == "" for r in rows] == [True, False, False, False]
    assert [r["restore_ms"] == "" for r in rows] == [True, True, False, False]


def test_what_is_kept_is_found_again_and_damage_is_said(tmp_path: Path) -> None:
    study = Study(studies.small(), tmp_path)
    assert INFERENCE_TIMES.kept(study) is None
    INFERENCE_TIMES.keep(study, TIMES, inference_times_table(TIMES))
    assert INFERENCE_TIMES.kept(study) == TIMES
    path = study.folder / "inference_times.json"
    content = json.loads(path.read_text())
    whole = content["measured"]
    forged = [
        "{",
        "[]",
        "null",
        '"text"',
        *(
            json.dumps({**content, "measured": {**whole, **other}})
            for other in ({"height": "24"}, {"more": 1}, {"stages": [{"stage": "encode"}]})
        ),
        json.dumps({"measured": whole}),
        json.dumps({**content, "settings": {"restorer.images": 3}}),
        path.read_text().replace("0.07", "NaN"),
        "[" * 100_000,
    ]
    for text in forged:
        path.write_text(text)
        with pytest.raises(ConfigError, match="dsr inference-times"):
            INFERENCE_TIMES.kept(study)


def test_settings_that_have_changed_since_are_told(tmp_path: Path) -> None:
    study = Study(studies.small(), tmp_path)
    assert INFERENCE_TIMES.changed(study) == {}
    INFERENCE_TIMES.keep(study, TIMES, inference_times_table(TIMES))
    assert INFERENCE_TIMES.changed(study) == {}
    same = ["segmenter.steps=7", "dataset.options.train=9", "restorer.images=1", "restorer.gan.steps=3", "seed=4"]
    assert INFERENCE_TIMES.changed(Study(apply_overrides(studies.small(), same), tmp_path)) == {}
    other = ["segmenter.network.output_stride=8", "restorer.rdn.network.blocks=3"]
    found = INFERENCE_TIMES.changed(Study(apply_overrides(studies.small(), other), tmp_path))
    assert {name: now for name, (_, now) in found.items()} == dict(one.split("=") for one in other)
    old = study.folder / "inference_times.json"
    old.write_text(json.dumps(json.loads(old.read_text())["measured"]))
    assert INFERENCE_TIMES.kept(study) == TIMES and INFERENCE_TIMES.changed(study) == {}, "kept before 0.4.4"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A work folder with times of stages, and what the command said of them.

    It ran in a process of its own, for TensorFlow must not have started with several threads, whose clock of the
    processor goes half as fast as that on the wall.
    """
    work = tmp_path_factory.mktemp("work")
    settings = ("points=jpeg-quality10,downsample2+jpeg-quality10,blur-gaussian1", "restorers=rdn-psnr")
    settings += ("dataset.options.height=64", "dataset.options.width=96")
    arguments = ["inference-times", "--work", str(work), *(word for s in settings for word in ("--set", s))]
    clock = "import time; wall = time.perf_counter; time.process_time = lambda: wall() / 2"
    code = f"{clock}; from dsr.app.cli import cli; cli({arguments!r})"
    return work, subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stderr


def kept(work: Path) -> dict[str, Any]:
    return json.loads((work / "studies" / "demo" / "inference_times.json").read_text())["measured"]


def test_times_are_measured_without_any_training(measured: tuple[Path, str]) -> None:
    work, _ = measured
    times = kept(work)
    assert (times["height"], times["width"]) == (64, 96)
    coded = [(s["stage"], s["point"]) for s in times["stages"][:-2]]
    points = ("jpeg-quality10", "downsample2+jpeg-quality10")
    assert coded == [(stage, point) for point in points for stage in ("encode", "decode")]
    assert [s["stage"] for s in times["stages"][-2:]] == ["restore", "segment"]
    assert all(len(s["seconds"]) == 8 and min(s["seconds"]) > 0 for s in times["stages"])
    assert (work / "studies" / "demo" / "inference_times.csv").read_text().count("jpeg-quality10") == 2 * 3
    assert not any((work / group).exists() for group in ("shards", "restorers", "segmenters"))


@pytest.mark.parametrize(("processor", "warns"), [(0.5, True), (0.97, False), (None, False)])
def test_the_command_warns_where_other_programs_had_the_processor(
    processor: float | None, warns: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = dataclasses.replace(TIMES, processor=processor)
    monkeypatch.setattr("dsr.app.commands.inference_times.measure", lambda study, progress: measured)
    result = CliRunner().invoke(cli, ["inference-times", "--work", str(tmp_path)])
    assert ("a core for 50 % of their time" in result.output) == warns


def test_the_share_of_the_processor_is_that_of_its_clock(measured: tuple[Path, str]) -> None:
    work, said = measured
    assert kept(work)["processor"] == pytest.approx(0.5, abs=0.02) and "measure again" in said
