"""JPEG 2000."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Jpeg2KImagePlugin

from dsr.data_pipelines.codecs.base import CodecError, QualityScale
from dsr.data_pipelines.codecs.boxes import boxes
from dsr.data_pipelines.codecs.pillow import PillowCodec

_CODESTREAM = b"\xff\x4f\xff\x51"
"""The marker SOC, and SIZ, which always follows it."""

_PART, _END = b"\xff\x90", b"\xff\xd9"
"""The markers of a part of a tile, and of the end."""


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
    magic = (_CODESTREAM, b"\0\0\0\x0cjP  \r\n\x87\n")
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

    def _decode(self, bitstream: bytes) -> np.ndarray:
        pixels = super()._decode(bitstream)
        try:
            _check_tiles(bitstream, _codestream(bitstream))
        except (ValueError, struct.error) as error:
            raise self._broken(error) from error
        return pixels

    @classmethod
    def depth(cls, bitstream: bytes) -> int:
        start = _codestream(bitstream)
        components = int.from_bytes(bitstream[start + 40 : start + 42], "big")
        sizes = bitstream[start + 42 : start + 42 + 3 * components : 3]
        depths = {(size & 0x7F) + 1 for size in sizes}  # the top bit says whether samples are signed
        if bitstream[start : start + 4] != _CODESTREAM or len(sizes) < components or not sizes:
            raise ValueError("it does not say how many bits a sample has")
        return max(depths, key=lambda depth: abs(depth - 8))


def _codestream(bitstream: bytes) -> int:
    """Where the codestream starts, which JP2 has in a box. Raises ValueError, CodecError for what shows a palette."""
    if bitstream.startswith(_CODESTREAM):
        return 0
    for kind, start, end in boxes(bitstream, 0, len(bitstream)):
        if kind == b"jp2c":
            return start
        if kind == b"jp2h" and any(inner == b"pclr" for inner, _, _ in boxes(bitstream, start, end)):
            raise CodecError("shows a palette's colours, which are not read")
    raise ValueError("it has no codestream")


def _check_tiles(data: bytes, start: int) -> None:
    """Raises ValueError if a tile of a codestream that can be decoded is missing: OpenJPEG leaves it black."""
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8I", data, start + 8)
    needed = -(-(right - left) // width) * -(-(bottom - top) // height)
    at, found = start + 2, set()
    while data[at : at + 2] not in (_PART, _END, b""):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    while data[at : at + 2] == _PART:
        tile, length = struct.unpack_from(">HI", data, at + 4)
        found.add(tile)
        at += length or len(data)  # the last one may go on to the end
    if len(found) < needed:
        raise ValueError(f"it has {len(found)} of {needed} tiles")
