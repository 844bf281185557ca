"""How near one image is to another: PSNR and MS-SSIM in NumPy, fast enough to stand beside a codec.

`tf.image.ssim_multiscale` gives the same numbers; this module exists because worker processes that import TensorFlow
take seconds to start. See `dsr.models.losses` for the differentiable form.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]

PEAK = 255.0
# Wang, Simoncelli, Bovik: "Multiscale structural similarity for image quality assessment" (2003), section 3.2.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
_GRID = 256  # planes of twice as many rows or columns get windows at a distance, about so many a side
# Rows and columns of windows that are filtered at once: so many that maps stay in cache and matrix products are fast.
_MIN_ROWS, _MAX_ROWS, _COLUMNS = 8, 32, 32


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 arrays of one shape, over all their values; inf if they are equal.

    10 log10(255^2 / mean((a - b)^2)), the mean taken exactly in integers. Raises ValueError on unequal shapes.
    """
    _need_alike(a, b)
    squares = 0.0
    for top in range(0, len(a), _MAX_ROWS):
        rows = slice(top, top + _MAX_ROWS)
        difference = np.subtract(a[rows], b[rows], dtype=np.int16).ravel().astype(np.float64)
        squares += float(difference @ difference)
    return 10 * math.log10(PEAK**2 * a.size / squares) if squares else math.inf


def ms_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Multiscale structural similarity in [0, 1] of two uint8 images (H, W, 3): 1 if they are equal.

    Five scales, a Gaussian window of 11x11 with sigma 1.5 that stays inside the image, every channel by itself and then
    their mean, negative terms cut to 0. The fifth scale needs a shorter side of 176 = 11 * 2^4: smaller images get
    the scales that fit, with their weights scaled to sum 1; below 11 pixels the window shrinks to the image.

    The mean is over all positions of the window at scales whose shorter side has less than 512 pixels, and over
    positions 3, 5, 7... pixels apart at larger ones, at least 168 along each side. At 2048x1024 that takes a third of
    the time and moves photographs through BPG and JPEG by 1e-5 on average and 1.3e-4 at most; only a pattern that
    repeats with the very same distance over the whole image moves by more (2e-3 was seen). Raises ValueError on unequal
    shapes.
    """
    _need_alike(a, b)
    side = min(a.shape[:2])
    weights = [w for scale, w in enumerate(SCALE_WEIGHTS) if scale == 0 or side >= WINDOW << scale]
    similarities = []
    # Plane by plane, because filters want neighbours side by side.
    for x, y in zip(*(np.ascontiguousarray(np.moveaxis(image, -1, 0)) for image in (a, b))):
        similarity = 1.0
        for scale, weight in enumerate(weights):
            if scale:
                x, y = _halved(x), _halved(y)
            term = _similarity(x, y, PEAK * 4**scale, with_luminance=scale == len(weights) - 1)
            similarity *= max(term, 0.0) ** (weight / sum(weights))
        similarities.append(similarity)
    return float(np.mean(similarities))


def to_db(similarity: float) -> float:
    """MS-SSIM on a logarithmic scale, -10 log10(1 - similarity): 0.99 is 20 dB; inf for 1."""
    return -10 * math.log10(1 - similarity) if similarity < 1 else math.inf


def _need_alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
    if a.shape != b.shape or a.dtype != np.uint8 or b.dtype != np.uint8 or a.size == 0:
        raise ValueError(f"two uint8 images of one size are needed, not {a.dtype} {a.shape} and {b.dtype} {b.shape}")


def _similarity(x: Plane, y: Plane, peak: float, with_luminance: bool) -> float:
    """The mean of SSIM over the windows, or of its contrast-structure factor alone; `peak` is white.

    Both factors are 2 xy / (x^2 + y^2) of moments of x and y. In s = x + y and d = x - y that is (s^2 - d^2) / (s^2 +
    d^2), which takes four filtered maps instead of five.
    """

    def ratio(moments: Plane, constant: float) -> Plane:
        s, d = moments
        return (s - d + 2 * constant) / (s + d + 2 * constant)

    total = count = 0.0
    for maps in _filtered(x, y):
        squared_means = maps[:2] * maps[:2]
        similarity = ratio(maps[2:] - squared_means, (K2 * peak) ** 2)
        if with_luminance:
            similarity *= ratio(squared_means, (K1 * peak) ** 2)
        total += float(similarity.sum(dtype=np.float64))
        count += similarity.size
    return total / count


def _filtered(x: Plane, y: Plane) -> Iterator[Plane]:
    """The weighted means of s, d, s^2 and d^2 under the windows: (4, rows, columns), a strip of windows at a time.

    Both passes of the separable filter are products with small band matrices, several times as fast as scipy.ndimage.
    """
    taps = min(WINDOW, *x.shape)
    step = min(x.shape) // _GRID | 1  # odd, so that windows meet a codec's blocks of 2^n pixels at all places alike
    height, width = ((size - taps) // step + 1 for size in x.shape)
    strip = max(_MIN_ROWS, _MAX_ROWS // step)
    down, across = _band(strip, taps, step), np.ascontiguousarray(_band(_COLUMNS, taps, step).T)
    maps = np.empty((4, down.shape[1], x.shape[1]), np.float32)
    halfway = np.empty((4, strip, x.shape[1]), np.float32)
    filtered = np.empty((4, strip, width), np.float32)
    for top in range(0, height, strip):
        rows = min(strip, height - top)
        high = (rows - 1) * step + taps
        under = slice(top * step, top * step + high)
        one, other = x[under].astype(np.float32), y[under].astype(np.float32)
        np.add(one, other, out=maps[0, :high])
        np.subtract(one, other, out=maps[1, :high])
        np.multiply(maps[:2, :high], maps[:2, :high], out=maps[2:, :high])
        np.matmul(down[:rows, :high], maps[:, :high], out=halfway[:, :rows])
        for left in range(0, width, _COLUMNS):
            columns = min(_COLUMNS, width - left)
            wide = (columns - 1) * step + taps
            part = halfway[:, :rows, left * step : left * step + wide]
            np.matmul(part, across[:wide, :columns], out=filtered[:, :rows, left : left + columns])
        yield filtered[:, :rows]


def _band(windows: int, taps: int, step: int) -> Plane:
    """The matrix (windows, values under them) that filters a line with Gaussian windows `step` apart."""
    offset = np.arange(taps) - (taps - 1) / 2
    window = np.exp(-(offset**2) / (2 * SIGMA**2))
    band = np.zeros((windows, (windows - 1) * step + taps), np.float32)
    for number in range(windows):
        band[number, number * step : number * step + taps] = window / window.sum()
    return band


def _halved(plane: Plane) -> Plane:
    """Sums of 2x2 values, (H, W) to (ceil(H/2), ceil(W/2)): an odd last row or column counts twice.

    Sums and not means, because four halvings of 8 bits just fit into the 16 of integers, where they are fast and exact.
    """
    height, width = plane.shape
    if height % 2 or width % 2:
        plane = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    rows = np.add(plane[::2], plane[1::2], dtype=np.uint16)
    return rows[:, ::2] + rows[:, 1::2]
