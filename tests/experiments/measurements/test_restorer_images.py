"""Accuracy against the number of images a restorer learned from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dsr.experiments.analysis.restorer_images import restorer_images_charts, restorer_images_table
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.domain import Case
from dsr.experiments.graph.artefacts import closure
from dsr.experiments.measurements.kept import INFERENCE_TIMES, RESTORER_IMAGES, SCALING, Kept
from dsr.experiments.measurements.restorer_images import trials
from dsr.experiments.results import ImagesTrial, InferenceTimes
from dsr.experiments.study import Study
from tests.experiments import studies

SCORES = [
    ImagesTrial("bpg-qp43", None, 0, [0.3, 0.32]),
    ImagesTrial("bpg-qp43", "gan", 5, [0.31, 0.33]),
    ImagesTrial("bpg-qp43", "gan", 40, [0.35, 0.37]),
]


def study(work: Path, *overrides: str) -> Study:
    return Study(apply_overrides(studies.small(), ["points=jpeg-quality10", *overrides]), work)


def test_each_number_of_images_is_a_restorer_and_segmenters_of_its_own(tmp_path: Path) -> None:
    found = trials(study(tmp_path, "seeds=2"), (10, 5, 10))
    assert [(t.restorer, t.images) for t in found] == [(None, 0), ("gan", 5), ("gan", 10)]
    groups = [a.group for a in closure(e for t in found for e in t.evaluations)]
    assert (groups.count("restorers"), groups.count("segmenters")) == (2, 2 * 3)
    for trial in found[1:]:
        for evaluation in trial.evaluations:
            restored = evaluation.inputs["segmenter"].inputs["shards"]
            assert restored.inputs["restorer"].identity.config["images"] == trial.images


def test_all_images_are_what_the_study_itself_trains_on(tmp_path: Path) -> None:
    whole = study(tmp_path)
    (codec,) = whole.degradations
    unrestored, last = trials(whole, (whole.images("restore"),))
    assert last.evaluations[0].folder == whole.evaluation(Case.of("RO", codec, "gan", 0)).folder
    assert unrestored.evaluations == [whole.evaluation(Case.of("CO", codec, "gan", 0))]


def test_a_limit_of_the_study_does_not_limit_the_trials(tmp_path: Path) -> None:
    config = study(tmp_path).config
    limited = Study(dataclasses.replace(config, restorer=dataclasses.replace(config.restorer, images=3)), tmp_path)
    assert trials(limited, (40,))[1].evaluations[0].folder == trials(study(tmp_path), (40,))[1].evaluations[0].folder


def test_more_images_than_there_are_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only 40 images"):
        trials(study(tmp_path), (41,))


def test_the_table_has_a_row_for_each_segmenter() -> None:
    rows = restorer_images_table(SCORES).rows
    assert [(row[0], row[3], row[5]) for row in rows] == [
        ("CO", 0, 0.3),
        ("CO", 0, 0.32),
        ("RO", 5, 0.31),
        ("RO", 5, 0.33),
        ("RO", 40, 0.35),
        ("RO", 40, 0.37),
    ]


def test_the_chart_says_the_means() -> None:
    ((point, chart),) = restorer_images_charts(SCORES)
    assert point == "bpg-qp43"
    for said in ("CO: 31.0 % mIoU", "from 5 images: 32.0 %", "from 40 images: 36.0 %"):
        assert said in chart


def test_the_chart_shows_every_restorer_however_many_there_are() -> None:
    names = [f"restorer{number}" for number in range(7)]
    ((_, chart),) = restorer_images_charts(
        [SCORES[0], *(ImagesTrial(SCORES[0].point, name, 4, [0.5]) for name in names)]
    )
    assert all(f"RO {name}" in chart for name in names)


def test_what_the_trials_do_not_vary_themselves_is_told_if_it_has_changed_since(tmp_path: Path) -> None:
    RESTORER_IMAGES.keep(study(tmp_path), SCORES, restorer_images_table(SCORES))
    assert RESTORER_IMAGES.changed(study(tmp_path, "restorer.images=7", "seed=3")) == {}
    now = study(tmp_path, "segmenter.images=20", "restorer.gan.steps=5")
    assert {name: new for name, (_, new) in RESTORER_IMAGES.changed(now).items()} == {
        "segmenter.images": "20",
        "restorer.gan.steps": "5",
    }


@pytest.mark.parametrize("kept", [RESTORER_IMAGES, SCALING, INFERENCE_TIMES])
def test_a_codec_that_the_study_trains_otherwise_is_told_where_a_point_is_of_it(kept: Kept, tmp_path: Path) -> None:
    value = InferenceTimes("a core", 64, 64, []) if kept is INFERENCE_TIMES else []
    points = "points=jpeg-quality10,msh-quality2.5+model=trained"
    kept.keep(study(tmp_path, points), value, restorer_images_table([]))
    other = ("codec.network.filters=8", "codec.checkpoint_every=3")
    assert kept.changed(study(tmp_path, points)) == {}
    assert kept.changed(study(tmp_path, points, *other)) == {"codec.network.filters": ("128", "8")}
    kept.keep(study(tmp_path), value, restorer_images_table([]))
    assert kept.changed(study(tmp_path, *other)) == {}
