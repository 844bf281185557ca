"""Fixtures for every test folder."""

from __future__ import annotations

import functools
import os
import re
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

RAM, ROOM = Path("/dev/shm"), 4 << 30  # bytes; the whole suite has less than a fourth of that at once
if RAM.is_dir() and os.access(RAM, os.W_OK) and shutil.disk_usage(RAM).free >= ROOM:
    # Files are made safe on disk wherever one may be lost, for which tests need not wait.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(RAM))

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data beside the repository; tests that need it skip where it is absent."""
    if not (SHARED / "camvid").is_dir():
        pytest.skip(f"needs the real data beside the repository ({SHARED}), which only developers have")
    return SHARED


def _take_a_core() -> None:
    """Several processes that run the suite have a core each.

    A command that a test calls then starts one worker where it would start one a core, unless the test says how many.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


_take_a_core()  # before any module counts them


@functools.cache
def runs_tensorflow(module: Path) -> bool:
    """Whether a test module imports TensorFlow, or says that what it calls does."""
    text = module.read_text(encoding="utf-8")
    imports = re.search(r"^\s*(import|from) (tensorflow\w*|keras_cv)\b", text, re.MULTILINE)
    return bool(imports or re.search(r"^pytestmark = pytest\.mark\.tensorflow$", text, re.MULTILINE))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where no test with TensorFlow is wanted, its import is not waited for either."""
    unwanted = config.option.markexpr.startswith("not tensorflow") and collection_path.suffix == ".py"
    return True if unwanted and runs_tensorflow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the marker `tensorflow` to the tests of modules that import it, and to those of the learned codec."""
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if runs_tensorflow(item.path) or any(isinstance(value, str) and value == "msh" for value in parameters):
            item.add_marker("tensorflow")
