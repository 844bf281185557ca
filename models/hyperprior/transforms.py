"""The trained transforms of a hyperprior codec as plain functions, with the arithmetic that is fastest on a CPU.

They compute what the layers of `dsr.models.hyperprior.network` compute, up to rounding:

- GDN's sum over channels is a 1x1 convolution; its parameters are constants here, not functions of variables;
- upsampling convolutions are transposed ones, without the zeros between the inputs;
- the last one, to 3 channels, would waste the width of the processor's registers: it is one stride-1 convolution to the
  12 channels of the four output pixels around an input, whose 3x3 kernel holds the 5x5 one (and 9 zeros in 36), and a
  depth-to-space.

Large images go through analysis and synthesis in bands of rows (`bands`), which bounds the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

from dsr.models.hyperprior.config import LEAK
from dsr.models.hyperprior.saved import SavedHyperprior

_PADDING = [[0, 0], [2, 1], [2, 1], [0, 0]]
"""Of 5x5 kernels at stride 2 on even sizes: the kernel's centre lies on the even pixels."""

STRIDE = 16
"""A pixel of y stands for 16 x 16 pixels of the image."""

MARGIN = 2
"""Rows of y around a band: a row depends on 30 pixels beyond its own 16 at most, and these on 2 rows beyond it."""

BAND_PIXELS = 1 << 20
"""With 128 filters a band of this size takes some 1.7 GB. One of twice the size takes 2.9 GB and 7 % less time to
encode for its margins. It is the same whatever memory is free, because pixels must not depend on that."""


@dataclass(frozen=True)
class Band:
    """Rows `start` to `stop` of y, to be computed with a margin, from `top` to `bottom`."""

    start: int
    stop: int
    top: int
    bottom: int

    @property
    def kept(self) -> slice:
        """Which of the computed rows are those of the band."""
        return slice(self.start - self.top, self.stop - self.top)


def bands(height: int, width: int) -> list[Band]:
    """Bands, in rows of y, of an image of `height` x `width` pixels, multiples of 16; of about equal size."""
    rows = height // STRIDE
    count = -(-rows // max(1, BAND_PIXELS // (STRIDE * width)))
    edges = [i * rows // count for i in range(count + 1)]
    return [
        Band(start, stop, max(0, start - MARGIN), min(rows, stop + MARGIN)) for start, stop in zip(edges, edges[1:])
    ]


class Transforms:
    """analysis, synthesis and hyper-analysis of a saved codec; tensors are float32 NHWC."""

    def __init__(self, saved: SavedHyperprior) -> None:
        self._analysis = [tf.constant(array) for array in saved.floats("analysis")]
        self._hyper_analysis = [tf.constant(array) for array in saved.floats("hyper_analysis")]
        self._synthesis = [tf.constant(array) for array in saved.floats("synthesis")]
        for weights in (self._analysis, self._synthesis):
            for layer in range(3):
                weights[4 * layer + 2 : 4 * layer + 4] = _gdn_parameters(*weights[4 * layer + 2 : 4 * layer + 4])
        *self._synthesis, kernel, bias = self._synthesis
        self._synthesis[::4] = [tf.transpose(weights, (0, 1, 3, 2)) for weights in self._synthesis[::4]]
        self._to_pixels = tf.constant(to_pixel_kernel(kernel.numpy())), tf.tile(bias, [4])

    def analysis(self, pixels: tf.Tensor) -> tf.Tensor:
        """(B, H, W, 3) in [0, 1], sides multiples of 64 -> y (B, H/16, W/16, M)."""
        x = pixels
        for kernel, bias, beta, gamma in _by_four(self._analysis):
            x = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, _PADDING), bias)
            x *= tf.math.rsqrt(_norm(x, beta, gamma))
        kernel, bias = self._analysis[-2:]
        return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, _PADDING), bias)

    def hyper_analysis(self, y: tf.Tensor) -> tf.Tensor:
        """y -> z (B, H/64, W/64, N), not yet rounded."""
        first, second, third = zip(self._hyper_analysis[::2], self._hyper_analysis[1::2])
        x = tf.nn.leaky_relu(tf.nn.bias_add(tf.nn.conv2d(y, first[0], 1, "SAME"), first[1]), LEAK)
        x = tf.nn.leaky_relu(tf.nn.bias_add(tf.nn.conv2d(x, second[0], 2, _PADDING), second[1]), LEAK)
        return tf.nn.bias_add(tf.nn.conv2d(x, third[0], 2, _PADDING), third[1])

    def synthesis(self, y: tf.Tensor) -> tf.Tensor:
        """(B, h, w, M) -> pixels (B, 16h, 16w, 3), about in [0, 1]."""
        x = y
        for kernel, bias, beta, gamma in _by_four(self._synthesis):
            batch, height, width, _ = tf.unstack(tf.shape(x))
            shape = tf.stack([batch, 2 * height, 2 * width, kernel.shape[2]])
            x = tf.nn.conv2d_transpose(x, kernel, shape, 2, _PADDING)
            x = tf.nn.bias_add(x, bias)
            x *= tf.sqrt(_norm(x, beta, gamma))
        kernel, bias = self._to_pixels
        return tf.nn.depth_to_space(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias), 2)


def to_pixel_kernel(kernel: np.ndarray) -> np.ndarray:
    """The transposed kernel (5, 5, in, out) of an upsampling by two as an ordinary one, (3, 3, in, 4 out).

    Output pixel 2i + p takes input i + d - 1 through the tap p + 4 - 2d: of the five, p = 0 has three and p = 1 two.
    """
    _, _, before, after = kernel.shape
    folded = np.zeros((3, 3, before, 2, 2, after), kernel.dtype)
    for down, right, p, q in np.ndindex(3, 3, 2, 2):
        i, j = p + 4 - 2 * down, q + 4 - 2 * right
        if i < 5 and j < 5:
            folded[down, right, :, p, q] = kernel[i, j]
    return folded.reshape(3, 3, before, 4 * after)


def _gdn_parameters(beta: tf.Tensor, gamma: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What tfc.GDN makes of its variables."""
    minimum_beta = 1e-6
    parameters = []
    for variable, minimum in ((beta, minimum_beta), (gamma, 0.0)):
        parameter = tfc.GDNParameter(None, minimum=minimum, shape=variable.shape, dtype=variable.dtype)
        parameter.variable.assign(variable)
        parameters.append(parameter())
    return parameters[0], parameters[1][None, None]


def _norm(x: tf.Tensor, beta: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(tf.nn.conv2d(tf.square(x), gamma, 1, "VALID"), beta)


def _by_four(weights: list[tf.Tensor]) -> list[tuple[tf.Tensor, ...]]:
    return list(zip(*(weights[i::4] for i in range(4))))
