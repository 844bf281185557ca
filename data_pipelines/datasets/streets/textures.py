"""The fine structure of the drawn street scenes: small periodic tiles, looked up in metres.

A tile is a pattern of known metric size around mean 1, multiplied onto a material's colour, so that two materials may
share their mean colour and still differ by texture. Each tile is a mip pyramid: a pixel that covers more than a texel
reads a level averaged to its footprint, so patterns fade with distance instead of aliasing, as in a photograph.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

SIZE = 256
LEVELS = 9  # 256 texels down to 1


@dataclass(frozen=True)
class Tile:
    """texels: all levels of the pyramid, flat float32; offsets: where each begins; texel: metres per finest texel."""

    texels: np.ndarray
    offsets: np.ndarray
    texel: float

    def __call__(self, x: np.ndarray, y: np.ndarray, footprint: np.ndarray | float) -> np.ndarray:
        """Value at (x, y), metres, for pixels `footprint` metres wide; the three broadcast. float32."""
        # frexp's exponent is the level whose texel is just larger than the footprint.
        level = np.clip(np.frexp(footprint * np.float32(0.75 / self.texel))[1], 0, LEVELS - 1)
        column = np.floor(x * np.float32(1 / self.texel)).astype(np.int32) & SIZE - 1
        row = np.floor(y * np.float32(1 / self.texel)).astype(np.int32) & SIZE - 1
        return self.texels[self.offsets[level] + ((row >> level) << (8 - level)) + (column >> level)]


def _tile(pattern: np.ndarray, metres: float, mean_one: bool = True) -> Tile:
    level = pattern.astype(np.float32) / (pattern.mean() if mean_one else 1)
    pyramid, offsets = [], [0]
    for _ in range(LEVELS):
        pyramid.append(level.ravel())
        offsets.append(offsets[-1] + level.size)
        if level.shape[0] > 1:
            level = level.reshape(level.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))
    return Tile(np.concatenate(pyramid).astype(np.float32), np.array(offsets[:-1], np.int32), metres / SIZE)


def _noise(rng: np.random.Generator, rows: float, columns: float | None = None) -> np.ndarray:
    """Periodic Gaussian noise, zero mean, unit deviation, with features of about `rows` x `columns` texels."""
    columns = rows if columns is None else columns
    fy, fx = np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None]
    smooth = np.exp(-((fy * rows) ** 2 + (fx * columns) ** 2) * 4)
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * smooth, (SIZE, SIZE))
    return (noise - noise.mean()) / noise.std()


def _leaves(rng: np.random.Generator, count: int, length: float) -> np.ndarray:
    """Overlapping elliptic leaves, each of one brightness, over dark depths."""
    shade = np.full((SIZE, SIZE), 0.25)
    grid = np.arange(-12, 13)
    dy, dx = np.meshgrid(grid, grid, indexing="ij")
    for angle, size, value, y, x in zip(
        rng.uniform(0, np.pi, count),
        rng.uniform(0.6, 1.3, count) * length,
        np.sort(rng.uniform(0.35, 1.6, count)),  # the brighter, the nearer to the light: drawn later
        rng.integers(0, SIZE, count),
        rng.integers(0, SIZE, count),
    ):
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        inside = (along / size) ** 2 + (across / (0.5 * size)) ** 2 < 1
        shade[(y + dy[inside]) % SIZE, (x + dx[inside]) % SIZE] = value
    return shade


def _cells(
    rows: int, columns: int, joint: int, rng: np.random.Generator, spread: float, bond: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(brightness of each cell, mask of the joints) of a wall of cells; `bond` shifts odd rows by half."""
    y, x = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    height, width = SIZE // rows, SIZE // columns
    row = y // height
    x = (x + (row % 2) * (width // 2 if bond else 0)) % SIZE
    values = rng.normal(1, spread, (rows, columns))
    return values[row, x // width], (y % height < joint) | (x % width < joint)


@functools.cache
def tiles() -> dict[str, Tile]:
    """All tiles, made once a process, always the same: a scene's variation is in where it looks them up."""
    rng = np.random.default_rng(20200318)
    grain = rng.standard_normal((SIZE, SIZE))
    result = {
        "asphalt": _tile(np.clip(1 + 0.16 * _noise(rng, 1.2) + 0.10 * grain + 0.04 * _noise(rng, 24), 0.3, 2), 2.6),
        "plaster": _tile(1 + 0.02 * grain + 0.03 * _noise(rng, 30), 4.0),
        "stains": _tile(np.clip(1 + 0.10 * _noise(rng, 28) + 0.06 * _noise(rng, 9), 0.5, 1.5), 12.0),
        "bark": _tile(np.clip(1 + 0.3 * _noise(rng, 14, 2), 0.2, 2), 1.2),
        "grass": _tile(np.clip(1 + 0.32 * _noise(rng, 4, 1.2) + 0.15 * _noise(rng, 12), 0.2, 2.2), 1.6),
        "foliage": _tile(_leaves(rng, 2600, 5.5) * (1 + 0.18 * _noise(rng, 30)), 3.2),
        "hedge": _tile(_leaves(rng, 3200, 4) * (1 + 0.08 * _noise(rng, 20)), 2.2),
        "ruffle": _tile(_leaves(rng, 500, 10) + 0.25 * _noise(rng, 14), 3.2),
        "cloth": _tile(1 + 0.10 * _noise(rng, 10, 3) + 0.05 * grain, 0.8),
        "clouds": _tile(
            np.sum([0.55 * 2.0**-i * _noise(rng, 90 / 2**i) for i in range(5)], axis=0), 256.0, mean_one=False
        ),
    }
    brick, joints = _cells(32, 8, 2, rng, 0.16, bond=True)
    result["brick"] = _tile(brick * (1 + 0.05 * grain), 2.4)
    result["mortar"] = _tile(joints, 2.4, mean_one=False)
    slab, joints = _cells(4, 4, 3, rng, 0.05, bond=True)
    result["slabs"] = _tile(slab * (1 - 0.45 * joints) + 0.025 * grain, 2.4)
    shingle, joints = _cells(16, 16, 4, rng, 0.10, bond=True)
    result["shingles"] = _tile(shingle * (1 - 0.4 * joints), 4.0)
    board, joints = _cells(1, 16, 2, rng, 0.07, bond=False)
    result["boards"] = _tile(board * (1 - 0.65 * joints) * (1 + 0.05 * _noise(rng, 30, 2)), 2.0)
    return result
