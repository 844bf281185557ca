"""Image files taken apart: what the picture needs is checked, metadata are set aside, so that they cannot spoil it.

Decoders stumble over metadata that have nothing to do with the picture (Pillow: long texts and profiles, chunks with a
wrong checksum, odd EXIF values), and pass over damage to the picture itself (Pillow: checksums of PNG's picture data,
all warnings of libjpeg).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import simplejpeg

from dsr.data_pipelines.datasets import ifd

_MAX_PROFILE = _INFLATED_AT_ONCE = 1 << 24
_PNG_PICTURE = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row of each pass, and the steps from one to the next."""
_JPEG_PICTURE = {0xE0, 0xEE}
"""Of the application segments JFIF's and Adobe's, which say what the colours are."""


_HARMLESS = re.compile(
    "bad ICC|JFIF revision|Adobe color transform|Invalid SOS parameters|Inconsistent progression"
    "|: [12] extraneous bytes before marker 0xd9|extraneous bytes before marker 0x(e.|fe|db|c[0-2])"
    "|subsampling|color conversion|emory"
)
"""What libjpeg says that is no damage to the picture: of metadata, of junk between them, of a byte or two after the
last block, which the encoders of some cameras leave there, of ways to code that it can read; and what it cannot
check."""


class DamageError(ValueError):
    """What is damaged in a file."""


@dataclass(frozen=True)
class Parts:
    """picture: the file without metadata; exif, icc: its EXIF block and its colour profile, empty if it has none."""

    picture: bytes
    exif: bytes = b""
    icc: bytes = b""


