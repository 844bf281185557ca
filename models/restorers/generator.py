"""The generator of the adversarial restorer: appendix B, after FineNet (Akbari et al.) and pix2pixHD.

    compressed (B, H, W, 3) in [-1, 1]
      |- reflect to multiples of 2^n
      |   c w        7x7, instance norm, ReLU                          (H,     W,     w)
      |   d 2w ..    3x3 stride 2, instance norm, ReLU         n times (H/2^n, W/2^n, w 2^n)
      |   r w 2^n    x + [3x3, norm, ReLU, 3x3, norm](x)       blocks  (H/2^n, W/2^n, w 2^n)
      |   .. u w     3x3 to twice the resolution, norm, ReLU   n times (H,     W,     w)
      |   o 3        7x7, tanh                                         (H,     W,     3)
      |- crop
      + ------------------------------------------------------> restored (B, H, W, 3) = compressed + G(compressed)

Decisions where the paper's notation is short:

- "u: Conv 3x3 / up 2" has two readings: `GeneratorConfig.upsampling`.
- r is pix2pixHD's residual block of two convolutions. Its convolutions and the two 7x7 ones pad by reflection; those
  that change the resolution pad with zeros, as in pix2pixHD.
- The paper lists an instance normalisation in o3; pix2pixHD has none and neither have we. It would give the residual
  of every image the same mean and variance: a patch of sky that lost nothing would be changed as much as a tree that
  lost everything.
- The kernel of o3 starts at zero, so training starts at the identity (restored = compressed) and not at noise.
- Convolutions before a normalisation have no bias: the normalisation would remove it.
"""

from __future__ import annotations

from typing import Callable

import tensorflow as tf

from dsr.models.restorers.gan_config import GeneratorConfig
from dsr.models.restorers.normalization import instance_norm

Norm = Callable[[str], Callable[[tf.Tensor], tf.Tensor]]
"""From a layer's name to what normalises a map (B, H, W, C)."""

INITIALIZER_STDDEV = 0.02  # of every convolution, as in pix2pixHD


def initializer() -> tf.keras.initializers.Initializer:
    """Of kernels: a normal distribution."""
    return tf.keras.initializers.RandomNormal(stddev=INITIALIZER_STDDEV)


def _reflected_indices(size: tf.Tensor, multiple: int) -> tf.Tensor:
    """0, 1, .. size - 1, size - 2, .. 0, 1, ..: as long as the next multiple, at least two of them.

    `tf.pad` reflects only once and so refuses to pad a side by its own length; two multiples leave the residual
    blocks two positions to reflect.
    """
    padded = tf.maximum(-(-size // multiple), 2) * multiple
    period = tf.maximum(2 * (size - 1), 1)
    position = tf.range(padded) % period
    return tf.minimum(position, period - position) % size


def pad_to_multiple(image: tf.Tensor, multiple: int) -> tf.Tensor:
    """Reflect at the lower and right edge until both sides are multiples of `multiple` pixels."""
    height, width = tf.shape(image)[1], tf.shape(image)[2]
    rows = tf.gather(image, _reflected_indices(height, multiple), axis=1)
    return tf.gather(rows, _reflected_indices(width, multiple), axis=2)


def _reflect(x: tf.Tensor, kernel_size: int) -> tf.Tensor:
    margin = kernel_size // 2
    return tf.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]], mode="REFLECT")


def _norm_relu(x: tf.Tensor, name: str, norm: Norm) -> tf.Tensor:
    return tf.nn.relu(norm(f"{name}_norm")(x))


def _reflected_conv(x: tf.Tensor, filters: int, kernel_size: int, name: str) -> tf.Tensor:
    conv = tf.keras.layers.Conv2D(filters, kernel_size, use_bias=False, kernel_initializer=initializer(), name=name)
    return conv(_reflect(x, kernel_size))


def _downsample(x: tf.Tensor, filters: int, name: str, norm: Norm) -> tf.Tensor:
    conv = tf.keras.layers.Conv2D(
        filters, 3, strides=2, padding="same", use_bias=False, kernel_initializer=initializer(), name=name
    )
    return _norm_relu(conv(x), name, norm)


def _upsample_transposed(x: tf.Tensor, filters: int, name: str, norm: Norm) -> tf.Tensor:
    conv = tf.keras.layers.Conv2DTranspose(
        filters, 3, strides=2, padding="same", use_bias=False, kernel_initializer=initializer(), name=name
    )
    return _norm_relu(conv(x), name, norm)


def _upsample_resize(x: tf.Tensor, filters: int, name: str, norm: Norm) -> tf.Tensor:
    repeated = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
    return _norm_relu(_reflected_conv(repeated, filters, 3, name), name, norm)


UPSAMPLINGS = {"transposed": _upsample_transposed, "resize": _upsample_resize}


def _residual_block(x: tf.Tensor, filters: int, name: str, norm: Norm) -> tf.Tensor:
    y = _norm_relu(_reflected_conv(x, filters, 3, f"{name}_1"), f"{name}_1", norm)
    y = _reflected_conv(y, filters, 3, f"{name}_2")
    return x + norm(f"{name}_2_norm")(y)


def head(x: tf.Tensor, config: GeneratorConfig, norm: Norm) -> tf.Tensor:
    """c and d: (B, H, W, 3) to (B, H/2^n, W/2^n, w 2^n)."""
    x = _norm_relu(_reflected_conv(x, config.width, 7, "c"), "c", norm)
    for i in range(1, config.downsamplings + 1):
        x = _downsample(x, config.width * 2**i, f"d{i}", norm)
    return x


def body(x: tf.Tensor, config: GeneratorConfig, norm: Norm) -> tf.Tensor:
    """r: (B, H/2^n, W/2^n, w 2^n) to the same."""
    for i in range(1, config.blocks + 1):
        x = _residual_block(x, config.width * config.multiple, f"r{i}", norm)
    return x


def tail(x: tf.Tensor, config: GeneratorConfig, norm: Norm) -> tf.Tensor:
    """u and o: (B, H/2^n, W/2^n, w 2^n) to the residual (B, H, W, 3) in [-1, 1]."""
    for i in reversed(range(config.downsamplings)):
        x = UPSAMPLINGS[config.upsampling](x, config.width * 2**i, f"u{i}", norm)
    return tf.keras.layers.Conv2D(3, 7, activation="tanh", kernel_initializer="zeros", name="o")(_reflect(x, 7))


def build_generator(config: GeneratorConfig) -> tf.keras.Model:
    """The network compressed -> restored, both float32 (B, H, W, 3); any height and width.

    Compressed values lie in [-1, 1], restored ones may leave it slightly: `to_pixels` clips. Weights are drawn with
    TensorFlow's global seed: call `tf.keras.utils.set_random_seed` first.
    """
    compressed = tf.keras.Input((None, None, 3), name="compressed")
    x = pad_to_multiple(compressed, config.multiple)
    for part in (head, body, tail):
        x = part(x, config, instance_norm)
    shape = tf.shape(compressed)
    return tf.keras.Model(compressed, compressed + x[:, : shape[1], : shape[2]], name="generator")
