"""Light that does not come to a point: Gaussian, out of focus, and moved while the shutter was open."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dsr.data_pipelines.degradations.base import Distortion, LevelScale

SAMPLES = 16
"""Places a pixel at which the area of a kernel is sampled, in each direction."""


@dataclass(frozen=True)
class GaussianBlur(Distortion):
    """A Gaussian point spread; the strength is its standard deviation in pixels. Borders are mirrored."""

    name = "blur-gaussian"
    scale = LevelScale(0.1, 50, "a standard deviation in pixels")

    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        from scipy.ndimage import gaussian_filter

        return gaussian_filter(values, (self.strength, self.strength, 0), mode="mirror")


@dataclass(frozen=True)
class DefocusBlur(Distortion):
    """A uniform disk, as a lens that is out of focus makes of a point; the strength is its radius in pixels."""

    name = "blur-defocus"
    scale = LevelScale(0.5, 30, "a radius in pixels")

    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        reach = math.ceil(self.strength + 0.5)
        places = (np.arange((2 * reach + 1) * SAMPLES) + 0.5) / SAMPLES - reach - 0.5
        inside = places[:, None] ** 2 + places[None, :] ** 2 <= self.strength**2
        return _spread(values, _pixels(inside))


@dataclass(frozen=True)
class MotionBlur(Distortion):
    """A uniform line, as a point that moves while the shutter is open; the strength is its length in pixels.

    The direction is random, so that a dataset has all of them.
    """

    name = "blur-motion"
    scale = LevelScale(1, 100, "a length in pixels")

    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        angle = random.uniform(0, math.pi)
        reach = math.ceil(self.strength / 2 + 1)
        places = np.linspace(-self.strength / 2, self.strength / 2, 1 + SAMPLES * math.ceil(self.strength))
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
        for down, across in zip(reach + places * math.sin(angle), reach + places * math.cos(angle)):
            top, left = int(down), int(across)
            below, right = down - top, across - left
            kernel[top : top + 2, left : left + 2] += np.outer([1 - below, below], [1 - right, right])
        return _spread(values, kernel)


def _pixels(samples: np.ndarray) -> np.ndarray:
    side = len(samples) // SAMPLES
    return samples.reshape(side, SAMPLES, side, SAMPLES).mean(axis=(1, 3))


def _spread(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """`values` with every point spread out to `kernel`, float64 (odd, odd), whose sum becomes one.

    Borders are mirrored.
    """
    from scipy.ndimage import convolve

    kernel = kernel / kernel.sum()
    return np.stack([convolve(values[..., channel], kernel, mode="mirror") for channel in range(3)], axis=-1)
