"""The smallest training: a line through points, in milliseconds, with all that the loop does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np
import tensorflow as tf

from dsr.data_pipelines.input import WHOLE, Share
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.loop import Schedule, Training, train
from dsr.tfrecords.building import Build
from dsr.tfrecords.manifest import Identity

STEPS = 6


@dataclass(frozen=True)
class LineConfig:
    learning_rate: float = 0.1


class Line(tf.keras.Model):
    """y = a x + b, by momentum, which a checkpoint has to hold too; `after` is called with each step's number."""

    def __init__(self, config: LineConfig, after: Callable[[int, tf.keras.Model], None]) -> None:
        super().__init__()
        self.network = tf.keras.Sequential([tf.keras.layers.Dense(1, kernel_initializer="ones", input_shape=(1,))])
        self.mean, self.after = tf.keras.metrics.Mean("loss"), after
        self.compile(tf.keras.optimizers.SGD(config.learning_rate, momentum=0.9), run_eagerly=True)

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return [self.mean]

    def build_optimizers(self) -> None:
        self.optimizer.build(self.network.trainable_weights)

    def learning_rates(self) -> dict[str, float]:
        return {"learning_rate": float(self.optimizer.learning_rate.numpy())}

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.network(batch["x"]) - batch["y"]))
        weights = self.network.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        self.mean.update_state(loss)
        self.after(int(self.optimizer.iterations.numpy()), self.network)
        return {"loss": self.mean.result()}


class LineTraining(Training[Line]):
    """Six steps, a checkpoint after every second; `poisoned` is a step whose batch holds no number."""

    def __init__(
        self,
        config: LineConfig = LineConfig(),
        poisoned: int = 0,
        after: Callable[[int, tf.keras.Model], None] = lambda step, network: None,
    ) -> None:
        super().__init__(config, "line", Schedule(STEPS, batch=4, checkpoint_every=2, log_every=2), seed=0, images=1)
        self.poisoned, self.after = poisoned, after

    def batches(self, start: int, share: Share = WHOLE) -> tf.data.Dataset:
        def batch(step: int) -> dict[str, Any]:
            x = np.random.default_rng(step).random((4, 1), np.float32)
            return {"x": x, "y": 3 * x + (np.nan if step + 1 == self.poisoned else 2)}

        specification = {name: tf.TensorSpec((4, 1), tf.float32) for name in ("x", "y")}
        return tf.data.Dataset.from_generator(
            lambda: (batch(step) for step in range(start, 99)), output_signature=specification
        )

    def build(self) -> Line:
        return Line(self.config, self.after)

    def pictures(self, model: Line) -> dict[str, tf.Tensor]:
        return {"line": tf.zeros((1, 2, 2, 3))}

    def save(self, model: Line, build: Build) -> None:
        np.savez(build.path / "line.npz", *[variable.numpy() for variable in model.network.variables])


def line(root: Path, training: LineTraining | None = None) -> Artefact:
    """The artefact in a work folder; the same one, however its training is disturbed."""

    def build(artefact: Artefact, progress: Progress) -> None:
        train(training or LineTraining(), artefact, progress)

    identity = Identity("line", "lines/a", {"learning_rate": 0.1})
    return Artefact("lines", root, identity, Domain("O"), {}, build, units=STEPS, seconds_per_unit=1.0)


class Told(Progress):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        self.texts.append(text)
