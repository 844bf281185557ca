"""The wheel of this checkout, and the packages that a device installs beside it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.building import built

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository as a fresh clone has them: nothing that an earlier build left."""
    missing = [name for name in ("setuptools", "wheel") if importlib.util.find_spec(name) is None]
    if missing or not (ROOT / ".git").exists():
        pytest.skip(f"builds the wheel of a clone, with setuptools and wheel (missing: {', '.join(missing) or '.git'})")
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    fresh = tmp_path_factory.mktemp("tree")
    for name in filter(None, names.split("\0")):
        if os.path.lexists(ROOT / name):
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, fresh / name, follow_symlinks=False)
    return fresh


@pytest.fixture(scope="session")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    out = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built("build_sdist", tree, out)) as archive:
        archive.extractall(out)  # made a line above
    (folder,) = (path for path in out.iterdir() if path.is_dir())
    return folder


@pytest.fixture(scope="session")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a clone."""
    return built("build_wheel", tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def core(tree: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages as `pip install -r requirements-core.lock` and `pip install --no-deps dsr` fill it, and nothing
    else."""
    from packaging.requirements import Requirement

    folder = tmp_path_factory.mktemp("core")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for line in (tree / "requirements-core.lock").read_text().splitlines():
        requirement = Requirement(line.partition("#")[0]) if line.partition("#")[0].strip() else None
        if requirement is None or not (requirement.marker is None or requirement.marker.evaluate()):
            continue
        distribution = importlib.metadata.distribution(requirement.name)
        # Whole packages are linked; `google` is several distributions' folder, and scripts are not needed.
        tops = {path.parts[:2] if path.parts[0] == "google" else path.parts[:1] for path in distribution.files or ()}
        for top in tops - {("..",), ("__pycache__",)}:
            there = folder.joinpath(*top)
            there.parent.mkdir(exist_ok=True)
            there.symlink_to(Path(str(distribution.locate_file("/".join(top)))))
    return folder
