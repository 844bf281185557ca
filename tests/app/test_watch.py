"""`dsr watch` ends with status 1 where something changed, and says what."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dsr.app.cli import cli
from tests.experiments.planning.test_arrivals import fleet


def watched(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["watch", *arguments])


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleets")
    for quality in (40, 60):
        fleet(folder / str(quality), "jpeg", quality, 40)
    return folder


def test_the_same_files_have_not_changed(fleets: Path) -> None:
    result = watched(str(fleets / "40"), "--like", str(fleets / "40"))
    assert result.exit_code == 0, result.output
    assert "nothing shows that it has changed" in result.output and "40 of 40 images" in result.output


def test_another_quality_is_a_change(fleets: Path) -> None:
    result = watched(str(fleets / "60"), "--like", str(fleets / "40"))
    assert result.exit_code == 1
    assert "quality" in result.output.splitlines()[-1] and "plan again" in result.output


@pytest.mark.slow
def test_without_a_reference_the_study_s_shards_are_taken_or_asked_for(fleets: Path, tmp_path: Path) -> None:
    small = [f"--set=dataset.options.{name}" for name in ("height=48", "width=64", "train=24", "test=3", "restore=3")]
    arguments = ["--work", str(tmp_path), "--codec", "jpeg", "--quality", "40", *small]
    missing = watched(str(fleets / "40"), *arguments)
    assert missing.exit_code == 1 and "dsr convert" in str(missing.exception)
    made = CliRunner().invoke(cli, ["convert", "--role", "train", "--workers", "1", *arguments])
    assert made.exit_code == 0, made.output
    result = watched(str(fleets / "40"), *arguments)
    assert result.exit_code == 1  # drawn streets are no noise
    assert "24 of 24 images" in result.output and "pixels" in result.output.splitlines()[-1]
