"""The command line answers fast, explains itself, and never shows a traceback for bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dsr.app.cli import COMMANDS, cli


def dsr(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dsr.app.cli", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_help_imports_neither_tensorflow_nor_numpy() -> None:
    code = "import sys; from dsr.app.cli import cli; cli(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'tensorflow'" not in loaded
    assert "'numpy'" not in loaded


@pytest.mark.parametrize("command", ["run", "train", "status", "report"])
def test_a_command_s_help_imports_neither_tensorflow_nor_scipy(command: str) -> None:
    code = (
        f"import sys; from dsr.app.cli import cli; cli(['{command}', '--help'], standalone_mode=False); "
        "print(sorted(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'tensorflow'" not in loaded
    assert "'scipy'" not in loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f"dsr {name}" in result.output.replace("\n", " ")


@pytest.mark.tensorflow
def test_the_doctor_finds_this_machine_able(tmp_path: Path) -> None:
    result = dsr("doctor", "--work", str(tmp_path))
    assert result.returncode == 0, result.stdout
    for word in ("tensorflow ", "bpg-qp40", "lossless", "CPU cores", "free of"):
        assert word in result.stdout


def test_a_mistyped_command_names_the_right_one() -> None:
    result = dsr("convrt")
    assert result.returncode == 2
    assert 'Did you mean "convert"?' in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--preset", "camvd"), 'did you mean "camvid"'),
        (("run", "--set", "segmenter.stepps=3"), 'did you mean "segmenter.steps"'),
        (("run", "--dataset", "camvid"), "root"),
        (("run", "--dataset", "camvid", "--root", "/no/such/folder"), "/no/such/folder"),
        (("convert", "--codec", "bgp"), "bpg"),
        (("convert", "--codec", "jpeg", "--quality", "1000"), "quality"),
        (("convert", "--codec", "bpg", "--codec-option", "chrome=4:4:4"), "chroma"),
        (("convert", "--codec", "bpg", "--bpg-encoder", "libbpg"), "bpgenc"),
    ],
)
def test_bad_input_ends_in_one_sentence_before_any_work(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    result = dsr(*arguments, "--work", str(tmp_path / "work"))
    assert result.returncode == 1
    assert says in result.stderr
    assert result.stderr.startswith("dsr: ") and "Traceback" not in result.stderr
    assert not (tmp_path / "work").exists()


def test_a_conversion_runs_resumes_to_nothing_and_shows_in_the_status(tmp_path: Path) -> None:
    small = [
        "--set",
        "dataset.options.height=48",
        "--set",
        "dataset.options.width=64",
        "--set",
        "dataset.options.test=3",
    ]
    arguments = ["convert", "--codec", "jpeg", "--quality", "20", "--role", "test", "--work", str(tmp_path), *small]
    first = dsr(*arguments)
    assert first.returncode == 0, first.stderr
    assert "3 images" in first.stdout and "bpp" in first.stdout and "PSNR" in first.stdout
    again = dsr(*arguments)
    assert again.stdout == first.stdout
    assert "nothing to make" in again.stderr
    lossless = dsr("convert", "--codec", "none", "--role", "test", "--work", str(tmp_path), *small)
    assert "bpp" in lossless.stdout and "lossless" in lossless.stdout
    status = dsr("status", "--work", str(tmp_path))
    assert "streets/test/jpeg-quality20" in status.stdout
