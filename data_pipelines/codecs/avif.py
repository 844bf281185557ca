"""AVIF."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import AvifImagePlugin

from dsr.data_pipelines.codecs.base import Inspection, QualityScale, option
from dsr.data_pipelines.codecs.boxes import boxes
from dsr.data_pipelines.codecs.pillow import SUBSAMPLINGS, PillowCodec

CHROMAS = {0b000: "4:4:4", 0b010: "4:2:2", 0b011: "4:2:0", 0b111: "gray"}
"""Bits `monochrome`, `chroma_subsampling_x` and `chroma_subsampling_y` of the AV1 configuration."""

MAX_HEADER = 1 << 24
"""Bytes of a box that describes pictures; what lies beside it is the pictures."""

_HIGH, _TWELVE = 0x40, 0x20
"""Bits `high_bitdepth` and `twelve_bit` of the AV1 configuration."""

_TRACK = (
    *((kind, 0) for kind in (b"trak", b"mdia", b"minf", b"stbl")),
    *((b"stsd", 8), (b"av01", 78), (b"av1C", 0)),
)
"""Where the AV1 configuration of a sequence's frames lies: boxes, and the bytes in each before the first of its own."""


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
        return bitstream[4:8] == b"ftyp" and b"avif" in _brands(bitstream)

    @classmethod
    def inspect(cls, bitstream: bytes) -> Inspection:
        found = super().inspect(bitstream)
        try:
            flags = _flags(bitstream)[0]
        except (IndexError, ValueError) as error:
            raise cls._broken(error) from error
        return dataclasses.replace(found, chroma=CHROMAS.get(flags >> 2 & 0b111))

    @classmethod
    def depth(cls, bitstream: bytes) -> int:
        return max((12 if flags & _TWELVE else 10) if flags & _HIGH else 8 for flags in _flags(bitstream))


def _brands(data: bytes) -> list[bytes]:
    box = data[: min(int.from_bytes(data[:4], "big"), 256)]
    return [box[start : start + 4] for start in range(8, len(box), 4)]


def _flags(data: bytes) -> list[int]:
    """The third byte of the AV1 configuration of the picture, and of each frame of a sequence.

    Raises ValueError where there is none, IndexError where it is cut.
    """
    found = []
    wanted = {b"meta", b"moov"} if b"avis" in _brands(data) else {b"meta"}
    for kind, start, end in boxes(data, 0, len(data)):
        if kind in wanted and end - start > MAX_HEADER:
            raise ValueError(f"its header has {end - start} bytes")
        if kind == b"meta":
            found += list(_of_picture(data, start + 4, end))
        if kind == b"moov" and kind in wanted:
            found += [data[at + 2] for at, _ in _within(data, start, end, _TRACK)]
        wanted.discard(kind)
        if not wanted:  # what comes after it may be anything
            break
    if not found:
        raise ValueError("it does not say how many bits a sample has")
    return found


def _of_picture(data: bytes, start: int, end: int) -> Iterator[int]:
    """The flags of the primary item, or of the tiles that it is put together from."""
    parts = {kind: (at, stop) for kind, at, stop in boxes(data, start, end)}
    if not {b"pitm", b"iprp"} <= parts.keys():
        return
    at, stop = parts[b"pitm"]
    primary = int.from_bytes(data[at + 4 : stop][: 4 if data[at] else 2], "big")
    shown = {primary, *(_tiles(data, *parts[b"iref"], primary) if b"iref" in parts else ())}
    properties: list[tuple[bytes, int, int]] = []
    for kind, at, stop in boxes(data, *parts[b"iprp"]):
        if kind == b"ipco":
            properties = list(boxes(data, at, stop))
        if kind == b"ipma":
            for item, number in _associations(data, at, stop):
                if item in shown and 0 < number <= len(properties) and properties[number - 1][0] == b"av1C":
                    yield data[properties[number - 1][1] + 2]


def _tiles(data: bytes, start: int, end: int, whole: int) -> Iterator[int]:
    """The items that the item `whole` is derived from."""
    size = 4 if data[start] else 2
    for kind, at, stop in boxes(data, start + 4, end):
        if kind == b"dimg" and int.from_bytes(data[at : at + size], "big") == whole:
            for tile in range(at + size + 2, stop, size):
                yield int.from_bytes(data[tile : tile + size], "big")


def _associations(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(item, number of a property, from 1) of a box `ipma`."""
    item_size, size = 4 if data[start] else 2, 2 if data[start + 3] & 1 else 1
    at = start + 8
    while at < end:
        item, count = int.from_bytes(data[at : at + item_size], "big"), data[at + item_size]
        at += item_size + 1
        for place in range(at, min(at + count * size, end), size):
            number = int.from_bytes(data[place : place + size], "big")
            yield item, number & (0x7FFF if size == 2 else 0x7F)  # the top bit says whether it is essential
        at += count * size


def _within(data: bytes, start: int, end: int, path: tuple[tuple[bytes, int], ...]) -> Iterator[tuple[int, int]]:
    """Start and end of what the boxes hold that lie one in the other as `path` says, less what it says to skip."""
    if not path:
        yield start, end
        return
    (wanted, skipped), *rest = path
    for kind, at, stop in boxes(data, start, end):
        if kind == wanted:
            yield from _within(data, at + skipped, stop, tuple(rest))
