"""Xception-65 as DeepLab has it, and the checkpoints of DeepLab's authors."""

from __future__ import annotations

import tensorflow as tf

from dsr.models.segmenter.backbones.base import Backbone, load_keras_file


def build(width: float, weights: str | None, preset: str) -> Backbone:
    """Aligned Xception-65 of a width with random weights, tapped where the published DeepLab model is."""
    return Backbone(
        xception65(width),
        "entry_flow.block2.unit_1.xception_module.separable_conv2_pointwise.BatchNorm",
        "exit_flow.block2.unit_1.xception_module.separable_conv3_pointwise_relu",
        load=_load,
    )


def xception65(width: float = 1.0) -> tf.keras.Model:
    """Aligned Xception-65 (Chen et al. 2018, figure 4) at its natural output stride of 32, random weights.

        conv 32 /2, conv 64 | entry 128 /2, 256 /2, 728 /2 | middle 16 x 728 | exit 728-1024-1024 /2, 1536-1536-2048

    Each block is three separable convolutions plus a shortcut; the stride is in the third, in place of max pooling, and
    batch normalisation follows each depthwise and each pointwise convolution. The last block has no shortcut, and its
    activations come behind the convolutions instead of before them. Layers are named as the variable scopes of the
    published checkpoints, with dots for slashes.
    """

    def channels(number: int) -> int:
        return max(8, int(number * width + 4) // 8 * 8)

    def convolution(x: tf.Tensor, filters: int, kernel: int, stride: int, name: str) -> tf.Tensor:
        if kernel > 1:
            x = tf.keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        x = tf.keras.layers.Conv2D(channels(filters), kernel, stride, use_bias=False, name=name)(x)
        return tf.keras.layers.BatchNormalization(name=f"{name}.BatchNorm")(x)

    def relu(x: tf.Tensor, name: str) -> tf.Tensor:
        return tf.keras.layers.ReLU(name=f"{name}_relu")(x)

    def separable(x: tf.Tensor, filters: int, stride: int, name: str, relu_first: bool) -> tf.Tensor:
        if relu_first:
            x = relu(x, name)
        x = tf.keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        x = tf.keras.layers.DepthwiseConv2D(3, stride, use_bias=False, name=f"{name}_depthwise")(x)
        x = tf.keras.layers.BatchNormalization(name=f"{name}_depthwise.BatchNorm")(x)
        if not relu_first:
            x = relu(x, f"{name}_depthwise")
        x = convolution(x, filters, 1, 1, f"{name}_pointwise")
        return x if relu_first else relu(x, f"{name}_pointwise")

    def block(x: tf.Tensor, filters: tuple[int, int, int], stride: int, shortcut: str, name: str) -> tf.Tensor:
        name += ".xception_module"
        y = x
        for i, (number, step) in enumerate(zip(filters, (1, 1, stride)), start=1):
            y = separable(y, number, step, f"{name}.separable_conv{i}", relu_first=shortcut != "none")
        if shortcut == "none":
            return y
        if shortcut == "conv":
            x = convolution(x, filters[-1], 1, stride, f"{name}.shortcut")
        return tf.keras.layers.Add(name=f"{name}.add")([x, y])

    image = tf.keras.Input((None, None, 3))
    x = relu(convolution(image, 32, 3, 2, "entry_flow.conv1_1"), "entry_flow.conv1_1")
    x = relu(convolution(x, 64, 3, 1, "entry_flow.conv1_2"), "entry_flow.conv1_2")
    for i, filters in enumerate((128, 256, 728), start=1):
        x = block(x, (filters, filters, filters), 2, "conv", f"entry_flow.block{i}.unit_1")
    for i in range(1, 17):
        x = block(x, (728, 728, 728), 1, "sum", f"middle_flow.block1.unit_{i}")
    x = block(x, (728, 1024, 1024), 2, "conv", "exit_flow.block1.unit_1")
    x = block(x, (1536, 1536, 2048), 1, "none", "exit_flow.block2.unit_1")
    return tf.keras.Model(image, x, name="xception65")


def _load(model: tf.keras.Model, path: str) -> None:
    """A Keras weight file, or the `.index` of a checkpoint."""
    if path.endswith(".index"):
        _load_slim_checkpoint(model, path[: -len(".index")])
    else:
        load_keras_file(model, path)


def _load_slim_checkpoint(model: tf.keras.Model, prefix: str) -> None:
    """Variables of `xception65()` from a checkpoint as tensorflow/models' research/deeplab writes them."""
    checkpoint = tf.train.load_checkpoint(prefix)
    for variable in model.variables:
        layer, _, kind = variable.name.partition(":")[0].rpartition("/")
        kind = {"kernel": "weights", "depthwise_kernel": "depthwise_weights"}.get(kind, kind)
        variable.assign(checkpoint.get_tensor(f"xception_65/{layer.replace('.', '/')}/{kind}"))
