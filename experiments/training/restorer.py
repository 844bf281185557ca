"""Training a restorer on pairs of compressed and original images, as an artefact."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Optional

import tensorflow as tf
from numpy.typing import NDArray

from dsr.data_pipelines.input import WHOLE, Batch, Share, pair_dataset
from dsr.experiments.config.schema import RestorerConfig
from dsr.experiments.fleet.restorers import TRAINED_ON, points_of
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.held_out import pairs
from dsr.experiments.training.loop import Schedule, Training, train
from dsr.models.pixels import to_unit
from dsr.models.restorers.folder import start_folder
from dsr.models.restorers.registry import RESTORERS, RestorerName, Trainer
from dsr.tfrecords.building import Build
from dsr.tfrecords.manifest import check_if_told
from dsr.tfrecords.reader import ShardSet

PICTURES = 4


def build_restorer(
    config: RestorerConfig,
    name: RestorerName,
    seed: int,
    artefact: Artefact,
    progress: Progress,
    unseen: tuple[Optional[Path], Optional[Path]] = (None, None),
) -> None:
    """Train a restorer (paper, appendices B and C) on the pairs of `artefact.inputs` and save its networks.

    `unseen` are compressed and original shards that TensorBoard shows the PSNR of at checkpoints.

    The folder then holds what `dsr.models.restorers.folder` says, `curves.json` and the TensorBoard events.

    Raises:
      RestorerError: the VGG weights or those to start from cannot be had.
      ArtefactError: damaged shards, or another process trains it.
    """
    if config.gan.start is not None:
        check_if_told(start_folder(config.gan.start))
    compressed, original = (ShardSet(artefact.inputs[role].folder) for role in ("compressed", "original"))
    train(RestorerTraining(config, name, seed, compressed, original, unseen), artefact, progress)


class RestorerTraining(Training[Trainer]):
    """A restorer on the same random patches of compressed and original images."""

    def __init__(
        self,
        config: RestorerConfig,
        name: RestorerName,
        seed: int,
        compressed: ShardSet,
        original: ShardSet,
        unseen: tuple[Optional[Path], Optional[Path]] = (None, None),
    ) -> None:
        own = config.training(name)
        schedule = Schedule(own.steps, own.batch, config.checkpoint_every, config.log_every)
        settings = "restorer.gan" if own is config.gan else "restorer.rdn"
        there = compressed.num_images  # which may be fewer than are set apart, where some could not be converted
        super().__init__(own, settings, schedule, seed, min(config.images or there, there))
        self.losses = ("generator_loss", "discriminator_loss") if own is config.gan else ("loss",)
        self.restorer, self.name = config, name
        self.compressed, self.original, self.unseen = compressed, original, unseen

    def batches(self, start: int, share: Share = WHOLE) -> tf.data.Dataset:
        return pair_dataset(
            self.compressed,
            self.original,
            batch=self.config.batch,
            crop=self.config.patch,
            images=self.restorer.images,
            seed=self.seed,
            start_step=start,
            share=share,
        )

    def build(self) -> Trainer:
        return self.config.build(RESTORERS[self.name].objective)

    def pictures(self, model: Trainer) -> dict[str, tf.Tensor]:
        """Compressed, restored and original side by side."""
        given, wanted = to_unit(self.shown["compressed"]), to_unit(self.shown["original"])
        restored = tf.clip_by_value(model.network(given), -1, 1)
        return {"compressed | restored | original": tf.concat([given, restored, wanted], axis=2) / 2 + 0.5}

    def held_out(self, model: Trainer) -> dict[str, float]:
        """PSNR of restored windows, mean over them."""
        if self._unseen is None:
            return {}
        given, wanted = self._unseen
        restored = model.network(to_unit(tf.constant(given[:PICTURES])))
        error = tf.reduce_mean(tf.square(tf.clip_by_value(restored, -1, 1) - to_unit(wanted[:PICTURES])), [1, 2, 3])
        return {"psnr": float(tf.reduce_mean(10 * tf.math.log(4 / tf.maximum(error, 1e-10)) / math.log(10)))}

    @cached_property
    def _unseen(self) -> Optional[tuple[NDArray, NDArray]]:
        return pairs(*self.unseen, self.config.patch)

    def save(self, model: Trainer, build: Build) -> None:
        model.save_networks(build.path)
        build.summary[TRAINED_ON] = [point.to_json() for point in points_of(self.compressed.manifest.config)]

    @cached_property
    def shown(self) -> Batch:
        return self.first(PICTURES)
