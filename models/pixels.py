"""Pixels as networks take them."""

from __future__ import annotations

import tensorflow as tf


def to_unit(pixels: tf.Tensor) -> tf.Tensor:
    """Pixels 0..255 of any type to float32 in [-1, 1]."""
    return tf.cast(pixels, tf.float32) / 127.5 - 1.0


def to_pixels(image: tf.Tensor) -> tf.Tensor:
    """float in [-1, 1], clipped, to uint8; rounds half to even. The inverse of `to_unit` on 0..255."""
    return tf.cast(tf.round(tf.clip_by_value((image + 1.0) * 127.5, 0.0, 255.0)), tf.uint8)
