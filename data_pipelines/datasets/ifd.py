"""The first directory of a TIFF file, and the EXIF orientation, which stands in one."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

SUBFILE_TYPE = 254
WIDTH = 256
HEIGHT = 257
BITS = 258
COMPRESSION = 259
PHOTOMETRIC = 262
STRIP_OFFSETS = 273
ORIENTATION = 274
SAMPLES = 277
ROWS_PER_STRIP = 278
STRIP_LENGTHS = 279
PLANAR = 284
TILE_WIDTH = 322
TILE_HEIGHT = 323
TILE_OFFSETS = 324
TILE_LENGTHS = 325
EXTRA_SAMPLES = 338
SAMPLE_FORMAT = 339
JPEG_TABLES = 347

UNCOMPRESSED, OLD_JPEG, JPEG, DEFLATE = 1, 6, 7, (8, 32946)  # COMPRESSION
SIGNED = 2  # SAMPLE_FORMAT: two's complement
SEPARATE = 2  # PLANAR: each sample has strips or tiles of its own
REDUCED = 1  # SUBFILE_TYPE: a bit for a smaller version of another page
MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2  # PHOTOMETRIC

_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q"}  # BYTE, SHORT, LONG, signed, LONG8
_MAX_VALUES = 64
"""No field that is asked for has more."""
_HEADER = b"Exif\0\0"


class Directory(dict[int, list[int]]):
    """Tag -> its values, of the fields that hold integers.

    `places` says where in the file the values stand, and as what.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[int, tuple[int, str]] = {}

    def first(self, tag: int, default: int) -> int:
        """The first value of a field, or `default` if the directory does not have it."""
        return self.get(tag, [default])[0]

    @property
    def orientation(self) -> int:
        """1 (upright) to 8, as EXIF and TIFF number them; 1 for what is none."""
        value = self.first(ORIENTATION, 1)
        return value if 1 <= value <= 8 else 1


def first_directory(file: BinaryIO) -> Directory:
    """Read the first directory of a TIFF or BigTIFF file. Raises ValueError if there is none."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    try:
        (magic,) = struct.unpack_from(order + "H", head, 2)
        big = magic == 43
        if not order or magic not in (42, 43):
            raise ValueError("it does not begin like a TIFF file")
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
        counting, entry = ("Q", "HHQ8s") if big else ("H", "HHI4s")
        file.seek(start)
        (count,) = struct.unpack(order + counting, file.read(struct.calcsize(order + counting)))
        size = struct.calcsize(order + entry)
        start += struct.calcsize(order + counting)
        entries = file.read(min(count, 65536) * size)
        directory = Directory()
        for number in range(len(entries) // size):
            tag, kind, length, inline = struct.unpack_from(order + entry, entries, number * size)
            code = _INTEGERS.get(kind)
            if code is None or not 1 <= length <= _MAX_VALUES or tag in directory:
                continue
            form = f"{order}{length}{code}"
            offset = start + (number + 1) * size - len(inline)
            if struct.calcsize(form) > len(inline):
                (offset,) = struct.unpack(order + ("Q" if big else "I"), inline)
                file.seek(offset)
                inline = file.read(struct.calcsize(form))
            if len(inline) >= struct.calcsize(form):
                directory[tag] = list(struct.unpack_from(form, inline))
                directory.places[tag] = offset, order + code
    except (struct.error, OverflowError, OSError) as error:
        raise ValueError(f"its directory cannot be read ({error})") from None
    return directory


def exif_orientation(exif: bytes) -> int:
    """The orientation that an EXIF block (with or without its "Exif" header) gives, 1 if it gives none that is one.

    Only this field is read, so that no other value in the block, however odd, can hide it.
    """
    try:
        return first_directory(io.BytesIO(without_header(exif))).orientation
    except ValueError:
        return 1


def without_header(exif: bytes) -> bytes:
    """An EXIF block without the header that JPEG puts before it, which some programs write more than once."""
    start = 0
    while exif.startswith(_HEADER, start):
        start += len(_HEADER)
    return exif[start:]


def upright(tiff: bytes, directory: Directory) -> bytes:
    """The same TIFF file with its orientation set to 1, so that a decoder leaves the samples as they are stored."""
    if directory.orientation == 1:
        return tiff
    changed = bytearray(tiff)
    offset, form = directory.places[ORIENTATION]
    struct.pack_into(form, changed, offset, 1)
    return bytes(changed)
