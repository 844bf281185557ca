"""Random scaling, cropping and flipping, as functions of a seed.

The same seed gives the same crop, in any order and process.

(keras-cv's augmentation layers draw from generators with a state, so a training could not be resumed at the same
images.)
"""

from __future__ import annotations

import tensorflow as tf

from dsr.models.segmenter.labels import IGNORE

GRAY = 127  # what lies beside an image: about 0 once scaled to [-1, 1]


def random_scaled_crop(
    image: tf.Tensor,
    label: tf.Tensor,
    *,
    crop: tuple[int, int],
    scale: tuple[float, float],
    flip: bool,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """What DeepLab trains on: the image scaled by a random factor, a random window of it, mirrored half of the time.

    Args:
      image: uint8 (H, W, C); aligned images may lie in one another's channels.
      label: uint8 (H, W), train ids.
      crop: height and width of the result.
      scale: the factor is uniform between these two.
      seed: int64 (2,), of a stateless random number generator.

    Returns:
      uint8 (*crop, C), bilinearly interpolated, and uint8 crop, its nearest labels. Where the scaled image is smaller
      than the crop, gray and 255 fill up at the right and the bottom.
    """
    channels = image.shape[-1]
    factor, top, left, mirror = tf.unstack(tf.random.stateless_uniform([4], seed, alg="philox"))
    factor = scale[0] + (scale[1] - scale[0]) * factor
    # The window is cut before it is scaled: the pixels are the same, and only those needed are computed.
    window = tf.maximum(tf.cast(tf.round(tf.cast(crop, tf.float32) / factor), tf.int32), 1)
    image = _cut(image, window, (top, left), GRAY)
    label = _cut(label[..., tf.newaxis], window, (top, left), IGNORE)
    image = tf.cast(tf.round(tf.image.resize(image, crop, "bilinear")), tf.uint8)
    label = tf.image.resize(label, crop, "nearest")
    if flip:
        image, label = _mirrored(image, mirror < 0.5), _mirrored(label, mirror < 0.5)
    return tf.ensure_shape(image, (*crop, channels)), tf.ensure_shape(label[..., 0], crop)


def random_patch(pixels: tf.Tensor, *, size: int, seed: tf.Tensor) -> tf.Tensor:
    """A random window, mirrored half of the time: uint8 (H, W, C), H and W at least `size`, to uint8 (size, size, C).

    Aligned images, laid in one another's channels, are cut alike. `seed`: int64 (2,).
    """
    top, left, mirror = tf.unstack(tf.random.stateless_uniform([3], seed, alg="philox"))
    patch = _cut(pixels, tf.constant([size, size]), (top, left), GRAY)
    return tf.ensure_shape(_mirrored(patch, mirror < 0.5), (size, size, None))


def _cut(pixels: tf.Tensor, window: tf.Tensor, place: tuple[tf.Tensor, tf.Tensor], fill: int) -> tf.Tensor:
    """A window of (H, W, C) at a relative place in [0, 1)^2, filled up at the right and the bottom if it is larger."""
    size = tf.shape(pixels)[:2]
    taken = tf.minimum(window, size)
    top, left = tf.unstack(tf.cast(tf.stack(place) * tf.cast(size - taken + 1, tf.float32), tf.int32))
    pixels = pixels[top : top + taken[0], left : left + taken[1]]
    missing = window - taken
    return tf.pad(pixels, [[0, missing[0]], [0, missing[1]], [0, 0]], constant_values=fill)


def _mirrored(pixels: tf.Tensor, mirror: tf.Tensor) -> tf.Tensor:
    """(H, W, C), left and right exchanged if `mirror`."""
    return tf.cond(mirror, lambda: tf.reverse(pixels, [1]), lambda: pixels)
