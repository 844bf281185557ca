"""Training a segmenter on the same images at several rates, as an artefact."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from dsr.data_pipelines.datasets import LabelTable
from dsr.data_pipelines.input import WHOLE, Share, training_dataset
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.loop import train
from dsr.experiments.training.segmenter import SegmenterTraining
from dsr.tfrecords.reader import ShardSet


def build_mixed(config: SegmenterConfig, seed: int, table: LabelTable, artefact: Artefact, progress: Progress) -> None:
    """As `build_segmenter`, each sample of one of the `shards` of `artefact.inputs`, which hold the same images.

    Crops and order of the images are those of the segmenter of this seed that is trained on the first of them alone.
    """
    first, *others = (ShardSet(one.folder) for role, one in sorted(artefact.inputs.items()) if "shards" in role)
    train(MixedTraining(config, seed, table, first, others), artefact, progress)


class MixedTraining(SegmenterTraining):
    """DeepLabv3+ on randomly scaled crops, each in a version of its image that is drawn."""

    def __init__(
        self, config: SegmenterConfig, seed: int, table: LabelTable, shards: ShardSet, versions: Sequence[ShardSet]
    ) -> None:
        super().__init__(config, seed, table, shards)
        self.versions = versions

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
