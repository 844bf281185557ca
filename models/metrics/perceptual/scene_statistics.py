"""Statistics of natural scenes: local luminance normalised by its surroundings, and how its values are distributed.

Mittal, Soundararajan, Bovik: "Making a completely blind image quality analyzer" (IEEE Signal Processing Letters, 2013),
section II, and Lasmar, Stitou, Berthoumieu: "Multiscale skewed heavy tailed model for texture analysis" (ICIP 2009) for
the estimator of the asymmetric distribution.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import correlate1d
from scipy.special import gamma

Plane = NDArray[Any]

SIGMA, RADIUS = 7 / 6, 3
"""Of the Gaussian window of 7x7, cut off at 3 sigma as in section II-A."""

STABILIZER = 1.0
"""Added to the deviation (equation 1), so that flat places do not become noise; for luminance from 0 to 255."""

SHAPES = np.arange(0.2, 10.0005, 0.001)
"""Shapes of generalised Gaussians among which the estimator looks: 1 is Laplace's, 2 is Gauss's."""

_RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))
_WINDOW = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
_WINDOW /= _WINDOW.sum()
# Bicubic interpolation (a = -1/2) halfway between two pixels, stretched by 2 so that it averages away what half the
# resolution cannot hold: what MATLAB's imresize(x, 0.5) does.
_HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of BT.601, rounded: uint8 (H, W) of an RGB image, uint8 (H, W, 3). Raises ValueError for anything else."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(f"a uint8 image (H, W, 3) is needed, not {pixels.dtype} {pixels.shape}")
    return np.asarray(Image.fromarray(pixels).convert("L"))


def normalized(plane: Plane) -> tuple[Plane, Plane]:
    """Luminance less its local mean, over its local deviation (equations 1-3), and that deviation; both (H, W).

    float64 throughout: the variance is a difference of two numbers of up to 65025. Edges are repeated outwards.
    """
    mean = _blurred(plane)
    deviation = np.sqrt(np.abs(_blurred(plane * plane) - mean * mean))
    return (plane - mean) / (deviation + STABILIZER), deviation


def halved(plane: Plane) -> Plane:
    """Half the resolution, (H, W) to (H/2, W/2) for even H and W: bicubic with antialiasing, edges mirrored."""
    for axis in (0, 1):
        taps = np.moveaxis(plane, axis, 0)
        taps = np.concatenate([taps[2::-1], taps, taps[:-4:-1]])
        half = sum(weight * taps[tap : len(taps) - 7 + tap : 2] for tap, weight in enumerate(_HALVING))
        plane = np.moveaxis(half, 0, axis)
    return plane


def asymmetric_gaussian(values: Plane) -> tuple[Plane, Plane, Plane]:
    """Shape and the two scales of the asymmetric generalised Gaussian that fits each row, by its moments.

    Its density is proportional to exp(-(-x / left)^shape) below 0 and to exp(-(x / right)^shape) above (equation 6);
    with left = right it is the generalised Gaussian.

    Args:
      values: float (N, M).

    Returns:
      Shape, in the range of `SHAPES`, left and right scale, each (N,); not finite for a row without values on either
      side of 0.
    """
    below, above = np.minimum(values, 0), np.maximum(values, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.sqrt(_squares(below) / np.count_nonzero(below, axis=1))
        right = np.sqrt(_squares(above) / np.count_nonzero(above, axis=1))
        skew = left / right
        ratio = np.abs(values).mean(axis=1) ** 2 / (_squares(values) / values.shape[1])
        ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = np.interp(ratio, _RATIOS, SHAPES)
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


def _blurred(plane: Plane) -> Plane:
    return correlate1d(correlate1d(plane, _WINDOW, axis=0, mode="nearest"), _WINDOW, axis=1, mode="nearest")


def _squares(values: Plane) -> Plane:
    return np.einsum("nm,nm->n", values, values)
