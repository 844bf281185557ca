"""What an installation holds: one name at the top of site-packages, whole, by whatever way it was built."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.building import built

pytestmark = pytest.mark.slow

ROOMS = ("app", "data_pipelines", "experiments", "models", "tfrecords")


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_has_one_name_at_the_top_of_site_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (top_level,) = (name for name in archive.namelist() if name.endswith("/top_level.txt"))
        assert archive.read(top_level).split() == [b"dsr"]
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert tops == {"dsr", top_level.split("/")[0]}


def test_the_wheel_holds_every_file_of_the_rooms_as_it_is(tree: Path, wheel: Path) -> None:
    """Modules, templates, weights and the mark that says that dsr is typed; the links are files there."""
    expected = {f"dsr/{path.name}": path.read_bytes() for path in (tree / "dsr").iterdir() if path.is_file()}
    assert expected.keys() >= {"dsr/__init__.py", "dsr/py.typed"}
    for room in ROOMS:
        for path in (tree / room).rglob("*"):
            if path.is_file():
                expected[f"dsr/{path.relative_to(tree).as_posix()}"] = path.read_bytes()
    assert contents(wheel) == expected


def test_a_wheel_made_of_the_source_distribution_is_the_same(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    assert contents(built("build_wheel", sdist, tmp_path)) == contents(wheel)


def test_packages_of_the_user_s_own_of_the_same_names_disturb_nothing(core: Path, tmp_path: Path) -> None:
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("raise ImportError('not the one of dsr')")
    code = "import dsr.app.cli, dsr.tfrecords.verify; from dsr import Study, make_codec; print(Study.__module__)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        check=False,
        env={"PYTHONPATH": f"{tmp_path}:{core}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "dsr.experiments.study\n", done.stderr
