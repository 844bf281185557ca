"""The discriminators of the adversarial restorer: appendix B, the PatchGAN of pix2pixHD.

    compressed (B, H, W, 3) -+
                             +- C w   4x4 stride 2, norm, LeakyReLU   (H/2,  W/2,  w)    feature 1
    candidate  (B, H, W, 3) -+  C 2w                                  (H/4,  W/4,  2w)   feature 2
                                C 4w                                  (H/8,  W/8,  4w)   feature 3
                                C 8w                                  (H/16, W/16, 8w)   feature 4
                                O 1   1x1                             (H/16, W/16, 1)    logits, each of 46 x 46 pixels

One such network judges at full resolution, another at a quarter (H/4 x W/4; Akbari et al. take a half).
"""

from __future__ import annotations

import tensorflow as tf

from dsr.models.restorers.gan_config import DiscriminatorConfig
from dsr.models.restorers.generator import initializer
from dsr.models.restorers.normalization import instance_norm

LEAK = 0.2  # slope of LeakyReLU below zero, as in pix2pixHD; the paper gives none


def at_scale(image: tf.Tensor, scale: int) -> tf.Tensor:
    """(B, H, W, 3) to (B, H/scale, W/scale, 3) by averaging scale x scale pixels."""
    return image if scale == 1 else tf.nn.avg_pool2d(image, scale, scale, "VALID")


def build_discriminator(config: DiscriminatorConfig, name: str = "discriminator") -> tf.keras.Model:
    """The network (compressed, candidate) -> (logits, [feature 1 .. feature 4]) for one scale, in float32.

    Positive logits say "original". `config.scales` plays no part: both images come at the scale they are judged at.
    """
    compressed = tf.keras.Input((None, None, 3), name="compressed")
    candidate = tf.keras.Input((None, None, 3), name="candidate")
    x = tf.concat([compressed, candidate], axis=-1)
    features = []
    for i in range(config.LAYERS):
        normalize = i < config.LAYERS - 1 or config.normalize_last
        x = tf.keras.layers.Conv2D(
            config.width * 2**i,
            4,
            strides=2,
            padding="same",
            use_bias=not normalize,
            kernel_initializer=initializer(),
            name=f"c{i + 1}",
        )(x)
        if normalize:
            x = instance_norm(f"c{i + 1}_norm")(x)
        x = tf.nn.leaky_relu(x, LEAK)
        features.append(x)
    logits = tf.keras.layers.Conv2D(1, 1, kernel_initializer=initializer(), name="o")(x)
    return tf.keras.Model([compressed, candidate], (logits, features), name=name)
