"""The error of everything that is kept on disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from dsr.models.errors import UserError


class ArtefactError(UserError):
    """A folder, shard or record is missing, damaged, in use, or not what it should be; the text names the file."""


def cannot_write(path: object, error: OSError) -> ArtefactError:
    """What to tell a user whose disk is full, read-only or gone."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ArtefactError(
            f"{path} cannot be written: {error.strerror}; make room and run the same again, what is finished is kept"
        )
    return ArtefactError(f"{path} cannot be written: {error.strerror or error}")


@contextmanager
def one_sentence(path: object) -> Iterator[None]:
    """What the system says against writing there, as `cannot_write` tells it."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