def png_parts(data: bytes) -> Parts:
    """Take a PNG file apart. Raises DamageError where it is cut, or a chunk that is used has another checksum."""
    kept = [slice(0, 8)]
    found = {b"eXIf": b"", b"iCCP": b""}
    position, kind, view = 8, b"", memoryview(data)
    while kind != b"IEND":
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data) or position + 12 > len(data):
            raise DamageError("it is cut before its end")
        kind = data[position + 4 : position + 8]
        used = kind in _PNG_PICTURE or kind == b"eXIf" or not kind[0] & 0x20
        if used or kind in found:
            whole = zlib.crc32(view[position + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
            if used and not whole:
                raise DamageError(f"its {kind.decode('latin-1')} data have another checksum")
            if kind in found and whole:
                found[kind] = data[position + 8 : end - 4]
        if used and kind != b"eXIf":
            _keep(kept, position, end)
        position = end
    return Parts(_joined(data, kept), found[b"eXIf"], _inflated(found[b"iCCP"]))


def check_png(data: bytes) -> None:
    """Raise DamageError if the picture data of a PNG, inflated, are too short for it: Pillow leaves the rest black.

    `data` is what `png_parts` gives as the picture.
    """
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits, needed = depth * _PNG_SAMPLES.get(colour, 1), 0
    for x, y, dx, dy in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = (width - x + dx - 1) // dx, (height - y + dy - 1) // dy
        needed += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    stream, length, position = zlib.decompressobj(), 0, 8
    while position < len(data) and length < needed:
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        piece = data[position + 8 : end - 4] if data[position + 4 : position + 8] == b"IDAT" else b""
        while piece and not stream.eof and length < needed:
            length += len(stream.decompress(piece, _INFLATED_AT_ONCE))
            piece = stream.unconsumed_tail
        position = end
    if length < needed:
        raise DamageError(f"its picture data end after {length} of {needed} bytes")


def jpeg_parts(data: bytes) -> Parts:
    """Take a JPEG file apart; one whose header is out of order is left to the decoder."""
    kept, exif = [slice(0, 2)], b""
    profile: dict[int, bytes] = {}
    position = 2
    while True:
        start, position = position, max(data.find(b"\xff", position), position)  # libjpeg skips junk too
        while data[position : position + 1] == b"\xff":
            position += 1
        marker, length = data[position : position + 1], int.from_bytes(data[position + 1 : position + 3], "big")
        end = position + 1 + length
        # Without a length, and without a place in a header:
        bare = not marker or marker in b"\x00\x01" or 0xD0 <= marker[0] <= 0xD9
        if position == start or bare or length < 2 or end > len(data):
            return Parts(data, exif)
        if marker == b"\xda":
            _keep(kept, start, len(data))
            return Parts(_joined(data, kept), exif, b"".join(profile[number] for number in sorted(profile)))
        payload = data[position + 3 : end]
        if marker == b"\xe1" and payload.startswith(b"Exif\0\0"):
            exif = exif or payload
        if marker == b"\xe2" and payload.startswith(b"ICC_PROFILE\0") and len(payload) > 14:
            profile[payload[12]] = payload[14:]
        if not 0xE0 <= marker[0] <= 0xEF and marker != b"\xfe" or marker[0] in _JPEG_PICTURE:
            _keep(kept, start, end)
        position = end


def lossless_webp(data: bytes) -> bool:
    """Whether the (first) picture of a WebP file is coded without loss."""
    position = 12
    while position + 8 <= len(data):
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        # A frame of an animation has 16 bytes of its own before the chunk with the picture.
        position += 8 + (16 if kind == b"ANMF" else length + length % 2)
    return False


def check_jpeg(data: bytes) -> None:
    """Raise DamageError if libjpeg warns of damage when it decodes: it fills what is lost with something, and goes on.

    Costs about half of what decoding does: all of the entropy-coded data are read, an eighth of each side is made.
    """
    try:
        simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        if not _HARMLESS.search(str(error)):
            raise DamageError(str(error).rstrip(".")) from None


def check_tiff(data: bytes, fields: Mapping[int, Any]) -> None:
    """Raise DamageError if a strip or tile has another checksum, is a JPEG that libjpeg warns of, or is not there.

    That is by compression: Deflate, JPEG, and none. libtiff, which decodes what is compressed, stops reading before the
    checksum, and hides what libjpeg says. Other compressions say nothing that could be checked.
    """
    compression, tables = fields.get(ifd.COMPRESSION, ifd.UNCOMPRESSED), fields.get(ifd.JPEG_TABLES, b"")
    starts = fields.get(ifd.STRIP_OFFSETS) or fields.get(ifd.TILE_OFFSETS) or ()
    lengths = fields.get(ifd.STRIP_LENGTHS) or fields.get(ifd.TILE_LENGTHS) or ()
    needed, size = _blocks(fields)
    if compression == ifd.UNCOMPRESSED:
        # Pillow leaves black what is beyond the last one, and reads one that lies nowhere, as sparse files have them,
        # from the beginning of the file.
        if len(starts) < needed:
            raise DamageError(f"it has {len(starts)} of {needed} strips or tiles")
        if 0 in starts[:needed]:
            raise DamageError("a strip or tile of it has no data")
    for start, length in zip(starts[:needed], lengths):
        piece = data[start : start + length]
        if compression in ifd.DEFLATE:
            stream, left = zlib.decompressobj(), size + 1
            try:
                while piece and not stream.eof and left > 0:  # what comes behind is not looked at by libtiff either
                    left -= len(stream.decompress(piece, min(left, _INFLATED_AT_ONCE)))
                    piece = stream.unconsumed_tail
            except zlib.error as error:
                raise DamageError(str(error)) from None
        elif compression == ifd.JPEG:
            check_jpeg(tables[:-2] + piece[2:] if tables else piece)


def _blocks(fields: Mapping[int, Any]) -> tuple[int, int]:
    """How many strips or tiles the picture of a TIFF needs, and how many bytes each has at most, unpacked."""
    width, height = fields[ifd.WIDTH], fields[ifd.HEIGHT]
    if ifd.STRIP_OFFSETS in fields:
        columns, rows = width, min(fields.get(ifd.ROWS_PER_STRIP, height), height)
    else:
        columns, rows = fields.get(ifd.TILE_WIDTH, width), fields.get(ifd.TILE_HEIGHT, height)
    planes = fields.get(ifd.SAMPLES, 1) if fields.get(ifd.PLANAR) == ifd.SEPARATE else 1
    needed = -(-width // max(1, columns)) * -(-height // max(1, rows)) * planes
    return needed, rows * (columns * sum(fields.get(ifd.BITS, (1,))) + 7) // 8 + rows


def _keep(kept: list[slice], start: int, end: int) -> None:
    if kept[-1].stop == start:
        kept[-1] = slice(kept[-1].start, end)
    else:
        kept.append(slice(start, end))


def _joined(data: bytes, kept: list[slice]) -> bytes:
    whole = len(kept) == 1 and kept[0].stop == len(data)
    return data if whole else b"".join(data[part] for part in kept)


def _inflated(profile: bytes) -> bytes:
    _, _, packed = profile.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], _MAX_PROFILE)
    except zlib.error:
        return b""
