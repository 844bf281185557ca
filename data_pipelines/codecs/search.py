"""Finding the quality at which a codec reaches a given rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from dsr.data_pipelines.codecs import codec_class, make_codec
from dsr.data_pipelines.codecs.base import Codec, CodecError
from dsr.tfrecords.workers import available_cores

MAX_STEPS = 16
"""Bisections of a continuous scale: the interval that is left is below the scatter of any rate controller."""

NEAR_AN_END = 4
"""Steps after which an end of a continuous scale that was not encoded yet is so near that it is worth it."""

CLOSE = 0.001
"""Share of a rate by which a continuous scale may miss it."""


@dataclass(frozen=True)
class QualityMatch:
    """A codec at the quality whose rate on the sample is closest to the one asked for.

    Attributes:
        codec: The codec, made with that quality.
        bpp: Bits per pixel that it takes on the sample: all bits over all pixels.
        target_bpp: The rate that was asked for.
    """

    codec: Codec
    bpp: float
    target_bpp: float


def find_quality(
    name: str, target_bpp: float, images: Sequence[np.ndarray], pixels: Optional[int] = None, **options: Any
) -> QualityMatch:
    """Finds the quality of codec `name` whose real rate on `images` is closest to `target_bpp`.

    Searches the codec's scale, trusting that the rate rises along it: whole numbers by bisection, so that the images
    are encoded about log2(range) times, real ones by interpolating the logarithm of the rate: four to six times if that
    rises evenly, as msh's does, and up to MAX_STEPS + 1 times if the rate moves in steps, as JPEG 2000's does.

    Args:
        name: A codec with a quality scale.
        target_bpp: Bits per pixel, of bytes really written.
        images: The sample, uint8 arrays of shape (height, width, 3).
        pixels: Over which the bits are counted, where the images were larger before; by default those of the images.
        **options: Options of the codec, as for `make_codec`.

    Raises:
        CodecError: The codec has no scale, the sample is empty, or no quality reaches the rate; the text then gives the
            range within reach.
    """
    scale = codec_class(name).scale_with(**options)
    if scale is None:
        raise CodecError(f"codec {name} is lossless: it has no quality that could reach {target_bpp:g} bpp")
    if not len(images):
        raise CodecError(f"cannot find the quality of codec {name} for {target_bpp:g} bpp without sample images")
    pixels = pixels or sum(image.shape[0] * image.shape[1] for image in images)
    rates: dict[float, float] = {}

    def rate(quality: float) -> float:
        if quality not in rates:
            codec = make_codec(name, quality, **options)
            with ThreadPoolExecutor(available_cores()) as pool:
                rates[quality] = 8 * sum(map(len, pool.map(codec.encode, images))) / pixels
        return rates[quality]

    coarse, fine = (scale.low, scale.high) if scale.higher_is_better else (scale.high, scale.low)
    # Invariant: rate(below) < target <= rate(above). The ends are encoded only if the search arrives at them, because
    # the finest quality is slow and rarely wanted.
    below, above = coarse, fine
    weights, moved = (1.0, 1.0), below
    for step in range(MAX_STEPS):
        if not scale.integer and step == NEAR_AN_END and not rate(below) < target_bpp <= rate(above):
            break
        if scale.integer:
            middle = (below + above) // 2
        else:
            share = 0.5
            if below in rates and above in rates:
                share = math.log(target_bpp / rates[below]) / math.log(rates[above] / rates[below])
                share = weights[0] * share / (weights[0] * share + weights[1] * (1 - share))
            middle = below + share * (above - below)
        if middle in (below, above):
            break
        # An end that stays for a second time counts half as far off as it is, and so on (the Illinois algorithm): else
        # it stays for ever where the rate does not rise exponentially, and the steps become too small to arrive.
        if rate(middle) < target_bpp:
            weights = 1.0, (weights[1] / 2 if moved == below else 1.0)
            below = moved = middle
        else:
            weights = (weights[0] / 2 if moved == above else 1.0), 1.0
            above = moved = middle
        if not scale.integer and abs(rates[middle] / target_bpp - 1) < CLOSE:
            break
    for end in {below, above} & {coarse, fine}:
        rate(end)
    if not min(rates.values()) <= target_bpp <= max(rates.values()):
        raise CodecError(
            f"codec {name} cannot reach {target_bpp:g} bpp on this sample: {scale.name} {coarse:g} gives "
            f"{rate(coarse):.4g} and {scale.name} {fine:g} gives {rate(fine):.4g} bpp"
        )
    best = min(rates, key=lambda quality: abs(rates[quality] - target_bpp))
    return QualityMatch(make_codec(name, best, **options), rates[best], target_bpp)
