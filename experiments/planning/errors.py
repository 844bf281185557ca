"""What goes wrong when one plans."""

from __future__ import annotations

from dsr.models.errors import UserError


class PlanningError(UserError):
    """A plan that cannot be made from what was measured."""
