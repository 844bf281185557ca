from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tfrecords.fakes import FakeCodec, FakeRestorer, FakeSource
from tfrecords.converter import write_compressed, write_originals, write_restored


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `originals`, `compressed` and `restored`, ten images in three shards each; not to be changed."""
    work = tmp_path_factory.mktemp("converted")
    write_originals(FakeSource(10), "test", work / "originals", images_per_shard=4, workers=2)
    write_compressed(work / "originals", FakeCodec(8), work / "compressed", workers=2)
    write_restored(work / "compressed", work / "originals", FakeRestorer(8), work / "restored", workers=2)
    return work


@pytest.fixture
def copied(converted: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return shutil.copytree(converted, tmp_path / "copied")
