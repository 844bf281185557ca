"""dsr started with closed streams, in a terminal of few characters, and in folders with modules of one's own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dsr.app.commands.tensorboard import TENSORBOARD
from dsr.tfrecords.building import building
from dsr.tfrecords.layout import MANIFEST
from dsr.tfrecords.manifest import Identity
from tests.crashes import Tree, tree

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def dsr(arguments: str, streams: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = f"{shlex.quote(sys.executable)} -m dsr.app.cli {arguments} {streams}"
    return subprocess.run(
        ["bash", "-c", command], check=False, capture_output=True, cwd=ROOT, env={**os.environ, **environment}
    )


CONVERT = "convert --codec none --role test --workers 1 --set dataset.options.test=2 --work"


def shards(work: Path) -> Tree:
    return {name: data for name, data in tree(work / "shards").items() if not name.endswith(MANIFEST)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The shards of a conversion whose streams are open."""
    work = tmp_path_factory.mktemp("open")
    assert dsr(f"{CONVERT} {work}").returncode == 0
    return shards(work)


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-", ">&- 2>&-"])
def test_closed_streams_change_nothing_that_is_made(closed: str, made: Tree, tmp_path: Path) -> None:
    result = dsr(f"{CONVERT} {tmp_path / 'closed'}", closed)
    assert result.returncode == 0 and b"Traceback" not in result.stdout + result.stderr
    assert shards(tmp_path / "closed") == made
    result = dsr(f"train --config nonsense --work {tmp_path}", closed)
    assert result.returncode == 2 and b"Traceback" not in result.stdout + result.stderr


def test_a_terminal_of_few_characters_gets_all_that_it_can_show(tmp_path: Path) -> None:
    with building(tmp_path / "features" / "中-12345678", Identity("features", "中", {})) as build:
        build.summary.update(images=3)
    result = dsr(f"status --work {tmp_path}", PYTHONIOENCODING="latin-1")
    assert result.returncode == 0, result.stderr
    assert b"\\u4e2d-12345678" in result.stdout


def test_json_is_json_in_a_terminal_of_few_characters(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "ä😀.png")
    result = dsr(f"encode {tmp_path}/ä😀.png {tmp_path}/ä😀.jpg --codec jpeg --json", PYTHONIOENCODING="latin-1")
    assert json.loads(result.stdout)["file"] == f"{tmp_path}/ä😀.jpg", result.stderr


@pytest.mark.tensorflow
def test_tensorboard_does_not_take_modules_from_the_current_folder(tmp_path: Path) -> None:
    for module in ("random", "tensorboard", "numpy"):
        (tmp_path / f"{module}.py").write_text("raise RuntimeError('not yours')")
    started = subprocess.run(
        [sys.executable, "-c", TENSORBOARD, "--version_tb"], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert started.returncode == 0 and started.stdout[0].isdigit(), started.stderr
