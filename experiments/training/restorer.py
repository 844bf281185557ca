"""Training a restorer on pairs of compressed and original images, as an artefact."""

from __future__ import annotations

from functools import cached_property

import tensorflow as tf

from dsr.data_pipelines.input import WHOLE, Batch, Share, pair_dataset
from dsr.experiments.config.schema import RestorerConfig
from dsr.experiments.fleet.restorers import TRAINED_ON, points_of
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.loop import Schedule, Training, train
from dsr.models.restorers.folder import start_folder
from dsr.models.restorers.generator import to_unit
from dsr.models.restorers.registry import RESTORERS, RestorerName, Trainer
from dsr.tfrecords.building import Build
from dsr.tfrecords.manifest import check_if_told
from dsr.tfrecords.reader import ShardSet

PICTURES = 4


def build_restorer(
    config: RestorerConfig, name: RestorerName, seed: int, artefact: Artefact, progress: Progress
) -> None:
    """Train a restorer (paper, appendices B and C) on the pairs of `artefact.inputs` and save its networks.

    The folder then holds what `dsr.models.restorers.folder` says, `curves.json` and the TensorBoard events.

    Raises:
      RestorerError: the VGG weights or those to start from cannot be had.
      ArtefactError: damaged shards, or another process trains it.
    """
    if config.gan.start is not None:
        check_if_told(start_folder(config.gan.start))
    compressed, original = (ShardSet(artefact.inputs[role].folder) for role in ("compressed", "original"))
    train(RestorerTraining(config, name, seed, compressed, original), artefact, progress)


class RestorerTraining(Training[Trainer]):
    """A restorer on the same random patches of compressed and original images."""

    def __init__(
        self, config: RestorerConfig, name: RestorerName, seed: int, compressed: ShardSet, original: ShardSet
    ) -> None:
        own = config.training(name)
        schedule = Schedule(own.steps, own.batch, config.checkpoint_every, config.log_every)
        settings = "restorer.gan" if own is config.gan else "restorer.rdn"
        super().__init__(own, settings, schedule, seed, config.images or compressed.num_images)
        self.losses = ("generator_loss", "discriminator_loss") if own is config.gan else ("loss",)
        self.restorer, self.name = config, name
        self.compressed, self.original = compressed, original

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

    def save(self, model: Trainer, build: Build) -> None:
        model.save_networks(build.path)
        build.summary[TRAINED_ON] = [point.to_json() for point in points_of(self.compressed.manifest.config)]

    @cached_property
    def shown(self) -> Batch:
        return self.first(PICTURES)
