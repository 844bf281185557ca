"""Where artefacts are kept: a file system, or an object store under a URL (`gs://bucket/folder`, `s3://...`).

A local path is a `pathlib.Path` and goes through `os`; a URL is an `etils.epath.Path`, which has the same methods and
goes through `tf.io.gfile`. TensorFlow is imported when a URL is first touched, and never for a local path.

An object store has neither locks nor folders to rename: who keeps artefacts there sees to it that one process makes an
artefact at a time. An object appears whole or not at all, though, so a folder whose manifest was written last is whole
as soon as it has one.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import logging
import multiprocessing
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Union, cast

from dsr.tfrecords.errors import ArtefactError

Location = Union[str, "os.PathLike[str]"]

TEMPORARY = ".tmp"
"""What the name of a file ends in that is not yet what it will be; a kill may leave such files, and they never
count."""

Stamp = tuple[int, int, int]
"""Of a file: its size, the time of the last change of its content, and of anything: the latter nobody can set."""

_LONG = 64
"""Bytes of a file's name, to which nothing can be added for certain if it has more; names of shards have fewer."""

MAX_BYTES = 1 << 30
"""More than any file has that is read at once; a hostile one may promise 2^62."""

UNSUPPORTED = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL, errno.ENOTTY)
"""What file systems say that have no locks, no hard links, or no way to flush a folder."""

# The error codes of TensorFlow that a local file has too; all else is an input/output error.
_NOT_FOUND, _PERMISSION_DENIED, _UNAUTHENTICATED = 5, 7, 16
_ERRNO = {_NOT_FOUND: errno.ENOENT, _PERMISSION_DENIED: errno.EACCES, _UNAUTHENTICATED: errno.EACCES}


def is_url(path: Location) -> bool:
    """Whether it is in an object store."""
    return "://" in os.fspath(path)


def location(path: Location) -> Path:
    """The path to work with: an `epath.Path` for a URL, else a `Path`. ArtefactError for other URLs."""
    if not is_url(path):
        return Path(path)
    from etils import epath

    # TensorFlow remembers sizes for seconds, in which another process may have written the file anew.
    os.environ.setdefault("GCS_STAT_CACHE_MAX_AGE", "0")
    try:
        return cast(Path, epath.Path(path))
    except KeyError:
        raise ArtefactError(f"{os.fspath(path)}: only URLs of object stores (gs://, s3://) can be used") from None


def exists(path: Path) -> bool:
    """Whether there is such a file or folder."""
    with _os_errors(path):
        return path.exists()


def size(path: Path) -> int:
    """In bytes; OSError also if it is no regular file."""
    with _os_errors(path):
        if is_url(path):
            return path.stat().length  # type: ignore[attr-defined]
        return _regular(path, path.stat()).st_size


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """The file, open for `read`, `seek` and `tell`; OSError also if it is no regular file.

    A device may have no end, and a pipe nobody who writes into it.
    """
    with _os_errors(path):
        if is_url(path):
            with path.open("rb") as remote:
                yield cast(BinaryIO, remote)
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # else opening a pipe waits for a writer
        try:
            _regular(path, os.fstat(descriptor))
        except OSError:
            os.close(descriptor)
            raise
        with open(descriptor, "rb") as file:
            yield file


def read_bytes(path: Path, at_most: int = MAX_BYTES) -> bytes:
    """All of a file; OSError as `open` has it, also if it has more than `at_most` bytes."""
    with reading(path) as file:
        data = file.read(at_most + 1)
    if len(data) > at_most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


