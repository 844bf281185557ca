"""Training a restorer on pairs of compressed and original images, as an artefact."""

from __future__ import annotations

import tensorflow as tf

from data_pipelines.input import pair_dataset
from experiments.artefacts import Artefact
from experiments.configs import RestorerConfig
from experiments.progress import Progress
from experiments.training import describe, strategy, train
from models.adversarial import AdversarialRestorer
from models.restorer import to_unit
from models.saved_restorer import save_generator
from tfrecords.manifest import building
from tfrecords.reader import ShardSet

PICTURES = 4


def build_restorer(config: RestorerConfig, seed: int, artefact: Artefact, progress: Progress) -> None:
    """Train the adversarial restorer (paper, appendix B) on the pairs of `artefact.inputs` and save its generator.

    The folder then holds `generator.json` and `generator.npz`, `curves.json` and the TensorBoard events.

    Raises:
      RestorerError: the VGG weights cannot be had. ArtefactError: damaged shards, or another process trains it.
    """
    network = config.network
    compressed, original = (ShardSet(artefact.inputs[role].folder) for role in ("compressed", "original"))

    def pairs(start: int) -> tf.data.Dataset:
        return pair_dataset(compressed, original, batch=network.batch, crop=network.patch, seed=seed, start_step=start)

    with building(artefact.folder, artefact.identity) as build:
        tf.keras.utils.set_random_seed(seed)
        with strategy(network.batch).scope():
            model = AdversarialRestorer(network)
        shown = next(iter(pairs(0).unbatch().batch(PICTURES)))

        def pictures() -> dict[str, tf.Tensor]:
            """Compressed, restored and original side by side."""
            given, wanted = to_unit(shown["compressed"]), to_unit(shown["original"])
            restored = tf.clip_by_value(model.generator(given), -1, 1)
            return {"compressed | restored | original": tf.concat([given, restored, wanted], axis=2) / 2 + 0.5}

        seconds = train(
            model,
            pairs,
            build,
            label=artefact.label,
            steps=network.steps,
            checkpoint_every=config.checkpoint_every,
            log_every=config.log_every,
            seed=seed,
            description=describe(config, artefact),
            measured=dict,
            pictures=pictures,
            progress=progress,
        )
        save_generator(model.generator, network.generator, build.path)
        build.summary.update(
            steps=network.steps,
            seconds=seconds,
            parameters=model.generator.count_params(),
            images=compressed.num_images,
        )
