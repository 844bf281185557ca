"""A study that tests start from: what it is does not change when the demonstration becomes another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dsr.experiments.config.schema import DatasetConfig, OperatingPoint, RestorerConfig, SegmenterConfig, StudyConfig
from dsr.experiments.conversion import Converting
from dsr.models.hyperprior.config import CodecTrainingConfig
from dsr.models.restorers.gan_config import AdversarialConfig
from dsr.models.restorers.rdn_config import DenseConfig
from dsr.models.segmenter.config import BACKBONES, DeepLabConfig, KnownBackbone
from dsr.tfrecords.engine import How, Work
from tests.tfrecords.fakes import inline

BACKBONES["few_layers"] = KnownBackbone("tests.experiments.few_layers", 1_000)
FEW_LAYERS = ["segmenter.network.backbone=few_layers", "segmenter.network.width=1"]
"""Settings of a segmenter that is built in a second, in this process."""


def here(work: Work, tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """An engine that starts no process, each of which takes a second and one that restores some: for studies whose
    shards are only on the way to what a test is about. TensorFlow restores with the threads that it has here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dsr.models.restorers.saved.single_threaded", lambda: None)
        yield from inline(work, tasks)


HERE = Converting(How(1, here))


def small() -> StudyConfig:
    """Drawn streets at two operating points, one restorer and one seed; tiny networks with random weights."""
    return StudyConfig(
        name="demo",
        dataset=DatasetConfig(
            name="streets", options={"height": 128, "width": 256, "restore": 40, "train": 120, "test": 40}
        ),
        points=(OperatingPoint("bpg", 34), OperatingPoint("bpg", 42)),
        restorer=RestorerConfig(
            gan=dataclasses.replace(AdversarialConfig.tiny(), steps=300),
            rdn=dataclasses.replace(DenseConfig.tiny(), steps=300),
            checkpoint_every=100,
            log_every=25,
        ),
        segmenter=SegmenterConfig(
            network=DeepLabConfig.tiny(),
            steps=250,
            batch=8,
            crop_height=128,
            crop_width=192,
            scale_min=0.75,
            scale_max=1.5,
            optimizer="adam",
            learning_rate=2e-3,
            checkpoint_every=125,
            log_every=25,
        ),
        codec=CodecTrainingConfig(
            patch=128, batch=4, steps=200, learning_rate=1e-4, checkpoint_every=100, log_every=20
        ),
        images_per_shard=20,
    )
