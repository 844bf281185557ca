"""The light core: converting, verifying and looking with the packages of requirements-core.lock alone."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dsr.app.packages import BEYOND_CORE, CORE, PackageError, required

pytestmark = pytest.mark.slow

OPTIONS = {"height": 48, "width": 64, "test": 3, "train": 1, "restore": 1}
SMALL = [f"--set=dataset.options.{key}={value}" for key, value in OPTIONS.items()]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def dsr(core: Path, tmp_path: Path) -> Command:
    """The command, in an environment that has the core and nothing else: no site-packages, no checkout."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-m", "dsr.app.cli", *arguments],
            check=False,
            env={"PYTHONPATH": str(core), "PATH": "/usr/bin:/bin"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
        )

    return call


def test_the_core_converts_repeats_verifies_and_shows_what_there_is(dsr: Command, core: Path) -> None:
    tensorflow = (
        "tensorflow",
        "keras",
        "tensorflow_compression",
        "tensorflow_addons",
        "keras_cv",
        "tensorflow_datasets",
    )
    assert not any((core / package).exists() for package in tensorflow)
    converted = dsr("convert", "--codec", "bpg", "--qp", "40", "--role", "test", *SMALL)
    assert converted.returncode == 0, converted.stderr
    assert "3 images" in converted.stdout and "bpp" in converted.stdout
    again = dsr("convert", "--codec", "bpg", "--qp", "40", "--role", "test", *SMALL)
    assert again.stdout == converted.stdout and "nothing to make" in again.stderr
    verified = dsr("verify", "--deep")
    assert (verified.returncode, verified.stdout) == (0, ""), verified.stderr
    assert "2 artefacts, 0 findings" in verified.stderr
    assert "streets/test/bpg-qp40" in dsr("status").stdout


def test_the_doctor_finds_the_core_healthy_and_says_what_it_is_not(dsr: Command) -> None:
    examined = dsr("doctor")
    assert examined.returncode == 0, examined.stdout + examined.stderr
    assert "light core" in examined.stdout and "pip install dsr" in examined.stdout
    assert "bpg-qp40" in examined.stdout


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (("convert", "--codec", "msh", "--quality", "3"), "tensorflow"),
        (("train", "--config", "OO"), "jinja2|markupsafe|tensorflow|scipy"),
        (("report",), "jinja2|markupsafe|scipy"),
    ],
)
def test_a_command_that_lacks_its_packages_says_which_one_and_what_to_do(
    dsr: Command, arguments: tuple[str, ...], package: str
) -> None:
    done = dsr(*arguments, *SMALL)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    sentence = rf"dsr: this needs ({package}), which is not installed.* -m pip install dsr, .*"
    assert re.fullmatch(sentence, done.stderr.splitlines()[-1])


def test_a_worker_that_lacks_a_package_says_so_too() -> None:
    from dsr.tfrecords import workers

    with pytest.raises(PackageError, match="this needs tensorflow"), required():
        list(workers.run(lacking, ["a task"], workers=1))


def lacking(task: str) -> Iterator[str]:
    yield task
    raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")


def test_a_module_that_is_no_package_of_ours_stays_a_traceback() -> None:
    with pytest.raises(ModuleNotFoundError), required():
        raise ModuleNotFoundError("No module named 'dsr.no_such'", name="dsr.no_such")


def test_the_packages_that_are_known_are_those_that_dsr_requires(tree: Path, core: Path) -> None:
    (installed,) = core.glob("dsr-*.dist-info")
    required_ones = [r for r in importlib.metadata.Distribution.at(installed).requires or () if "extra" not in r]
    assert needed_here(required_ones) == {*CORE, *BEYOND_CORE}
    named = [line.split("#")[0].strip() for line in (tree / "requirements-core.in").read_text().splitlines()]
    assert needed_here(filter(None, named)) == set(CORE)


def needed_here(lines: Iterable[str]) -> set[str]:
    """Names of the packages of which this Python needs one."""
    found = map(Requirement, lines)
    return {one.name for one in found if one.marker is None or one.marker.evaluate()}


def test_the_core_s_lock_has_the_versions_of_the_whole_one(tree: Path) -> None:
    whole, core = (
        {line for line in (tree / name).read_text().splitlines() if line and not line.startswith("#")}
        for name in ("requirements.lock", "requirements-core.lock")
    )
    versions = {line.split(" ;")[0] for line in whole}
    assert {line.split(" ;")[0] for line in core} <= versions
