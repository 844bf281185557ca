"""`dsr run` makes all that its report shows."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from dsr.app.cli import cli


def test_the_plan_of_a_study_measures_each_domain_of_the_test_images(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["run", "--dry-run", "--work", str(tmp_path)])
    assert result.exit_code == 0, result.output
    names = ["original", *(f"bpg-qp{qp}{end}" for qp in (34, 42) for end in ("", "-gan"))]
    for group in ("perceptual", "features"):
        planned = [line.split()[3] for line in result.output.splitlines() if f" {group} " in line]
        assert sorted(planned) == sorted(f"streets/test/{name}" for name in names)
