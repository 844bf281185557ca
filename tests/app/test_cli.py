"""The command line answers fast, explains itself, and never shows a traceback for bad input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import COMMANDS, cli, main
from dsr.app.help import Command, Shared
from dsr.models.errors import UserError

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def dsr(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dsr.app.cli", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program in this process, with all that it and its workers print."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["dsr", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return subprocess.CompletedProcess(arguments, int(end.value.code or 0), *capfd.readouterr())

    return run


def test_help_imports_neither_tensorflow_nor_numpy() -> None:
    code = "import sys; from dsr.app.cli import cli; cli(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'tensorflow'" not in loaded
    assert "'numpy'" not in loaded


def test_no_command_s_help_imports_tensorflow_or_scipy() -> None:
    code = (
        "import sys; from dsr.app.cli import COMMANDS, cli\n"
        "for command in COMMANDS:\n"
        "    cli([command, '--help'], standalone_mode=False)\n"
        "    assert not {'tensorflow', 'scipy'} & set(sys.modules), command"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
        (("run", "--set", "segmenter.stepps=3"), 'did you mean "segmenter.steps"'),
        (("run", "--dataset", "camvid"), "root"),
        (("run", "--dataset", "camvid", "--root", "/no/such/folder"), "/no/such/folder"),
        (("convert", "--codec", "jpeg", "--quality", "1000"), "quality"),
        (("convert", "--codec", "bpg", "--codec-option", "chrome=4:4:4"), "chroma"),
        (("convert", "--codec", "bpg", "--bpg-encoder", "libbpg"), "bpgenc"),
    ],
)
def test_bad_input_ends_in_one_sentence_before_any_work(
    arguments: tuple[str, ...], says: str, here: Program, tmp_path: Path
) -> None:
    result = here(*arguments, "--work", str(tmp_path / "work"))
    assert result.returncode == 1
    assert says in result.stderr
    assert result.stderr.startswith("dsr: ") and "Traceback" not in result.stderr
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("convert", "--codec", "bpg", "--qp", "10"),
        ("convert", "--target-bpp", "0.5"),
        ("train", "--config", "CO", "--codec", "bpg"),
        ("evaluate", "--quality", "30"),
        ("train-restorer", "--codec", "bpg"),
    ],
)
def test_what_came_compressed_is_not_said_to_be_compressed_otherwise(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    for split in ("train", "val", "test"):
        for kind in ("images", "labels"):
            (tmp_path / "data" / kind / split).mkdir(parents=True)
            Image.new("L" if kind == "labels" else "RGB", (64, 64)).save(tmp_path / "data" / kind / split / "a.png")
    (tmp_path / "data" / "classes.csv").write_text("id,name\n0,road\n")
    asked = ["--dataset", "folder", "--root", str(tmp_path / "data"), "--set", "dataset.options.received=train"]
    result = CliRunner().invoke(cli, [*arguments, *asked, "--work", str(tmp_path / "work"), "--dry-run"])
    assert isinstance(result.exception, UserError) and "came compressed" in str(result.exception)


def test_a_rate_asked_for_of_images_that_cannot_be_read_names_one(tmp_path: Path) -> None:
    (tmp_path / "camera").mkdir()
    (tmp_path / "camera" / "a.png").write_bytes(b"nothing")
    result = CliRunner().invoke(cli, ["encode", str(tmp_path / "camera"), str(tmp_path / "o"), "--target-bpp", "1"])
    assert "a.png: cannot be decoded as an image" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--preset", "camvd"), 'Did you mean "camvid"?'),
        (("run", "--dataset", "citiscapes"), 'Did you mean "cityscapes"?'),
        (("convert", "--codec", "bgp"), 'Did you mean "bpg"?'),
        (("convert", "--restorer", "rdn-pnsr"), 'Did you mean "rdn-psnr"?'),
        (("rate-distortion", "--codec", "jpg"), 'Did you mean "jpeg"?'),
        (("encode", ".", "there", "--codec", "bgp"), 'Did you mean "bpg"?'),
        (("decode", ".", "there", "--format", "gif"), "jpeg:95"),
        (("restore", ".", "there", "--restorer", "shipped", "--format", "jpeg:101"), "jpeg:95"),
        (("convert", "--codec", "jpeg", "--qp", "40"), "jpeg has no QP"),
        (("convert", "--codec", "bpg", "--qp", "40", "--quality", "40"), "not both"),
        (("encode", ".", "there", "--codec", "none", "--qp", "40"), "none has no QP"),
        (("train", "--config", "RO", "--codec", "blur-gaussian", "--qp", "2"), "blur-gaussian has no QP"),
        (("watch", ".", "--like", ".", "--codec", "bpg"), "leave --codec out"),
        (("watch", ".", "--like", ".", "--quality", "36"), "leave --quality out"),
        (("watch", ".", "--like", ".", "--codec", "jpeg", "--qp", "36"), "leave --codec out"),
        (("scaling", "--most-images", "9", "--dry-run"), "--most-images goes with --budget"),
        (("scaling", "--restorer", "gan", "--dry-run"), "--restorer goes with --restored"),
        (("score", "--model", "net.onnx", "--ids", "train"), "--ids goes with --predictions"),
        (("export", "streets/train/original", "there", "--tar-size", "9"), "--tar-size goes with --layout webdataset"),
        *(
            (("export", "x", "there", "--layout", "webdataset", "--tar-size", size), "--tar-size is a number of MB")
            for size in ("inf", "nan")
        ),
        *(
            (("train-restorer", "--originals", ".", "--like", ".", option, value), f"{option} does not go with --like")
            for option, value in (("--dataset", "photos"), ("--root", "."), ("--name", "mine"), ("--qp", "36"))
        ),
        *(
            (("score", "--model", "net.onnx", "--size", size), "give height and width")
            for size in ("0x9", "9" * 5000 + "x1")
        ),
    ],
)
def test_a_wrong_choice_ends_with_status_2_and_names_the_right_one(arguments: tuple[str, ...], says: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_folds_what_it_shares_and_can_be_quiet(name: str) -> None:
    runner, context = CliRunner(), click.Context(cli)
    command = cli.get_command(context, name)
    for one in command.commands.values() if isinstance(command, click.Group) else [command]:
        assert isinstance(one, Command)
        path = [name] if one is command else [name, one.name]
        folded, whole = (
            " ".join(runner.invoke(cli, [*path, flag]).output.split()) for flag in ("--help", "--help-all")
        )
        for option in one.params:
            if isinstance(option, click.Option) and not option.hidden:
                says = " ".join((option.help or "").split()[:4])
                assert option.opts[0] in folded and option.opts[0] in whole and says in whole
        shared = [option for option in one.params if isinstance(option, Shared)]
        assert {"--quiet", "--verbose"} <= {name for option in shared for name in option.opts}
        assert ("--help-all" in folded) == (len(shared) > 4)


@pytest.mark.parametrize(
    ("name", "unused"),
    [
        ("report", ("--workers", "--max-errors")),
        ("inference-times", ("--workers", "--max-errors", "--weights", "--vgg")),
        ("train-codec", ("--name", "--weights", "--vgg")),
        ("rate-distortion", ("--weights", "--vgg")),
        ("watch", ("--workers", "--max-errors", "--weights", "--vgg")),
        ("convert", ("--weights",)),
    ],
)
def test_commands_have_no_option_that_they_do_not_use(name: str, unused: tuple[str, ...]) -> None:
    for option in unused:
        assert CliRunner().invoke(cli, [name, option, "1"]).exit_code == 2
        assert f"{option} " not in CliRunner().invoke(cli, [name, "--help-all"]).output


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("dsr conv", {"convert"}),
        ("dsr run --preset ca", {"camvid"}),
        ("dsr convert --codec jp", {"jpeg", "jpeg2000"}),
        ("dsr convert --dataset c", {"camvid", "cityscapes"}),
        ("dsr run --restorer rdn", {"rdn-psnr", "rdn-msssim"}),
        ("dsr restore . there --restorer sh", {"shipped"}),
    ],
)
def test_a_shell_completes_names(words: str, completed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    result = CliRunner().invoke(cli, prog_name="dsr", env={"_DSR_COMPLETE": "bash_complete"})
    assert {line.split(",")[1] for line in result.output.splitlines()} == completed


@pytest.mark.slow
def test_a_quiet_command_prints_its_results_alone(here: Program, tmp_path: Path) -> None:
    small = ["dataset.options.height=48", "dataset.options.width=64", "dataset.options.test=3"]
    arguments = ["convert", "--codec", "jpeg", "--role", "test", *(word for key in small for word in ("--set", key))]
    loud = here(*arguments, "--work", str(tmp_path / "loud"))
    quiet = here(*arguments, "--work", str(tmp_path / "quiet"), "--quiet")
    assert loud.stderr and quiet.stderr == ""
    assert "3 images" in loud.stdout and "3 images" in quiet.stdout


def test_a_verbose_command_says_where_an_error_arose(here: Program, tmp_path: Path) -> None:
    result = here("run", "--set", "segmenter.stepps=3", "--work", str(tmp_path), "--verbose")
    assert result.returncode == 1
    assert "overrides.py" in result.stderr and result.stderr.rstrip().splitlines()[-1].startswith("dsr: ")


@pytest.mark.slow
def test_a_conversion_runs_resumes_to_nothing_and_shows_in_the_status(here: Program, tmp_path: Path) -> None:
    small = [
        "--set",
        "dataset.options.height=48",
        "--set",
        "dataset.options.width=64",
        "--set",
        "dataset.options.test=3",
    ]
    arguments = ["convert", "--codec", "jpeg", "--quality", "20", "--role", "test", "--work", str(tmp_path), *small]
    first = here(*arguments)
    assert first.returncode == 0, first.stderr
    assert "3 images" in first.stdout and "bpp" in first.stdout and "PSNR" in first.stdout
    again = here(*arguments)
    assert again.stdout == first.stdout
    assert "nothing to make" in again.stderr
    lossless = here("convert", "--codec", "none", "--role", "test", "--work", str(tmp_path), *small)
    assert "bpp" in lossless.stdout and "lossless" in lossless.stdout
    status = here("status", "--work", str(tmp_path))
    assert "streets/test/jpeg-quality20" in status.stdout
