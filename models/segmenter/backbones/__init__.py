"""Feature extractors of DeepLabv3+, dilated to an output stride of 16 or 8.

Every backbone has the same dataflow, for any input size H x W (odd ones too):

    image (B, H, W, 3) in [-1, 1]
      |
    stem and early stages
      |------------> low  (B, ceil(H/4),  ceil(W/4),  C_low)    edges, for the decoder
    later stages, strides beyond the output stride turned into dilation
      |
      '------------> high (B, ceil(H/OS), ceil(W/OS), C_high)   semantics, for the spatial pyramid

    backbone       C_low  C_high  parameters (width 1)
    xception65       256    2048      38.1 M
    resnet50         256    2048      23.6 M
    mobilenet_v2     144     320       1.8 M
    keras_cv:NAME    as the preset of keras-cv has them

All strided layers pad symmetrically, so feature (i, j) at stride s is centred on pixel (s i, s j) whatever the size:
what TensorFlow's SAME padding gives only for sizes s k + 1 (hence the crops of 513 in the DeepLab papers).

A backbone is a module with a function `build(width, weights)` that gives a `Backbone`, and a line in
`dsr.models.segmenter.config.BACKBONES`.
"""

from __future__ import annotations

import importlib

import numpy as np
import tensorflow as tf

from dsr.models.pixels import to_unit
from dsr.models.segmenter.backbones.base import Backbone
from dsr.models.segmenter.backbones.dilation import check_strides, dilate
from dsr.models.segmenter.config import BACKBONES, split_name
from dsr.models.segmenter.errors import BackboneError, WeightsError


def build_backbone(
    name: str,
    *,
    output_stride: int = 16,
    width: float = 1.0,
    weights: str = "none",
    batch_norm_momentum: float = 0.9997,
) -> tf.keras.Model:
    """A model from images (B, H, W, 3) in [-1, 1] to the pair of feature maps (low, high), see the module's dataflow.

    Args:
      name: one of `BACKBONES`, with the preset's name behind `keras_cv:`.
      output_stride: of the high features, 8 or 16.
      width: multiplies every channel count, of the backbones that have a width.
      weights: "none" (random), "imagenet" (downloaded by Keras or keras-cv) or the path of a file: a Keras weight file
        of the network without top, for `xception65` also the `.index` of a checkpoint of DeepLab's model zoo.
      batch_norm_momentum: of all its batch normalisations.

    Raises:
      WeightsError: the weights cannot be had or do not fit.
      BackboneError: there is no such preset of keras-cv, or it cannot be dilated.
    """
    natural = _load(name, width, weights)
    network = natural.network
    taps = [network.get_layer(layer).output for layer in (natural.low, natural.high)]
    features = tf.keras.Model(network.input, taps, name=split_name(name)[0])
    try:
        dilated = dilate(features, output_stride, batch_norm_momentum)
        if ":" in name:  # of the others the tests know it
            check_strides(dilated, (4, output_stride))
    except BackboneError as error:
        raise BackboneError(f"the backbone {name} cannot be dilated: {error}; take another one") from error
    dilated.set_weights(features.get_weights())
    image = tf.keras.Input((None, None, 3), name="image")
    return tf.keras.Model(image, dilated(natural.prepare(image)), name="backbone")


def recalibrate_if_folded(backbone: tf.keras.Model, images: tf.Tensor) -> None:
    """Give batch normalisations the statistics of what they see, where a weight file has folded its own into kernels.

    Such a file (all means are zero) computes the right thing in inference only: in training, batches are normalised
    with their own statistics, which undoes it. With mean' and var' over `images`, and scale and offset to match,

        gamma' = gamma sqrt(var' + eps) / sqrt(var + eps)        beta' = beta + gamma (mean' - mean) / sqrt(var + eps)

    inference stays what it was, and training starts there. A backbone that has statistics is left alone.

    Args:
      backbone: of `build_backbone`, with pretrained weights.
      images: uint8 RGB (B, H, W, 3), as in training.
    """
    body = next(layer for layer in backbone.layers if isinstance(layer, tf.keras.Model))
    norms = [layer for layer in body.layers if isinstance(layer, tf.keras.layers.BatchNormalization)]
    if any(np.any(norm.moving_mean.numpy()) for norm in norms):
        return
    prepared = tf.keras.Model(backbone.input, body.get_input_at(-1))(to_unit(images))
    for norm, seen in zip(norms, tf.keras.Model(body.input, [norm.input for norm in norms])(prepared)):
        gamma, beta, mean, variance = norm.get_weights()
        seen_mean, seen_variance = (moment.numpy() for moment in tf.nn.moments(tf.cast(seen, tf.float32), (0, 1, 2)))
        scale = gamma / np.sqrt(variance + norm.epsilon)
        offset = beta + scale * (seen_mean - mean)
        norm.set_weights([scale * np.sqrt(seen_variance + norm.epsilon), offset, seen_mean, seen_variance])


def _load(name: str, width: float, weights: str) -> Backbone:
    key, preset = split_name(name)
    build = importlib.import_module(BACKBONES[key].module).build
    if weights == "imagenet":
        try:
            return build(width, weights, preset)
        except BackboneError:
            raise
        # Keras raises a bare Exception when a download fails, and ValueError for a width it has no weights of.
        except Exception as error:
            raise WeightsError(
                f"cannot get the ImageNet weights of {name} at width {width} ({error}): give the path of a weight "
                "file, or 'none'"
            ) from error
    natural = build(width, None, preset)
    if weights == "none":
        return natural
    try:
        natural.load(natural.network, weights)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise WeightsError(
            f"{weights} does not hold the weights of {name} at width {width} without top ({error}): give another file, "
            "'imagenet' or 'none'"
        ) from error
    return natural
