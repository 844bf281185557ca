"""What every degradation is: pixels to other pixels of the same size, at a level; a codec is one that also has a bitstream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Optional

import numpy as np


class Degraded(NamedTuple):
    """What became of an image.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        bitstream: What is sent instead of the pixels, and decodes to them; None if that is the pixels themselves.
    """

    pixels: np.ndarray
    bitstream: Optional[bytes]


class Degradation(ABC):
    """Turns an image into what arrives of it; equal input gives equal output in every process.

    Attributes:
        name: What it is called in the registry.
        kind: How identities and records name it: "codec" if it has a bitstream, and hence a rate.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = "degradation"

    @property
    @abstractmethod
    def level(self) -> Optional[float]:
        """How strong it is, on its own scale; None if it has only one strength."""

    @property
    @abstractmethod
    def point(self) -> str:
        """The operating point as a file name part, such as `bpg-qp40`."""

    @abstractmethod
    def degrade(self, pixels: np.ndarray, key: str) -> Degraded:
        """Degrades an image.

        Args:
            pixels: uint8 (height, width, 3), RGB.
            key: The image's name in its dataset, for what is random: the same key gives the same result.

        Raises:
            UserError: The image cannot be degraded.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Its identity as JSON: all that the result depends on."""
