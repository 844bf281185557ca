"""Training a learned codec on original images, as an artefact."""

from __future__ import annotations

import tensorflow as tf

from dsr.data_pipelines.input import WHOLE, Share, patch_dataset
from dsr.experiments.graph import together
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.loop import describe, strategy, train
from dsr.models.hyperprior.config import LAMBDAS, CodecTrainingConfig
from dsr.models.hyperprior.network import HyperpriorTraining, psnr_of, to_float
from dsr.models.hyperprior.saved import load_hyperprior, save_hyperprior
from dsr.models.hyperprior.start import start_from_images
from dsr.tfrecords.reader import ShardSet

PICTURES = 4
SAMPLE = 64
"""Patches that the transforms start from and the integer network is calibrated on."""


def build_codec(config: CodecTrainingConfig, seed: int, artefact: Artefact, progress: Progress) -> None:
    """Train a mean-scale hyperprior on the images of `artefact.inputs["original"]` and save it for the codec `msh`.

    The folder then holds `codec.npz`, `curves.json` and the TensorBoard events: loss, bpp and its parts, PSNR; `rd_bpp` and `rd_psnr`, the
    rate-distortion point of rounded latents on a fixed batch of patches; and reconstructions of some of these.

    Raises:
      HyperpriorError: `config.start` is no codec or of another size. UserError: patches do not fit into the images. ArtefactError:
        damaged shards, or another process trains it.
    """
    shards = ShardSet(artefact.inputs["original"].folder)

    def patches(start: int, share: Share = WHOLE) -> tf.data.Dataset:
        return patch_dataset(shards, batch=config.batch, crop=config.patch, seed=seed, start_step=start, share=share)

    with together.building(artefact) as build:
        tf.keras.utils.set_random_seed(seed)
        sample = next(iter(patches(0).unbatch().batch(SAMPLE)))["image"]
        with strategy(config.batch).scope():
            model = HyperpriorTraining(config, seed)
            if config.start is not None:
                load_hyperprior(config.start, model.network)
            else:
                # The scale of MS-SSIM is another one, but the step size is right for the same quality.
                start_from_images(model.network, to_float(sample).numpy(), LAMBDAS["mse"][config.quality - 1])
        shown = to_float(sample[:PICTURES])

        def measured() -> dict[str, float]:
            values = model.measure(shown, training=False)
            return {"rd_bpp": float(values["bpp"]), "rd_psnr": float(psnr_of(values["mse"]))}

        def pictures() -> dict[str, tf.Tensor]:
            """Original and decoded side by side."""
            decoded = tf.clip_by_value(model.network(shown), 0, 1)
            return {"original | decoded": tf.concat([shown, decoded], axis=2)}

        seconds = train(
            model,
            patches,
            build,
            label=artefact.label,
            steps=config.steps,
            checkpoint_every=config.checkpoint_every,
            log_every=config.log_every,
            seed=seed,
            description=describe(config, artefact),
            measured=measured,
            pictures=pictures,
            progress=progress,
        )
        save_hyperprior(model.network, build.path, config.quality, sample)
        build.summary.update(
            steps=config.steps,
            seconds=seconds,
            parameters=model.network.count_params(),
            images=shards.num_images,
            **measured(),
        )
