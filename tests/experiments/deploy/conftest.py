"""A segmenter as its training leaves it, untrained, with shards of a few drawn streets."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import ORIGINAL, Study
from tests.experiments import studies

SETTINGS = ["height=32", "width=48", "test=3", "train=2", "restore=1"]


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Its original test and training shards exist, and the segmenter."""
    return untrained_study(tmp_path_factory.mktemp("work"))


def untrained_study(work: Path, *settings: str) -> Study:
    """A study of these settings, with its original test and training shards, and the segmenter."""
    import tensorflow as tf

    from dsr.experiments.training.segmenter import SegmenterTraining
    from dsr.tfrecords.building import building
    from dsr.tfrecords.reader import ShardSet

    config = apply_overrides(studies.small(), [*(f"dataset.options.{one}" for one in SETTINGS), *settings])
    study = Study(config, work)
    make([study.shards(ORIGINAL, role) for role in ("test", "train")], Progress())
    artefact = segmenter(study)
    tf.keras.utils.set_random_seed(3)
    training = SegmenterTraining(config.segmenter, 0, study.source.table, ShardSet(artefact.inputs["shards"].folder))
    with building(artefact.folder, artefact.identity) as build:
        training.save(training.build(), build)
    return study


def segmenter(study: Study) -> Artefact:
    return study.segmenter(ORIGINAL, 0)
