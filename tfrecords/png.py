"""The one plain kind of PNG that records hold, and every program reads.

One IDAT chunk, each row with the filter Up, zlib level 1.

To try five filters for each row, as libpng and Pillow do, costs more than all else that a conversion does beside the
codec, and filters other than Up cost more to undo. `dsr.experiments.benchmarks.storage` compares this kind with others;
docs/scale.md has the numbers.
"""

from __future__ import annotations

import struct

import numpy as np
from isal import isal_zlib as zlib
from numpy.typing import NDArray

from dsr.tfrecords.errors import ArtefactError

# More than any camera gives; a hostile record may promise 2^62.
MAX_PIXELS = 1 << 27

_AT_ONCE = 1 << 24  # so many bytes are inflated at once: more than those of an image at 2048x1024

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2  # the filter that stores each byte less the one above it
_BEFORE, _BEHIND = 41, 16  # bytes around what is deflated
_COLOUR_TYPES = {"L": 0, "RGB": 2}


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Lossless PNG of uint8 (H, W, 3) or (H, W), of the kind that the module describes."""
    mode = {(3,): "RGB", (): "L"}[pixels.shape[2:]]
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return _png(height, width, mode, zlib.compress(filtered.data, 1))


def decode_png(data: bytes, height: int, width: int, mode: str) -> NDArray[np.uint8]:
    """The pixels of a PNG that `encode_png` made of so many: "RGB" gives uint8 (H, W, 3), "L" gives uint8 (H, W).

    Raises ArtefactError before anything is allocated if it is another size or kind, and on damage.
    """
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise ArtefactError(f"{width}x{height} pixels is not a size of an image")
    wrong = ArtefactError(f"the PNG is damaged, or not what dsr writes of {width}x{height} {mode} pixels")
    deflated = data[_BEFORE:-_BEHIND]
    if data != _png(height, width, mode, deflated):
        raise wrong
    inflate, stride = zlib.decompressobj(), 1 + width * len(mode)
    pixels = np.empty((height, stride - 1), np.uint8)
    rows = max(1, _AT_ONCE // stride)
    for top in range(0, height, rows):
        band = pixels[top : top + rows]
        size = len(band) * stride
        try:
            filtered = inflate.decompress(deflated, size + (top + rows >= height))  # one byte more than there may be
        except zlib.error:  # type: ignore[misc]  # its stubs do not know that this is an exception
            raise wrong from None
        if len(filtered) != size or filtered[::stride].strip(bytes([_UP])):
            raise wrong
        deflated = inflate.unconsumed_tail
        band[:] = np.frombuffer(filtered, np.uint8).reshape(len(band), stride)[:, 1:]
        for above, row in zip(pixels[max(0, top - 1) :], pixels[max(1, top) : top + rows]):
            row += above
    if not inflate.eof:
        raise wrong
    return pixels.reshape(height, width, 3) if mode == "RGB" else pixels


def _png(height: int, width: int, mode: str, deflated: bytes) -> bytes:
    """The whole file, see ISO/IEC 15948."""
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[mode], 0, 0, 0)
    return b"".join([_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", deflated), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return b"".join([struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)])
