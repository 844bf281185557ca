"""Training a segmenter on the shards of a domain, and evaluating one on the shards of another, as artefacts."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path

import tensorflow as tf

from data_pipelines.datasets import LabelTable
from data_pipelines.input import WHOLE, Share, evaluation_dataset, training_dataset
from experiments import hosts
from experiments.artefacts import Artefact
from experiments.configs import SegmenterConfig
from experiments.progress import Progress
from experiments.training import describe, strategy, train
from models.backbones import recalibrate_if_folded
from models.deeplab import build_deeplab
from models.segmentation import ConfusionMatrix, Segmenter, build_optimizer
from tfrecords.manifest import building
from tfrecords.reader import ShardSet
from tfrecords.schema import encode_png

PICTURES = 4
CALIBRATION = 16  # crops over which a backbone's statistics are taken, if its file has none
WEIGHTS = "segmenter.weights.h5"


def build_segmenter(
    config: SegmenterConfig, seed: int, table: LabelTable, artefact: Artefact, progress: Progress
) -> None:
    """Train DeepLabv3+ on `artefact.inputs["shards"]` and save its weights.

    The folder then holds the weights, `curves.json` and the TensorBoard events; the curves' mIoU and IoU are those of the training crops.

    A pretrained backbone whose batch normalisation is folded into its kernels is recalibrated first (`models.backbones`).

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

    with hosts.building(artefact) as build:
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


def build_evaluation(
    config: SegmenterConfig, samples: int, table: LabelTable, artefact: Artefact, progress: Progress
) -> None:
    """Score a trained segmenter on test shards: whole images, single scale, one confusion matrix over the whole split.

    The folder then holds the predicted label maps of `samples` images, spread evenly over the split, as `prediction-N.png` (train ids).

    Raises:
      ArtefactError: damaged shards or a missing segmenter.
    """
    shards = ShardSet(artefact.inputs["shards"].folder)
    shown = {int((n + 0.5) * shards.num_images / samples): n for n in range(min(samples, shards.num_images))}
    with (
        building(artefact.folder, artefact.identity) as build,
        progress.meter(artefact.label, shards.num_images) as meter,
    ):
        model = load_segmenter(config, table, artefact.inputs["segmenter"].folder)
        confusion = ConfusionMatrix(table.num_classes)
        keys = []
        for number, batch in enumerate(evaluation_dataset(shards, batch=1)):
            predicted = model.label_map(batch["image"])
            confusion.update_state(batch["label"], predicted)
            if number in shown:
                keys.append(batch["key"].numpy()[0].decode())
                (build.path / f"prediction-{shown[number]}.png").write_bytes(encode_png(predicted.numpy()[0]))
            meter.update(number + 1)
        build.summary.update(
            images=shards.num_images,
            miou=float(confusion.result()),
            pixel_accuracy=confusion.pixel_accuracy(),
            per_class={name: _or_none(iou) for name, iou in zip(_names(table), confusion.iou_per_class())},
            confusion=confusion.matrix.tolist(),
            samples=keys,
        )


@functools.lru_cache(maxsize=4)  # one segmenter is tested in up to three domains, and building it takes seconds
def load_segmenter(config: SegmenterConfig, table: LabelTable, folder: Path) -> Segmenter:
    """A trained segmenter for inference."""
    network = build_deeplab(dataclasses.replace(config.network, weights="none"), table.num_classes)
    network.load_weights(str(folder / WEIGHTS))
    return Segmenter(network, table.num_classes)


def _per_class(model: Segmenter, table: LabelTable) -> dict[str, float]:
    scores = zip(_names(table), model.confusion.iou_per_class())
    return {f"iou/{name}": float(iou) for name, iou in scores if not math.isnan(iou)}


def _names(table: LabelTable) -> list[str]:
    return [label.name for label in table.classes]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
