"""Training a segmenter with pairs of originals and their compressed versions beside the labelled images."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.data_pipelines.datasets import LabelTable
from dsr.data_pipelines.input import WHOLE, Share, crop_pair_dataset
from dsr.experiments.adaptations.consistency import Consistency
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.loop import train
from dsr.experiments.training.segmenter import SegmenterTraining
from dsr.models.segmenter.consistency import ConsistentSegmenter
from dsr.models.segmenter.training import Segmenter
from dsr.tfrecords.reader import ShardSet


def build_consistent(
    config: SegmenterConfig,
    consistency: Consistency,
    images: Optional[int],
    seed: int,
    table: LabelTable,
    artefact: Artefact,
    progress: Progress,
) -> None:
    """As `build_segmenter`, with the pairs of `artefact.inputs`, of the first `images` or of all, beside the shards."""
    shards, compressed, original = (ShardSet(artefact.inputs[role].folder) for role in ("shards", *PAIR))
    train(
        ConsistentTraining(config, consistency, images, seed, table, shards, compressed, original), artefact, progress
    )


PAIR = ("compressed", "original")
"""The roles of a pair's shards among the inputs."""


class ConsistentTraining(SegmenterTraining):
    """DeepLabv3+ on randomly scaled crops, and on as many pairs of crops without labels."""

    losses = ("loss", "consistency")

    def __init__(
        self,
        config: SegmenterConfig,
        consistency: Consistency,
        images: Optional[int],
        seed: int,
        table: LabelTable,
        shards: ShardSet,
        compressed: ShardSet,
        original: ShardSet,
    ) -> None:
        super().__init__(config, seed, table, shards)
        self.consistency, self.pair_images = consistency, images
        self.compressed, self.original = compressed, original

    def batches(self, start: int, share: Share = WHOLE) -> tf.data.Dataset:
        config = self.config
        pairs = crop_pair_dataset(
            self.compressed,
            self.original,
            batch=config.batch,
            crop=(config.crop_height, config.crop_width),
            scale=(config.scale_min, config.scale_max),
            images=self.pair_images,
            seed=self.seed,
            start_step=start,
            share=share,
        )
        return tf.data.Dataset.zip((super().batches(start, share), pairs)).map(
            lambda labelled, pair: {**labelled, **pair}
        )

    def segmenter(self, network: tf.keras.Model, class_weights: NDArray[np.float32] | None) -> Segmenter:
        config, consistency = self.config, self.consistency
        return ConsistentSegmenter(
            network,
            self.table.num_classes,
            config.weight_decay,
            class_weights,
            config.label_smoothing,
            weight=consistency.weight,
            rising=math.ceil(consistency.warmup * config.steps),
        )
