"""What every backbone is before it is dilated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf


def load_keras_file(network: tf.keras.Model, path: str) -> None:
    """The weights that Keras's `save_weights` wrote. Raises OSError, ValueError or KeyError if they do not fit."""
    network.load_weights(path)


@dataclass(frozen=True)
class Backbone:
    """A network as it was published, and what DeepLabv3+ has to know of it.

    Attributes:
      network: functional, without top, at its natural strides.
      low, high: the layers that are tapped, at stride 4 and at the network's last one.
      prepare: from images in [-1, 1] (B, H, W, 3) to what the network was trained on.
      load: reads a file of weights into the network.
    """

    network: tf.keras.Model
    low: str
    high: str
    prepare: Callable[[tf.Tensor], tf.Tensor] = tf.identity
    load: Callable[[tf.keras.Model, str], None] = load_keras_file
