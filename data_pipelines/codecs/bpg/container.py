"""The BPG file: its header, its lengths and where the HEVC data lies (BPG specification 0.9.5, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from dsr.data_pipelines.codecs.base import CodecError

MAGIC = b"BPG\xfb"

PIXEL_FORMATS = ("gray", "4:2:0", "4:2:2", "4:4:4", "4:2:0 video", "4:2:2 video")
"""Chroma formats in the order of their codes; `video` formats site chroma on the even luma columns."""

COLOUR_SPACES = ("ycbcr_bt601", "rgb", "ycgco", "ycbcr_bt709", "ycbcr_bt2020")
"""Colour spaces in the order of their codes."""


EXIF, ICC, XMP, THUMBNAIL, ANIMATION = 1, 2, 3, 4, 5
"""Tags of extensions."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of a BPG file say.

    Attributes:
        width, height: Size in pixels.
        pixel_format: One of `PIXEL_FORMATS`.
        colour_space: One of `COLOUR_SPACES`.
        depth: Bits per sample, 8 to 14.
        alpha: None, `straight`, `premultiplied`, or `cmyk` if the second picture is the K plane of CMYK data.
        limited_range: Whether luma spans 16..235 (and chroma 16..240) instead of 0..255, at 8 bits.
        animation: Whether more pictures follow.
        has_length: Whether the file gives the length of its picture data; else the data goes on to the end of the file.
        extensions: (tag, payload) of each extension. EXIF is the TIFF structure, without a marker before it.
    """

    width: int
    height: int
    pixel_format: str
    colour_space: str = "ycbcr_bt601"
    depth: int = 8
    alpha: str | None = None
    limited_range: bool = False
    animation: bool = False
    has_length: bool = True
    extensions: tuple[tuple[int, bytes], ...] = ()


def write_ue7(value: int) -> bytes:
    """A ue7 number: groups of 7 bits, most significant first, all bytes but the last with their top bit set."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


class Cursor:
    """Reads numbers and blocks from the bytes of a file; raises CodecError where they end too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, length: int, what: str) -> bytes:
        if length > len(self.data) - self.position:
            raise CodecError(
                f"BPG file is cut: {what} needs {length} bytes, but only {len(self.data) - self.position} are left"
            )
        self.position += length
        return self.data[self.position - length : self.position]

    def ue7(self, what: str) -> int:
        """A ue7 number of at most 32 bits, in its shortest form as the specification demands."""
        value = 0
        for index in range(5):
            byte = self.take(1, what)[0]
            if index == 0 and byte == 0x80:
                break
            value = value << 7 | byte & 0x7F
            if byte < 0x80 and value < 1 << 32:
                return value
        raise CodecError(f"BPG file holds an endless or padded number for {what}")


def parse(data: bytes) -> tuple[Header, bytes]:
    """Splits a BPG file into its header and its HEVC data; raises CodecError if it is none or is cut."""
    cursor = Cursor(data)
    if data[:4] != MAGIC:
        raise CodecError(f"not a BPG file: it starts with {data[:4]!r} instead of {MAGIC!r}")
    cursor.position = 4
    flags1, flags2 = cursor.take(2, "the header")
    if flags1 >> 5 >= len(PIXEL_FORMATS) or flags2 >> 4 >= len(COLOUR_SPACES) or (flags1 & 15) > 6:
        raise CodecError("BPG file has an unknown pixel format, colour space or bit depth")
    alpha1, alpha2 = flags1 >> 4 & 1, flags2 >> 2 & 1
    width, height = cursor.ue7("the width"), cursor.ue7("the height")
    if not width or not height:
        raise CodecError(f"BPG file claims an empty picture of {width}x{height} pixels")
    length = cursor.ue7("the picture data length")
    extensions: list[tuple[int, bytes]] = []
    if flags2 >> 3 & 1:
        block = Cursor(cursor.take(cursor.ue7("the extension length"), "the extension data"))
        while block.position < len(block.data):
            tag = block.ue7("an extension tag")
            extensions.append((tag, block.take(block.ue7("an extension's length"), "an extension")))
    header = Header(
        width=width,
        height=height,
        pixel_format=PIXEL_FORMATS[flags1 >> 5],
        colour_space=COLOUR_SPACES[flags2 >> 4],
        depth=8 + (flags1 & 15),
        alpha=("premultiplied" if alpha2 else "straight") if alpha1 else ("cmyk" if alpha2 else None),
        limited_range=bool(flags2 >> 1 & 1),
        animation=bool(flags2 & 1),
        has_length=length > 0,
        extensions=tuple(extensions),
    )
    if header.pixel_format == "gray" and (header.colour_space != "ycbcr_bt601" or header.alpha == "cmyk"):
        raise CodecError("BPG file combines a gray picture with a colour space")
    return header, cursor.take(length or len(data) - cursor.position, "the picture data")


def serialise(header: Header, hevc: bytes) -> bytes:
    """A BPG file of one picture.

    The length of the picture data is written though the format allows to leave it out: for one byte or two it lets any
    decoder refuse a file that was cut.
    """
    alpha1, alpha2 = header.alpha in ("straight", "premultiplied"), header.alpha in ("premultiplied", "cmyk")
    flags1 = PIXEL_FORMATS.index(header.pixel_format) << 5 | alpha1 << 4 | header.depth - 8
    flags2 = COLOUR_SPACES.index(header.colour_space) << 4 | alpha2 << 2 | header.limited_range << 1
    extensions = b"".join(write_ue7(tag) + write_ue7(len(payload)) + payload for tag, payload in header.extensions)
    if extensions:
        flags2 |= 1 << 3
        extensions = write_ue7(len(extensions)) + extensions
    numbers = b"".join(map(write_ue7, (header.width, header.height, len(hevc))))
    return MAGIC + bytes([flags1, flags2]) + numbers + extensions + hevc
