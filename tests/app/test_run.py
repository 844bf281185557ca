"""`dsr run` makes all that its report shows."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from dsr.app.cli import cli
from dsr.experiments.config.presets import preset

ENDS = ("", *(f"-{name}" for name in preset("demo").restorers))


def test_the_plan_of_a_study_measures_each_domain_of_the_test_images(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["run", "--dry-run", "--work", str(tmp_path)])
    assert result.exit_code == 0, result.output
    names = ["original", *(f"{point.make().point}{end}" for point in preset("demo").points for end in ENDS)]
    planned = [line.split()[3] for line in result.output.splitlines() if " features " in line]
    assert sorted(planned) == sorted(f"streets/test/{name}" for name in names)
    assert " perceptual " not in result.output  # it is drawn
