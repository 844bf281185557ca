"""`dsr plan` says what a budget leaves, ranks what was measured, and refuses what is no budget."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from dsr.app.cli import cli
from dsr.experiments.stored_study import store
from dsr.experiments.study import Study
from tests.experiments.planning.made_up import RATES, measure, study

pytestmark = pytest.mark.usefixtures("small_preset")

OO, FINE, COARSE, RESTORED = (("OO", None), ("CO", 30), ("CO", 42), ("RO", 42))


def planned(work: Path, *arguments: str, ends: int = 0) -> str:
    result = CliRunner().invoke(cli, ["plan", "--work", str(work), *arguments], catch_exceptions=True)
    assert result.exit_code == ends, (result.output, result.exception)
    return result.output if not isinstance(result.exception, Exception) else str(result.exception)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CO at QP 30 and 42 and RO at QP 42, with two seeds, of which the preset's points are none."""
    folder = tmp_path_factory.mktemp("measured")
    made = study(folder, "seeds=2", "points=bpg-qp30,bpg-qp42")
    measure(made, {OO: 0.50, FINE: 0.48, COARSE: 0.40, RESTORED: 0.43}, RATES)
    return folder


def test_the_table_ranks_what_is_measured_and_what_lies_between(work: Path) -> None:
    said = planned(work, "--budget", "10MB", "--images", "1000")
    assert "10.0 MB for 1,000 images of 256x128: 2.44 bits a pixel" in said
    assert "OO, trained on 120 originals: mIoU 50.5 [" in said
    lines = {line.split()[1]: line for line in said.splitlines() if line.startswith("  ") and "bpg-qp" in line}
    assert "48.5 [" in lines["bpg-qp30"] and "measured" not in lines["bpg-qp36"]
    assert "interpolated" in lines["bpg-qp36"] and "rate interpolated" in lines["bpg-qp36"]
    assert "what more than 120 images add is not counted" in said
    assert "times are not measured: run dsr inference-times" in said


def test_where_no_score_is_known_nothing_is_said_of_seeds(work: Path) -> None:
    said = planned(work, "--budget", "10MB", "--label-budget", "50")
    assert "not known" in said and "seed" not in said
    assert "dsr scaling " in said and said.splitlines()[-1].count("bpg-qp") == 3


def test_the_next_command_is_for_the_same_study(work: Path) -> None:
    said = planned(work, "--budget", "10MB", "--images", "120", "--set", "samples=3")
    command = said.splitlines()[-1].strip()
    assert command.startswith("dsr train --") and f" --set samples=3 --work {work} --config " in command


def test_the_next_command_asks_for_its_own_point_though_the_study_names_others(tmp_path: Path) -> None:
    points = "points=bpg-qp30+chroma=4:4:4,bpg-qp42+chroma=4:4:4"
    measure(study(tmp_path, "seeds=2", points), {OO: 0.50, FINE: 0.48, COARSE: 0.40}, RATES)
    options = ["--budget", "10MB", "--images", "120", "--max-loss", "12", "--set", points]
    command = shlex.split(planned(tmp_path, *options).splitlines()[-1])
    assert command[:2] == ["dsr", "run"]
    asked = [part.removeprefix("points=") for part in command if part.startswith("points=")]
    assert len(asked) == 2 and asked[0] in points and asked[1] not in points and asked[1].endswith("chroma=4:4:4")
    planned_steps = CliRunner().invoke(cli, [*command[1:], "--dry-run", "--json", "--quiet"]).stdout
    assert any(asked[1] in step["artefact"] for step in json.loads(planned_steps)["steps"])


def test_what_the_next_command_makes_is_known_to_the_next_plan(work: Path) -> None:
    """A plan knows the points that it has the rate of, and the rate is that of test images."""
    command = planned(work, "--budget", "10MB", "--images", "120").splitlines()[-1]
    point = re.search(r"--codec (\S+) --quality (\S+)", command)
    assert point
    made = CliRunner().invoke(cli, [*shlex.split(command)[1:], "--dry-run", "--json", "--quiet"]).stdout
    names = [step["artefact"] for step in json.loads(made)["steps"]]
    assert f"shards streets/test/{point[1]}-qp{point[2]}" in names
    assert any(name.startswith("evaluation ") and f"{point[1]}-qp{point[2]}" in name for name in names)


def test_a_study_by_its_name_is_planned_for_as_by_its_options_and_so_goes_on(work: Path) -> None:
    config = study(work, "seeds=2", "points=bpg-qp30,bpg-qp42", "name=mine").config
    store(Study(config, work), "demo")
    options = ["--set", "seeds=2", "--set", "points=bpg-qp30,bpg-qp42"]
    named, told = (planned(work, "--budget", "10MB", *given).splitlines() for given in (["mine"], options))
    assert named[:-1] == told[:-1]
    steps = [
        CliRunner().invoke(cli, [*shlex.split(lines[-1])[1:], "--dry-run", "--json", "--quiet"]).stdout
        for lines in (named, told)
    ]
    assert steps[0] == steps[1] and any(step["state"] == "to make" for step in json.loads(steps[0])["steps"])


def test_a_channel_is_a_rate_times_hours_and_a_camera_takes_images_meanwhile(work: Path) -> None:
    said = planned(work, "--channel", "8kbit/s", "--fps", "0.5", "--hours", "1", "--label-budget", "120")
    assert "3.6 MB for 1,800 images of 256x128, 120 of them labelled: 0.488 bits a pixel" in said


def test_json_holds_every_row_and_the_command(work: Path) -> None:
    told = json.loads(planned(work, "--budget", "1MB", "--max-loss", "5", "--json", "--top", "1"))
    rows = told["plan"]["rows"]
    assert told["plan"]["reference"]["value"] == pytest.approx(0.505)
    assert [row["score"]["value"] >= 0.455 - 1e-9 for row in rows] == [True] * len(rows)
    assert len(rows) > 1 and told["command"].startswith("dsr ") and told["bpp"] is None
    assert {row["basis"] for row in rows} <= {"measured", "interpolated", "extrapolated"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--budget and --channel"),
        (("--budget", "1GB", "--channel", "1Mbit/s"), "--budget and --channel"),
        (("--budget", "200"), "as 200GB"),
        (("--budget", "1Gb"), "as 200GB"),
        (("--channel", "2Mbps", "--hours", "1"), "as 2Mbit/s"),
        (("--channel", "2Mbit/s"), "--hours"),
        (("--channel", "2Mbit/s", "--hours", "1", "--fps", "1", "--images", "5"), "--fps and --images"),
        (("--budget", "1GB", "--fps", "1"), "--images"),
        (("--budget", "1GB", "--size", "2048"), "2048x1024"),
        (("--budget", "1GB", "--images", "0"), "images"),
        (("--budget", "1GB", "--max-loss", "-1"), "max-loss"),
    ],
)
def test_what_is_no_budget_is_a_wrong_use(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    assert says in planned(tmp_path, *arguments, ends=2)


def test_a_work_folder_without_scores_says_what_to_run(work: Path, tmp_path: Path) -> None:
    assert "dsr run" in planned(tmp_path, "--budget", "1GB", ends=1)
    measure(study(tmp_path), {OO: 0.5}, RATES)
    assert "dsr train --config CO" in planned(tmp_path, "--budget", "1GB", ends=1)
    assert "not one image" in planned(work, "--budget", "10B", ends=1)
