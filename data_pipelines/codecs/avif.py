"""AVIF."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from PIL import AvifImagePlugin

from dsr.data_pipelines.codecs.base import Inspection, QualityScale, option
from dsr.data_pipelines.codecs.pillow import SUBSAMPLINGS, PillowCodec

CHROMAS = {0b000: "4:4:4", 0b010: "4:2:2", 0b011: "4:2:0", 0b111: "gray"}
"""Bits `monochrome`, `chroma_subsampling_x` and `chroma_subsampling_y` of the AV1 configuration."""


@dataclass(frozen=True)
class AvifCodec(PillowCodec):
    """AVIF. One thread: the callers are processes."""

    name = "avif"
    scale = QualityScale("quality", 0, 100, 60, higher_is_better=True)
    ladder = (10, 25, 40, 55, 70, 80)
    suffix = ".avif"
    largest_side = 32768  # what libavif decodes; it encodes up to 65536
    format = "AVIF"
    reader = AvifImagePlugin.AvifImageFile
    library = "avif"

    chroma: str = option("4:2:0", "chroma resolution", choices=SUBSAMPLINGS)
    speed: int = option(6, "libavif's speed, from small to fast", between=(0, 10))

    def parameters(self, width: int, height: int) -> dict[str, Any]:
        return {"quality": self.quality, "subsampling": self.chroma, "speed": self.speed, "max_threads": 1}

    @classmethod
    def recognises(cls, bitstream: bytes) -> bool:
        box = bitstream[: min(int.from_bytes(bitstream[:4], "big"), 256)]
        return box[4:8] == b"ftyp" and b"avif" in (box[start : start + 4] for start in range(8, len(box), 4))

    @classmethod
    def inspect(cls, bitstream: bytes) -> Inspection:
        found = super().inspect(bitstream)
        start = bitstream.find(b"av1C")
        flags = bitstream[start + 6] if 0 <= start < len(bitstream) - 6 else 0
        return dataclasses.replace(found, chroma=CHROMAS.get(flags >> 2 & 0b111) if start >= 0 else None)
