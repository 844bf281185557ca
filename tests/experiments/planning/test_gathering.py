"""What a work folder knows is found: converted points, all seeds, the scaling law, and features that foretell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dsr.data_pipelines.codecs.msh import MshCodec
from dsr.experiments.analysis.scaling import scaling_table
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import place_of
from dsr.experiments.last_conversion import converted
from dsr.experiments.measurements.artefacts import features
from dsr.experiments.measurements.files import FEATURES
from dsr.experiments.measurements.kept import SCALING
from dsr.experiments.planning.candidates import Basis
from dsr.experiments.planning.demand import Demand
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.gathering import gather, gather_foretold, said, to_foretell, widened
from dsr.experiments.planning.known import known
from dsr.experiments.planning.plan import make_plan
from dsr.experiments.planning.units import Size
from dsr.experiments.study import ORIGINAL, Study
from dsr.tfrecords.building import building
from dsr.tfrecords.manifest import Identity
from tests.experiments.analysis import example
from tests.experiments.measurements.test_scaling import TRIALS
from tests.experiments.planning.made_up import convert, measure, study

RATES = {30: 0.8, 33: 0.57, 36: 0.4, 42: 0.2, 45: 0.14}
TRAINED = {30: 0.02, 36: 0.05, 42: 0.10}


@pytest.fixture
def measured(tmp_path: Path) -> Study:
    made = study(tmp_path, "points=bpg-qp30,bpg-qp36,bpg-qp42")
    measure(made, {("OO", None): 0.5, **{("CO", qp): 0.5 - loss for qp, loss in TRAINED.items()}}, RATES)
    return made


def test_points_and_seeds_that_the_request_does_not_name_are_found(measured: Study, tmp_path: Path) -> None:
    asked = study(tmp_path, "points=bpg-qp33")
    found = gather(asked)
    assert {point for point, _ in found.scores} == {"bpg-qp30", "bpg-qp36", "bpg-qp42"}
    assert found.images == 120 and found.growth is None
    assert len(widened(asked).seeds) == 10


def test_a_codec_that_the_study_trains_is_planned_with_like_any_other(tmp_path: Path) -> None:
    made = study(tmp_path, "points=msh-quality2+model=trained,msh-quality4+model=trained")
    measure(made, {("CO", 2): 0.4, ("CO", 4): 0.5}, {2: 0.2, 4: 0.5})
    plan = make_plan(gather(made), Demand(1e9, Size(256, 128), 120))
    between = next(row for row in plan.rows if row.point == "msh-quality3+model=trained")
    assert between.score is not None and 0.4 < between.score.value < 0.5 and 0.2 < between.bpp < 0.5
    assert between.named == ("--set", "points=msh-quality3+model=trained")
    assert {row.basis for row in plan.rows if row.point in ("msh-quality2+model=trained",)} == {Basis.MEASURED}


def test_what_a_model_made_that_nobody_names_does_not_stop_a_plan(measured: Study, tmp_path: Path) -> None:
    original = measured.shards(ORIGINAL, "test").identity
    codec = {**MshCodec(3).describe(), "options": {"model": f"sha256:{'ab' * 32}"}}
    name = f"{original.name.rpartition('/')[0]}/msh-quality3+model={'ab' * 6}"
    identity = Identity("shards", name, {"domain": "compressed", "codec": codec}, {"original": original.fingerprint})
    with building(place_of("shards", tmp_path, identity), identity):
        pass
    assert set(converted(measured)) == {"bpg-qp30", "bpg-qp36", "bpg-qp42", name.rpartition("/")[2]}
    assert {point for point, _ in gather(measured).scores} == {"bpg-qp30", "bpg-qp36", "bpg-qp42"}


def test_scores_are_of_as_many_images_as_the_segmenters_were_trained_on(tmp_path: Path) -> None:
    few = study(tmp_path, "segmenter.images=50")
    measure(few, {("OO", None): 0.5, ("CO", 36): 0.45}, RATES)
    assert gather(few).images == 50


def test_the_rate_of_test_images_tells_that_of_training_images_by_the_points_that_have_both() -> None:
    results = example.study()
    for point, (train, test) in zip(results.points, [(0.5, 0.4), (0.3, 0.2), (None, 0.2)]):
        point.compressed.train_bpp, point.compressed.bpp = train, test
    assert [one.bpp for one in known(results).rated] == [0.5, 0.3, pytest.approx(0.2 * (0.5 / 0.4 + 0.3 / 0.2) / 2)]


def test_a_scaling_law_that_was_kept_moves_the_scores(measured: Study) -> None:
    SCALING.keep(measured, TRIALS, scaling_table(TRIALS))
    law = gather(measured).growth
    assert law is not None and law.images == (15, 120)
    assert law.change(60, 120).value == pytest.approx(60**-0.4 - 120**-0.4, abs=2e-3)


def test_a_law_of_other_trainings_says_so_and_one_of_other_images_is_not_used(measured: Study, tmp_path: Path) -> None:
    longer = study(tmp_path, "points=bpg-qp30,bpg-qp36,bpg-qp42", "segmenter.steps=777")
    SCALING.keep(longer, TRIALS, scaling_table(TRIALS))
    found = gather(measured)
    steps = measured.config.segmenter.steps
    assert found.growth is not None
    assert found.growth_note == f"the scaling law is of trainings with other settings: segmenter.steps 777, not {steps}"
    other = study(tmp_path, "points=bpg-qp30,bpg-qp36,bpg-qp42", "dataset.train_limit=20")
    SCALING.keep(other, TRIALS, scaling_table(TRIALS))
    found = gather(measured)
    assert found.growth is None and "dataset.train_limit 20, not None" in found.growth_note
    SCALING.keep(measured, TRIALS, scaling_table(TRIALS))
    assert gather(measured).growth is not None and gather(measured).growth_note == ""


def see(study: Study, domain: Domain, far: float) -> None:
    """Features of 24 images that are the originals', moved by `far`."""
    artefact = features(study, domain)
    high = np.random.default_rng(0).normal(size=(24, 3)) + [far, 0, 0]
    keys = np.array([f"test{i:02d}" for i in range(24)])
    with building(artefact.folder, artefact.identity) as build:
        np.savez(build.path / FEATURES, keys=keys, low=high, high=high)
        build.summary.update(images=24)


