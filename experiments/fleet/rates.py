"""Which quality an image is encoded with: the same for all, or the finest whose file is short enough."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from dsr.data_pipelines.codecs import Codec, CodecError, codec_class, make_codec
from dsr.experiments.fleet.errors import FleetError

CONTINUOUS_STEPS = 16
"""Bisections of a continuous scale."""


class Rate(Protocol):
    """Picklable."""

    def encode(self, pixels: np.ndarray) -> tuple[Codec, bytes]:
        """The codec that was used, and the bitstream, of uint8 (H, W, 3). Raises UserError."""

    def describe(self) -> dict[str, Any]:
        """JSON: all that the bitstream depends on."""


@dataclass(frozen=True)
class Fixed:
    """One codec for all images."""

    codec: Codec

    def encode(self, pixels: np.ndarray) -> tuple[Codec, bytes]:
        return self.codec, self.codec.encode(pixels)

    def describe(self) -> dict[str, Any]:
        return {"codec": self.codec.describe()}


@dataclass(frozen=True)
class AtMost:
    """The finest quality of a codec whose file has at most so many bytes, for each image by itself.

    Bisects the scale, trusting that files grow along it, so that an image is encoded about log2(range) times.
    """

    codec: str
    most: int
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if codec_class(self.codec).scale is None:
            raise CodecError(f"codec {self.codec} is lossless: it has no quality that could keep a file short")

    def encode(self, pixels: np.ndarray) -> tuple[Codec, bytes]:
        scale = codec_class(self.codec).scale_with(**self.options)
        assert scale is not None
        if not scale.integer:
            return self._bisect_real(pixels, scale.low, scale.high)
        found: tuple[Codec, bytes] | None = None
        low, high = 0, len(self._qualities)
        while low < high:  # all before `low` fit, none from `high` on does
            middle = (low + high) // 2
            tried = self._try(pixels, self._qualities[middle])
            if len(tried[1]) <= self.most:
                found, low = tried, middle + 1
            else:
                high = middle
        return found or self._refuse(pixels, self._qualities[0])

    def describe(self) -> dict[str, Any]:
        return {"codec": make_codec(self.codec, **self.options).describe(), "most_bytes": self.most}

    def _bisect_real(self, pixels: np.ndarray, low: float, high: float) -> tuple[Codec, bytes]:
        found = self._try(pixels, high)
        if len(found[1]) <= self.most:
            return found
        found = self._try(pixels, low)
        if len(found[1]) > self.most:
            return self._refuse(pixels, low)
        for _ in range(CONTINUOUS_STEPS):
            tried = self._try(pixels, (low + high) / 2)
            if len(tried[1]) <= self.most:
                found, low = tried, (low + high) / 2
            else:
                high = (low + high) / 2
        return found

    def _try(self, pixels: np.ndarray, quality: float) -> tuple[Codec, bytes]:
        codec = make_codec(self.codec, quality, **self.options)
        return codec, codec.encode(pixels)

    def _refuse(self, pixels: np.ndarray, coarsest: float) -> tuple[Codec, bytes]:
        codec, bitstream = self._try(pixels, coarsest)
        height, width = pixels.shape[:2]
        raise FleetError(f"{width}x{height} pixels take {len(bitstream)} bytes at {codec.point}, more than {self.most}")

    @property
    def _qualities(self) -> Sequence[float]:
        return _qualities(self.codec, tuple(sorted(self.options.items())))


@functools.lru_cache(maxsize=8)
def _qualities(name: str, options: tuple[tuple[str, Any], ...]) -> Sequence[float]:
    """Whole numbers on a codec's scale that it can be made with, coarsest first: of a learned one there may be few."""
    scale = codec_class(name).scale
    assert scale is not None
    there = []
    for quality in range(int(scale.low), int(scale.high) + 1):
        try:
            make_codec(name, quality, **dict(options))
        except CodecError:
            continue
        there.append(quality)
    if not there:
        make_codec(name, **dict(options))  # raises what is wrong with the options
    return there if scale.higher_is_better else there[::-1]
