"""The one error of this package."""

from __future__ import annotations

from dsr.models.errors import UserError


class DatasetError(UserError):
    """A dataset that is not where or what it should be: says which file, what is wrong and what to do."""
