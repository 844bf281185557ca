"""A picture with the statistics of natural scenes, drawn: textured leaves of all sizes that hide one another."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter


def leaves(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 (H, W, 3): discs with radii of density r^-3 (Lee, Mumford, Huang 2001), and a texture of spectrum 1/f."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width, 3), 128.0)
    for radius in 2 / np.sqrt(rng.uniform(0.001, 1, height * width // 25)):
        row, column = rng.uniform(0, height), rng.uniform(0, width)
        top, bottom = (int(np.clip(row + r, 0, height)) for r in (-radius, radius + 1))
        left, right = (int(np.clip(column + r, 0, width)) for r in (-radius, radius + 1))
        box = np.s_[top:bottom, left:right]
        image[box][(y[box] - row) ** 2 + (x[box] - column) ** 2 < radius**2] = rng.normal(122, 27) + rng.normal(0, 7, 3)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height)))
    frequency[0, 0] = 1
    texture = np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) / frequency).real
    image = gaussian_filter(image, (0.6, 0.6, 0)) + (15 * texture / texture.std())[..., None]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.rint(gaussian_filter(pixels.astype(float), (sigma, sigma, 0))).astype(np.uint8)


def noisy(pixels: np.ndarray, deviation: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, deviation, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def by_level(pixels: np.ndarray, kind: str) -> list[np.ndarray]:
    """The picture, then ever worse ones."""
    change, levels = {"blur": (blurred, (1, 4)), "noise": (noisy, (10, 40)), "jpeg": (through_jpeg, (20, 5))}[kind]
    return [pixels, *(change(pixels, level) for level in levels)]
