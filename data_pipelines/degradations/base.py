"""What every degradation is: pixels to other pixels of the same size, at a level.

A codec is one that also has a bitstream.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import metadata
from typing import Any, ClassVar, NamedTuple, Optional

import numpy as np

from dsr.models.errors import UserError


class DegradationError(UserError):
    """A degradation that does not exist, or not at this level, or that an image cannot go through."""


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

    @property
    def family(self) -> str:
        """What operating points have in common that differ in the level alone: `bpg`, `downsample2+bpg`.

        Only they stand on one curve. The point itself, of a degradation that has none but itself.
        """
        return self.point

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


@dataclass(frozen=True)
class LevelScale:
    """The one number that says how strong a degradation is, in physical terms.

    Attributes:
        low, high: The range, both ends included.
        unit: What it counts.
    """

    low: float
    high: float
    unit: str


@dataclass(frozen=True)
class Distortion(Degradation):
    """A degradation of pixels without a bitstream: a frozen dataclass whose fields are its whole configuration.

    Attributes:
        scale: Of `strength`.
        strength: How strong it is.
        seed: Of what is random, together with each image's key.
    """

    scale: ClassVar[LevelScale]

    strength: float
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.scale.low, self.scale.high
        number = isinstance(self.strength, (int, float)) and not isinstance(self.strength, bool)
        if not number or not math.isfinite(self.strength) or not low <= self.strength <= high:
            raise DegradationError(
                f"{self.name} takes {self.scale.unit} from {low:g} to {high:g}, not {self.strength!r}"
            )
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**31:
            raise DegradationError(
                f"the seed of {self.name} is a whole number from 0 to {2**31 - 1}, not {self.seed!r}"
            )

    @property
    def level(self) -> float:
        return float(self.strength)

    @property
    def point(self) -> str:
        return f"{self.name}{np.format_float_positional(self.strength, trim='-')}{self._seeded}"

    @property
    def family(self) -> str:
        return f"{self.name}{self._seeded}"

    @property
    def _seeded(self) -> str:
        return f"+seed={self.seed}" if self.seed else ""

    def degrade(self, pixels: np.ndarray, key: str) -> Degraded:
        height, width = pixels.shape[:2]
        values = self.distort(pixels.astype(np.float64), self.random(key))
        assert values.shape == (height, width, 3)
        return Degraded(np.clip(np.rint(values), 0, 255).astype(np.uint8), None)

    @abstractmethod
    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Distorts an image.

        Args:
            values: float64 (height, width, 3) from 0 to 255.
            random: Depends on the seed and the image's key alone.

        Returns:
            The same shape; what is beyond 0 to 255 is clipped, and values are rounded.
        """

    def random(self, key: str) -> np.random.Generator:
        """What is random for an image."""
        digest = hashlib.sha256(f"{self.name} {self.seed} {key}".encode(errors="surrogateescape")).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "little"))

    def describe(self) -> dict[str, Any]:
        versions = {package: metadata.version(package) for package in ("numpy", "scipy", "pillow")}
        return {"name": self.name, **dataclasses.asdict(self), "versions": versions}
