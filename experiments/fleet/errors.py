"""What goes wrong with a fleet's files."""

from __future__ import annotations

from dsr.models.errors import UserError


class FleetError(UserError):
    """A file or folder that cannot be encoded, decoded or restored as asked."""
