"""JPEG 2000."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Jpeg2KImagePlugin

from dsr.data_pipelines.codecs.base import QualityScale
from dsr.data_pipelines.codecs.pillow import PillowCodec


@dataclass(frozen=True)
class Jpeg2000Codec(PillowCodec):
    """JPEG 2000 (irreversible 9/7 wavelet, one layer, bare codestream); the quality is the rate asked for, in bpp.

    The rate controller aims at `rate` bits per pixel and may end a little below it; as everywhere, the rate that counts
    is that of the bytes.
    """

    name = "jpeg2000"
    scale = QualityScale("rate", 0.01, 24, 1.0, higher_is_better=True, integer=False)
    ladder = (0.1, 0.2, 0.4, 0.8, 1.2, 2.0)
    suffix = ".jp2"
    magic = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")
    format = "JPEG2000"
    reader = Jpeg2KImagePlugin.Jpeg2KImageFile
    library = "jpg_2000"

    def parameters(self, width: int, height: int) -> dict[str, Any]:
        return {
            "quality_mode": "rates",
            "quality_layers": [24 / self.quality],
            "irreversible": True,
            "no_jp2": True,
            # OpenJPEG refuses more decompositions than the shorter side can be halved.
            "num_resolutions": min(6, min(width, height).bit_length()),
        }
