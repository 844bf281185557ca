"""The adversarial generator in NumPy, as appendix B reads: slow, in float64, and with nothing of the project in it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def convolution(x: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    """(H, W, C) and (h, w, C, D) to the positions where the kernel fits, every `stride`-th of them."""
    windows = sliding_window_view(x, kernel.shape[:2], axis=(0, 1))[::stride, ::stride]
    return np.einsum("ijcyx,yxcd->ijd", windows, kernel, optimize=True)


def reflected(x: np.ndarray, margin: int) -> np.ndarray:
    return np.pad(x, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")


def restored(weights: Mapping[str, np.ndarray], pixels: np.ndarray, downsamplings: int, blocks: int) -> np.ndarray:
    """What the generator with resizing makes of uint8 (H, W, 3) with sides that are multiples of 2^downsamplings."""

    def w(name: str) -> np.ndarray:
        return np.asarray(weights[f"{name}:0"], np.float64)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        deviation = np.sqrt(x.var(axis=(0, 1)) + 1e-5)
        return (x - x.mean(axis=(0, 1))) / deviation * w(f"{name}_norm/gamma") + w(f"{name}_norm/beta")

    def relu(x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)

    compressed = pixels / 127.5 - 1
    x = relu(norm(convolution(reflected(compressed, 3), w("c/kernel")), "c"))
    for i in range(1, downsamplings + 1):
        padded = np.pad(x, ((0, 1), (0, 1), (0, 0)))  # zeros at the far end, as TensorFlow pads even sides
        x = relu(norm(convolution(padded, w(f"d{i}/kernel"), 2), f"d{i}"))
    for i in range(1, blocks + 1):
        y = relu(norm(convolution(reflected(x, 1), w(f"r{i}_1/kernel")), f"r{i}_1"))
        x = x + norm(convolution(reflected(y, 1), w(f"r{i}_2/kernel")), f"r{i}_2")
    for i in reversed(range(downsamplings)):
        x = np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)
        x = relu(norm(convolution(reflected(x, 1), w(f"u{i}/kernel")), f"u{i}"))
    return compressed + np.tanh(convolution(reflected(x, 3), w("o/kernel")) + w("o/bias"))
