"""Pictures for the codec tests."""

from __future__ import annotations

import numpy as np
import pytest


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture with smooth shading, edges and texture; uint8 RGB."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    shade = 90 + 60 * np.sin(rows / 17) + 50 * np.cos(columns / 23)
    blocks = 40 * ((rows // 13 + columns // 19) % 3)
    pixels = (shade + blocks)[..., None] * [0.9, 1.0, 0.7] + [10, 0, 40] + rng.normal(0, 4, (height, width, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    return scene(67, 101)
