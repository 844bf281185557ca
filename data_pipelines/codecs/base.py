"""What every codec is: pixels to a bitstream and back, at a quality on a scale of its own."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dsr.data_pipelines.degradations import Degradation, Degraded
from dsr.models.errors import UserError

MAX_PIXELS = 200_000_000
"""Default bound on width x height, checked before a decoder allocates its picture."""


class CodecError(UserError):
    """A bitstream that cannot be decoded, pixels that cannot be encoded, or a codec asked for what it does not have."""


@dataclass(frozen=True)
class QualityScale:
    """The one number that sets a codec's operating point.

    Attributes:
        name: What the codec's field calls it: `qp`, `quality`, `rate` (bits per pixel).
        low, high: The range, both ends included.
        default: Quality of a codec made without one.
        higher_is_better: Whether a larger number means more bits and more fidelity.
        integer: Whether only whole numbers are meant.
    """

    name: str
    low: float
    high: float
    default: float
    higher_is_better: bool
    integer: bool = True

    def check(self, quality: float, codec: str) -> float:
        """Returns `quality` as an int or float of this scale; raises CodecError if it is not on it."""
        is_number = isinstance(quality, (int, float, np.integer, np.floating)) and not isinstance(quality, bool)
        if not is_number or not self.low <= quality <= self.high or (self.integer and quality != int(quality)):
            kind = "a whole number" if self.integer else "a number"
            raise CodecError(
                f"codec {codec}: {self.name} must be {kind} from {self.low:g} to {self.high:g}, not {quality!r}"
            )
        return int(quality) if self.integer else float(quality)


@dataclass(frozen=True)
class Codec(Degradation):
    """Encodes uint8 RGB pixels to bytes and decodes them; equal input gives equal bytes in every process.

    A codec is a frozen dataclass: its fields are its whole configuration, so that it pickles small, compares and hashes
    by value, and describes itself. Subclasses implement `_encode` and `_decode`; a field that changes no output is
    declared with `compare=False` and stays out of `describe()`.

    Attributes:
        name: The codec's name in the registry.
        scale: The quality scale, or None for a lossless codec.
        quality: The operating point on `scale` (None without a scale).
        max_pixels: Largest width x height that `decode` accepts.
    """

    kind = "codec"
    scale: ClassVar[QualityScale | None]

    quality: Any = None
    max_pixels: int = dataclasses.field(default=MAX_PIXELS, compare=False)

    def __post_init__(self) -> None:
        if self.scale is None:
            if self.quality is not None:
                raise CodecError(f"codec {self.name} is lossless and takes no quality, but was given {self.quality!r}")
        else:
            quality = self.scale.default if self.quality is None else self.quality
            object.__setattr__(self, "quality", self.scale.check(quality, self.name))

    @classmethod
    def offered(cls, **options: Any) -> Sequence[float] | None:
        """The only qualities there are to choose from with these options, coarsest first; None for the whole scale."""
        return None

    def encode(self, pixels: np.ndarray) -> bytes:
        """Encodes `pixels`, uint8 of shape (height, width, 3), RGB; raises CodecError if the codec cannot."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise CodecError(
                f"codec {self.name} encodes uint8 pixels of shape (height, width, 3), "
                f"not {pixels.dtype} of shape {pixels.shape}"
            )
        return self._encode(np.ascontiguousarray(pixels))

    def decode(self, bitstream: bytes) -> np.ndarray:
        """Decodes to uint8 of shape (height, width, 3), RGB; raises CodecError with the reason if that fails."""
        return self._decode(bitstream)

    @property
    def level(self) -> float | None:
        return self.quality

    def degrade(self, pixels: np.ndarray, key: str) -> Degraded:
        bitstream = self.encode(pixels)
        return Degraded(self.decode(bitstream), bitstream)

    @abstractmethod
    def _encode(self, pixels: np.ndarray) -> bytes: ...

    @abstractmethod
    def _decode(self, bitstream: bytes) -> np.ndarray: ...

    def versions(self) -> dict[str, str]:
        """Versions of the libraries that write and read the bitstream."""
        return {}

    def describe(self) -> dict[str, Any]:
        """The codec's identity as JSON: name, quality, every option and the versions of its libraries."""
        options = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.compare and field.name != "quality"
        }
        return {"name": self.name, "quality": self.quality, "options": options, "versions": self.versions()}

    @property
    def point(self) -> str:
        """The operating point as a file name part, such as `bpg-qp40`, `jpeg-quality10` or `none`."""
        return self.name if self.scale is None else f"{self.name}-{self.scale.name}{self.quality:g}"

    def check_pixels(self, width: int, height: int) -> None:
        """Raises CodecError if a picture of this size exceeds `max_pixels`."""
        if width * height > self.max_pixels:
            raise CodecError(
                f"{self.name} picture claims {width}x{height} pixels, more than the {self.max_pixels} allowed "
                "(max_pixels)"
            )


def choice(codec: Codec, option: str, allowed: tuple[str, ...]) -> None:
    """Raises CodecError if the codec's `option` is not one of `allowed`."""
    value = getattr(codec, option)
    if value not in allowed:
        raise CodecError(f"codec {codec.name}: {option} must be one of {', '.join(allowed)}, not {value!r}")
