"""The one training loop: Keras `fit` in windows of steps, with curves, TensorBoard, checkpoints and resume at the step.

A training is a subclass of `Training`: where its batches come from, its model, what is shown of it, and how it is
saved. All else is the same for every training, and stands in `train`.
"""

from __future__ import annotations

import json
import math
import time
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import tensorflow as tf

from dsr.data_pipelines.input import WHOLE, Share
from dsr.experiments.graph import hosts, together
from dsr.experiments.graph.artefacts import CURVES, Artefact
from dsr.experiments.graph.progress import Meter, Progress
from dsr.experiments.training import board
from dsr.experiments.training.checkpoints import Checkpoints
from dsr.experiments.training.failures import TrainingError, in_one_sentence, not_finite
from dsr.tfrecords.building import Build
from dsr.tfrecords.files import write_atomically

Model = TypeVar("Model")


@dataclass(frozen=True)
class Schedule:
    """How long a training is and how often it is written down, in steps; `batch` is the number of samples in a step."""

    steps: int
    batch: int
    checkpoint_every: int
    log_every: int

    @property
    def window(self) -> int:
        """Steps over which a point of a curve is the mean: a divisor of `log_every` that fills the training exactly."""
        return math.gcd(self.log_every, self.steps)

    def going_on(self, start: int) -> Schedule:
        """The same from a checkpoint on, in windows that begin there.

        The one who wrote it may have had other windows: how often a training is written down is no part of what it is.
        """
        return replace(self, log_every=math.gcd(self.log_every, start))

    def saves_at(self, step: int) -> bool:
        """Whether there is a checkpoint after this step, the last one of a window."""
        return step % self.checkpoint_every < self.window or step == self.steps


class Training(ABC, Generic[Model]):
    """What one kind of network is trained on, and what becomes of it.

    Attributes:
      config: of the network and its optimization, a dataclass; shown in TensorBoard's text tab.
      settings: what that is called in a study's configuration, as "restorer.gan"; its `learning_rate` is what to lower.
      schedule: how long, and how often it is written down.
      seed: of the start and of the order and augmentation of the samples.
      images: how many it learns from.
      losses: the metrics that are minimised; it ends where one of them is no number.
    """

    losses: tuple[str, ...] = ("loss",)

    def __init__(self, config: Any, settings: str, schedule: Schedule, seed: int, images: int) -> None:
        self.config, self.settings, self.schedule, self.seed, self.images = config, settings, schedule, seed, images

    @abstractmethod
    def batches(self, start: int, share: Share = WHOLE) -> tf.data.Dataset:
        """That share of each batch, endlessly, from the batch of step `start` on (0 = first).

        A function of step and seed alone.
        """

    @abstractmethod
    def build(self) -> Model:
        """The compiled Keras model at its start, made in the scope of the strategy that trains it.

        Its `train_step` returns the metrics that become curves, `learning_rates()` gives more of them,
        `build_optimizers()` makes the optimizers' variables, so that a checkpoint can be restored into them, and
        `network` is what is wanted in the end.
        """

    @abstractmethod
    def pictures(self, model: Model) -> dict[str, tf.Tensor]:
        """What TensorBoard shows of each checkpoint, {tag: float (N, H, W, 3) in [0, 1]}."""

    @abstractmethod
    def save(self, model: Model, build: Build) -> None:
        """Write the trained network into `build.path`; more that the manifest shall tell goes to `build.summary`."""

    def measured(self, model: Model) -> dict[str, float]:
        """More points of curves, measured at the end of each window before metrics are reset."""
        return {}

    def held_out(self, model: Model) -> dict[str, float]:
        """What it does, at a checkpoint, to images that it is not trained on; for TensorBoard alone, and cheap."""
        return {}

    def first(self, count: int) -> Any:
        """The first so many samples as one batch: to start from, and to show."""
        return next(iter(self.batches(0).unbatch().batch(count)))


def train(training: Training, artefact: Artefact, progress: Progress) -> None:
    """Train a network as an artefact, going on from the newest checkpoint of an interrupted run.

    A run that was killed ends with the same weights as one that was not: the batch of a step, its augmentation and the
    learning rate are functions of the step, and a checkpoint holds all variables of the model and its optimizers.

    The folder then holds what `training.save` writes, `curves.json` and the TensorBoard events.

    Raises:
      TrainingError: a loss or a weight is not finite; the last checkpoint at which all were is kept.
      ArtefactError: damaged shards or checkpoints, a full disk, or another process trains it.
    """
    with in_one_sentence(artefact), together.building(artefact) as build:
        tf.keras.utils.set_random_seed(training.seed)
        with strategy(training.schedule.batch).scope():
            model = training.build()
        seconds = _fit(training, model, artefact, build, progress)
        training.save(model, build)
        build.summary.update(
            steps=training.schedule.steps,
            seconds=seconds,
            parameters=model.network.count_params(),
            images=training.images,
        )


