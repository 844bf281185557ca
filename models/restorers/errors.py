"""What goes wrong with restorers and their files."""

from __future__ import annotations

from dsr.models.errors import UserError


class RestorerError(UserError):
    """A restorer that cannot be built, loaded or trained as asked."""
