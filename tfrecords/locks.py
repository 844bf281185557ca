"""One process at a time makes an artefact."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.layout import LOCK, MANIFEST, PART, SCRATCH


@contextmanager
def locked(folder: Path, partial: Path, part: str) -> Iterator[None]:
    """Have the partial folder, made if need be, for oneself, or with `part` only that part of it."""
    path = partial / SCRATCH / LOCK
    lock = own = None
    while lock is None and not occupied(folder):
        if files.is_url(folder):
            yield
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_file(path, str(folder), shared=bool(part))
    try:
        if lock is None or occupied(folder):  # maybe since the first look, and its lock is no more
            raise ArtefactError(f"{folder} exists already; choose another folder, or delete it")
        if part:
            others = {name.rpartition("-")[2] for name in files.names(path.parent) if name.startswith(PART)}
            if others - {part.rpartition("-")[2]}:
                raise ArtefactError(
                    f"{folder} is being made in {', '.join(others)} parts; go on with those, or convert it whole"
                )
            own = lock_file(path.with_name(PART + part), f"part {part} of {folder}")
        yield
    finally:
        for descriptor in (own, lock):
            if descriptor is not None:  # 0 is one, where there is no standard input
                os.close(descriptor)


def lock_file(path: Path, what: str, shared: bool = False) -> int | None:
    """The descriptor of a locked file; None if its folder was finished or discarded meanwhile: it keeps nobody out."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(lock)):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            return lock
    except BlockingIOError:
        holder = os.pread(lock, 256, 0).decode(errors="replace") or "another process"
        os.close(lock)
        raise ArtefactError(f"{what} is being made by {holder}; wait for it or stop it") from None
    except OSError as error:
        if error.errno in files.UNSUPPORTED:
            files.say_of_file_system(
                path, "has no locks: see to it that no other process makes the same, as nothing else can"
            )
            return lock
        os.close(lock)
        raise
    os.close(lock)
    return None


def occupied(folder: Path) -> bool:
    """Whether something is under this name already."""
    if files.is_url(folder):
        return files.exists(folder / MANIFEST)
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
