"""What goes wrong with predictions and networks that come from elsewhere."""

from __future__ import annotations

from dsr.models.errors import UserError


class ScoreError(UserError):
    """Predictions or a network that cannot be scored as asked."""
