"""Where the training of a learned codec starts: at the linear transform that packs its photographs best.

From random weights the first thousands of steps only find out what any block transform knows. So each stride-2 layer of
the analysis starts as the Karhunen-Loeve transform of 2 x 2 blocks of its input, of which it keeps the strongest
components, and the synthesis as the transpose, layer by layer: together an orthonormal transform of blocks of 16 x 16
pixels. GDN starts near the identity. Channels left over are written by small random weights and read by zeros, so that
they disturb nothing and every weight has a gradient. The gains make of it the step of each quality.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.models.hyperprior.config import weight_of
from dsr.models.hyperprior.network import HyperpriorNetwork

_BLOCK = slice(2, 4)
"""Of a layer's five taps those that lie on a 2 x 2 block of the finer map."""

_GDN = 0.1
"""Share of their usual start at which GDN's roots of gamma start: at gamma = 0.001 I."""

_LEFT_OVER = 0.1
"""Share of their usual start at which the kernels of channels without a component start."""


def start_from_images(network: HyperpriorNetwork, pixels: NDArray[np.float32]) -> None:
    """Set analysis, synthesis and gains of an untrained network.

    Rounding the latents of a quality to whole numbers is to be the best step at high rate: step^2 = 18 / (lambda ln 2)
    in units of 1/255, where a bit more for each of three values a pixel costs what it saves of step^2 / 12. Here lambda
    is that of 255^2 MSE; the scale of MS-SSIM's is another one, but the step is right for the same quality.

    Args:
      pixels: (B, H, W, 3) in [0, 1], sides multiples of 16; some dozens of patches are enough.
    """
    weights = np.array([weight_of(quality) for quality in network.qualities])
    middle = math.sqrt(weights[0] * weights[-1])
    log_gain = np.broadcast_to(0.5 * np.log(weights / middle)[:, None], network.log_gain.shape)
    network.log_gain.assign(log_gain)
    network.log_inverse_gain.assign(-log_gain)
    scale = 255 / math.sqrt(18 / (middle * math.log(2)))
    mean = pixels.mean((0, 1, 2))
    x = pixels - mean
    for layer in range(4):
        down, up = network.analysis.layers[2 * layer], network.synthesis.layers[2 * (3 - layer)]
        blocks = _blocks(x)
        components = _strongest(blocks, min(blocks.shape[-1], down.filters))
        factor = scale if layer == 3 else 1.0
        kernel = components.reshape(2, 2, x.shape[-1], -1)
        _set_kernel(down, factor * kernel)
        _set_kernel(up, np.swapaxes(kernel, 2, 3) / factor)
        if layer == 0:
            down.weights[1].assign(_padded(-mean @ kernel.sum((0, 1)), down.filters))
            up.weights[1].assign(mean)
        x = blocks @ components
    for gdn in network.analysis.layers[1::2] + network.synthesis.layers[1::2]:
        gdn.weights[1].assign(_GDN * gdn.weights[1])


def _blocks(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, H, W, C) -> (B, H/2, W/2, 4C), rows before columns before channels."""
    batch, height, width, channels = x.shape
    split = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // 2, width // 2, 4 * channels)


def _strongest(blocks: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The `count` directions (length of a block, count) of largest second moment.

    They are orthonormal, each with a positive sum.
    """
    rows = blocks.reshape(-1, blocks.shape[-1]).astype(np.float64)
    directions = np.linalg.eigh(rows.T @ rows / len(rows))[1][:, ::-1][:, :count]
    return (directions * np.where(directions.sum(0) < 0, -1, 1)).astype(np.float32)


def _set_kernel(layer: tf.keras.layers.Layer, kernel: NDArray[np.float32]) -> None:
    """(2, 2, in, out) into the (5, 5, in or more, out or more) of a layer."""
    variable = layer.weights[0]
    whole = _LEFT_OVER * variable.numpy()
    before, after = kernel.shape[2:]
    whole[..., :after] = 0
    whole[_BLOCK, _BLOCK, :before, :after] = kernel
    variable.assign(whole)


def _padded(bias: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    return np.concatenate([bias, np.zeros(length - len(bias), np.float32)])
