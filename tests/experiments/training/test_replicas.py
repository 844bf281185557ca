"""The loop trains on two devices as on one: what its parts do by themselves, their own tests say."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training import loop
from tests.experiments.training.line import Line, LineConfig, LineTraining, line
from tests.models.restorers.replicas import train_on_one_and_two


class SharedLine(Line):
    """A line through the points of all replicas."""

    def __init__(self) -> None:
        super().__init__(LineConfig(), lambda step, network: None)
        self.compile(tf.keras.optimizers.SGD(0.1, momentum=0.9))

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.network(batch["x"]) - batch["y"]))
            share = loss / tf.distribute.get_strategy().num_replicas_in_sync
        weights = self.network.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(share, weights), weights))
        self.mean.update_state(loss)
        return {"loss": self.mean.result()}


class SharedTraining(LineTraining):
    def build(self) -> SharedLine:
        return SharedLine()


def trained(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "strategy", lambda batch: strategy)
        artefact = line(Path(root), SharedTraining())
        make([artefact], Progress())
        with np.load(artefact.folder / "line.npz") as archive:
            return [archive[name] for name in archive]


def test_a_training_on_two_devices_ends_like_one_on_one() -> None:
    one, two = train_on_one_and_two(trained)
    for a, b in zip(one, two):
        np.testing.assert_allclose(b, a, rtol=1e-5)
