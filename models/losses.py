"""The terms of the restorers' losses (appendices B and C): scalars, of images float32 (B, H, W, 3) in [-1, 1].

    generator      L_GAN + 10 (2 L_1 + L_VGG + L_MS-SSIM + L_DIST)      weights in `models.restorer_config.LossWeights`
    discriminator  L_D, one for each
    RDN            mean squared error (for PSNR), or L_MS-SSIM

The paper leaves the reductions open. All are means (over pixels, channels and images), so that a weight means the
same at any patch size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

TERMS = ("gan", "l1", "vgg", "ms_ssim", "dist")  # of the generator's loss, by their names in `LossWeights`

SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales, finest first (Wang et al. 2003)
SSIM_WINDOW = 11  # pixels a side
SSIM_SIGMA = 1.5  # pixels
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # for values in [0, 1]
SSIM_FLOOR = 1e-4  # of a mean similarity before it is raised to a power below one, whose slope is infinite at zero


def l1_loss(restored: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
    """L_1 = mean |restored - original|."""
    return _mean_distance(restored, original)


def mse_loss(restored: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
    """mean (restored - original)^2, which is 4 / 10^(PSNR / 10)."""
    return tf.reduce_mean(tf.math.squared_difference(restored, original))


def _mean_distance(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """In float32, whatever the type of the maps: a bfloat16 sum over a map would lose all but its leading digits."""
    return tf.reduce_mean(tf.abs(tf.cast(a, tf.float32) - tf.cast(b, tf.float32)))


def generator_gan_loss(restored_logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """L_GAN^(G) = sum_i -log D_i(compressed, restored), non-saturating; -log sigmoid(z) = softplus(-z).

    Args:
        restored_logits: of each discriminator, any shapes.
    """
    return tf.add_n([tf.reduce_mean(tf.nn.softplus(-logits)) for logits in restored_logits])


def discriminator_loss(original_logits: tf.Tensor, restored_logits: tf.Tensor) -> tf.Tensor:
    """L_D = -log D(compressed, original) - log(1 - D(compressed, restored)).

    This is minimised; the paper writes its negative, which is maximised. -log(1 - sigmoid(z)) = softplus(z).
    """
    return tf.reduce_mean(tf.nn.softplus(-original_logits)) + tf.reduce_mean(tf.nn.softplus(restored_logits))


def feature_loss(restored: Sequence[tf.Tensor], original: Sequence[tf.Tensor]) -> tf.Tensor:
    """sum_j 1/M_j || restored_j - original_j ||_1 over feature maps j.

    With VGG's features it is L_VGG, with those of the discriminators L_DIST. The original's features are a target: no
    gradient goes into them.
    """
    return tf.add_n([_mean_distance(a, tf.stop_gradient(b)) for a, b in zip(restored, original)])


def ms_ssim_loss(restored: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
    """1 - MS-SSIM(restored, original). The paper writes MS-SSIM, which would be maximised."""
    return 1.0 - tf.reduce_mean(ms_ssim(restored, original))


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
        similarity = (2.0 * (product - means) + SSIM_C2) / (square - mean_squares + SSIM_C2)
        if scale == len(weights) - 1:
            similarity *= (2.0 * means + SSIM_C1) / (mean_squares + SSIM_C1)
        factors.append(tf.maximum(tf.reduce_mean(similarity, axis=[1, 2]), SSIM_FLOOR) ** weight)
        a, b = (tf.nn.avg_pool2d(image, 2, 2, "SAME") for image in (a, b))
    return tf.reduce_mean(tf.reduce_prod(tf.stack(factors), axis=0), axis=-1)


def _scale_weights(height: int | None, width: int | None) -> np.ndarray:
    """Weights of the scales at which the window fits, summing to one."""
    if height is None or width is None or min(height, width) < SSIM_WINDOW:
        raise ValueError(f"MS-SSIM needs a known size of at least {SSIM_WINDOW} pixels, not {height} x {width}")
    side = min(height, width)
    weights = np.array([w for scale, w in enumerate(SSIM_WEIGHTS) if side >= SSIM_WINDOW << scale], np.float32)
    return weights / weights.sum()


def _gaussian_mean(x: tf.Tensor, channels: int) -> tf.Tensor:
    """Mean of every channel under the Gaussian window, at the positions where the window fits."""
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    window = np.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    kernel = np.tile((window / window.sum()).astype(np.float32)[:, None, None, None], (1, 1, channels, 1))
    strides = [1, 1, 1, 1]
    rows = tf.nn.depthwise_conv2d(x, kernel, strides, "VALID")
    return tf.nn.depthwise_conv2d(rows, kernel.transpose(1, 0, 2, 3), strides, "VALID")
