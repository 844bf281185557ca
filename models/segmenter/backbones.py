"""Feature extractors of DeepLabv3+: aligned Xception-65, ResNet-50 and MobileNetV2, dilated to an output stride of 16 or 8.

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

All strided layers pad symmetrically, so feature (i, j) at stride s is centred on pixel (s i, s j) whatever the size: what
TensorFlow's SAME padding gives only for sizes s k + 1 (hence the crops of 513 in the DeepLab papers).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dsr.models.segmenter.config import WeightsError
from dsr.models.segmenter.xception import _load_slim_checkpoint, xception65


def build_backbone(
    name: str,
    *,
    output_stride: int = 16,
    width: float = 1.0,
    weights: str = "none",
    batch_norm_momentum: float = 0.9997,
) -> tf.keras.Model:
    """A model from images (B, H, W, 3) in [-1, 1] to the pair of feature maps (low, high), see the module's dataflow.

    `width` multiplies every channel count (not of resnet50). `weights` is 'none' (random), 'imagenet' (downloaded by
    Keras) or the path of a file: a Keras weight file of `tf.keras.applications` without top, or of `xception65()`, for
    which the `model.ckpt.index` of a checkpoint from the DeepLab model zoo is taken too. Raises WeightsError if the
    weights cannot be had or do not fit.
    """
    recipe = _RECIPES[name]
    pretrained = _load(name, recipe, width, weights)
    features = tf.keras.Model(
        pretrained.input, [pretrained.get_layer(recipe.low).output, pretrained.get_layer(recipe.high).output], name=name
    )
    dilated = dilate(features, output_stride, batch_norm_momentum)
    dilated.set_weights(features.get_weights())
    image = tf.keras.Input((None, None, 3), name="image")
    return tf.keras.Model(image, dilated(recipe.prepare(image)), name="backbone")


def dilate(model: tf.keras.Model, output_stride: int, batch_norm_momentum: float) -> tf.keras.Model:
    """A copy with the same layers, names and weight order, whose strides beyond `output_stride` became dilation (atrous).

    A stride of 2 dropped at some layer leaves what follows twice as dense, so every kernel behind it is spread by 2 to
    meet the values it met before: the copy's features, subsampled, equal the original's. The weights are not copied.
    """
    stride: dict[str, int] = {}  # of each layer's output, in the copy
    dilation: dict[str, int] = {}
    changes: dict[str, dict[str, object]] = {}
    for layer in model.layers:
        is_input = isinstance(layer, tf.keras.layers.InputLayer)
        before = [] if is_input else [tensor.node.layer.name for tensor in tf.nest.flatten(layer.input)]
        stride[layer.name] = max((stride[name] for name in before), default=1)
        rate = dilation[layer.name] = max((dilation[name] for name in before), default=1)
        change = changes[layer.name] = {}
        if isinstance(layer, tf.keras.layers.ZeroPadding2D):
            change["padding"] = layer.padding[0][1] * rate  # MobileNetV2's (0, 1) is made symmetric
        elif isinstance(layer, tf.keras.layers.BatchNormalization):
            change["momentum"] = batch_norm_momentum
        elif hasattr(layer, "strides"):
            step = layer.strides[0]
            if hasattr(layer, "dilation_rate"):
                change["dilation_rate"] = rate
            if step > 1:
                change["padding"] = "valid"  # a padding layer stands before it
            if stride[layer.name] * step > output_stride:
                change["strides"] = 1
                dilation[layer.name] *= step
            else:
                stride[layer.name] *= step

    def clone(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
        return layer.__class__.from_config({**layer.get_config(), **changes[layer.name]})

    return tf.keras.models.clone_model(model, clone_function=clone)


def recalibrate_if_folded(backbone: tf.keras.Model, images: tf.Tensor) -> None:
    """Give batch normalisations the statistics of what they see, where a weight file has folded its own into kernels and offsets.

    Such a file (all means are zero) computes the right thing in inference only: in training, batches are normalised with their own
    statistics, which undoes it. With mean' and var' over `images`, and scale and offset to match,

        gamma' = gamma sqrt(var' + eps) / sqrt(var + eps)        beta' = beta + gamma (mean' - mean) / sqrt(var + eps)

    inference stays what it was, and training starts there. A backbone that has statistics is left alone.

    Args:
      backbone: of `build_backbone`, with pretrained weights.
      images: uint8 RGB (B, H, W, 3), as in training.
    """
    body = next(layer for layer in backbone.layers if layer.name in _RECIPES)
    norms = [layer for layer in body.layers if isinstance(layer, tf.keras.layers.BatchNormalization)]
    if any(np.any(norm.moving_mean.numpy()) for norm in norms):
        return
    prepared = _RECIPES[body.name].prepare(tf.cast(images, tf.float32) / 127.5 - 1.0)
    for norm, seen in zip(norms, tf.keras.Model(body.input, [norm.input for norm in norms])(prepared)):
        gamma, beta, mean, variance = norm.get_weights()
        seen_mean, seen_variance = (moment.numpy() for moment in tf.nn.moments(tf.cast(seen, tf.float32), (0, 1, 2)))
        scale = gamma / np.sqrt(variance + norm.epsilon)
        offset = beta + scale * (seen_mean - mean)
        norm.set_weights([scale * np.sqrt(seen_variance + norm.epsilon), offset, seen_mean, seen_variance])


@dataclass(frozen=True)
class _Recipe:
    """How to come by a backbone: its maker (width, weights), the layers tapped, and what its input wants."""

    make: Callable[[float, str | None], tf.keras.Model]
    low: str
    high: str
    prepare: Callable[[tf.Tensor], tf.Tensor]


def _make_xception65(width: float, weights: str | None) -> tf.keras.Model:
    return xception65(width)


def _make_resnet50(width: float, weights: str | None) -> tf.keras.Model:
    return tf.keras.applications.ResNet50(include_top=False, weights=weights)


def _make_mobilenet_v2(width: float, weights: str | None) -> tf.keras.Model:
    model = tf.keras.applications.MobileNetV2((None, None, 3), alpha=width, include_top=False, weights=None)
    if weights:  # Keras has them for some sizes; those of 224 pixels are its default
        fixed = tf.keras.applications.MobileNetV2((224, 224, 3), alpha=width, include_top=False, weights=weights)
        model.set_weights(fixed.get_weights())
    return model


def _caffe_input(image: tf.Tensor) -> tf.Tensor:
    """[-1, 1] RGB to what Keras's ResNet-50 was trained on: 0..255 BGR less the ImageNet mean."""
    return image[..., ::-1] * 127.5 + (127.5 - tf.constant([103.939, 116.779, 123.68], image.dtype))


