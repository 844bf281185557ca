"""The one training loop: Keras `fit` in windows of steps, with curves, TensorBoard, checkpoints and resume at the step."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dsr.data_pipelines.input import Share
from dsr.experiments.config.overrides import flatten
from dsr.experiments.graph import hosts
from dsr.experiments.graph.artefacts import CURVES, Artefact
from dsr.experiments.graph.progress import Meter, Progress
from dsr.tfrecords.building import Build
from dsr.tfrecords.manifest import write_atomically

Curves = dict[str, list[list[float]]]
"""{"loss": [[step, value], ...], ...}: each value is the mean over the window of steps that ends at `step`."""


def strategy(batch: int) -> tf.distribute.Strategy:
    """Over what a training with batches of this size is spread.

    Several hosts (see `dsr.experiments.graph.hosts`) share it if the batch can be dealt out evenly to all their devices; if not, the chief trains
    alone, because an empty share of a batch has no mean (the paper trains its restorers with batches of one). One host uses all its GPUs,
    or as many as divide the batch; where there is at most one, that is the default one-device strategy.
    """
    if hosts.share(batch):
        return hosts.join()
    gpus = tf.config.list_logical_devices("GPU")
    replicas = math.gcd(len(gpus), batch) if gpus else 1
    if replicas > 1:
        return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus[:replicas]])
    return tf.distribute.get_strategy()


def describe(config: Any, artefact: Artefact) -> str:
    """A training's configuration and inputs as a Markdown table, for TensorBoard's text tab."""
    assert dataclasses.is_dataclass(config)
    rows = {**flatten(config), **{f"input {role}": other.name for role, other in artefact.inputs.items()}}
    return "| | |\n|-|-|\n" + "\n".join(f"| {key} | {value} |" for key, value in rows.items())


def train(
    model: tf.keras.Model,
    dataset_from: Callable[[int, Share], tf.data.Dataset],
    build: Build,
    *,
    label: str,
    steps: int,
    checkpoint_every: int,
    log_every: int,
    seed: int,
    description: str,
    measured: Callable[[], dict[str, float]],
    pictures: Callable[[], dict[str, tf.Tensor]],
    progress: Progress,
) -> float:
    """Train `model` for `steps` steps, going on from the newest checkpoint of an interrupted run.

    A run that was killed ends with the same weights as one that was not: the batch of a step, its augmentation and the learning rate
    are functions of the step, and a checkpoint holds all variables of the model and its optimizers.

    Args:
      model: compiled; its `train_step` returns the metrics that become curves, `learning_rates()` gives more of them, and
        `build_optimizers()` makes the optimizers' variables, so that a checkpoint can be restored into them.
      dataset_from: step, share -> endless dataset of that share of each batch; starts with the batch of that step (0 = first).
      build: the artefact in the making; gets `curves.json` and `tensorboard/`, its scratch folder holds the checkpoints.
      steps, checkpoint_every, log_every: numbers of steps; a window is the greatest common divisor of steps and log_every, so that
        windows fill the training exactly; checkpoints fall on window ends.
      description: Markdown shown in TensorBoard's text tab.
      measured: called at the end of each window, before metrics are reset, for more scalars.
      pictures: called at each checkpoint, {tag: float (N, H, W, 3) in [0, 1]}.

    Returns:
      The seconds of training in all runs together.
    """
    window = math.gcd(log_every, steps)
    seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    model.build_optimizers()
    checkpoints = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model, step=step, seconds=seconds), str(build.scratch / "checkpoints"), max_to_keep=2
    )
    if checkpoints.latest_checkpoint:
        checkpoints.checkpoint.restore(checkpoints.latest_checkpoint).assert_existing_objects_matched()
    start = int(step.numpy())
    if isinstance(model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
        hosts.same(start, "see different checkpoints")
    curves = {name: [p for p in curve if p[0] <= start] for name, curve in read_curves(build).items()}
    writer = tf.summary.create_file_writer(str(build.path / "tensorboard"))
    if start:
        progress.say(f"{label}: goes on at step {start} of {steps}")
    else:
        with writer.as_default(step=0):
            tf.summary.text("configuration", description)

    class Window(tf.keras.callbacks.Callback):
        """One Keras epoch is one window."""

        def __init__(self, meter: Meter) -> None:
            super().__init__()
            self.meter, self.done, self.since = meter, start, time.monotonic()

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            self.done += 1
            self.meter.update(self.done)

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            elapsed = time.monotonic() - self.since
            values = {name: float(value) for name, value in (logs or {}).items()}
            values |= {**model.learning_rates(), **measured(), "steps_per_second": window / elapsed}
            seconds.assign_add(elapsed)
            step.assign(self.done)
            with writer.as_default(step=self.done):
                for name, value in values.items():
                    curves.setdefault(name, []).append([self.done, value])
                    tf.summary.scalar(name, value)
            self.meter.update(self.done, _note(values))
            if self.done % checkpoint_every < window or self.done == steps:
                with writer.as_default(step=self.done):
                    for tag, images in pictures().items():
                        tf.summary.image(tag, images, max_outputs=len(images))
                writer.flush()
                write_atomically(build.path / CURVES, json.dumps(curves).encode())
                checkpoints.save()
            self.since = time.monotonic()

    if start < steps:
        with progress.meter(label, steps) as meter:
            meter.update(start)
            model.fit(
                _input(model.distribute_strategy, dataset_from, start),
                initial_epoch=start // window,
                epochs=steps // window,
                steps_per_epoch=window,
                verbose=0,
                callbacks=[Window(meter)],
            )
    writer.close()
    return round(float(seconds.numpy()), 3)


def _input(
    strategy: tf.distribute.Strategy, dataset_from: Callable[[int, Share], tf.data.Dataset], start: int
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Whole batches, which Keras deals out to the devices of one host; of several hosts each reads its share of every batch."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return dataset_from(start, Share())

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = dataset_from(start, Share(context.input_pipeline_id, context.num_input_pipelines))
        size = tf.nest.flatten(dataset.element_spec)[0].shape[0]
        return dataset.rebatch(size * context.num_input_pipelines // context.num_replicas_in_sync)

    return strategy.distribute_datasets_from_function(of_host)


def read_curves(build: Build) -> Curves:
    """The curves that an interrupted run has written."""
    path = build.path / CURVES
    return json.loads(path.read_text()) if path.is_file() else {}


def _note(values: dict[str, float]) -> str:
    shown = [name for name in ("loss", "miou", "generator_loss", "discriminator_loss", "l1") if name in values]
    return " ".join(f"{name} {values[name]:.3f}" for name in shown)
