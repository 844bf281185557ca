"""Training a segmenter on the shards of a domain, and evaluating one on the shards of another, as artefacts."""

from __future__ import annotations

import math

import tensorflow as tf

from dsr.data_pipelines.datasets import LabelTable
from dsr.data_pipelines.input import WHOLE, Share, training_dataset
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.graph import together
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.loop import describe, strategy, train
from dsr.models.segmenter.backbones import recalibrate_if_folded
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.models.segmenter.training import Segmenter, build_optimizer
from dsr.tfrecords.reader import ShardSet

PICTURES = 4
CALIBRATION = 16  # crops over which a backbone's statistics are taken, if its file has none
WEIGHTS = "segmenter.weights.h5"


def build_segmenter(
    config: SegmenterConfig, seed: int, table: LabelTable, artefact: Artefact, progress: Progress
) -> None:
    """Train DeepLabv3+ on `artefact.inputs["shards"]` and save its weights.

    The folder then holds the weights, `curves.json` and the TensorBoard events; the curves' mIoU and IoU are those of the training crops.

    A pretrained backbone whose batch normalisation is folded into its kernels is recalibrated first (`dsr.models.segmenter.backbones`).

    Raises:
      WeightsError: the backbone's weights cannot be had. ArtefactError: damaged shards, or another process trains it.
    """
    shards = ShardSet(artefact.inputs["shards"].folder)

    def crops(start: int, share: Share = WHOLE) -> tf.data.Dataset:
        return training_dataset(
            shards,
            batch=config.batch,
            crop=(config.crop_height, config.crop_width),
            scale=(config.scale_min, config.scale_max),
            seed=seed,
            start_step=start,
            share=share,
        )

    with together.building(artefact) as build:
        tf.keras.utils.set_random_seed(seed)
        with strategy(config.batch).scope():
            network = build_deeplab(config.network, table.num_classes)
            if config.network.weights != "none" and not config.network.freeze_batch_norm:
                seen = next(iter(crops(0).unbatch().batch(CALIBRATION)))["image"]
                recalibrate_if_folded(network.get_layer("backbone"), seen)
            model = Segmenter(network, table.num_classes, config.weight_decay)
            model.compile(optimizer=build_optimizer(config.optimizer, config.learning_rate, config.steps))
        shown = next(iter(crops(0).unbatch().batch(PICTURES)))

        def pictures() -> dict[str, tf.Tensor]:
            """The image, the prediction laid over it, and the label laid over it, side by side."""
            image = shown["image"].numpy()
            predicted, wanted = model.label_map(shown["image"]).numpy(), shown["label"].numpy()
            overlays = [(image / 2 + table.colorize(labels) / 2) / 255 for labels in (predicted, wanted)]
            return {"image | prediction | label": tf.concat([image / 255, *overlays], axis=2)}

        seconds = train(
            model,
            crops,
            build,
            label=artefact.label,
            steps=config.steps,
            checkpoint_every=config.checkpoint_every,
            log_every=config.log_every,
            seed=seed,
            description=describe(config, artefact),
            measured=lambda: _per_class(model, table),
            pictures=pictures,
            progress=progress,
        )
        network.save_weights(str(build.path / WEIGHTS))
        build.summary.update(
            steps=config.steps,
            seconds=seconds,
            parameters=network.count_params(),
            images=shards.num_images,
        )


def _per_class(model: Segmenter, table: LabelTable) -> dict[str, float]:
    scores = zip(_names(table), model.confusion.iou_per_class())
    return {f"iou/{name}": float(iou) for name, iou in scores if not math.isnan(iou)}


def _names(table: LabelTable) -> list[str]:
    return [label.name for label in table.classes]
