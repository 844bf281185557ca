"""The files that decoded and restored images are written as."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.fleet.errors import FleetError
from dsr.tfrecords.png import encode_png


@dataclass(frozen=True)
class Format:
    """PNG, which keeps every pixel, or JPEG with whole chroma, which restored detail would suffer without.

    quality: On the IJG scale; None for PNG.
    """

    quality: int | None = None

    @classmethod
    def parse(cls, text: str) -> Format:
        """Read `png` or `jpeg:95`. Raises FleetError."""
        name, _, quality = text.partition(":")
        if text == "png":
            return cls()
        if name in ("jpeg", "jpg") and quality.isdecimal() and 1 <= int(quality) <= 100:
            return cls(int(quality))
        raise FleetError(f'no format is called "{text}"; give png, or jpeg with its quality, as jpeg:95')

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The first one is what is written."""
        return (".png",) if self.quality is None else (".jpg", ".jpeg")

    def encode(self, pixels: np.ndarray) -> bytes:
        """The file of uint8 (H, W, 3)."""
        if self.quality is None:
            return encode_png(pixels)
        return make_codec("jpeg", self.quality, chroma="4:4:4").encode(pixels)

    def __str__(self) -> str:
        return "png" if self.quality is None else f"jpeg:{self.quality}"
