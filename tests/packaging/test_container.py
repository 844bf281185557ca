"""The image gets all that the package is made of, and its Dockerfile is as a linter wants it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.building import built

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_what_the_image_is_given_builds_the_whole_package(tree: Path, wheel: Path, tmp_path: Path) -> None:
    context, out = tmp_path / "context", tmp_path / "out"
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    for name in (line[1:] for line in lines if line.startswith("!")):
        source = tree / name
        context.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, context / name, symlinks=True)
        else:
            shutil.copy2(source, context / name)
    out.mkdir()
    assert set(_names(built("build_wheel", context, out))) == set(_names(wheel))


def _names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: it comes with the extra dev on Linux")
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_installs_the_python_and_the_lock_that_are_tested() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "FROM python:3.11-" in text and "--constraint /opt/dsr/requirements.lock" in text
