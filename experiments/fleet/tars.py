"""Tar files whose bytes follow from what is put into them: no times, no owners, the order as given."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast


class Tar:
    """A tar file in the making.

    Attributes:
        size: Bytes so far; of the whole file once it is closed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.size = 0
        self._file, self._digest = file, hashlib.sha256()
        # As a stream, so that nothing is read or written twice; pax tells names of any length and script.
        self._tar = tarfile.open(fileobj=cast(BinaryIO, self), mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    @property
    def sha256(self) -> str:
        """Of those bytes, in hex."""
        return self._digest.hexdigest()

    def add(self, name: str, content: bytes) -> None:
        """Put in a file; those that belong together follow each other."""
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = len(content), 0o644, 0
        self._tar.addfile(entry, io.BytesIO(content))

    def write(self, data: bytes) -> int:
        """What the tar module calls."""
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def close(self) -> None:
        """Write its end; the file stays open."""
        self._tar.close()


@contextmanager
def writing_tar(file: BinaryIO) -> Iterator[Tar]:
    """A tar file that is whole on leaving; equal files give equal bytes."""
    tar = Tar(file)
    yield tar
    tar.close()
