"""A training that was killed goes on at its step and ends with the bytes of one that was not; the whole chain holds
together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.experiments.collecting import collect, report_of
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.schema import StudyConfig
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import CURVES, Artefact, closure, plan
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import Study
from dsr.experiments.training.board import tag_of
from dsr.tfrecords.png import decode_png
from tests.experiments import studies
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY, Killed, KilledAt, weights


@pytest.fixture(scope="module")
def config() -> StudyConfig:
    return apply_overrides(studies.small(), [*TINY, "samples=3"])


@pytest.fixture(scope="module")
def study(config: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A whole study, made without interruption."""
    study = Study(config, tmp_path_factory.mktemp("work"), HERE)
    make(study.evaluations(), Progress())
    return study


def trained(study: Study, group: str) -> Artefact:
    (codec,) = study.degradations
    return study.segmenter(Domain("C", codec), 0) if group == "segmenters" else study.restorer(codec, "gan")


@pytest.mark.parametrize("group", ["segmenters", "restorers"])
def test_a_killed_training_ends_like_an_uninterrupted_one(
    group: str, study: Study, config: StudyConfig, tmp_path: Path
) -> None:
    other = Study(config, tmp_path, HERE)
    artefact = trained(other, group)
    make(artefact.inputs.values(), Progress())
    with pytest.raises(Killed):
        artefact.build(artefact, KilledAt(5))
    assert artefact.started and not artefact.exists
    left = plan([artefact])[-1]
    assert (left.state, left.seconds) == ("goes on", pytest.approx(2 * artefact.seconds_per_unit)), "checkpoint at 4"
    make([artefact], Progress())
    reference = trained(study, group)
    assert artefact.fingerprint == reference.fingerprint
    for ours, theirs in zip(weights(artefact), weights(reference)):
        np.testing.assert_array_equal(ours, theirs)
    for name, curve in json.loads((reference.folder / CURVES).read_text()).items():
        resumed = json.loads((artefact.folder / CURVES).read_text())[name]
        assert [step for step, _ in resumed] == [2, 4, 6]
        if name != "steps_per_second":
            assert resumed == curve


def test_a_study_run_again_makes_nothing(study: Study, config: StudyConfig) -> None:
    class Nothing(Progress):
        def meter(self, label: str, total: int) -> None:  # type: ignore[override]
            raise AssertionError(f"{label} was made again")

    make(Study(config, study.work).evaluations(), Nothing())


def test_an_evaluation_scores_the_predictions_that_it_keeps_like_a_plain_count(study: Study) -> None:
    """mIoU of the whole split from one confusion matrix; here counted anew, all images' predictions being kept."""
    labels = {sample.key: study.source.read(sample)[1] for sample in study.source.samples("test")}
    for evaluation in study.evaluations():
        summary = evaluation.manifest.summary
        assert sorted(summary["samples"]) == sorted(labels)
        matrix = np.zeros_like(summary["confusion"])
        for number, key in enumerate(summary["samples"]):
            predicted = decode_png((evaluation.folder / f"prediction-{number}.png").read_bytes(), 128, 128, "L")
            labelled = labels[key] != 255
            np.add.at(matrix, (labels[key][labelled], predicted[labelled]), 1)
        assert summary["confusion"] == matrix.tolist()
        union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
        expected = np.mean([matrix[i, i] / union[i] for i in range(len(matrix)) if union[i]])
        assert summary["miou"] == pytest.approx(expected)


def test_tensorboard_has_every_curve_pictures_and_the_configuration(study: Study) -> None:
    discriminators = [f"d_{what}_{scale}" for what in ("original", "restored") for scale in (1, 4)]
    losses = ["generator_loss", "discriminator_loss", "gan", "l1", "ms_ssim", "dist"]
    for group, curves, picture in (
        ("segmenters", ["loss", "miou", "learning_rate", "iou/road"], "image | prediction | label"),
        ("restorers", [*losses, *discriminators, "learning_rate"], "compressed | restored | original"),
    ):
        expected = {tag_of(group.removesuffix("s"), name).tag for name in curves} | {"configuration", picture}
        (events,) = (trained(study, group).folder / "tensorboard").glob("events*")
        tags = {
            value.tag for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value
        }
        assert expected <= {tag.removesuffix("/image_0") for tag in tags} | tags


def test_the_report_covers_the_study_and_names_every_artefact(study: Study) -> None:
    results = collect(study)
    assert {(e.configuration, e.point) for e in results.evaluations} == {("OO", None)} | {
        (configuration, "jpeg-quality10") for configuration in ("CO", "RO", "CC", "OC", "OR")
    }
    page = report_of(study, results).read_text()
    for artefact in closure(study.evaluations()):
        assert artefact.fingerprint[:8] in page
