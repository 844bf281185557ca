"""One training on one device and on two."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import numpy as np
import tensorflow as tf

Train = Callable[[tf.distribute.Strategy], list[np.ndarray]]
"""A function of a module, which a process of its own can import."""


def train_on_one_and_two(train: Train) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the training gives here on one replica, and what on two."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        two = pool.apply_async(_on_two_replicas, (train,))
        return train(tf.distribute.get_strategy()), two.get()


def _on_two_replicas(train: Train) -> list[np.ndarray]:
    """For a process of its own: the number of logical devices is settled when TensorFlow starts."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    return train(strategy)
