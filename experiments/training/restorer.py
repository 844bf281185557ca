"""Training a restorer on pairs of compressed and original images, as an artefact."""

from __future__ import annotations

import tensorflow as tf

from dsr.data_pipelines.input import WHOLE, Share, pair_dataset
from dsr.experiments.config.schema import OBJECTIVES, RestorerConfig, RestorerName
from dsr.experiments.graph import together
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.loop import describe, strategy, train
from dsr.models.restorers.gan import AdversarialRestorer
from dsr.models.restorers.generator import to_unit
from dsr.models.restorers.rdn import DenseRestorer
from dsr.models.restorers.saved import save_network
from dsr.tfrecords.reader import ShardSet

PICTURES = 4


def build_restorer(
    config: RestorerConfig, name: RestorerName, seed: int, artefact: Artefact, progress: Progress
) -> None:
    """Train a restorer (paper, appendices B and C) on the pairs of `artefact.inputs` and save its network.

    The folder then holds `generator.json` and `generator.npz`, `curves.json` and the TensorBoard events.

    Raises:
      RestorerError: the VGG weights cannot be had. ArtefactError: damaged shards, or another process trains it.
    """
    training = config.training(name)
    compressed, original = (ShardSet(artefact.inputs[role].folder) for role in ("compressed", "original"))

    def pairs(start: int, share: Share = WHOLE) -> tf.data.Dataset:
        return pair_dataset(
            compressed,
            original,
            batch=training.batch,
            crop=training.patch,
            images=config.images,
            seed=seed,
            start_step=start,
            share=share,
        )

    with together.building(artefact) as build:
        tf.keras.utils.set_random_seed(seed)
        with strategy(training.batch).scope():
            model = AdversarialRestorer(config.gan) if name == "gan" else DenseRestorer(config.rdn, OBJECTIVES[name])
        shown = next(iter(pairs(0).unbatch().batch(PICTURES)))

        def pictures() -> dict[str, tf.Tensor]:
            """Compressed, restored and original side by side."""
            given, wanted = to_unit(shown["compressed"]), to_unit(shown["original"])
            restored = tf.clip_by_value(model.network(given), -1, 1)
            return {"compressed | restored | original": tf.concat([given, restored, wanted], axis=2) / 2 + 0.5}

        seconds = train(
            model,
            pairs,
            build,
            label=artefact.label,
            steps=training.steps,
            checkpoint_every=config.checkpoint_every,
            log_every=config.log_every,
            seed=seed,
            description=describe(training, artefact),
            measured=dict,
            pictures=pictures,
            progress=progress,
        )
        save_network(model.network, training.network, build.path)
        build.summary.update(
            steps=training.steps,
            seconds=seconds,
            parameters=model.network.count_params(),
            images=config.images or compressed.num_images,
        )
