"""Which trainings tell a scaling law, as artefacts of the study."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from dsr.experiments.analysis.scaling import laws, scaling_chart, scaling_table, scaling_view
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.domain import Case
from dsr.experiments.graph.artefacts import closure
from dsr.experiments.measurements.kept import SCALING
from dsr.experiments.measurements.scaling import design, trials
from dsr.experiments.results import ScalingTrial
from dsr.experiments.study import Study
from tests.experiments import studies

SHARES = tuple(map(Fraction, ("1/8", "1/4", "1/2", "1")))
POINTS = "points=bpg-qp42,bpg-qp30,bpg-qp36"


def study(work: Path, *overrides: str) -> Study:
    return Study(apply_overrides(studies.small(), [POINTS, *overrides]), work)


@pytest.mark.parametrize(("points", "counts"), [(3, 3), (4, 4), (3, 6), (5, 3)])
def test_a_design_holds_both_arms_and_the_far_corner_and_no_training_twice(points: int, counts: int) -> None:
    for most in range(6, points * counts + 3):
        cells = design(points, counts, most)
        assert len(set(cells)) == len(cells) == min(max(most, points + counts), points * counts)
        assert {(points - 1, count) for count in range(counts)} <= set(cells)
        assert {(point, counts - 1) for point in range(points)} <= set(cells) and (0, 0) in cells


def test_trainings_are_those_of_the_design_on_subsets_of_the_same_shards(tmp_path: Path) -> None:
    whole = study(tmp_path, "seeds=2")
    found = trials(whole, SHARES, 8, None)
    assert [(t.point, t.images) for t in found[:4]] == [("bpg-qp30", n) for n in (15, 30, 60, 120)]
    assert [(t.point, t.images) for t in found[4:7]] == [("bpg-qp42", 120), ("bpg-qp36", 120), ("bpg-qp42", 15)]
    artefacts = closure(evaluation for trial in found for evaluation in trial.evaluations)
    groups = [artefact.group for artefact in artefacts]
    assert groups.count("segmenters") == 2 * len(found)
    assert groups.count("shards") == 2 + 3  # originals of two roles, and each point's training images once
    for trial in found:
        images = trial.evaluations[0].inputs["segmenter"].identity.config.get("images")
        assert images == (None if trial.images == 120 else trial.images)


def test_all_images_are_what_the_study_itself_trains_on(tmp_path: Path) -> None:
    whole = study(tmp_path)
    fine = next(d for d in whole.degradations if d.point == "bpg-qp30")
    (full,) = (t for t in trials(whole, SHARES, 8, None) if (t.point, t.images) == ("bpg-qp30", 120))
    assert full.evaluations[0].folder == whole.evaluation(Case.of("CO", fine, "gan", 0)).folder


def test_restored_images_are_trained_on_if_a_restorer_is_named(tmp_path: Path) -> None:
    found = trials(study(tmp_path), SHARES, 8, "gan")
    cases = [evaluation.of for trial in found for evaluation in trial.evaluations]
    assert all(isinstance(case, Case) and case.configuration == "RO" for case in cases)


def test_the_codec_that_a_study_trains_has_a_scaling_law(tmp_path: Path) -> None:
    points = "points=" + ",".join(f"msh-quality{quality}+model=trained" for quality in (3, 1, 2))
    found = trials(study(tmp_path, points), SHARES, 8, None)
    assert [t.point[:12] for t in found[:5]] == ["msh-quality3"] * 4 + ["msh-quality1"]


@pytest.mark.parametrize(
    ("overrides", "shares", "says"),
    [
        (("points=bpg-qp30,bpg-qp36",), SHARES, "2 operating points"),
        ((), SHARES[:2], "2 numbers of images"),
        (("points=bpg-qp30,bpg-qp36,jpeg-quality20",), SHARES, "not of one codec"),
        (("points=bpg-qp30,bpg-qp36,bpg-qp40+chroma=4:4:4",), SHARES, "not of one codec"),
        (("points=blur-gaussian1,blur-gaussian2,blur-gaussian3",), SHARES, "one of bytes"),
        (("dataset.options.train=2",), SHARES, "2 numbers of images"),
        (("segmenter.images=121",), SHARES, "only 120 images"),
    ],
)
def test_what_fits_no_law_is_refused_before_any_work(
    overrides: tuple[str, ...], shares: tuple[Fraction, ...], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        trials(study(tmp_path, *overrides), shares, 8, None)
    assert not list(tmp_path.iterdir())


TRIALS = [
    ScalingTrial(f"bpg-qp{qp}", None, n, size, [0.8 - n**-0.4 - 20 * size**-0.6 + 0.001 * seed for seed in (-1, 1)])
    for qp, size, counts in ((30, 9000.0, (15, 30, 60, 120)), (36, 5000.0, (120,)), (42, 2500.0, (120, 15)))
    for n in counts
]


def test_the_chart_shows_every_training_and_the_law_beside_it() -> None:
    (best, *_) = laws(TRIALS)
    assert best.left_out < 1e-4  # noise of two seeds that cancels in the mean
    chart = scaling_chart(TRIALS, best)
    assert "bpg-qp30, 15 images: 37.7 %" in chart and chart.count("<title>") == len(TRIALS)
    view = scaling_view(TRIALS)
    assert view and view.trainings == 14 and len(view.laws) == 3
    assert scaling_view(TRIALS[:4]) is None and scaling_view(None) is None


def test_the_table_has_a_row_for_each_segmenter() -> None:
    rows = scaling_table(TRIALS).rows
    assert len(rows) == 14 and rows[0] == ("CO", "bpg-qp30", None, 15, 9000.0, 0, TRIALS[0].miou[0])


@pytest.mark.parametrize("restorer", [None, "gan"])
def test_what_the_trials_do_not_vary_themselves_is_told_if_it_has_changed_since(
    tmp_path: Path, restorer: str | None
) -> None:
    """A restorer's recipe and images are of those trials alone whose images were restored."""
    kept = [ScalingTrial("bpg-qp30", restorer, 15, 900.0, [0.3])]
    SCALING.keep(study(tmp_path), kept, scaling_table(kept))
    assert SCALING.changed(study(tmp_path, "segmenter.images=20", "seed=3")) == {}
    now = study(tmp_path, "segmenter.steps=7", "restorer.gan.steps=5", "restorer.images=6")
    names = {"segmenter.steps", *(("restorer.gan.steps", "restorer.images") if restorer else ())}
    assert set(SCALING.changed(now)) == names
