"""WebP."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from PIL import WebPImagePlugin

from dsr.data_pipelines.codecs.base import Inspection, QualityScale, option
from dsr.data_pipelines.codecs.pillow import PillowCodec


@dataclass(frozen=True)
class WebPCodec(PillowCodec):
    """Lossy WebP."""

    name = "webp"
    scale = QualityScale("quality", 0, 100, 75, higher_is_better=True)
    ladder = (0, 10, 30, 50, 70, 85, 92)
    suffix = ".webp"
    magic = (b"RIFF",)
    largest_side = 16383
    format = "WEBP"
    reader = WebPImagePlugin.WebPImageFile
    library = "webp"

    effort: int = option(4, "libwebp's method, from fast to small", between=(0, 6))

    def parameters(self, width: int, height: int) -> dict[str, Any]:
        return {"quality": self.quality, "method": self.effort}

    @classmethod
    def recognises(cls, bitstream: bytes) -> bool:
        return super().recognises(bitstream) and bitstream[8:12] == b"WEBP"

    @classmethod
    def inspect(cls, bitstream: bytes) -> Inspection:
        lossy = bitstream[12:16] == b"VP8 "
        return dataclasses.replace(super().inspect(bitstream), chroma="4:2:0" if lossy else None)
