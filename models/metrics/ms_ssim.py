"""MS-SSIM of batches of images (Wang, Simoncelli and Bovik 2003), differentiable."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dsr.models.metrics.fidelity import K1, K2, SCALE_WEIGHTS, SIGMA, WINDOW

C1, C2 = K1**2, K2**2  # for values in [0, 1]

FLOOR = 1e-4  # of a mean similarity before it is raised to a power below one, whose slope is infinite at zero


def ms_ssim(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003) of images in [-1, 1]: (B,) in [0, 1].

        MS-SSIM = l_M^w_M prod_j cs_j^w_j      l  = (2 m_a m_b + C1) / (m_a^2 + m_b^2 + C1)
                                               cs = (2 s_ab + C2) / (s_a^2 + s_b^2 + C2)

    with moments under an 11 x 11 Gaussian window, each scale half the one before, per channel and then averaged over
    channels. The moments are those of (image + 1) / 2: the luminance factor l compares means as ratios and has no
    sense where they change sign. Images below 176 pixels a side have no room for the window at the coarsest of the
    five scales: they use as many scales as fit, and the weights of these are divided by their sum.

    Height and width must be known when the graph is built and be at least 11, else ValueError.

    `tf.image.ssim_multiscale` gives the same value, at twice the time, and NaN for a gradient where structures are
    opposed (cs < 0).
    """
    height, width, channels = a.shape[1:]
    weights = _scale_weights(height, width)
    a, b = (a + 1.0) / 2.0, (b + 1.0) / 2.0
    factors = []
    for scale, weight in enumerate(weights):
        moments = _gaussian_mean(tf.concat([a, b, a * a + b * b, a * b], axis=-1), 4 * channels)
        mean_a, mean_b, square, product = tf.split(moments, 4, axis=-1)
        means, mean_squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
        similarity = (2.0 * (product - means) + C2) / (square - mean_squares + C2)
        if scale == len(weights) - 1:
            similarity *= (2.0 * means + C1) / (mean_squares + C1)
        factors.append(tf.maximum(tf.reduce_mean(similarity, axis=[1, 2]), FLOOR) ** weight)
        a, b = (tf.nn.avg_pool2d(image, 2, 2, "SAME") for image in (a, b))
    return tf.reduce_mean(tf.reduce_prod(tf.stack(factors), axis=0), axis=-1)


def _scale_weights(height: int | None, width: int | None) -> np.ndarray:
    """Weights of the scales at which the window fits, summing to one."""
    if height is None or width is None or min(height, width) < WINDOW:
        raise ValueError(f"MS-SSIM needs a known size of at least {WINDOW} pixels, not {height} x {width}")
    side = min(height, width)
    weights = np.array([w for scale, w in enumerate(SCALE_WEIGHTS) if side >= WINDOW << scale], np.float32)
    return weights / weights.sum()


def _gaussian_mean(x: tf.Tensor, channels: int) -> tf.Tensor:
    """Mean of every channel under the Gaussian window, at the positions where the window fits."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = np.tile((window / window.sum()).astype(np.float32)[:, None, None, None], (1, 1, channels, 1))
    strides = [1, 1, 1, 1]
    rows = tf.nn.depthwise_conv2d(x, kernel, strides, "VALID")
    return tf.nn.depthwise_conv2d(rows, kernel.transpose(1, 0, 2, 3), strides, "VALID")
