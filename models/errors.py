"""The exceptions that the command line prints without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right: its text says what is wrong, with which file, and what to do.

    Every layer derives its own from this (`DatasetError`, `CodecError`, `ArtefactError`, `ConfigError`). The text is
    one that can be written down: of a file name that is not UTF-8, the bytes in question are shown as "?".
    """

    def __str__(self) -> str:
        return super().__str__().encode(errors="replace").decode()


class ReadError(UserError):
    """A file that cannot be read for a reason that is not its own: no permission, an input or output error, no memory.

    It says nothing about what the file holds, so nobody may leave the file out as if it were damaged.
    """
