"""Instance normalisation as the generator and the discriminators use it."""

from __future__ import annotations

import warnings

import tensorflow as tf

with warnings.catch_warnings():  # tensorflow-addons announces its end of life on every import
    warnings.simplefilter("ignore")
    from tensorflow_addons.layers import InstanceNormalization

EPSILON = 1e-5  # that of pix2pixHD (PyTorch); the default of tensorflow-addons, 1e-3, would damp weak texture


def instance_norm(name: str) -> tf.keras.layers.Layer:
    """Instance normalisation with a learned scale and offset per channel.

    Always in float32: tensorflow-addons adds up the moments in the type of its input, and in bfloat16 the sum over a
    128 x 128 map is wrong by more than its standard deviation.
    """
    return InstanceNormalization(epsilon=EPSILON, dtype="float32", name=name)
