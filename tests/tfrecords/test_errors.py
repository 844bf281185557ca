"""What the system says is told of the file that it says it of: reading is not writing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dsr.models.errors import ReadError, UserError
from dsr.tfrecords.errors import ArtefactError, one_sentence


def told(path: str, number: int, filename: str | None) -> UserError:
    with pytest.raises(UserError) as caught, one_sentence(path):
        raise OSError(number, os.strerror(number), filename)
    return caught.value


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    "filename",
    [
        None,
        "work/shards/o",
        "work/shards/o/manifest.json",
        "work/shards/o.partial/.building/shard.tmp",
        "work/shards",
        "work",
    ],
)
def test_what_is_written_cannot_be_written(
    filename: str | None, relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = filename and str(tmp_path / filename)
    for number in (errno.EACCES, errno.ENOSPC, errno.EIO):
        error = told("work/shards/o" if relative else str(tmp_path / "work/shards/o"), number, absolute)
        assert isinstance(error, ArtefactError) and f"o cannot be written: {os.strerror(number)}" in str(error)


@pytest.mark.parametrize("path", ["work/shards/o", "gs://bucket/shards/o"])
def test_what_is_read_cannot_be_read(path: str, tmp_path: Path) -> None:
    for number in (errno.EACCES, errno.EIO):
        error = told(path, number, "/photos/1.png")
        assert isinstance(error, ReadError) and f"/photos/1.png cannot be read: {os.strerror(number)}" in str(error)
    full = told(path, errno.ENOSPC, "/tmp/elsewhere")
    assert isinstance(full, ArtefactError) and "make room" in str(full)
