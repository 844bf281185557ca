"""Finding the quality at which a codec reaches a given rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsr.data_pipelines.codecs import codec_class, make_codec
from dsr.data_pipelines.codecs.base import Codec, CodecError

CONTINUOUS_STEPS = 16
"""Bisections of a continuous scale: the interval that is left is below the scatter of any rate controller."""


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


def find_quality(name: str, target_bpp: float, images: Sequence[np.ndarray], **options: Any) -> QualityMatch:
    """Finds the quality of codec `name` whose real rate on `images` is closest to `target_bpp`.

    Bisects the codec's scale, trusting that the rate rises along it, and encodes the images about log2(range) times.

    Args:
        name: A codec with a quality scale.
        target_bpp: Bits per pixel, of bytes really written.
        images: The sample, uint8 arrays of shape (height, width, 3).
        **options: Options of the codec, as for `make_codec`.

    Raises:
        CodecError: The codec has no scale, the sample is empty, or no quality reaches the rate; the text then gives the
            range within reach.
    """
    scale = codec_class(name).scale
    if scale is None:
        raise CodecError(f"codec {name} is lossless: it has no quality that could reach {target_bpp:g} bpp")
    if not len(images):
        raise CodecError(f"cannot find the quality of codec {name} for {target_bpp:g} bpp without sample images")
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    rates: dict[float, float] = {}

    def rate(quality: float) -> float:
        if quality not in rates:
            codec = make_codec(name, quality, **options)
            rates[quality] = 8 * sum(len(codec.encode(image)) for image in images) / pixels
        return rates[quality]

    offered = codec_class(name).offered(**options)
    if offered is not None:
        coarse, fine = offered[0], offered[-1]
    else:
        coarse, fine = (scale.low, scale.high) if scale.higher_is_better else (scale.high, scale.low)
    # Invariant: rate(below) < target <= rate(above). The ends are encoded only if the search arrives at them, because
    # the finest quality is slow and rarely wanted.
    below, above = coarse, fine
    for _ in range(CONTINUOUS_STEPS):
        if offered is not None:
            middle = offered[(offered.index(below) + offered.index(above)) // 2]
        else:
            middle = (below + above) // 2 if scale.integer else (below + above) / 2
        if middle in (below, above):
            break
        if rate(middle) < target_bpp:
            below = middle
        else:
            above = middle
    for end in {below, above} & {coarse, fine}:
        rate(end)
    if not min(rates.values()) <= target_bpp <= max(rates.values()):
        raise CodecError(
            f"codec {name} cannot reach {target_bpp:g} bpp on this sample: {scale.name} {coarse:g} gives "
            f"{rate(coarse):.4g} and {scale.name} {fine:g} gives {rate(fine):.4g} bpp"
        )
    best = min(rates, key=lambda quality: abs(rates[quality] - target_bpp))
    return QualityMatch(make_codec(name, best, **options), rates[best], target_bpp)
