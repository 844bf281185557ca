"""`--restorer` chooses what restores in every command that deals with restorers."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import cli


def output(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", ["gan", "rdn-psnr", "rdn-msssim"])
def test_the_plan_of_a_study_is_that_of_its_restorer(name: str, tmp_path: Path) -> None:
    plan = output("run", "--restorer", name, "--dry-run", "--work", str(tmp_path))
    assert f"restorer streets/{name}-bpg-qp34" in plan and f"streets/train/bpg-qp42-{name}" in plan
    others = {"gan", "rdn-psnr", "rdn-msssim"} - {name}
    assert not any(f"-{other}" in plan or f"/{other}-" in plan for other in others)


def test_without_the_option_the_adversarial_one_restores(tmp_path: Path) -> None:
    arguments = ("run", "--dry-run", "--work", str(tmp_path))
    assert output(*arguments) == output(*arguments, "--restorer", "gan")


@pytest.mark.parametrize(
    ("command", "option"),
    [("run", "--restorer"), ("train", "--restorer"), ("train-restorer", "--restorer"), ("evaluate", "--restorer")]
    + [("report", "--restorer"), ("convert", "--restore")],
)
def test_commands_name_the_restorers_that_there_are(command: str, option: str) -> None:
    result = CliRunner().invoke(cli, [command, option, "rdn"])
    assert result.exit_code == 2 and all(name in result.output for name in ("gan", "rdn-psnr", "rdn-msssim"))
