"""The error of everything that is kept on disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from dsr.models.errors import ReadError, UserError

ONLY_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What the system says against writing alone."""


class ArtefactError(UserError):
    """A folder, shard or record is missing, damaged, in use, or not what it should be; the text names the file."""


def cannot_write(path: str | os.PathLike[str], error: OSError) -> ArtefactError:
    """What to tell a user whose disk is full, read-only or gone."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ArtefactError(
            f"{path} cannot be written: {error.strerror}; make room and run the same again, what is finished is kept"
        )
    return ArtefactError(f"{path} cannot be written: {error.strerror or error}")


@contextmanager
def one_sentence(path: str | os.PathLike[str]) -> Iterator[None]:
    """What the system says against writing there, as `cannot_write` tells it, and against reading anything else."""
    try:
        yield
    except OSError as error:
        place, own = (os.path.abspath(name) for name in (error.filename or path, path))
        if error.errno in ONLY_WRITING or place.startswith(os.path.dirname(own)) or own.startswith(place):
            raise cannot_write(path, error) from error
        raise ReadError(
            f"{place} cannot be read: {error.strerror or error}; see to that and run the same again"
        ) from error
