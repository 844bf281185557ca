"""What the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsr.app.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
ROOMS = "app|data_pipelines|docs|examples|experiments|models|tests|tfrecords"


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []


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


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize(
    "page", ["architecture", "camvid", "decisions", "perceptual", "reading", "README", "restorer", "scale"]
)
def test_no_line_of_the_documentation_is_longer_than_160_characters(page: str) -> None:
    lines = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 160] == []


def test_the_hooks_have_the_ruff_that_is_pinned() -> None:
    (pinned,) = re.findall(r'"ruff==([\d.]+)"', (ROOT / "setup.py").read_text())
    assert f"rev: v{pinned}\n" in (ROOT / ".pre-commit-config.yaml").read_text()
