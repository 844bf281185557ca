"""Keras's own ResNet-50."""

from __future__ import annotations

import tensorflow as tf

from dsr.models.segmenter.backbones.base import Backbone


def build(width: float, weights: str | None, preset: str) -> Backbone:
    """ResNet-50; `weights` is "imagenet" or None for random ones. It has no width."""
    network = tf.keras.applications.ResNet50(include_top=False, weights=weights)
    return Backbone(network, "conv2_block3_out", "conv5_block3_out", _caffe_input)


def _caffe_input(image: tf.Tensor) -> tf.Tensor:
    """[-1, 1] RGB to what Keras's ResNet-50 was trained on: 0..255 BGR less the ImageNet mean."""
    return image[..., ::-1] * 127.5 + (127.5 - tf.constant([103.939, 116.779, 123.68], image.dtype))
