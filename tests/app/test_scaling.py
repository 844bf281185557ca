"""`dsr scaling` says what the law says, keeps it for the plan and the report, and refuses what fits none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dsr.app.cli import cli
from dsr.experiments.analysis.report import render
from dsr.experiments.collecting import collect_scores
from dsr.experiments.measurements.scaling import trials
from dsr.experiments.planning import scaling
from dsr.experiments.planning.units import parse_fraction
from tests.experiments.analysis.page import Page
from tests.experiments.planning.made_up import finish, measure, study

pytestmark = pytest.mark.usefixtures("small_preset")

RATES = {30: 0.8, 36: 0.4, 42: 0.2}
POINTS = "bpg-qp30,bpg-qp36,bpg-qp42"


def run(work: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--work", str(work)])


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A work folder with the eight trainings of a power law."""
    folder = tmp_path_factory.mktemp("scaled")
    made = study(folder, f"points={POINTS}")
    for trial in trials(made, [parse_fraction(text) for text in ("1/8", "1/4", "1/2", "1")], 8, None):
        size = RATES[int(trial.point[-2:])] * 128 * 256 / 8
        finish(trial.evaluations, 0.8 - trial.images**-0.4 - 5 * size**-0.6, RATES)
    measure(made, {("OO", None): 0.62}, RATES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "DRAWS", 12)
        yield folder


def test_nothing_is_trained_again_and_the_law_is_told(work: Path) -> None:
    result = run(work, "scaling", "--points", POINTS, "--trainings", "8", "--budget", "200kB")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "nothing to make" in result.output
    assert "power                  0.00 points" in result.output
    change = 100 * (60**-0.4 - 120**-0.4)
    assert f"120 images instead of 60 add {change:.1f} points" in result.output
    assert "200.0 kB: " in result.output and "kept in" in result.output


@pytest.mark.slow
def test_the_plan_and_the_report_use_it(work: Path) -> None:
    run(work, "scaling", "--points", POINTS, "--trainings", "8")
    result = run(work, "plan", "--budget", "200kB", "--set", f"points={POINTS}")
    assert result.exit_code == 0, (result.output, result.exception)
    row = next(line for line in result.output.splitlines() if "bpg-qp30" in line)
    images = int(200_000 / (0.8 * 128 * 256 / 8))
    expected = 100 * (0.8 - images**-0.4 - 5 * (0.8 * 128 * 256 / 8) ** -0.6)
    assert row.split()[3] == str(images) and row.split()[9].startswith(f"{expected:.1f}")
    assert "scaling law" in result.output
    results = collect_scores(study(work, f"points={POINTS}"))
    page = Page(render(results))
    assert {"scaling", "plan"} <= set(page.attributes("id"))
    assert "What the number of images changes is told by the scaling law" in " ".join(" ".join(page.text).split())


@pytest.mark.parametrize(
    ("arguments", "ends", "says"),
    [
        (("--points", "bpg-qp30,bpg-qp36"), 1, "three or more"),
        (("--points", "bpg-qp30,bpg-qp36,jpeg-quality5"), 1, "not of one codec"),
        (("--points", "bgp-qp30"), 2, "bpg"),
        (("--points", POINTS, "--fractions", "1/8,3/2,1"), 2, "as 1/8"),
        (("--points", POINTS, "--budget", "5"), 2, "as 200GB"),
    ],
)
def test_what_fits_no_law_is_told(arguments: tuple[str, ...], ends: int, says: str, tmp_path: Path) -> None:
    result = run(tmp_path, "scaling", *arguments)
    assert result.exit_code == ends
    assert says in (result.output if ends == 2 else str(result.exception))
