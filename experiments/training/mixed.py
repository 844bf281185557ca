"""Training a segmenter on the same images at several rates, as an artefact."""

from __future__ import annotations

from dsr.data_pipelines.datasets import LabelTable
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
    train(SegmenterTraining(config, seed, table, first, versions=others), artefact, progress)
