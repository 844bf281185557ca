"""What a segmenter's backbone sees in every image of shards, as an artefact."""

from __future__ import annotations

import numpy as np

from dsr.data_pipelines.datasets import LabelTable
from dsr.data_pipelines.input import evaluation_dataset
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements.files import FEATURES
from dsr.experiments.training.evaluation import load_segmenter
from dsr.experiments.training.failures import in_one_sentence
from dsr.tfrecords.building import building
from dsr.tfrecords.reader import ShardSet


def build_features(config: SegmenterConfig, table: LabelTable, artefact: Artefact, progress: Progress) -> None:
    """Average both outputs of a segmenter's backbone over each image of shards, both inputs of the artefact.

    The folder then holds `features.npz`: keys (images,) in their order, low (images, C_low) and high (images, C_high),
    float32.

    `low` is the shallow layer of the paper's Fig. 10, which names none: the one at a quarter of the resolution whose
    features DeepLabv3+'s decoder takes for edges, so that what is off in it is off in the prediction. `high` are the
    backbone's last features, all that the rest of the network knows of the scene; their distribution over images is
    what the distances of `dsr.models.metrics.distances` compare.

    Raises:
      ArtefactError: damaged shards or a missing segmenter.
    """
    shards = ShardSet(artefact.inputs["shards"].folder)
    with (
        in_one_sentence(artefact),
        building(artefact.folder, artefact.identity) as build,
        progress.meter(artefact.label, shards.num_images) as meter,
    ):
        means = load_segmenter(config, table, artefact.inputs["segmenter"].folder).feature_means
        keys, lows, highs = [], [], []
        for number, batch in enumerate(evaluation_dataset(shards, batch=1), start=1):
            low, high = means(batch["image"])
            keys.append(batch["key"].numpy()[0].decode())
            lows.append(low.numpy()[0])
            highs.append(high.numpy()[0])
            meter.update(number)
        np.savez(build.path / FEATURES, keys=np.array(keys), low=np.stack(lows), high=np.stack(highs))
        build.summary.update(images=len(keys))
