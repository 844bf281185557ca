"""Both residual dense restorers go the way of the adversarial one: trained, resumed, used for shards, and reported."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Optional

import numpy as np
import pytest

from dsr.data_pipelines.input import pair_dataset
from dsr.experiments.collecting import collect
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.schema import RestorerConfig, StudyConfig
from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import Study
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.saved import read_config
from dsr.tfrecords.manifest import records
from dsr.tfrecords.reader import ShardSet
from tests.experiments import studies
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY, Killed, KilledAt, weights

pytestmark = pytest.mark.tensorflow

RDN = [
    *TINY,
    "restorer.rdn.network.blocks=1",
    "restorer.rdn.network.layers=1",
    "restorer.rdn.network.growth=2",
    "restorer.rdn.network.features=4",
    "restorer.rdn.patch=32",
    "restorer.rdn.steps=6",
]


def configured(*overrides: str) -> StudyConfig:
    return apply_overrides(studies.small(), [*RDN, *overrides])


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One work folder, so that what the tests share is made once."""
    return tmp_path_factory.mktemp("work")


@pytest.mark.parametrize("name", ["rdn-psnr", "rdn-msssim"])
def test_restored_shards_hold_what_the_saved_network_makes_of_the_compressed(name: str, work: Path) -> None:
    study = Study(configured(f"restorers={name}"), work, HERE)
    (codec,) = study.degradations
    restored, compressed = study.shards(Domain("R", codec, name), "test"), study.shards(Domain("C", codec), "test")
    make([restored], Progress())
    assert restored.name == f"streets/test/jpeg-quality10-{name}"
    assert read_config(study.restorer(codec, name).folder) == RdnConfig(blocks=1, layers=1, growth=2, features=4)
    pairs = list(zip(records(compressed.folder), records(restored.folder)))
    assert len(pairs) == 3
    for before, after in pairs:
        difference = np.abs(before.pixels().astype(int) - after.pixels())
        assert before.key == after.key and before.label == after.label
        assert 0 < difference.mean() < 20


def test_a_killed_training_ends_like_an_uninterrupted_one(work: Path, tmp_path: Path) -> None:
    whole, resumed = (
        study.restorer(study.degradations[0], "rdn-psnr")
        for study in (Study(configured(), work, HERE), Study(configured(), tmp_path, HERE))
    )
    make([whole, *resumed.inputs.values()], Progress())
    with pytest.raises(Killed):
        resumed.build(resumed, KilledAt(5))
    make([resumed], Progress())
    for a, b in zip(weights(whole), weights(resumed)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("wanted, images", [(None, 3), (2, 2), (5, 3)])
def test_a_training_says_on_how_many_images_it_is_where_some_were_left_out(wanted: Optional[int], images: int) -> None:
    from dsr.experiments.training.restorer import RestorerTraining

    compressed = SimpleNamespace(num_images=3)  # of five, of which two could not be compressed
    assert RestorerTraining(RestorerConfig(images=wanted), "rdn-psnr", 0, compressed, compressed).images == images


def test_a_restorer_may_train_on_the_first_images_alone(work: Path) -> None:
    study = Study(configured("restorer.images=2"), work, HERE)
    (codec,) = study.degradations
    restorer = study.restorer(codec, "rdn-psnr")
    make([restorer], Progress())
    assert restorer.manifest.summary["images"] == 2
    compressed, original = (ShardSet(restorer.inputs[role].folder) for role in ("compressed", "original"))
    whole = [record.pixels() for record in records(original.folder)]
    assert len(whole) == 3
    side = whole[0].shape[0]
    seen = set()
    for batch in pair_dataset(compressed, original, batch=1, crop=side, images=2).take(12):
        (patch,) = batch["original"].numpy()
        seen |= {i for i, image in enumerate(whole) for crop in (patch, patch[:, ::-1]) if np.array_equal(crop, image)}
    assert seen == {0, 1}


def test_a_study_with_another_restorer_has_the_same_report(work: Path) -> None:
    study = Study(configured("restorers=rdn-psnr"), work, HERE)
    (codec,) = study.degradations
    make([study.evaluation(Case.of("RO", codec, "rdn-psnr", 0))], Progress())
    results = collect(study)
    assert [(e.configuration, e.point) for e in results.evaluations] == [("RO", "jpeg-quality10")]
    (training,) = [t for t in results.trainings if t.kind == "restorer"]
    assert training.point == "jpeg-quality10" and {"loss", "psnr", "psnr_gain"} <= set(training.curves)
