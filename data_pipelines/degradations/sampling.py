"""Fewer pixels: what a device does that sends a smaller picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from dsr.data_pipelines.degradations.base import Distortion, LevelScale


@dataclass(frozen=True)
class Downsample(Distortion):
    """Reduced and enlarged again; the strength is by how much, along each side.

    Reduced by averaging over what a small pixel covers, enlarged bicubically. In a `Chain`, what follows sees the small
    picture, and what is enlarged is what became of it.
    """

    name = "downsample"
    scale = LevelScale(1, 32, "a factor")

    def shrink(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 (height, width, 3) to the small picture, of at least one pixel."""
        height, width = (max(1, round(side / self.strength)) for side in pixels.shape[:2])
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))

    def enlarge(self, pixels: np.ndarray, height: int, width: int) -> np.ndarray:
        """The small picture to uint8 (height, width, 3)."""
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))

    def distort(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        pixels = values.astype(np.uint8)
        return self.enlarge(self.shrink(pixels), *pixels.shape[:2]).astype(np.float64)
