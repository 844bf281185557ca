"""Which images of a split are shown."""

from __future__ import annotations


def spread(samples: int, images: int) -> dict[int, int]:
    """Of so many images as many samples as there can be, spread evenly: {position: number of the sample}."""
    shown = min(samples, images)
    return {int((n + 0.5) * images / shown): n for n in range(shown)}
