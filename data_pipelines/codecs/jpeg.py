"""JPEG."""

from __future__ import annotations

import functools
import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin, features

from dsr.data_pipelines.codecs.base import CodecError, Inspection, QualityScale, option
from dsr.data_pipelines.codecs.pillow import SUBSAMPLINGS, PillowCodec

Tables = dict[int, list[int]]
"""Quantisation tables by their number: 64 steps each, in the order of rows. 0 is for luma, 1 for chroma."""


@dataclass(frozen=True)
class JpegCodec(PillowCodec):
    """Baseline JPEG with optimised Huffman tables, quality on the IJG scale."""

    name = "jpeg"
    scale = QualityScale("quality", 1, 100, 75, higher_is_better=True)
    ladder = (5, 10, 20, 40, 60, 80, 90)
    suffix = ".jpg"
    magic = (b"\xff\xd8\xff",)
    largest_side = 65500
    format = "JPEG"
    reader = JpegImagePlugin.JpegImageFile
    library = "jpg"

    chroma: str = option("4:2:0", "chroma resolution", choices=SUBSAMPLINGS)

    def parameters(self, width: int, height: int) -> dict[str, Any]:
        return {"quality": self.quality, "subsampling": self.chroma, "optimize": True}

    @classmethod
    def inspect(cls, bitstream: bytes) -> Inspection:
        """What the header tells; the quality is the one whose tables are nearest to those of the bitstream.

        It is None where tables have other numbers than libjpeg's, so that none can be compared.

        Details: `exact`, whether they are the same; `tables`, SHA-256 of the bitstream's tables, each as 64 numbers of
        16 bits, big-endian, in the order of rows; `progressive`.
        """
        image = cls._open(bitstream)
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        tables: Tables = {number: list(image.quantization[number]) for number in sorted(image.quantization)}
        nearest = min(range(1, 101), key=lambda quality: _distance(tables, tables_of(quality)))
        quality = nearest if tables.keys() & tables_of(nearest).keys() else None
        subsampling = JpegImagePlugin.get_sampling(image)
        chroma = "gray" if image.mode == "L" else {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(subsampling)
        steps = np.array(list(tables.values()), ">u2")
        details = {
            "exact": quality is not None and _distance(tables, tables_of(quality)) == 0,
            "tables": hashlib.sha256(steps.tobytes()).hexdigest(),
            "progressive": bool(image.info.get("progressive")),
        }
        return Inspection(cls.name, *image.size, quality=quality, chroma=chroma, details=details)

    def _encode(self, pixels: np.ndarray) -> bytes:
        try:
            return super()._encode(pixels)
        except CodecError:
            # Pillow gives libjpeg a buffer of a byte or two a pixel, and noise at a high quality needs more. It can
            # wait for the buffer to be emptied unless it optimises the Huffman tables.
            height, width, _ = pixels.shape
            return self._save(pixels, **{**self.parameters(width, height), "optimize": False})

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "libjpeg_turbo": features.version("libjpeg_turbo") or ""}


@functools.cache
def tables_of(quality: int) -> Tables:
    """The tables that libjpeg writes at a quality."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return {number: list(table) for number, table in JpegImagePlugin.JpegImageFile(buffer).quantization.items()}


def _distance(tables: Tables, others: Tables) -> int:
    """How far tables are from others, by the numbers that both have."""
    return sum(
        abs(step - other)
        for number in tables
        if number in others
        for step, other in zip(tables[number], others[number])
    )
