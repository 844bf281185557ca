"""Training a learned codec on original images, as an artefact."""

from __future__ import annotations

from functools import cached_property

import tensorflow as tf

from dsr.data_pipelines.input import WHOLE, Share, patch_dataset
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.loop import Schedule, Training, train
from dsr.models.hyperprior.config import CodecTrainingConfig
from dsr.models.hyperprior.network import HyperpriorTraining, psnr_of, to_float
from dsr.models.hyperprior.saved import load_hyperprior, save_hyperprior
from dsr.models.hyperprior.start import start_from_images
from dsr.tfrecords.building import Build
from dsr.tfrecords.reader import ShardSet

PICTURES = 4
SAMPLE = 64
"""Patches that the transforms start from and the integer network is calibrated on."""


def build_codec(config: CodecTrainingConfig, seed: int, artefact: Artefact, progress: Progress) -> None:
    """Train a mean-scale hyperprior on the images of `artefact.inputs["original"]` and save it for the codec `msh`.

    The folder then holds `codec.npz`, `curves.json` and the TensorBoard events: loss, bpp and its parts, PSNR;
    `rd_bpp_quality3`, `rd_psnr_quality3` and so on, the rate-distortion points of rounded latents on a fixed batch of
    patches; and reconstructions of these.

    Raises:
      HyperpriorError: `config.start` is no codec or of another size. UserError: patches do not fit into the images.
        ArtefactError: damaged shards, or another process trains it.
    """
    train(CodecTraining(config, seed, ShardSet(artefact.inputs["original"].folder)), artefact, progress)


class CodecTraining(Training[HyperpriorTraining]):
    """A mean-scale hyperprior on random patches."""

    config: CodecTrainingConfig

    def __init__(self, config: CodecTrainingConfig, seed: int, shards: ShardSet) -> None:
        schedule = Schedule(config.steps, config.batch, config.checkpoint_every, config.log_every)
        super().__init__(config, "codec", schedule, seed, shards.num_images)
        self.shards = shards

    def batches(self, start: int, share: Share = WHOLE) -> tf.data.Dataset:
        config = self.config
        return patch_dataset(
            self.shards, batch=config.batch, crop=config.patch, seed=self.seed, start_step=start, share=share
        )

    def build(self) -> HyperpriorTraining:
        model = HyperpriorTraining(self.config, self.seed)
        if self.config.start is not None:
            load_hyperprior(self.config.start, model.network)
        else:
            start_from_images(model.network, to_float(self.sample).numpy())
        return model

    def measured(self, model: HyperpriorTraining) -> dict[str, float]:
        return {
            f"{name}_quality{quality:g}": value
            for quality, bpp, psnr in self.points(model)
            for name, value in (("rd_bpp", bpp), ("rd_psnr", psnr))
        }

    def points(self, model: HyperpriorTraining) -> list[tuple[float, float, float]]:
        """Quality, bits a pixel and PSNR of each quality that has gains of its own."""
        values = [(quality, model.measure(self.shown, quality, training=False)) for quality in self.config.qualities]
        return [(quality, float(value["bpp"]), float(psnr_of(value["mse"]))) for quality, value in values]

    def pictures(self, model: HyperpriorTraining) -> dict[str, tf.Tensor]:
        """Original and decoded side by side, at the middle of the qualities."""
        middle = (self.config.qualities[0] + self.config.qualities[-1]) / 2
        decoded = tf.clip_by_value(model.network(self.shown, middle), 0, 1)
        return {"original | decoded": tf.concat([self.shown, decoded], axis=2)}

    def save(self, model: HyperpriorTraining, build: Build) -> None:
        save_hyperprior(model.network, build.path, self.sample)
        qualities, bpp, psnr = map(list, zip(*self.points(model)))
        build.summary.update(qualities=qualities, rd_bpp=bpp, rd_psnr=psnr)

    @cached_property
    def sample(self) -> tf.Tensor:
        return self.first(SAMPLE)["image"]

    @property
    def shown(self) -> tf.Tensor:
        return to_float(self.sample[:PICTURES])