def strategy(batch: int) -> tf.distribute.Strategy:
    """Over what a training with batches of this size is spread.

    Several hosts (see `dsr.experiments.graph.hosts`) share it if the batch can be dealt out evenly to all their
    devices; if not, the chief trains alone, because an empty share of a batch has no mean (the paper trains its
    restorers with batches of one). One host uses all its GPUs, or as many as divide the batch; where there is at most
    one, that is the default one-device strategy.
    """
    if hosts.share(batch):
        return hosts.join()
    gpus = tf.config.list_logical_devices("GPU")
    replicas = math.gcd(len(gpus), batch) if gpus else 1
    if replicas > 1:
        return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus[:replicas]])
    return tf.distribute.get_strategy()


def _fit(training: Training, model: Any, artefact: Artefact, build: Build, progress: Progress) -> float:
    """Take the steps that are left.

    The artefact in the making gets `curves.json` and `tensorboard/`, its scratch folder the checkpoints.

    Returns:
      The seconds of training in all runs together.
    """
    kind = artefact.identity.kind
    with model.distribute_strategy.scope():  # else all replicas update one variable, each of them once a step
        model.build_optimizers()
    checkpoints = Checkpoints(build.scratch / "checkpoints", model)
    state, damaged = checkpoints.restore()
    start = state.step
    schedule = training.schedule.going_on(start)
    window = schedule.window
    if isinstance(model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
        hosts.same(start, "see different checkpoints")
    for path in damaged:
        progress.say(f"{artefact.label}: {path} is damaged, and the checkpoint before it is taken")
    if start:
        progress.say(f"{artefact.label}: goes on at step {start} of {schedule.steps}")

    def diverged(what: str, step: int) -> TrainingError:
        rates = " and ".join(f"{rate:g}" for rate in model.learning_rates().values())
        kept = f"the checkpoint of step {state.step} is kept" if state.step else "there is no checkpoint yet"
        return TrainingError(
            f"{artefact.label} has diverged: {what} is not finite at step {step}, where the learning rate is {rates}; "
            f"try a lower one (--set {training.settings}.learning_rate=...); {kept}"
        )

    class Window(tf.keras.callbacks.Callback):
        """One Keras epoch is one window."""

        def __init__(self, meter: Meter, writer: tf.summary.SummaryWriter) -> None:
            super().__init__()
            self.meter, self.writer = meter, writer
            self.done, self.since = start, time.monotonic()

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            self.done += 1
            for name in training.losses:
                if not math.isfinite((logs or {})[name]):
                    raise diverged(f"the {name}", self.done)
            self.meter.update(self.done)

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            elapsed = time.monotonic() - self.since
            values = {name: float(value) for name, value in (logs or {}).items()}
            values |= {**model.learning_rates(), **training.measured(model), "steps_per_second": window / elapsed}
            state.seconds += elapsed
            with self.writer.as_default(step=self.done):
                known = {name: value for name, value in values.items() if math.isfinite(value)}
                for name, value in known.items():  # a score is none where no pixel has a label
                    state.curves.setdefault(name, []).append([self.done, value])
                board.show_scalars(kind, known)
            self.meter.update(self.done, _note(values))
            if schedule.saves_at(self.done):
                lost = not_finite(model.variables)
                if lost:
                    raise diverged(f"the weight {lost}", self.done)
                with self.writer.as_default(step=self.done):
                    for tag, images in training.pictures(model).items():
                        tf.summary.image(tag, images, max_outputs=len(images))
                    board.show_scalars(kind, {board.HELD_OUT + n: v for n, v in training.held_out(model).items()})
                self.writer.flush()
                state.step = self.done
                checkpoints.save(state)
                build.keep_reached(state.step)
            self.since = time.monotonic()

    if start < schedule.steps:
        with (
            closing(tf.summary.create_file_writer(str(build.path / "tensorboard"))) as writer,
            progress.meter(artefact.label, schedule.steps) as meter,
        ):
            if not start:
                with writer.as_default(step=0):
                    board.show_settings(training.config, {r: other.name for r, other in artefact.inputs.items()})
            meter.update(start)
            model.fit(
                _input(model.distribute_strategy, training, start),
                initial_epoch=start // window,
                epochs=schedule.steps // window,
                steps_per_epoch=window,
                verbose=0,
                callbacks=[Window(meter, writer)],
            )
    write_atomically(build.path / CURVES, json.dumps(state.curves).encode())
    return round(state.seconds, 3)


def _input(
    strategy: tf.distribute.Strategy, training: Training, start: int
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Whole batches, which Keras deals out to the devices of one host.

    Of several hosts each reads its share of every batch.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return training.batches(start)

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = training.batches(start, Share(context.input_pipeline_id, context.num_input_pipelines))
        return dataset.rebatch(training.schedule.batch // context.num_replicas_in_sync)

    return strategy.distribute_datasets_from_function(of_host)


def _note(values: dict[str, float]) -> str:
    shown = [name for name in ("loss", "miou", "generator_loss", "discriminator_loss", "l1") if name in values]
    return " ".join(f"{name} {values[name]:.3f}" for name in shown)
