"""The errors of this package."""

from __future__ import annotations

from dsr.models.errors import ReadError, UserError

__all__ = ["DatasetError", "ReadError"]


class DatasetError(UserError):
    """A dataset that is not where or what it should be: says which file, what is wrong and what to do."""
