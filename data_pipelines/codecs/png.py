"""No loss, under the name `none`."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import PngImagePlugin

from dsr.data_pipelines.codecs.pillow import PillowCodec


@dataclass(frozen=True)
class NoneCodec(PillowCodec):
    """No loss: PNG, so that "not compressed" is an operating point with a rate like any other."""

    name = "none"
    scale = None
    suffix = ".png"
    magic = (b"\x89PNG\r\n\x1a\n",)
    format = "PNG"
    reader = PngImagePlugin.PngImageFile
    library = "zlib"

    @classmethod
    def depth(cls, bitstream: bytes) -> int:
        return max(bitstream[24], 8)  # of fewer bits the grey that is meant is read