@contextmanager
def writing(path: Path, scratch: Path) -> Iterator[BinaryIO]:
    """A file that gets its name, on disk or in the store, when it is whole; an exception leaves nothing.

    Until then it is a temporary file in the folder `scratch`, which a kill may leave there: of several writers of one
    name, on any hosts and in any threads, each has a file of its own, and the last one counts. For a store it is a
    temporary file of this machine, uploaded at the end.
    """
    if is_url(path):
        with tempfile.TemporaryFile() as file:
            yield cast(BinaryIO, file)
            file.seek(0)
            with _os_errors(path), path.open("wb") as target:
                target.write(b"")  # else an empty file would not be made
                shutil.copyfileobj(file, target, 1 << 24)
        return
    with _replacing(path, scratch / _temporary(path.name)) as file:
        yield file


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that after a crash is either as before or as now, whoever else writes it at the same moment."""
    if is_url(path):
        with _os_errors(path):
            path.write_bytes(data)
        return
    with writing(path, path.parent) as file:
        file.write(data)


def _temporary(name: str) -> str:
    """Another one at each call: `<name>.<at random>.tmp`, with a digest in the place of a name that is long."""
    data = os.fsencode(name)
    known = name if len(data) <= _LONG else hashlib.sha256(data).hexdigest()[:16]
    return f"{known}.{secrets.token_hex(8)}{TEMPORARY}"


def names(folder: Path) -> list[str]:
    """The files in a folder and all folders below it, relative to it with `/`, sorted, without temporary ones.

    Empty if there is no such folder.
    """
    return [name for name in _all_names(folder) if not name.endswith(TEMPORARY)]


def temporaries(folder: Path) -> list[str]:
    """The temporary files that writers are at, or that were left by a kill; as `names`."""
    return [name for name in _all_names(folder) if name.endswith(TEMPORARY)]


def _all_names(folder: Path) -> list[str]:
    if not is_url(folder):
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    try:
        with _os_errors(folder):
            return sorted(_names(folder, ""))
    except FileNotFoundError:
        return []


def make_folder(path: Path) -> None:
    """With all above it, on a disk; in a store a folder is nothing but the names of what is in it."""
    if not is_url(path):
        path.mkdir(parents=True, exist_ok=True)


def remove(folder: Path) -> None:
    """Delete a folder with all that is in it; no error if there is none."""
    with _os_errors(folder):
        for name in _all_names(folder) if is_url(folder) else ():
            (folder / name).unlink(missing_ok=True)
    if not is_url(folder):
        shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk; what a store has taken is safe already."""
    if is_url(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _flush(descriptor, path)
    finally:
        os.close(descriptor)


def link(source: Path, target: Path) -> None:
    """Give a file that is whole a second name; FileExistsError if something has that name.

    On a file system without hard links the file takes the place of what another process gave this name at the same
    moment.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (*UNSUPPORTED, errno.EPERM, errno.EMLINK):
            raise
        os.replace(source, target)


def say_of_file_system(path: Path, text: str) -> None:
    """Tell what the file system lacks that a file or folder is in: once, and not in each of many workers."""
    mount = Path(os.path.abspath(path))
    while not os.path.ismount(mount):
        mount = mount.parent
    if multiprocessing.parent_process() is None:
        _say_once(f"dsr: the file system at {mount} {text}")


@functools.cache
def _say_once(text: str) -> None:
    logging.getLogger("dsr").warning(text)


def _flush(descriptor: int, path: Path) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        say_of_file_system(
            path,
            "cannot flush what is written: what is finished survives a kill, but a loss of power may undo it",
        )


@contextmanager
def _replacing(path: Path, temporary: Path) -> Iterator[BinaryIO]:
    """The temporary file, which becomes `path` when it is on the disk, or vanishes on an exception.

    It is always a new file: what lies there from before may be a link to anywhere.
    """
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            _flush(descriptor, path)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _regular(path: Path, found: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return found


def _names(folder: Path, prefix: str) -> Iterator[str]:
    for path in folder.iterdir():
        name = f"{prefix}{path.name}"
        if path.is_dir():
            yield from _names(path, f"{name}/")
        else:
            yield name


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    """What TensorFlow and epath raise, as the OSError that a local file gives, with `errno`, `strerror`, `filename`."""
    try:
        yield
    except Exception as error:
        code: Any = getattr(error, "error_code", None)
        if isinstance(error, FileNotFoundError) and error.errno is None:
            code = _NOT_FOUND
        if code is None:
            raise
        number = _ERRNO.get(code, errno.EIO)
        text = getattr(error, "message", "") if number == errno.EIO else os.strerror(number)
        raise OSError(number, text, str(path)) from error


def stamp(path: Path) -> Stamp | None:
    """What changes when a local file does; None of what is no file (any more): reading it says what is wrong."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: no path, as with a zero in it
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
