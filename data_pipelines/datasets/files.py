"""Reading the files of a dataset: regular files only, bounded, and what goes wrong on the way is no damage."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dsr.data_pipelines.datasets.errors import DatasetError, ReadError

_REMEDIES = {
    errno.EACCES: "get permission to read it",
    errno.EPERM: "get permission to read it",
    errno.ENOENT: "restore it, or remove its partner from the dataset",
    errno.ENOMEM: "try with fewer workers",
    errno.EMFILE: "raise the number of files that a process may open (ulimit -n)",
}


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path, with a leading ~ or ~user replaced by that home folder."""
    return Path(os.path.expanduser(os.fspath(path)))


def read_bytes(path: Path, limit: int) -> bytes:
    """All of a file.

    Raises:
      DatasetError: it is no regular file, or longer than `limit` bytes; then nothing of it is read.
      ReadError: it cannot be read now.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise DatasetError(
                f"{path}: has {size} bytes, and {limit} are read at most; raise max_pixels if it is an image."
            )
        return file.read(size)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading. Raises as `read_bytes`, also while it is read."""
    try:
        # First looked at, then opened: to open a pipe waits for its other end, to open a device may do anything.
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise DatasetError(f"{path}: is no regular file but a {kind_of(mode)}; remove it.")
        with io.BufferedReader(_File(path)) as file:
            yield file
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: object, error: OSError) -> ReadError:
    """The sentence for what the operating system says."""
    remedy = _REMEDIES.get(error.errno or 0, "try again when it can be read; this says nothing about what it holds")
    reason = "no such file" if error.errno == errno.ENOENT else f"cannot be read ({error.strerror or error})"
    return ReadError(f"{path}: {reason}; {remedy}.")


def no_memory(path: object) -> ReadError:
    """The sentence for a MemoryError."""
    return ReadError(f"{path}: there is no memory to decode it; try with fewer workers.")


def kind_of(mode: int) -> str:
    """What a file is that is no regular one, in words."""
    kinds = {
        stat.S_IFDIR: "folder",
        stat.S_IFIFO: "pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "device",
        stat.S_IFBLK: "device",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")


class _File(io.FileIO):
    """Raises ReadError where others raise OSError, which image decoders raise for damage too."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path

    def readinto(self, buffer: Any) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise unreadable(self._path, error) from None

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            raise unreadable(self._path, error) from None
