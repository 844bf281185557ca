"""What every codec is: pixels to a bitstream and back, at a quality on a scale of its own."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

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
                f"codec {codec}: {self.name} must be {kind} from {self.low:g} to {self.high:g}, not {shown(quality)}"
            )
        return int(quality) if self.integer else float(quality)


@dataclass(frozen=True)
class Inspection:
    """What the header of a bitstream tells.

    Attributes:
        codec: Name of the codec.
        width, height: Size in pixels.
        quality: The quality on the codec's scale at which it writes such a bitstream, as far as that can be told; None
            where the bitstream does not tell it.
        chroma: Chroma resolution: `4:2:0`, `4:2:2`, `4:4:4` or `gray`; None if the codec has none or does not tell.
        details: What else the codec can tell, as JSON.
    """

    codec: str
    width: int
    height: int
    quality: float | None = None
    chroma: str | None = None
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


def option(
    default: Any,
    says: str,
    *,
    choices: Sequence[str] = (),
    between: tuple[int, int] | None = None,
    added: bool = False,
    compare: bool = True,
) -> Any:
    """Declares an option of a codec: a field of its dataclass, which `Codec` checks when it is made.

    Args:
        default: Its default, whose type is the option's: str, int or bool.
        says: What it is, in a few words for help texts.
        choices: All its values, for text.
        between: Lowest and highest value, for whole numbers.
        added: Whether it came to the codec later: then it is no part of the identity while it has its default, so that
            what was made before keeps its identity.
        compare: Whether it changes the output; else it is no part of the identity.
    """
    metadata = {"says": says, "choices": tuple(choices), "between": between, "added": added}
    return dataclasses.field(default=default, compare=compare, metadata=metadata)


@dataclass(frozen=True)
class Codec(Degradation):
    """Encodes uint8 RGB pixels to bytes and decodes them; equal input gives equal bytes in every process.

    A codec is a frozen dataclass: its fields are its whole configuration, so that it pickles small, compares and hashes
    by value, and describes itself. Subclasses implement `_encode`, `_decode` and `inspect`, and declare their options
    with `option`.

    Attributes:
        name: The codec's name in the registry.
        scale: The quality scale, or None for a lossless codec.
        ladder: Qualities for a rate-distortion curve, from about 0.1 to 2 bpp; empty for a lossless codec.
        suffix: Of the bitstreams' file names, such as `.jpg`.
        magic: What a bitstream starts with, one of these.
        largest_side: Pixels along the longer side that the format has, or None if it has no such bound.
        quality: The operating point on `scale` (None without a scale).
        max_pixels: Largest width x height that `decode` accepts.
    """

    kind = "codec"
    scale: ClassVar[QualityScale | None]
    ladder: ClassVar[Sequence[float]] = ()
    suffix: ClassVar[str] = ""
    magic: ClassVar[tuple[bytes, ...]] = ()
    largest_side: ClassVar[int | None] = None

    quality: Any = None
    max_pixels: int = option(MAX_PIXELS, "largest width x height that is decoded", between=(1, 10**12), compare=False)

    def __post_init__(self) -> None:
        if self.scale is None:
            if self.quality is not None:
                raise CodecError(
                    f"codec {self.name} is lossless and takes no quality, but was given {shown(self.quality)}"
                )
        else:
            quality = self.scale.default if self.quality is None else self.quality
            object.__setattr__(self, "quality", self.scale.check(quality, self.name))
        for field in self.options():
            object.__setattr__(self, field.name, self._checked(field, getattr(self, field.name)))

    @classmethod
    def options(cls) -> Sequence[dataclasses.Field[Any]]:
        """The codec's options: the fields that `make_codec` takes besides the quality."""
        return [field for field in dataclasses.fields(cls) if field.init and field.name != "quality"]

    @classmethod
    def scale_with(cls, **options: Any) -> QualityScale | None:
        """The scale that there is with these options; it may be a part of `scale`."""
        return cls.scale

    @classmethod
    def recognises(cls, bitstream: bytes) -> bool:
        """Whether `bitstream` starts as this codec's bitstreams do."""
        return bitstream.startswith(cls.magic)

    @classmethod
    def inspect(cls, bitstream: bytes) -> Inspection:
        """Reads the header of a bitstream, which need not be one of dsr's, without decoding its pixels.

        Raises:
            CodecError: It is none of this codec, or its header is cut or damaged.
        """
        raise CodecError(f"codec {cls.name} cannot tell anything of a bitstream without decoding it")

    def encode(self, pixels: np.ndarray) -> bytes:
        """Encodes `pixels`, uint8 of shape (height, width, 3), RGB; raises CodecError if the codec cannot."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise CodecError(
                f"codec {self.name} encodes uint8 pixels of shape (height, width, 3), "
                f"not {pixels.dtype} of shape {pixels.shape}"
            )
        height, width, _ = pixels.shape
        if self.largest_side is not None and max(height, width) > self.largest_side:
            raise CodecError(
                f"{self.name} cannot encode a picture of {width}x{height} pixels: the format has at most "
                f"{self.largest_side} a side"
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
            if field.compare
            and field.name != "quality"
            and not (field.metadata.get("added") and getattr(self, field.name) == field.default)
        }
        return {"name": self.name, "quality": self.quality, "options": options, "versions": self.versions()}

    def chosen(self) -> dict[str, Any]:
        """The options that are not as the codec has them by default and that change its output."""
        return {
            field.name: getattr(self, field.name)
            for field in self.options()
            if field.compare and getattr(self, field.name) != field.default
        }

    @property
    def point(self) -> str:
        """The operating point as a file name part, such as `bpg-qp40`, `bpg-qp40+chroma=4:4:4` or `none`.

        `parse_point` reads it back.
        """
        if self.scale is None:
            return self.family
        short = f"{self.quality:g}"
        return f"{self.name}-{self.scale.name}{short if float(short) == self.quality else repr(self.quality)}{self._as}"

    @property
    def family(self) -> str:
        return f"{self.name}{self._as}"

    @property
    def _as(self) -> str:
        """The options in a point."""
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in self.chosen().items()
        }
        return "".join(f"+{name}={quote(text, safe=':')}" for name, text in texts.items())

    def check_pixels(self, width: int, height: int) -> None:
        """Raises CodecError if a picture of this size exceeds `max_pixels`."""
        if width * height > self.max_pixels:
            raise CodecError(
                f"{self.name} picture claims {width}x{height} pixels, more than the {self.max_pixels} allowed "
                "(max_pixels)"
            )

    @classmethod
    def _checked(cls, field: dataclasses.Field[Any], value: Any) -> Any:
        """`value` as the type of an option; raises CodecError if it is none of its values."""
        choices, between = field.metadata.get("choices"), field.metadata.get("between")
        if choices and not (isinstance(value, str) and value in choices):
            raise CodecError(f"codec {cls.name}: {field.name} must be one of {', '.join(choices)}, not {shown(value)}")
        if isinstance(field.default, bool) and not isinstance(value, bool):
            raise CodecError(f"codec {cls.name}: {field.name} must be true or false, not {shown(value)}")
        if between:
            low, high = between
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not low <= value <= high:
                raise CodecError(
                    f"codec {cls.name}: {field.name} must be a whole number from {low} to {high}, not {shown(value)}"
                )
            return int(value)
        return value


def shown(value: Any) -> str:
    """A value as error texts show it: short, whatever was given."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole numbers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
