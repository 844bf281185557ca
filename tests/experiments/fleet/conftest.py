"""A few tiny images in nested folders, smooth enough to be compressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dsr.experiments.fleet.folders import Folder
from dsr.experiments.graph.progress import Progress
from tests.tfrecords.fakes import inline

HEIGHT, WIDTH = 32, 48


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """uint8 (height, width, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """Twenty images in nested folders."""
    folder = tmp_path / "camera"
    for number in range(20):
        path = folder / f"day{number % 3}" / f"front{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(path)
    return folder


def make(folder: Folder, target: Path) -> dict[str, Any]:
    """Make it in this process; gives the manifest's summary."""
    return folder.make(target, None, Progress(), inline).summary


def contents(folder: Path) -> dict[str, bytes]:
    """All files by name, without what holds times: the manifest, and the last column of the table of rates."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            data = path.read_bytes()
            if path.name == "rates.csv":
                data = b"\n".join(line.rpartition(b",")[0] for line in data.splitlines())
            found[path.relative_to(folder).as_posix()] = data
    return found
