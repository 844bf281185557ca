"""From a compressed image of any size to a restored one: whole where its feature maps fit into memory, else in tiles.

A residual dense network is made of convolutions alone, so a tile that is restored with a margin as wide as an output
value can see comes out as it does in the whole image.

Instance normalisation sees the whole image: a tile of sky by itself would come out other than as a part of its image,
and seams would show. The adversarial generator therefore goes over all tiles once for each normalisation of its head
and of its tail, to find the moments of the whole image that reach it, those before it being known by then, and once
more to compute. Between the two the body runs on the whole image, where a map has 2^n times fewer values than at full
resolution. That restores what the network restores from the whole image; at the paper's size it takes a third more
arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Callable

import numpy as np
import tensorflow as tf

from dsr.models.pixels import to_pixels, to_unit
from dsr.models.restorers.errors import RestorerError
from dsr.models.restorers.gan_config import GeneratorConfig
from dsr.models.restorers.generator import Norm, body, head, pad_to_multiple, tail
from dsr.models.restorers.normalization import EPSILON, instance_norm
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.registry import NetworkConfig

MEMORY = 4 * 2**30  # bytes that the feature maps of one image or tile may take
MAPS = (
    7  # so many times the largest feature map are in memory at once, at most; measured: RDN 6.6, generator 3.5 to 4.8
)
MARGIN = 3  # positions of the body that the generator's tail can see to either side; its head sees fewer

Part = Callable[[tf.Tensor, GeneratorConfig, Norm], tf.Tensor]


def restore(network: tf.keras.Model, config: NetworkConfig, image: np.ndarray, memory: int = MEMORY) -> np.ndarray:
    """Restore one image: uint8 (H, W, 3) to uint8 (H, W, 3). Values are rounded half to even and clipped.

    Whether an image is cut into tiles follows from its size, `config` and `memory` (bytes) alone and not from what is
    free, so that the restored bytes do too.

    Raises:
      RestorerError: a value is no number, which as a pixel would be black.
    """
    most = memory // (4 * MAPS * config.widest)
    if image.shape[0] * image.shape[1] <= most:
        restored = network(to_unit(image[np.newaxis]), training=False)[0]
    else:
        restored = config.restore_tiled(network, image, most)
    if not np.isfinite(restored).all():
        raise RestorerError("the restorer gives values that are no numbers: its training has diverged, train it again")
    return to_pixels(restored).numpy()


def convolved(network: tf.keras.Model, config: RdnConfig, image: np.ndarray, most: int) -> np.ndarray:
    """What the residual dense network makes of uint8 (H, W, 3), `most` pixels at a time: float32 (H, W, 3)."""
    return _over_tiles(network, to_unit(image).numpy(), most, config.margin)


def generated(generator: tf.keras.Model, config: GeneratorConfig, image: np.ndarray, most: int) -> np.ndarray:
    """What the generator makes of uint8 (H, W, 3), `most` pixels at a time: float32 (H, W, 3) in about [-1, 1]."""
    height, width = image.shape[:2]
    cell = config.multiple
    padded = pad_to_multiple(to_unit(image[np.newaxis]), cell)[0].numpy()
    weights = {variable.name: variable.numpy() for variable in generator.variables}
    cells = _normalized(head, 3, config, weights, padded, most, MARGIN * cell, cell)
    whole, _ = _network(body, cells.shape[-1], config, weights, instance_norm)
    cells = whole(cells[np.newaxis])[0].numpy()
    residual = _normalized(tail, cells.shape[-1], config, weights, cells, most // cell**2, MARGIN)
    return to_unit(image) + residual[:height, :width]


def _normalized(
    part: Part,
    channels: int,
    config: GeneratorConfig,
    weights: dict[str, np.ndarray],
    x: np.ndarray,
    most: int,
    margin: int,
    multiple: int = 1,
) -> np.ndarray:
    """A part of the generator, over tiles of the map `x`, every normalisation with the moments of the whole map."""
    network, normalized = _network(part, channels, config, weights, _fixed_norm)
    for name, reached in normalized.items():
        count, total, squares = 0, 0.0, 0.0
        for _, values in _tiles(tf.keras.Model(network.input, reached), x, most, margin, multiple):
            mean, variance = (moment.numpy().astype(np.float64) for moment in tf.nn.moments(values, [0, 1]))
            pixels = values.shape[0] * values.shape[1]
            count, total, squares = count + pixels, total + pixels * mean, squares + pixels * (variance + mean**2)
        norm = network.get_layer(name)
        norm.moving_mean.assign(total / count)
        norm.moving_variance.assign(squares / count - (total / count) ** 2)
    return _over_tiles(network, x, most, margin, multiple)


def _network(
    part: Part, channels: int, config: GeneratorConfig, weights: dict[str, np.ndarray], norm: Norm
) -> tuple[tf.keras.Model, dict[str, tf.Tensor]]:
    """A part of the generator with its weights, and what reaches each of its normalisations, by name, in order."""
    reached: dict[str, tf.Tensor] = {}

    def noted(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
        layer = norm(name)

        def call(x: tf.Tensor) -> tf.Tensor:
            reached[name] = x
            return layer(x)

        return call

    x = tf.keras.Input((None, None, channels))
    network = tf.keras.Model(x, part(x, config, noted))
    for variable in network.trainable_variables:
        variable.assign(weights[variable.name])
    return network, reached


def _fixed_norm(name: str) -> tf.keras.layers.Layer:
    """Normalisation by moments that are set: batch normalisation outside of training."""
    return tf.keras.layers.BatchNormalization(epsilon=EPSILON, name=name)


@dataclass(frozen=True)
class _Span:
    """A tile along one axis of a map: from where to where it is kept, and from where to where the network sees it."""

    start: int
    end: int
    seen_start: int
    seen_end: int

    @property
    def seen(self) -> slice:
        return slice(self.seen_start, self.seen_end)

    def kept(self, size: int) -> slice:
        """Where in an output of `size` positions those lie that are kept."""
        seen = self.seen_end - self.seen_start
        return slice((self.start - self.seen_start) * size // seen, (self.end - self.seen_start) * size // seen)


def _spans(length: int, most: int, margin: int, multiple: int) -> list[_Span]:
    """As few tiles of about one size as cover `length`, so that square ones have at most `most` positions, if they can.

    With all bounds at multiples, the network's layers divide a tile as they divide the whole.
    """
    kept = max(math.isqrt(most) - 2 * margin, margin)
    count = -(-length // kept)
    bounds = [i * (length // multiple) // count * multiple for i in range(count + 1)]
    return [
        _Span(start, end, max(start - margin, 0), min(end + margin, length)) for start, end in zip(bounds, bounds[1:])
    ]


def _tiles(
    network: tf.keras.Model, x: np.ndarray, most: int, margin: int, multiple: int = 1
) -> Iterator[tuple[_Span, tf.Tensor]]:
    """The rows of each tile of the map `x`, (H, W, C), and what the network makes of it, without margins."""
    for rows in _spans(x.shape[0], most, margin, multiple):
        for columns in _spans(x.shape[1], most, margin, multiple):
            values = network(x[np.newaxis, rows.seen, columns.seen], training=False)[0]
            yield rows, values[rows.kept(values.shape[0]), columns.kept(values.shape[1])]


def _over_tiles(network: tf.keras.Model, x: np.ndarray, most: int, margin: int, multiple: int = 1) -> np.ndarray:
    """What the network makes of the whole map `x`."""
    bands = groupby(_tiles(network, x, most, margin, multiple), key=lambda tile: tile[0])
    return np.concatenate([np.concatenate([values for _, values in band], axis=1) for _, band in bands])
