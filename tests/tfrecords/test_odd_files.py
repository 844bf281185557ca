"""What else may lie where a file should, and file systems that cannot do all that others can."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pytest

from dsr.tfrecords import files, locks
from dsr.tfrecords.conversions import to_originals
from dsr.tfrecords.engine import How
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import check
from dsr.tfrecords.plan import Part
from tests.tfrecords.fakes import FakeSource, inline
from tests.tfrecords.writing import write_originals


def read(path: Path) -> bytes:
    with files.reading(path) as file:
        return file.read()


def odd(kind: str, path: Path) -> Path:
    """Something that is there under a file's name and is none."""
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to(path)
    return path


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "socket", "link to itself"])
def test_only_regular_files_are_read_and_nothing_waits_for_others(tmp_path: Path, kind: str) -> None:
    path = odd(kind, tmp_path / "file")
    for access in (files.size, read, files.read_bytes):
        with pytest.raises(OSError, match="regular file|symbolic links|such device") as caught:
            access(path)
        assert str(caught.value.filename) == str(path)


def test_no_more_is_read_than_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole
    with pytest.raises(OSError, match="too large"):
        files.read_bytes(path, 1000)
    path.write_bytes(b"x" * 1000)
    assert files.read_bytes(path, 1000) == b"x" * 1000


@pytest.mark.parametrize("there", ["link", "dangling link", "file"])
def test_what_lies_under_the_name_of_a_temporary_file_is_not_written_through(
    tmp_path: Path, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "random")
    target, path = tmp_path / "target", tmp_path / "work" / "report.html"
    path.parent.mkdir()
    own = files.writing(path, path.parent)
    for write in (lambda: files.write_atomically(path, b"new"), lambda: write_into(own)):
        for name in ("report.html.tmp", "report.html.random.tmp"):
            (path.parent / name).unlink(missing_ok=True)
            if there == "file":
                (path.parent / name).write_bytes(b"what a kill left, longer than the new")
            else:
                (path.parent / name).symlink_to(target)
        if there == "link":
            target.write_bytes(b"precious")
        write()
        assert read(path) == b"new" and not path.is_symlink()
        assert (target.read_bytes() == b"precious") if there == "link" else not target.exists()


def write_into(opened: AbstractContextManager[BinaryIO]) -> None:
    with opened as file:
        file.write(b"new")


def without(what: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that has no such thing."""
    files._say_once.cache_clear()

    def unsupported(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr({"flock": locks.fcntl, "link": os, "fsync": os}[what], what, unsupported)


@pytest.mark.parametrize(
    ("what", "number", "said"),
    [
        ("flock", errno.ENOLCK, "has no locks: see to it that no other process makes the same"),
        ("flock", errno.ENOSYS, "has no locks"),
        ("fsync", errno.EINVAL, "cannot flush what is written"),
        ("link", errno.EPERM, ""),
        ("link", errno.ENOTSUP, ""),
    ],
)
def test_file_systems_that_lack_something_are_named_and_worked_with(
    converted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
    number: int,
    said: str,
) -> None:
    without(what, number, monkeypatch)
    originals = to_originals(FakeSource(10), "test", images_per_shard=4)
    whole = originals.write(tmp_path / "whole", How(engine=inline))
    for part in (2, 1):
        originals.write_part(tmp_path / "it", Part(part, 2), How(engine=inline))
    assert originals.finish(tmp_path / "it").files == whole.files == check(converted / "originals").files
    assert files.names(tmp_path / "it") == files.names(converted / "originals")
    (tmp_path / "it" / "shard-00001-of-00003.tfrecord").unlink()
    assert originals.write(tmp_path / "it", How(engine=inline)).files == whole.files
    (message,) = [record.getMessage() for record in caplog.records] or [""]
    assert said in message, "it is said once"


def test_other_errors_of_a_file_system_end_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for what in ("flock", "fsync"):
        with monkeypatch.context() as patch:
            without(what, errno.EIO, patch)
            with pytest.raises(ArtefactError, match="Input/output error"):
                write_originals(FakeSource(4), "test", tmp_path / what, engine=inline)
