"""Giving a trained segmenter's batch normalisations the statistics of other images, without training.

A network in inference normalises by statistics that it gathered of its training images; on images of another kind they
are wrong. Schneider et al., "Improving robustness against common corruptions by covariate shift adaptation" (2020), and
Nado et al., "Evaluating prediction-time batch normalization for robustness under covariate shift" (2020), replace them
by those of the images at hand.

Here the statistics are exact: of every normalisation they are mean and variance of what it is given, over all positions
of all images, in the network as it then stands. They are taken layer by layer, each when those before it have theirs.
So they depend on the set of images alone: neither on an order, nor on a momentum, nor on how images are batched. (One
pass in training mode that averages would normalise each batch by itself on the way, which is not what inference does.)

A layer that is given one value an image, as in the pooled branch of the spatial pyramid, keeps the statistics that it
was trained with. Of it they tell how images differ as wholes: a few originals, which may all be of one drive, are no
estimate of that, and of whole images it is another thing than of the crops that it learnt from.

All images go together from layer to layer: what the layers ahead will take of an image is kept, so that no layer is
computed twice. Where that is too much to keep, the images start anew from what was kept last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.models.errors import UserError
from dsr.models.pixels import to_unit

MOST = 1 << 30
"""Bytes that are kept of all images together; while new ones are, the old ones are there too."""


def recalibrate(
    network: tf.keras.Model, images: Iterable[tf.Tensor], done: Callable[[int, int], None] = lambda *_: None
) -> int:
    """Give batch normalisations that were trained with statistics of their batches those of what these images give.

    Frozen ones stay: what they do was part of the network before it was trained. So do those that are given one value
    an image.

    Args:
      network: of `build_deeplab`. Layers know more calls of them afterwards; weights and function are those of before.
      images: uint8 RGB (1, H, W, 3), of any sizes; may be gone over several times.
      done: told of normalisations done and of how many there are.

    Returns:
      How many images there are.

    Raises:
      UserError: there are no images, or normalisations that cannot be reached.
    """
    backbone = network.get_layer("backbone")
    body = next(layer for layer in backbone.layers if isinstance(layer, tf.keras.Model))
    prepare = tf.keras.Model(backbone.input, body.get_input_at(-1))
    inside, outside = _Path(body), _Path(network)
    every, reached = _norms(network._flatten_layers(include_self=False)), _norms((*body.layers, *network.layers))
    if len(every) > len(reached):
        raise UserError(f"{network.name} has {len(every) - len(reached)} batch normalisations in layers, out of reach")

    def scaled() -> Iterator[tf.Tensor]:
        return map(to_unit, images)

    layers, count = len(inside.norms) + len(outside.norms), 0
    in_turn = chain(_in_turn(inside, lambda: map(prepare, scaled())), _in_turn(outside, scaled))
    for number, seen in enumerate(in_turn, start=1):
        done(number, layers)
        count = seen
    return count


def _norms(layers: Iterable[tf.keras.layers.Layer]) -> list[tf.keras.layers.BatchNormalization]:
    return [layer for layer in layers if isinstance(layer, tf.keras.layers.BatchNormalization)]


class _Path:
    """The way of images through a functional model, from one batch normalisation that was trained to the next.

    Attributes:
      norms: none before one that it depends on, as Keras orders layers.
      given: what each of them takes.
      ahead: of each, what it and the layers behind it take of those before it.
    """

    def __init__(self, model: tf.keras.Model) -> None:
        layers = model.layers
        given = [layer.inbound_nodes[0].keras_inputs for layer in layers]  # of an operator all that it takes
        made = [tf.nest.flatten(layer.get_output_at(0)) for layer in layers]
        places = [
            place
            for place, layer in enumerate(layers)
            if isinstance(layer, tf.keras.layers.BatchNormalization) and layer.trainable
        ]
        self.start = model.input
        self.sources = {id(tensor): inputs for inputs, outputs in zip(given, made) for tensor in outputs}
        self.norms = [layers[place] for place in places]
        self.given = [given[place][0] for place in places]
        self.ahead = []
        for place in places:
            wanted = {id(tensor) for later in given[place : places[-1] + 1] for tensor in later}
            self.ahead.append([tensor for before in made[:place] for tensor in before if id(tensor) in wanted])

    def between(self, here: list[tf.Tensor], ahead: list[tf.Tensor]) -> Callable[[list[tf.Tensor]], list[tf.Tensor]]:
        """What makes of the values of the tensors `here` those of the tensors `ahead`."""
        new, there = [tensor for tensor in ahead if all(tensor is not one for one in here)], {id(one) for one in here}
        needed, seen, stack = set(), set(), list(new)
        while stack:
            tensor = stack.pop()
            if id(tensor) in there:
                needed.add(id(tensor))
            elif id(tensor) not in seen:
                seen.add(id(tensor))
                stack.extend(self.sources[id(tensor)])
        taken = [place for place, tensor in enumerate(here) if id(tensor) in needed]
        model = tf.keras.Model([here[place] for place in taken], new) if new else lambda *_, **__: []

        def go_on(values: list[tf.Tensor]) -> list[tf.Tensor]:
            made = tf.nest.flatten(model([values[place] for place in taken], training=False))
            every = {id(tensor): value for tensor, value in zip((*here, *new), (*values, *made))}
            return [every[id(tensor)] for tensor in ahead]

        return go_on


def _in_turn(path: _Path, images: Callable[[], Iterable[tf.Tensor]]) -> Iterator[int]:
    """Recalibrate one normalisation after the other on what the model takes of each image; yields how many images."""
    here, kept = [path.start], None
    next_kept: list[list[tf.Tensor]]
    for norm, given, ahead in zip(path.norms, path.given, path.ahead):
        own = next(place for place, tensor in enumerate(ahead) if tensor is given)
        go_on = path.between(here, ahead)
        moments, next_kept, room = [], [], MOST
        for value in ([image] for image in images()) if kept is None else kept:
            found = go_on(value)
            moments.append(_moments(found[own]))
            room -= sum(tensor.dtype.size * int(tf.size(tensor)) for tensor in found)
            if room < 0:
                next_kept.clear()
            else:
                next_kept.append(found)
        if not moments:
            raise UserError("there are no images to recalibrate a network with: set some apart")
        if any(positions > 1 for _, _, positions in moments):
            mean, variance = _pooled(moments)
            norm.moving_mean.assign(mean)
            norm.moving_variance.assign(variance)
        if next_kept:
            here, kept = ahead, next_kept
        yield len(moments)


Moments = tuple[NDArray[np.float64], NDArray[np.float64], int]
"""Mean and variance of each channel, and over how many positions."""


def _moments(features: tf.Tensor) -> Moments:
    """Of a feature map (1, h, w, C)."""
    mean, variance = tf.nn.moments(tf.cast(features, tf.float32), (0, 1, 2))
    return mean.numpy().astype(np.float64), variance.numpy().astype(np.float64), int(np.prod(features.shape[:3]))


def _pooled(moments: Iterable[Moments]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Those of all positions together; in float64, so that no map is lost in the sum of many."""
    means, variances, sizes = zip(*moments)
    mean = np.average(means, axis=0, weights=sizes)
    return mean, np.average(np.add(variances, np.square(means - mean)), axis=0, weights=sizes)
