"""Cutting large images into parts of one size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from dsr.data_pipelines.datasets.base import DatasetError, Sample


def spaced(length: int, part: int, count: int | None = None) -> list[int]:
    """Offsets of `count` parts of `part` pixels, evenly spaced from edge to edge of `length` pixels.

    Without `count`, as few as cover the whole length. Parts overlap where they have to. Needs 1 <= part <= length.
    """
    count = count or -(-length // part)
    return [round(i * (length - part) / max(count - 1, 1)) for i in range(count)]


def windows(
    height: Sequence[int], width: Sequence[int], part_height: int, part_width: int
) -> list[tuple[slice, slice]]:
    """(rows, columns) of each part, row by row, from the offsets of rows (`height`) and columns (`width`)."""
    return [(slice(y, y + part_height), slice(x, x + part_width)) for y in height for x in width]


def parts(whole: Iterable[Sample], count: Callable[[Sample], int]) -> list[Sample]:
    """The parts of whole images, `count` of each, sorted by key.

    An image that cannot be counted stays whole, with that flaw.
    """
    cut = []
    for sample in whole:
        try:
            cut += [replace(sample, key=f"{sample.key}/{part:04d}", part=part) for part in range(count(sample))]
        except DatasetError as error:
            cut.append(replace(sample, flaw=str(error)))
    return sorted(cut, key=lambda sample: (sample.key, sample.image))
