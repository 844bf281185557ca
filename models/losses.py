"""The terms of the restorers' losses (appendices B and C): scalars, of images float32 (B, H, W, 3) in [-1, 1].

    generator      L_GAN + 10 (2 L_1 + L_VGG + L_MS-SSIM + L_DIST)      weights in
    `dsr.models.restorers.gan_config.LossWeights` discriminator  L_D, one for each
    RDN            mean squared error (for PSNR), or L_MS-SSIM

The paper leaves the reductions open. All are means (over pixels, channels and images), so that a weight means the
same at any patch size.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from dsr.models.metrics.ms_ssim import ms_ssim

TERMS = ("gan", "l1", "vgg", "ms_ssim", "dist")  # of the generator's loss, by their names in `LossWeights`


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
