"""Adapted segmenters are made, resumed and scored; tiny ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.data_pipelines.input import evaluation_dataset
from dsr.experiments.adaptations import ADAPTATIONS
from dsr.experiments.analysis.rivals import contests
from dsr.experiments.collecting import collect, report_of
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import CURVES, Artefact
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import ORIGINAL, Study
from dsr.experiments.training.evaluation import read_segmenter
from dsr.experiments.training.segmenter import WEIGHTS
from dsr.models.segmenter.training import ConfusionMatrix
from dsr.tfrecords.reader import ShardSet
from tests.experiments import studies
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY, Killed, KilledAt
from tests.experiments.training.tiny import weights as saved_weights

CONFIG = apply_overrides(
    studies.small(), [*TINY, "points=jpeg-quality40", "adaptations=recalibrated,mixed,consistency", "samples=1"]
)


def compressed(study: Study) -> Domain:
    return Domain("C", study.degradations[0])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One whose segmenter of compressed images is made, with and without adaptation."""
    study = Study(CONFIG, tmp_path_factory.mktemp("work"), HERE)
    seen = study.shards(compressed(study), "test")  # of which a report has the rate
    make([seen, *map(study.evaluation, (*study.rivals("CO"), *study.cases("CO")))], Progress())
    return study


def test_a_recalibrated_segmenter_is_the_trained_one_with_other_statistics(study: Study) -> None:
    trained = study.segmenter(compressed(study), 0)
    adapted = study.adapted(compressed(study), 0, "recalibrated")
    table, config = study.source.table, study.config.segmenter
    before, after = (read_segmenter(config, table, made.folder).network for made in (trained, adapted))
    for ours, theirs in zip(after.trainable_variables, before.trainable_variables):
        np.testing.assert_array_equal(ours, theirs)
    norm = next(l for l in after.get_layer("backbone")._flatten_layers() if l.name == "norm_0")
    body = next(layer for layer in after.get_layer("backbone").layers if isinstance(layer, tf.keras.Model))
    first = tf.keras.Model(body.input, body.get_layer("conv_0").output)
    images = [batch["image"] for batch in evaluation_dataset(ShardSet(adapted.inputs["original"].folder))]
    seen = np.concatenate([first(tf.cast(i, tf.float32) / 127.5 - 1).numpy().reshape(-1, 8) for i in images])
    assert len(images) == adapted.manifest.summary["images"] == study.images("restore")
    np.testing.assert_allclose(norm.moving_mean, seen.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, seen.var(axis=0), rtol=1e-3, atol=1e-5)


def test_the_score_of_a_rival_is_that_of_its_own_segmenter_on_originals(study: Study) -> None:
    table, config = study.source.table, study.config.segmenter
    for case in study.rivals("CO"):
        evaluation = study.evaluation(case)
        model = read_segmenter(config, table, evaluation.inputs["segmenter"].folder)
        confusion = ConfusionMatrix(table.num_classes)
        for batch in evaluation_dataset(ShardSet(study.shards(ORIGINAL, "test").folder)):
            confusion.update_state(batch["label"], model.label_map(batch["image"]))
        assert evaluation.manifest.summary["confusion"] == confusion.matrix.tolist()


def test_a_killed_training_ends_like_an_uninterrupted_one(study: Study, tmp_path: Path) -> None:
    """Of the one that has a state of its own; what `mixed` draws follows from the step, as the input's tests show."""
    whole = study.adapted(compressed(study), 0, "consistency")
    other = Study(CONFIG, tmp_path, HERE)
    killed = other.adapted(compressed(other), 0, "consistency")
    make(killed.inputs.values(), Progress())
    with pytest.raises(Killed):
        killed.build(killed, KilledAt(5))
    make([killed], Progress())
    assert killed.fingerprint == whole.fingerprint
    for ours, theirs in zip(saved_weights(killed), saved_weights(whole)):
        np.testing.assert_array_equal(ours, theirs)


def test_each_way_of_training_gives_weights_of_its_own(study: Study) -> None:
    made = [study.segmenter(compressed(study), 0)] + [study.adapted(compressed(study), 0, name) for name in ADAPTATIONS]
    found = [np.concatenate([one.ravel() for one in saved_weights(each)]) for each in made]
    assert all(np.any(a != b) for n, a in enumerate(found) for b in found[:n])
    curves = json.loads((study.adapted(compressed(study), 0, "consistency").folder / CURVES).read_text())
    assert all(value > 0 for _, value in curves["consistency"])


def test_recalibrating_again_gives_the_same_bytes(study: Study, tmp_path: Path) -> None:
    whole = study.adapted(compressed(study), 0, "recalibrated")

    def again() -> Artefact:
        return replace(whole, root=tmp_path)

    again().build(again(), Progress())
    for ours, theirs in zip(saved_weights(again()), saved_weights(whole)):
        np.testing.assert_array_equal(ours, theirs)
    assert [path.name for path in again().folder.glob("*.h5")] == [WEIGHTS]


def test_the_report_has_the_rivals_beside_what_they_rival(study: Study) -> None:
    results = collect(study)
    assert {(e.configuration, e.adaptation) for e in results.adapted} == {("CO", name) for name in ADAPTATIONS}
    assert {e.configuration for e in results.evaluations} == {"CO"}
    scores = {e.adaptation: e.miou for e in results.adapted}
    for case in study.rivals("CO"):
        assert scores[case.adaptation] == study.evaluation(case).manifest.summary["miou"]
    (contest,) = contests(results)
    assert [row.name for row in contest.rows] == ["CO", "CO recalibrated", "CO mixed", "CO consistency"]
    assert all(row.seconds is not None and row.seconds > 0 for row in contest.rows)
    assert "one seed does not decide" in contest.verdict
    page = report_of(study, results)
    assert contest.verdict in page.read_text()
    assert (page.parent / "rivals.csv").read_bytes().count(b"\r\n") == 1 + 4
