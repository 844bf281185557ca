"""What can be wrong with a segmenter's backbone."""

from __future__ import annotations

from dsr.models.errors import UserError


class WeightsError(UserError):
    """A pretrained weight file is missing, damaged or made for another network."""


class BackboneError(UserError):
    """A network that cannot be the backbone of DeepLabv3+; says why."""
