"""How near one image is to another: PSNR and MS-SSIM in NumPy, fast enough to stand beside a codec.

`tf.image.ssim_multiscale` gives the same numbers; this module exists because worker processes that import TensorFlow
take seconds to start. See `models.losses` for the differentiable form.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

PEAK = 255.0
# Wang, Simoncelli, Bovik: "Multiscale structural similarity for image quality assessment" (2003), section 3.2.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
_BLOCK = 32  # filter outputs that one matrix product gives: few enough to waste little, enough for BLAS to be fast


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 arrays of one shape, over all their values; inf if they are equal.

    10 log10(255^2 / mean((a - b)^2)), the mean taken exactly in integers. Raises ValueError on unequal shapes.
    """
    _need_alike(a, b)
    difference = (a.astype(np.int16) - b).ravel().astype(np.float64)
    squares = float(difference @ difference)
    return 10 * math.log10(PEAK**2 * a.size / squares) if squares else math.inf


def ms_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Multiscale structural similarity in [0, 1] of two uint8 images (H, W, 3): 1 if they are equal.

    Five scales, a Gaussian window of 11x11 with sigma 1.5 that stays inside the image, every channel by itself and then
    their mean, negative terms cut to 0. The fifth scale needs a shorter side of 176 = 11 * 2^4: smaller images get
    the scales that fit, with their weights scaled to sum 1; below 11 pixels the window shrinks to the image.
    Raises ValueError on unequal shapes.
    """
    _need_alike(a, b)
    # Channels first, so that the filters run over contiguous planes.
    x, y = (np.ascontiguousarray(np.moveaxis(image, -1, 0), dtype=np.float32) for image in (a, b))
    side = min(x.shape[1:])
    weights = [w for scale, w in enumerate(SCALE_WEIGHTS) if scale == 0 or side >= WINDOW << scale]
    similarity = np.ones(len(x))
    for scale, weight in enumerate(weights):
        if scale:
            x, y = _halved(x), _halved(y)
        ssim, contrast_structure = _ssim_terms(x, y)
        term = ssim if scale == len(weights) - 1 else contrast_structure
        similarity *= np.maximum(term, 0) ** (weight / sum(weights))
    return float(np.mean(similarity))


def to_db(similarity: float) -> float:
    """MS-SSIM on a logarithmic scale, -10 log10(1 - similarity): 0.99 is 20 dB; inf for 1."""
    return -10 * math.log10(1 - similarity) if similarity < 1 else math.inf


def _need_alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
    if a.shape != b.shape or a.dtype != np.uint8 or b.dtype != np.uint8 or a.size == 0:
        raise ValueError(f"two uint8 images of one size are needed, not {a.dtype} {a.shape} and {b.dtype} {b.shape}")


def _ssim_terms(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """SSIM and its contrast-structure factor, each the mean over all positions of the window: two arrays (C,)."""
    # Only the sum of both variances is needed, so four filtered maps serve instead of five.
    mean_x, mean_y, mean_squares, mean_product = _blurred(np.stack([x, y, x * x + y * y, x * y]))
    product = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    contrast_structure = (2 * (mean_product - product) + C2) / (mean_squares - squares + C2)
    ssim = contrast_structure * (2 * product + C1) / (squares + C1)
    return ssim.mean(axis=(1, 2), dtype=np.float64), contrast_structure.mean(axis=(1, 2), dtype=np.float64)


def _blurred(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weighted mean under the window wherever it lies inside the map: (..., H, W) to (..., H - 10, W - 10).

    Both passes of the separable filter are products with one small band matrix: 3 to 5 times as fast as scipy.ndimage.
    """
    taps = min(WINDOW, *maps.shape[-2:])
    offset = np.arange(taps) - (taps - 1) / 2
    window = np.exp(-(offset**2) / (2 * SIGMA**2))
    band = np.zeros((_BLOCK, _BLOCK + taps - 1), np.float32)
    for row in range(_BLOCK):
        band[row, row : row + taps] = window / window.sum()

    height, width = (size - taps + 1 for size in maps.shape[-2:])
    vertical = np.empty((*maps.shape[:-2], height, maps.shape[-1]), np.float32)
    for top in range(0, height, _BLOCK):
        rows = min(_BLOCK, height - top)
        under = maps[..., top : top + rows + taps - 1, :]
        np.matmul(band[:rows, : rows + taps - 1], under, out=vertical[..., top : top + rows, :])
    both = np.empty((*maps.shape[:-2], height, width), np.float32)
    for left in range(0, width, _BLOCK):
        columns = min(_BLOCK, width - left)
        under = vertical[..., left : left + columns + taps - 1]
        np.matmul(under, band[:columns, : columns + taps - 1].T, out=both[..., left : left + columns])
    return both


def _halved(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2x2 pixels, (C, H, W) to (C, ceil(H/2), ceil(W/2)): an odd last row or column counts twice."""
    _, height, width = planes.shape
    even = np.pad(planes, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    return (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4
