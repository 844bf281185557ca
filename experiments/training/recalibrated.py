"""Recalibrating a trained segmenter on originals, as an artefact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import tensorflow as tf

from dsr.data_pipelines.datasets import LabelTable
from dsr.data_pipelines.input import evaluation_dataset
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.evaluation import read_segmenter
from dsr.experiments.training.failures import in_one_sentence
from dsr.experiments.training.hdf5 import save_weights
from dsr.experiments.training.segmenter import WEIGHTS
from dsr.models.segmenter.recalibration import recalibrate
from dsr.tfrecords.building import building
from dsr.tfrecords.reader import ShardSet


def build_recalibrated(
    config: SegmenterConfig, table: LabelTable, images: Optional[int], artefact: Artefact, progress: Progress
) -> None:
    """Give the segmenter of `artefact.inputs` the batch-norm statistics of its originals, the first `images` or all.

    Whole images at their own size, as in an evaluation. The folder then holds the weights.

    Raises:
      ArtefactError: a damaged or missing segmenter, damaged shards, a full disk.
      TrainingError: the segmenter had diverged.
      UserError: there are no images.
    """
    shards = ShardSet(artefact.inputs["original"].folder)
    with in_one_sentence(artefact), building(artefact.folder, artefact.identity) as build:
        network = read_segmenter(config, table, artefact.inputs["segmenter"].folder).network
        with progress.meter(artefact.label, artefact.units) as meter:
            count = recalibrate(
                network,
                _Whole(shards, images),
                lambda layer, layers: meter.update(artefact.units * layer // layers, f"layer {layer} of {layers}"),
            )
        save_weights(network, build.path / WEIGHTS, build.scratch)
        build.summary.update(images=count, parameters=network.count_params())


class _Whole:
    """The first so many images of shards, or all, in order of their keys, as often as is asked: uint8 (1, H, W, 3)."""

    def __init__(self, shards: ShardSet, images: Optional[int]) -> None:
        self.batches = evaluation_dataset(shards).take(-1 if images is None else images)

    def __iter__(self) -> Iterator[tf.Tensor]:
        return (batch["image"] for batch in self.batches)
