"""Turning strides of a network into dilation (atrous convolution): features as dense as DeepLab wants them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dsr.models.segmenter.errors import BackboneError

_WINDOWED = (
    tf.keras.layers.Conv2D,
    tf.keras.layers.DepthwiseConv2D,
    tf.keras.layers.SeparableConv2D,
    tf.keras.layers.MaxPooling2D,
    tf.keras.layers.AveragePooling2D,
)
_PROBE = (97, 129)  # height and width at which sizes are compared, one of a kind that rounds


def dilate(model: tf.keras.Model, output_stride: int, batch_norm_momentum: float) -> tf.keras.Model:
    """A copy with the same layers, names and weight order, whose strides beyond `output_stride` became dilation.

    A stride of 2 dropped at some layer leaves what follows twice as dense, so every kernel behind it is spread by 2 to
    meet the values it met before: the copy's features, subsampled, equal the original's (means over the whole image, as
    squeeze-and-excitation has them, apart). Strided layers pad symmetrically, whatever the size. Dropout inside is left
    out: what it drops would follow from a state that no checkpoint holds.

    Args:
      model: a functional network of convolutions, from images (B, H, W, 3) to feature maps. Its weights are not copied.
      output_stride: the densest stride that is left.
      batch_norm_momentum: of all its batch normalisations.

    Raises:
      BackboneError: a layer cannot be dilated; says which one, and why.
    """
    stride: dict[str, int] = {}  # of each layer's output, in the copy
    dilation: dict[str, int] = {}
    changes: dict[str, dict[str, Any]] = {}
    for layer in model.layers:
        if isinstance(layer, tf.keras.Model) or (
            not isinstance(layer, _WINDOWED) and any(map(_is_spatial, layer.weights))
        ):
            raise BackboneError(f"its layer {layer.name} ({type(layer).__name__}) hides kernels that cannot be spread")
        is_input = isinstance(layer, tf.keras.layers.InputLayer)
        before = [] if is_input else [tensor.node.layer.name for tensor in tf.nest.flatten(layer.input)]
        stride[layer.name] = max((stride[name] for name in before), default=1)
        rate = dilation[layer.name] = max((dilation[name] for name in before), default=1)
        change = changes[layer.name] = {}
        if isinstance(layer, tf.keras.layers.ZeroPadding2D):
            change["padding"] = layer.padding[0][1] * rate  # MobileNetV2's (0, 1) is made symmetric
        elif isinstance(layer, tf.keras.layers.BatchNormalization):
            change["momentum"] = batch_norm_momentum
        elif isinstance(layer, tf.keras.layers.Dropout):
            change["rate"] = 0.0
        elif isinstance(layer, _WINDOWED):
            _check_window(layer, rate)
            step = layer.strides[0]
            if hasattr(layer, "dilation_rate"):
                change["dilation_rate"] = rate
            if stride[layer.name] * step > output_stride:
                change["strides"] = 1
                dilation[layer.name] *= step
            else:
                stride[layer.name] *= step

    def clone(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
        kind = type(layer)
        if isinstance(layer, _WINDOWED) and layer.strides[0] > 1 and layer.padding == "same":
            # Of the same name, which is part of weight files.
            kind = type(kind.__name__, (_Centred, kind), {})
            changes[layer.name]["padding"] = "valid"
        return kind.from_config({**layer.get_config(), **changes[layer.name]})

    return tf.keras.models.clone_model(model, clone_function=clone)


def check_strides(model: tf.keras.Model, strides: tuple[int, ...]) -> None:
    """Raise BackboneError unless the outputs have these strides: ceil(H / stride) rows and ceil(W / stride) columns."""
    outputs = model(tf.keras.Input((*_PROBE, 3), batch_size=1))
    for output, given, step in zip(model.outputs, outputs, strides):
        found, expected = tuple(given.shape)[1:3], tuple(-(-side // step) for side in _PROBE)
        if found != expected:
            raise BackboneError(
                f"its features {output.node.layer.name} of an image of {_PROBE[1]}x{_PROBE[0]} are "
                f"{found[1]}x{found[0]}, where a stride of {step} gives {expected[1]}x{expected[0]}"
            )


class _Centred:
    """Makes a strided layer pad symmetrically: what TensorFlow's SAME does for sizes s k + 1 alone."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        around = inputs.dtype.min if isinstance(self, tf.keras.layers.MaxPooling2D) else 0
        rows, columns = (
            (side - 1) // 2 * rate for side, rate in zip(_window(self), getattr(self, "dilation_rate", (1, 1)))
        )
        padded = tf.pad(inputs, [[0, 0], [rows, rows], [columns, columns], [0, 0]], constant_values=around)
        return super().call(padded)  # type: ignore[misc]  # of the layer that it is mixed into


def _window(layer: Any) -> tuple[int, int]:
    return layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size


def _is_spatial(weight: tf.Variable) -> bool:
    return weight.shape.rank == 4 and max(weight.shape[:2]) > 1


def _check_window(layer: tf.keras.layers.Layer, rate: int) -> None:
    """Raise BackboneError unless the layer's window has a middle, and can be spread by `rate`."""
    sides = _window(layer)
    if any(side % 2 == 0 for side in sides):
        raise BackboneError(
            f"its layer {layer.name} has a window of {sides[1]}x{sides[0]}, whose features lie between the pixels"
        )
    pools = not hasattr(layer, "dilation_rate")
    if pools and max(sides) > 1 and (rate > 1 or not isinstance(layer, tf.keras.layers.MaxPooling2D)):
        raise BackboneError(
            f"its layer {layer.name} ({type(layer).__name__}) pools where only convolutions can be spread"
        )
