"""Multiply-adds of a network, counted in the graph that TensorFlow makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def counted(network: Callable[..., Any], height: int, width: int, *channels: int) -> float:
    """Of the convolutions of `network`, called with an image of this size for each number of channels, a pixel."""
    specs = [tf.TensorSpec((1, height, width, count)) for count in channels]
    graph = tf.function(lambda *images: network(*images)).get_concrete_function(*specs).graph
    total = 0
    for operation in _operations(graph):
        if operation.type in ("Conv2D", "DepthwiseConv2dNative"):
            kernel, result = operation.inputs[1].shape, operation.outputs[0].shape
            each = math.prod(kernel[:3]) if operation.type == "Conv2D" else kernel[0] * kernel[1]
            total += each * math.prod(result)
        elif operation.type == "Conv2DBackpropInput":  # a transposed convolution: its kernel goes over what it is given
            kernel, given = operation.inputs[1].shape, operation.inputs[2].shape
            total += math.prod(kernel[:3]) * math.prod(given)
    return total / (height * width)


def _operations(graph: tf.Graph) -> list[tf.Operation]:
    inside = [function.graph for function in graph._functions.values() if hasattr(function, "graph")]
    return [*graph.get_operations(), *(operation for one in inside for operation in _operations(one))]
