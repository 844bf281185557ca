"""The bitstream of the codec `msh`: a header of 33 bytes, then the range-coded strings.

    offset  bytes
    0       4      magic, 0x89 'MSH'
    4       1      version, 1
    5       8      the model and its quality, `SavedHyperprior.identity`
    13      2      width of the image
    15      2      height
    17      4      length of the string of z
    21      4      length of the string of y
    25      4      CRC-32 of the latents y^ that the strings stand for, float32 in the order of memory
    29      4      CRC-32 of all other bytes
    33             string of z, string of y

Numbers are little-endian. The first checksum tells a machine that computes other entropy parameters than the encoder
did, the second one damage: the range decoder itself makes something of any string.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from dsr.data_pipelines.codecs.base import CodecError

MAGIC = b"\x89MSH"
VERSION = 1
MODEL_BYTES = 8
LARGEST_SIDE = 2**16 - 1

_HEADER = struct.Struct(f"<4sB{MODEL_BYTES}sHHIII")
_CHECKSUM = struct.Struct("<I")
OVERHEAD = _HEADER.size + _CHECKSUM.size


@dataclass(frozen=True)
class Bitstream:
    """What a bitstream says.

    Attributes:
      model: the model and its quality, `MODEL_BYTES`.
      width, height: of the image in pixels.
      z, y: range-coded strings.
      latents: CRC-32 of the latents they stand for.
    """

    model: bytes
    width: int
    height: int
    z: bytes
    y: bytes
    latents: int

    def __bytes__(self) -> bytes:
        if max(self.width, self.height) > LARGEST_SIDE:
            raise CodecError(
                f"codec msh encodes pictures of up to {LARGEST_SIDE} pixels a side, not {self.width}x{self.height}"
            )
        header = _HEADER.pack(
            MAGIC, VERSION, self.model, self.width, self.height, len(self.z), len(self.y), self.latents
        )
        strings = self.z + self.y
        return header + _CHECKSUM.pack(zlib.crc32(header + strings)) + strings


def parse(data: bytes) -> Bitstream:
    """Read a bitstream. Raises CodecError for anything that is none, of another version, cut, or damaged."""
    if data[: len(MAGIC)] != MAGIC or len(data) < OVERHEAD:
        raise CodecError(f"not an msh bitstream: {len(data)} bytes that do not start with its header")
    _, version, model, width, height, z_bytes, y_bytes, latents = _HEADER.unpack_from(data)
    if version != VERSION:
        raise CodecError(f"an msh bitstream of version {version}; this program reads version {VERSION}")
    if len(data) != OVERHEAD + z_bytes + y_bytes:
        raise CodecError(
            f"an msh bitstream of {len(data)} bytes whose header tells of {OVERHEAD + z_bytes + y_bytes}: "
            "it is cut or damaged"
        )
    strings = data[OVERHEAD:]
    if zlib.crc32(data[: _HEADER.size] + strings) != _CHECKSUM.unpack_from(data, _HEADER.size)[0]:
        raise CodecError("a damaged msh bitstream: its checksum differs")
    if not width or not height:
        raise CodecError(f"an msh bitstream of an impossible picture, {width}x{height}")
    return Bitstream(model, width, height, strings[:z_bytes], strings[z_bytes:], latents)