def look(wide: Study, losses: dict[int, float]) -> None:
    """Features of originals, at each QP so far from them as tells this loss; and QP 45's rate."""
    see(wide, ORIGINAL, 0.0)
    for degradation in wide.degradations:
        # A shift by m is m^2 apart; the loss goes with the square of m.
        see(wide, Domain("C", degradation), float(np.sqrt(losses[int(degradation.level or 0)])))
    convert(wide, 45, RATES)


def test_a_point_that_was_not_trained_at_is_foretold_by_its_features(measured: Study) -> None:
    asked = [OperatingPoint("bpg", 45)]
    wanted = to_foretell(measured, asked)
    assert [getattr(artefact.of, "point", "") for artefact in wanted] == [
        None,
        "bpg-qp30",
        "bpg-qp36",
        "bpg-qp42",
        "bpg-qp45",
    ]
    look(widened(measured, asked), {**TRAINED, 45: 0.12})
    found, foretelling = gather_foretold(measured, asked)
    assert foretelling.sound and foretelling.points == 3 and foretelling.error < 1e-6
    assert found.predicted["bpg-qp45"].value == pytest.approx(0.5 - 0.12)
    assert "off by 0.0 points on average where a point is left out" in said(foretelling)


def test_what_features_say_against_the_rate_is_not_predicted(measured: Study) -> None:
    """QP 45 looks like QP 33, and would score more than QP 36 with a third of its bits."""
    asked = [OperatingPoint("bpg", 45)]
    look(widened(measured, asked), {**TRAINED, 45: 0.035})
    found, foretelling = gather_foretold(measured, asked)
    assert foretelling.sound and not found.predicted
    assert foretelling.contradicted == {"bpg-qp45": "bpg-qp36"}
    assert "bpg-qp45 is not predicted" in said(foretelling) and "wrong side of bpg-qp36" in said(foretelling)


def test_a_prediction_s_interval_stands_on_the_seeds_of_all_domains(tmp_path: Path) -> None:
    """Two seeds of OO alone have one degree of freedom, which would make it six times as wide."""
    made = study(tmp_path, "points=bpg-qp30,bpg-qp36,bpg-qp42", "seeds=2")
    measure(made, {("OO", None): 0.5, **{("CO", qp): 0.5 - loss for qp, loss in TRAINED.items()}}, RATES)
    asked = [OperatingPoint("bpg", 45)]
    look(widened(made, asked), {**TRAINED, 45: 0.12})
    found, _ = gather_foretold(made, asked)
    reference, predicted = found.reference, found.predicted["bpg-qp45"]
    assert reference is not None and reference.interval is not None and predicted.interval is not None
    deviation, freedom = 0.01 / np.sqrt(2), 4
    expected = stats.t.ppf(0.975, freedom) * deviation / np.sqrt(2)
    assert (predicted.interval[1] - predicted.interval[0]) / 2 == pytest.approx(expected, rel=1e-3)


def test_without_originals_or_with_two_trained_points_nothing_is_made(tmp_path: Path) -> None:
    made = study(tmp_path, "points=bpg-qp30,bpg-qp36")
    asked = [OperatingPoint("bpg", 45)]
    with pytest.raises(PlanningError, match="--config OO"):
        to_foretell(made, asked)
    measure(made, {("OO", None): 0.5, ("CO", 30): 0.48, ("CO", 36): 0.45}, RATES)
    with pytest.raises(PlanningError, match="takes 3"):
        to_foretell(made, asked)
