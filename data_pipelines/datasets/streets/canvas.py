"""The canvas of the drawn street scenes: a camera, the pixels it fills, and the light.

World coordinates are metres: X to the right of the road's centre line, Y up from the ground, Z ahead of the camera.
Facades and fences stand in planes X = const, so each image column sees one depth of them; the ground is Y = 0, so each
image row sees one depth of it; everything else stands upright at a depth of its own. Whatever is painted goes through
`Canvas.paint`, which writes colour and class with one mask: labels are exact by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST, GRASS = range(12)
NEAR = 2.0

Window = tuple[slice, slice]  # rows, columns
View = tuple[Window, np.ndarray, np.ndarray]  # a window and the metres that its pixels see on two axes
Color = np.ndarray  # float32 (3,), reflectance 0..1


def rgb(*values: float) -> Color:
    """A colour of three values from 0 to 255, float32 (3,)."""
    return np.array(values, np.float32)


class Canvas:
    """Colour, class and depth of each pixel, and the camera that looks at the world.

    rgb float32 (H, W, 3), labels uint8 (H, W), depth float32 (H, W) in metres. `across` (W,) and `down` (H,) are the
    slopes of each column's and row's line of sight, X / Z to the right and Y / Z downwards.
    """

    def __init__(self, height: int, width: int, rng: np.random.Generator, zoom: float = 1.0) -> None:
        focal = zoom * width * rng.uniform(0.8, 0.95)
        self.pixel = 1 / focal  # metres per pixel at 1 m
        self.across = ((np.arange(width) + 0.5 - width * rng.uniform(0.4, 0.6)) / focal).astype(np.float32)
        self.down = ((np.arange(height) + 0.5 - height * rng.uniform(0.44, 0.54)) / focal).astype(np.float32)
        self.eye = rng.uniform(1.45, 1.9)
        self.x = 0.0
        self.rgb = np.zeros((height, width, 3), np.float32)
        self.labels = np.full((height, width), SKY, np.uint8)
        self.depth = np.full((height, width), 1000, np.float32)

    def paint(self, window: Window, mask: np.ndarray, label: int, color: np.ndarray, depth: np.ndarray | float) -> None:
        """Set the pixels of `mask` in `window`; colour (..., 3) and depth broadcast against the window."""
        np.copyto(self.rgb[window], color, where=mask[..., None])
        np.copyto(self.labels[window], np.uint8(label), where=mask)
        np.copyto(self.depth[window], np.float32(depth), where=mask)

    def _rows(self, low: float, high: float, z: float) -> slice:
        """Rows that see heights low..high at depth z."""
        top, bottom = np.searchsorted(self.down, [(self.eye - high) / z, (self.eye - low) / z])
        return slice(int(top), int(bottom))

    def upright(self, x: float, z: float, left: float, right: float, low: float, high: float) -> View | None:
        """Window and metre grids of a rectangle facing the camera at (x, z): its X from `left` to `right` of x, its Y.

        Returns (window, X - x as (1, w), Y as (h, 1)), or None if no pixel sees it.
        """
        first, last = np.searchsorted(self.across, [(x + left - self.x) / z, (x + right - self.x) / z])
        rows = self._rows(low, high, z)
        if z < NEAR or first >= last or rows.start >= rows.stop:
            return None
        columns = slice(int(first), int(last))
        return (rows, columns), self.across[None, columns] * z + (self.x - x), self.eye - self.down[rows, None] * z

    def along(self, x: float, near: float, far: float, high: float) -> View | None:
        """Window and metre grids of an upright plane X = x from depth near to far, up to `high`.

        Returns (window, Z as (1, w), Y as (h, w)), or None if no pixel sees it.
        """
        side = x - self.x
        near = max(near, NEAR)
        if near >= far or abs(side) < 1e-3:
            return None
        first, last = np.searchsorted(self.across, sorted((side / near, side / far)))
        rows = (
            self._rows(0, high, near) if high > self.eye else slice(int(np.searchsorted(self.down, 0)), len(self.down))
        )
        if first >= last:
            return None
        columns = slice(int(first), int(last))
        z = side / self.across[None, columns]
        return (rows, columns), z, self.eye - self.down[rows, None] * z

    def ground(self, near: float, far: float) -> View | None:
        """Window and metre grids of the ground from depth near to far: (window, X (h, w), Z (h, 1)), or None."""
        top, bottom = np.searchsorted(self.down, [self.eye / far, self.eye / near])
        if top >= bottom:
            return None
        z = self.eye / self.down[top:bottom, None]
        return (slice(int(top), int(bottom)), slice(0, len(self.across))), self.x + self.across[None] * z, z


@dataclass(frozen=True)
class Light:
    """Sun from horizontal direction (x, z), its elevation's tangent, and how much light it leaves to a shadow."""

    x: float
    z: float
    slope: float
    shade: float
    tint: Color

    def on_side(self, side: int) -> float:
        """Brightness of a wall at X = side * const, which faces -side."""
        return self.shade + (1.08 - self.shade) * max(0.0, -side * self.x) ** 0.5

    @property
    def on_front(self) -> float:
        """Brightness of a surface that faces the camera."""
        return 0.5 + 0.5 * self.shade + 0.5 * (1.05 - self.shade) * max(0.0, -self.z) ** 0.5

    def across(self, u: np.ndarray) -> np.ndarray:
        """Brightness of an upright round thing at u from its left (-1) to its right (1) edge."""
        return self.on_front * (1 + 0.3 * self.x * (1 - self.shade) * 2 * np.clip(u, -1, 1))
