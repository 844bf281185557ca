"""A small hyperprior network that codes something without having been trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from dsr.models.hyperprior.config import QUALITIES, HyperpriorConfig
from dsr.models.hyperprior.network import HyperpriorNetwork
from dsr.models.hyperprior.saved import save_hyperprior

TINY = HyperpriorConfig(8, 12)


def lively_network(
    config: HyperpriorConfig = TINY, seed: int = 0, qualities: Sequence[float] = QUALITIES
) -> HyperpriorNetwork:
    """Latents of many values, means and scales that depend on z: larger kernels than at the start, biases not zero; and
    gains of each channel's own, which rise with the quality."""
    tf.keras.utils.set_random_seed(seed)
    network = HyperpriorNetwork(config, qualities)
    for variable in network.weights:
        if "kernel" in variable.name:
            variable.assign(2 * variable)
        elif "signal_conv2d" in variable.name:
            variable.assign(tf.random.normal(variable.shape, stddev=0.3))
    rising = 0.3 * (tf.constant(network.qualities)[:, None] - 3.5)
    network.log_gain.assign(rising + tf.random.normal(network.log_gain.shape, stddev=0.1))
    network.log_inverse_gain.assign(-network.log_gain + tf.random.normal(network.log_gain.shape, stddev=0.02))
    return network


def scenes(count: int = 4, height: int = 128, width: int = 192, seed: int = 0) -> np.ndarray:
    """uint8 (count, height, width, 3): random walks along the rows."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.integers(-9, 11, (count, height, width, 3)), axis=2).clip(0, 255).astype(np.uint8)


def saved_codec(
    folder: Path, config: HyperpriorConfig = TINY, seed: int = 0, qualities: Sequence[float] = QUALITIES
) -> Path:
    """The file of a `lively_network`."""
    return save_hyperprior(lively_network(config, seed, qualities), folder, scenes())
