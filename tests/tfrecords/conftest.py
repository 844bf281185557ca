from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tfrecords.fakes import FakeCodec, FakeRestorer, FakeSource, inline
from tests.tfrecords.writing import write_compressed, write_originals, write_restored

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a folder: on a busy disk every fsync takes longer than all else in these tests."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `originals`, `compressed` and `restored`, ten images in three shards each; not to be changed."""
    work = tmp_path_factory.mktemp("converted")
    write_originals(FakeSource(10), "test", work / "originals", images_per_shard=4, engine=inline)
    write_compressed(work / "originals", FakeCodec(8), work / "compressed", engine=inline)
    write_restored(work / "compressed", work / "originals", FakeRestorer(8), work / "restored", engine=inline)
    return work


@pytest.fixture
def copied(converted: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return shutil.copytree(converted, tmp_path / "copied")
