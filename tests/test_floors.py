"""Imports point down the house, see docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FLOORS = ("app", "experiments", "data_pipelines", "tfrecords", "models")
"""From top to bottom."""

ROOT = Path(__file__).parents[1]


def modules(source: str) -> Iterator[str]:
    """All that a file imports, within functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("floor", FLOORS)
def test_no_floor_imports_from_one_above(floor: str) -> None:
    allowed = re.compile(rf"dsr\.({'|'.join(FLOORS[FLOORS.index(floor) :])})\b")
    upwards = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in sorted((ROOT / floor).rglob("*.py"))
        for module in modules(path.read_text())
        if re.match(r"dsr\b", module) and not allowed.match(module)
    ]
    assert upwards == []


def test_no_command_imports_from_another() -> None:
    commands = sorted((ROOT / "app" / "commands").glob("*.py"))
    found = {path.name: [name for name in modules(path.read_text()) if "app.commands" in name] for path in commands}
    assert {name: others for name, others in found.items() if others} == {}
