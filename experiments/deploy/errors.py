"""What goes wrong with trained networks that are used or exported."""

from __future__ import annotations

from dsr.models.errors import UserError


class DeployError(UserError):
    """A trained network that cannot be found, used or exported as asked."""
