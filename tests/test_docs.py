"""What the documentation names is there."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import COMMANDS, cli
from dsr.app.manual import PAGE, manual
from tests.commands_shown import check_parses, commands_in
from tests.test_floors import FLOORS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])
ROOMS = "app|data_pipelines|docs|examples|experiments|models|tests|tfrecords"


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [t for t in re.findall(r"\]\(([^)\s]+)", page.read_text(encoding="utf-8")) if "://" not in t]
    there = [((page.parent / name) if name else page, place) for name, _, place in (t.partition("#") for t in targets)]
    lost = [f"{path}#{place}" for path, place in there if not path.exists() or (place and place not in headings(path))]
    assert lost == []


def headings(page: Path) -> set[str]:
    """What links call the sections of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def test_no_picture_of_the_documentation_is_left_over() -> None:
    shown = {name for page in PAGES for name in re.findall(r"images/([\w.-]+)\)", page.read_text(encoding="utf-8"))}
    assert {path.name for path in (ROOT / "docs/images").iterdir()} == shown


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_files_modules_and_commands_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    paths = re.findall(rf"`((?:{ROOMS})/[\w/.]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    modules = {name.replace(".", "/") for name in re.findall(r"\bdsr(?:\.[a-z_]\w*)+", text)}
    # The last parts may be a name within the module.
    missing = [m for m in modules if not any(_is_module(ROOT / part) for part in (m, m.rpartition("/")[0]))]
    assert missing == []
    commands = re.findall(r"(?:`|^)dsr ([a-z][a-z-]*)", text, re.MULTILINE)
    assert set(commands) <= set(COMMANDS)


def test_the_map_shows_every_room() -> None:
    shown = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = [path.parent.relative_to(ROOT) for floor in FLOORS for path in ROOT.glob(f"{floor}/*/__init__.py")]
    assert rooms and [str(room) for room in rooms if f"`{room}/`" not in shown] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_commands_that_are_shown_parse(page: Path) -> None:
    for arguments in commands_in(page.read_text(encoding="utf-8")):
        if any("$" in word for word in arguments):
            assert page.name != "README.md"
            continue  # what the shell puts there cannot be told
        check_parses(arguments)


def test_a_command_that_would_not_begin_is_found() -> None:
    lines = ("dsr run --preset camvd  # a comment", "export X='1", "dsr convert --codec \\", "   bpg > there")
    text = "\n".join(("```sh", *lines, "```", "dsr is no command here"))
    first, second = commands_in(text)
    assert second == ["convert", "--codec", "bpg"]
    check_parses(second)
    with pytest.raises(click.UsageError, match="camvid"):
        check_parses(first)


@pytest.mark.slow
def test_the_studies_of_the_readme_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as it is written, in a folder with tiny data under the names that it uses."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 40, 60, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        for folder in ("data/images", "camera", "originals"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / folder / f"{number}.png")
        for folder in ("data/labels", "labels"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0] % 2).save(tmp_path / folder / f"{number}.png")
    (tmp_path / "data/classes.csv").write_text("id,name\n0,road\n1,car\n")
    runner, ran = CliRunner(), []
    for arguments in commands_in((ROOT / "README.md").read_text(encoding="utf-8")):
        command = cli.get_command(click.Context(cli), arguments[0])
        assert command is not None
        if arguments[0] in ("run", "convert", "train", "encode", "check", "config", "status", "verify"):
            dry = any("--dry-run" in option.opts for option in command.params) and "--dry-run" not in arguments
            result = runner.invoke(cli, [*arguments, *(["--dry-run"] if dry else [])])
            assert result.exit_code == (1 if arguments[0] == "verify" else 0), (
                arguments,
                result.output,
                result.exception,
            )
            ran.append(arguments[0])
    assert {"run", "encode", "check", "convert", "train"} <= set(ran)
    assert not (tmp_path / "dsr-work").exists()


def test_the_page_of_commands_is_what_their_help_says() -> None:
    if [int(part) for part in metadata.version("click").split(".")[:2]] < [8, 2]:
        pytest.skip("older versions of click word some defaults otherwise")
    assert manual() == PAGE.read_text(encoding="utf-8"), "run python -m dsr.app.manual"


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


WRITTEN = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.name != "commands.md"]
"""The pages that no program makes."""


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_no_line_of_the_documentation_is_longer_than_160_characters(page: Path) -> None:
    assert [line for line in page.read_text(encoding="utf-8").splitlines() if len(line) > 160] == []


def test_the_hooks_have_the_ruff_that_is_pinned() -> None:
    (pinned,) = re.findall(r'"ruff==([\d.]+)"', (ROOT / "setup.py").read_text())
    assert f"rev: v{pinned}\n" in (ROOT / ".pre-commit-config.yaml").read_text()
