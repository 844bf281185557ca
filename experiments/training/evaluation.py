"""Evaluating a segmenter on the shards of a domain, as an artefact."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path

from dsr.data_pipelines.datasets import LabelTable
from dsr.data_pipelines.input import evaluation_dataset
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.samples import spread
from dsr.experiments.training.failures import TrainingError, in_one_sentence, not_finite
from dsr.experiments.training.segmenter import WEIGHTS, class_names, refuse_unlabelled
from dsr.models.segmenter.config import DeepLabConfig
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.models.segmenter.training import ConfusionMatrix, Segmenter
from dsr.tfrecords.building import building
from dsr.tfrecords.manifest import Manifest, intact
from dsr.tfrecords.png import encode_png
from dsr.tfrecords.reader import ShardSet


def build_evaluation(
    config: SegmenterConfig, samples: int, table: LabelTable, artefact: Artefact, progress: Progress
) -> None:
    """Score a trained segmenter on test shards: whole images, single scale, one confusion matrix over the whole split.

    The folder then holds the predicted label maps of `samples` images, spread evenly over the split, as
    `prediction-N.png` (train ids).

    Raises:
      ArtefactError: a damaged or missing segmenter, damaged shards, no labelled pixel, a full disk.
      TrainingError: the segmenter had diverged.
    """
    shards = ShardSet(artefact.inputs["shards"].folder)
    shown = spread(samples, shards.num_images)
    with (
        in_one_sentence(artefact),
        building(artefact.folder, artefact.identity) as build,
        progress.meter(artefact.label, shards.num_images) as meter,
    ):
        refuse_unlabelled(shards)
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
            per_class={name: _or_none(iou) for name, iou in zip(class_names(table), confusion.iou_per_class())},
            confusion=confusion.matrix.tolist(),
            samples=keys,
        )


def read_segmenter(config: SegmenterConfig, table: LabelTable, folder: Path) -> Segmenter:
    """A trained segmenter for inference, the caller's own.

    Raises ArtefactError if its weights are not those that were written, TrainingError if they are no numbers.
    """
    path = intact(folder, WEIGHTS)  # before a network is built, which takes seconds
    return _filled(_untrained(config.network, table.num_classes), path)


def load_segmenter(config: SegmenterConfig, table: LabelTable, folder: Path) -> Segmenter:
    """The same, until the next one is loaded; its weights are not the caller's to change.

    Building, filling and tracing a network takes longer than a small test does, so there is one that all take turns in.
    """
    path = intact(folder, WEIGHTS)
    try:
        return _turn(config.network, table.num_classes, path, Manifest.load(folder).files[WEIGHTS]["sha256"])
    except BaseException:
        _turn.cache_clear()  # what the network holds by now is unknown
        raise


def _untrained(config: DeepLabConfig, classes: int) -> Segmenter:
    return Segmenter(build_deeplab(dataclasses.replace(config, weights="none"), classes), classes)


_shared = functools.lru_cache(maxsize=1)(_untrained)


@functools.lru_cache(maxsize=1)
def _turn(config: DeepLabConfig, classes: int, path: Path, digest: str) -> Segmenter:
    """The shared network, filled again only if the weights are others: Keras takes seconds to find their places."""
    return _filled(_shared(config, classes), path)


def _filled(model: Segmenter, path: Path) -> Segmenter:
    model.network.load_weights(str(path))
    lost = not_finite(model.network.variables)
    if lost:
        raise TrainingError(
            f"{path}: the weight {lost} is not finite, the training had diverged; remove {path.parent} and train again"
        )
    return model


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
