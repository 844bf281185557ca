"""Noise of a sensor: of the light that it counts, and of its own electronics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dsr.data_pipelines.degradations.base import Distortion, LevelScale


@dataclass(frozen=True)
class ShotNoise(Distortion):
    """Light comes in photons; the strength is how many make white, so that fewer are worse.

    A value v, of 255, becomes a Poisson number of mean strength * v / 255, scaled back. Values are taken as they stand,
    as if they were linear in light.
    """

    name = "noise-shot"
    scale = LevelScale(1, 1e6, "photons that make white")

    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return random.poisson(values * (self.strength / 255)) * (255 / self.strength)


@dataclass(frozen=True)
class ReadNoise(Distortion):
    """Gaussian noise, the same at all brightnesses; the strength is its standard deviation in grey levels of 255."""

    name = "noise-read"
    scale = LevelScale(0.1, 128, "a standard deviation in grey levels")

    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return values + random.normal(0, self.strength, values.shape)
