"""Keras's own MobileNetV2, tapped where the published DeepLab model is."""

from __future__ import annotations

import tensorflow as tf

from dsr.models.segmenter.backbones.base import Backbone


def build(width: float, weights: str | None, preset: str) -> Backbone:
    """MobileNetV2 of a width; `weights` is "imagenet" or None for random ones.

    Raises:
      ValueError: Keras has no ImageNet weights of this width.
    """
    network = tf.keras.applications.MobileNetV2((None, None, 3), alpha=width, include_top=False, weights=None)
    if weights:  # Keras has them for some sizes; those of 224 pixels are its default
        fixed = tf.keras.applications.MobileNetV2((224, 224, 3), alpha=width, include_top=False, weights=weights)
        network.set_weights(fixed.get_weights())
    return Backbone(network, "block_2_depthwise_relu", "block_16_project_BN")
