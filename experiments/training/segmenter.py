"""Training a segmenter on the shards of a domain, as an artefact."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Optional

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.data_pipelines.datasets import IGNORE, LabelTable
from dsr.data_pipelines.input import WHOLE, Batch, Share, subset, training_dataset
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.graph.artefacts import CLASSES, Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.hdf5 import save_weights
from dsr.experiments.training.held_out import Windows, windows
from dsr.experiments.training.loop import Schedule, Training, train
from dsr.models.segmenter.backbones import recalibrate_if_folded
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.models.segmenter.training import Segmenter, build_optimizer, iou_per_class
from dsr.tfrecords.building import Build
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.files import write_atomically
from dsr.tfrecords.reader import ShardSet
from dsr.tfrecords.schema import canonical_json

PICTURES = 4
CALIBRATION = 16  # crops over which a backbone's statistics are taken, if its file has none
WEIGHTS = "segmenter.weights.h5"


def build_segmenter(
    config: SegmenterConfig,
    seed: int,
    table: LabelTable,
    artefact: Artefact,
    progress: Progress,
    unseen: Optional[Path] = None,
) -> None:
    """Train DeepLabv3+ on `artefact.inputs["shards"]` and save its weights.

    `unseen` are shards that TensorBoard shows the mIoU of at checkpoints.

    The folder then holds the weights, `curves.json` and the TensorBoard events; the curves' mIoU and IoU are those of
    the training crops.

    A pretrained backbone whose batch normalisation is folded into its kernels is recalibrated first
    (`dsr.models.segmenter.backbones`).

    Raises:
      WeightsError: the backbone's weights cannot be had. ArtefactError: damaged shards, no labelled pixel,
      or another process trains it.
    """
    shards = ShardSet(artefact.inputs["shards"].folder)
    train(SegmenterTraining(config, seed, table, shards, unseen), artefact, progress)


class SegmenterTraining(Training[Segmenter]):
    """DeepLabv3+ on randomly scaled crops; with `versions` each in a version of its image that is drawn."""

    config: SegmenterConfig

    def __init__(
        self,
        config: SegmenterConfig,
        seed: int,
        table: LabelTable,
        shards: ShardSet,
        unseen: Optional[Path] = None,
        versions: Sequence[ShardSet] = (),
    ) -> None:
        schedule = Schedule(config.steps, config.batch, config.checkpoint_every, config.log_every)
        self.chosen = None if config.images is None else subset(shards, config.images, seed)
        images = shards.num_images if self.chosen is None else len(self.chosen)
        super().__init__(config, "segmenter", schedule, seed, images)
        self.table, self.shards, self.unseen, self.versions = table, shards, unseen, versions

    def batches(self, start: int, share: Share = WHOLE) -> tf.data.Dataset:
        config = self.config
        return training_dataset(
            self.shards,
            batch=config.batch,
            crop=(config.crop_height, config.crop_width),
            scale=(config.scale_min, config.scale_max),
            seed=self.seed,
            start_step=start,
            share=share,
            versions=self.versions,
            chosen=self.chosen,
        )

    def build(self) -> Segmenter:
        refuse_unlabelled(self.shards, self.chosen)
        config, classes = self.config, self.table.num_classes
        network = build_deeplab(config.network, classes)
        if config.network.weights != "none" and not config.network.freeze_batch_norm:
            recalibrate_if_folded(network.get_layer("backbone"), self.first(CALIBRATION)["image"])
        weights = None
        if config.class_weights == "inverse_sqrt":
            weights = inverse_sqrt(class_frequencies(self.shards, classes, self.chosen))
        model = self.segmenter(network, weights)
        model.compile(
            self._optimizer(1.0), None if config.backbone_rate == 1 else self._optimizer(config.backbone_rate)
        )
        return model

    def segmenter(self, network: tf.keras.Model, class_weights: NDArray[np.float32] | None) -> Segmenter:
        """The network with its training step."""
        config = self.config
        return Segmenter(network, self.table.num_classes, config.weight_decay, class_weights, config.label_smoothing)

    def measured(self, model: Segmenter) -> dict[str, float]:
        scores = zip(class_names(self.table), model.confusion.iou_per_class())
        return {f"iou/{name}": float(iou) for name, iou in scores if not math.isnan(iou)}

    def pictures(self, model: Segmenter) -> dict[str, tf.Tensor]:
        """The image, the prediction laid over it, and the label laid over it, side by side."""
        image = self.shown["image"].numpy()
        predicted, wanted = model.label_map(self.shown["image"]).numpy(), self.shown["label"].numpy()
        overlays = [(image / 2 + self.table.colorize(labels) / 2) / 255 for labels in (predicted, wanted)]
        return {"image | prediction | label": tf.concat([image / 255, *overlays], axis=2)}

    def held_out(self, model: Segmenter) -> dict[str, float]:
        """The mIoU, in the predictions' batches of `pictures`, whose graph is there."""
        if self._unseen is None:
            return {}
        classes = self.table.num_classes
        matrix = np.zeros((classes, classes), np.int64)
        count = len(self._unseen["image"])
        for start in range(0, count // PICTURES * PICTURES or count, PICTURES):
            image, label = (self._unseen[name][start : start + PICTURES] for name in ("image", "label"))
            predicted, known = model.label_map(tf.constant(image)).numpy(), label != IGNORE
            np.add.at(matrix, (label[known], predicted[known]), 1)
        iou = iou_per_class(matrix)
        return {"miou": float(np.nanmean(iou))} if np.isfinite(iou).any() else {}

    @cached_property
    def _unseen(self) -> Optional[Windows]:
        return windows(self.unseen, self.config.crop_height, self.config.crop_width)

    def save(self, model: Segmenter, build: Build) -> None:
        save_weights(model.network, build.path / WEIGHTS, build.scratch)
        write_atomically(build.path / CLASSES, canonical_json(self.table.to_json()).encode())

    @cached_property
    def shown(self) -> Batch:
        return self.first(PICTURES)

    def _optimizer(self, factor: float) -> tf.keras.optimizers.Optimizer:
        config = self.config
        return build_optimizer(config.optimizer, factor * config.learning_rate, config.steps, config.warmup)


def refuse_unlabelled(shards: ShardSet, chosen: NDArray[np.int64] | None = None) -> None:
    """Raise ArtefactError if not one pixel has a class: nothing can be learnt from the shards, nor scored on them."""
    if not any((label != IGNORE).any() for label in _labels(shards, chosen)):
        count = shards.num_images if chosen is None else len(chosen)
        raise ArtefactError(
            f"{shards.folder}: no pixel of its {count} images has a class, all are void: "
            "compare the ids in the label maps with the list of classes"
        )


def class_frequencies(
    shards: ShardSet, num_classes: int, chosen: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """The share of each class in the labelled pixels of the images that it is in, 0 if it is in none, (num_classes,).

    So counted (as SegNet's are), a class of few images does not seem smaller than it is where it is seen.
    """
    pixels, labelled = np.zeros((2, num_classes), np.int64)
    for label in _labels(shards, chosen):
        counts = np.bincount(label.ravel(), minlength=num_classes)[:num_classes]
        pixels += counts
        labelled += counts.sum() * (counts > 0)
    return pixels / np.maximum(labelled, 1)


def _labels(shards: ShardSet, chosen: NDArray[np.int64] | None) -> Iterable[NDArray[np.uint8]]:
    records = shards.serialized()
    if chosen is not None:
        numbered = records.enumerate().filter(lambda number, _: tf.reduce_any(number == chosen))
        records = numbered.map(lambda _, record: record)
    return records.map(lambda record: ShardSet.parse(record)["label"]).as_numpy_iterator()


def inverse_sqrt(frequencies: NDArray[np.float64]) -> NDArray[np.float32]:
    """Weights of the classes, 1 / sqrt(frequency); of a class that is never labelled 0, it has no loss to weigh."""
    with np.errstate(divide="ignore"):
        return np.where(frequencies > 0, frequencies**-0.5, 0).astype(np.float32)


def class_names(table: LabelTable) -> list[str]:
    """Of the classes, in order of their train ids."""
    return [label.name for label in table.classes]
