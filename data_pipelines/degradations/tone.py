"""Colour and illumination: brightness curve, white balance, and how many levels there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dsr.data_pipelines.degradations.base import Distortion, LevelScale


@dataclass(frozen=True)
class Gamma(Distortion):
    """Another brightness curve: v / 255 to the power of the strength; above 1 darkens, below brightens."""

    name = "gamma"
    scale = LevelScale(0.1, 10, "an exponent")

    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return 255 * (values / 255) ** self.strength


@dataclass(frozen=True)
class WhiteBalance(Distortion):
    """A wrong white balance: the strength is how many times red is too strong against blue, the same in each image.

    Red is multiplied and blue divided by its square root; above 1 is too warm, below too cold.
    """

    name = "white-balance"
    scale = LevelScale(0.1, 10, "a ratio of red to blue")

    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return values * np.array([self.strength**0.5, 1, self.strength**-0.5])


@dataclass(frozen=True)
class BitDepth(Distortion):
    """Fewer levels: the strength is how many bits a value keeps. Levels are spread evenly from black to white."""

    name = "bit-depth"
    scale = LevelScale(1, 8, "bits")

    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        steps = 2.0**self.strength - 1
        return np.rint(values * (steps / 255)) * (255 / steps)