# The taps are those of the published DeepLab models. MobileNetV2's first convolution has no padding layer of its own.
_RECIPES = {
    "xception65": _Recipe(
        _make_xception65,
        "entry_flow.block2.unit_1.xception_module.separable_conv2_pointwise.BatchNorm",
        "exit_flow.block2.unit_1.xception_module.separable_conv3_pointwise_relu",
        tf.identity,
    ),
    "resnet50": _Recipe(_make_resnet50, "conv2_block3_out", "conv5_block3_out", _caffe_input),
    "mobilenet_v2": _Recipe(
        _make_mobilenet_v2, "block_2_depthwise_relu", "block_16_project_BN", tf.keras.layers.ZeroPadding2D(1)
    ),
}


def _load(name: str, recipe: _Recipe, width: float, weights: str) -> tf.keras.Model:
    if weights == "imagenet":
        try:
            return recipe.make(width, weights)
        # Keras raises a bare Exception when a download fails, and ValueError for a width it has no weights of.
        except Exception as error:
            raise WeightsError(
                f"cannot get the ImageNet weights of {name} at width {width} ({error}): give the path of a weight file, or "
                "'none'"
            ) from error
    model = recipe.make(width, None)
    if weights == "none":
        return model
    try:
        if weights.endswith(".index"):
            _load_slim_checkpoint(model, weights[: -len(".index")])
        else:
            model.load_weights(weights)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise WeightsError(
            f"{weights} does not hold the weights of {name} at width {width} without top ({error}): give another file, "
            "'imagenet' or 'none'"
        ) from error
    return model
