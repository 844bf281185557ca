"""The boxes of ISO base media files, which AVIF and JPEG 2000 files are made of."""

from __future__ import annotations

from collections.abc import Iterator

MAX_BOXES = 1 << 16
"""In one box; a hostile file may consist of nothing else."""


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and start and end of the payload in `data`, of each box from `start` to `end`.

    Raises ValueError for a box that reaches beyond `end`, or more than `MAX_BOXES`.
    """
    for _ in range(MAX_BOXES):
        if start >= end:
            return
        length, kind, payload = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], start + 8
        if length == 1:
            length, payload = int.from_bytes(data[payload : payload + 8], "big"), payload + 8
        stop = start + length if length else end  # the last one may go on to the end
        if not payload <= stop <= end:
            raise ValueError(f"its box {kind.decode('latin-1')!r} is cut")
        yield kind, payload, stop
        start = stop
    raise ValueError(f"it has more than {MAX_BOXES} boxes")
