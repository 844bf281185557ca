"""A plan ranks what fits, says what it leans on, and never gets worse with more room."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsr.experiments.analysis.seeds import BySeed, t_interval
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.planning.candidates import Basis, candidates
from dsr.experiments.planning.demand import Demand
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.known import Family, Rated, Score, Times, pooled, score_of
from dsr.experiments.planning.plan import Plan, make_plan
from dsr.experiments.planning.units import Size
from tests.experiments.planning.made_up import BPG, known

MEGAPIXEL = Size(1000, 1000)
SCORES = {
    (30, None): Score(0.48, (0.47, 0.49)),
    (42, None): Score(0.40, (0.39, 0.41)),
    (42, "gan"): Score(0.42, (0.40, 0.44)),
}


@dataclass(frozen=True)
class PowerLaw:
    """A error that falls by `height` n^-power."""

    height: float
    power: float
    images: tuple[int, int] = (10, 1000)

    def change(self, before: int, after: int) -> Score:
        value = self.height * (before**-self.power - after**-self.power)
        return Score(value, (value - 0.01, value + 0.01))


def row(plan: Plan, point: str, repair: Optional[str] = None):
    return next(row for row in plan.rows if (row.point, row.repair) == (point, repair))


def test_the_budget_leaves_its_bits_over_all_pixels() -> None:
    assert Demand(200e9, Size(2048, 1024), images=3_000_000).bpp == pytest.approx(8 * 200e9 / 3e6 / 2048 / 1024)
    channel = Demand.of_channel(250_000, fps=5, hours=8, size=MEGAPIXEL)
    assert channel.bytes == 250_000 * 8 * 3600 and channel.images == 5 * 8 * 3600
    assert channel.bpp == pytest.approx(2e6 / 5 / 1e6)


def test_as_many_images_are_kept_as_fit_and_the_labelled_ones_train() -> None:
    demand = Demand(1e7, MEGAPIXEL, labels=150)
    assert demand.kept(0.4) == 200 and demand.labelled(200) == 150 and demand.labelled(99) == 99
    assert replace(demand, images=20).kept(0.4) == 20
    plan = make_plan(known(SCORES), demand)
    assert row(plan, "bpg-qp42").kept == 400 and row(plan, "bpg-qp42").images == 150


def test_a_quality_between_two_that_were_trained_lies_between_their_scores() -> None:
    plan = make_plan(known(SCORES), Demand(1e9, MEGAPIXEL, images=100))
    middle = row(plan, "bpg-qp36")
    assert middle.basis is Basis.INTERPOLATED
    assert middle.score == Score(pytest.approx(0.44), (0.39, 0.49))  # 0.4 bpp is half way from 0.2 to 0.8 in logarithms
    assert row(plan, "bpg-qp30").basis is Basis.MEASURED
    assert row(plan, "bpg-qp30").score == SCORES[30, None]


def test_a_rate_between_two_is_on_the_line_of_its_logarithm() -> None:
    found = {one.point: one for one in candidates(known(SCORES)) if one.repair is None}
    assert found["bpg-qp33"].bpp == pytest.approx(math.sqrt(0.8 * 0.4)) and not found["bpg-qp33"].measured_rate
    assert found["bpg-qp36"].bpp == 0.4 and found["bpg-qp36"].measured_rate
    assert "bpg-qp29" not in found and "bpg-qp43" not in found


def test_beyond_the_finest_is_at_least_its_score_and_below_the_coarsest_no_number_is_given() -> None:
    plan = make_plan(known({(36, None): Score(0.45, (0.44, 0.46))}), Demand(1e9, MEGAPIXEL, images=100))
    finer, coarser = row(plan, "bpg-qp30"), row(plan, "bpg-qp42")
    assert (finer.basis, finer.score) == (Basis.EXTRAPOLATED, Score(0.45, (0.44, 0.51)))  # OO's upper end
    assert (coarser.basis, coarser.score) == (Basis.UNKNOWN, None)
    assert plan.rows.index(coarser) > plan.rows.index(finer)


def test_what_features_predict_takes_the_place_of_not_knowing() -> None:
    found = known({(36, None): Score(0.45, (0.44, 0.46))}, predicted={"bpg-qp42": Score(0.41, (0.4, 0.42))})
    plan = make_plan(found, Demand(1e9, MEGAPIXEL, images=100))
    assert row(plan, "bpg-qp42").basis is Basis.PREDICTED and row(plan, "bpg-qp42").score == Score(0.41, (0.4, 0.42))


def test_points_of_other_options_or_codecs_tell_each_other_nothing() -> None:
    apart = replace(
        known({(30, None): SCORES[30, None], (42, None): SCORES[42, None]}),
        rated=[
            Rated("bpg-qp30", "bpg", 30, BPG, 0.8),
            Rated("bpg-qp42+chroma=4:4:4", "bpg", 42, Family.of(OperatingPoint.parse("bpg-qp42+chroma=4:4:4")), 0.2),
            Rated("jpeg-quality20", "jpeg", 20, Family.of(OperatingPoint("jpeg", 20)), 0.4),
        ],
    )
    found = {one.point: one for one in candidates(apart)}
    assert set(found) == {"bpg-qp30", "bpg-qp42+chroma=4:4:4", "jpeg-quality20"}
    assert found["bpg-qp42+chroma=4:4:4"].named == ("--set", "points=bpg-qp42+chroma=4:4:4")
    assert Family.of(OperatingPoint("bpg", 42, {"chroma": "4:2:0"})) == BPG  # which is the default
    assert found["jpeg-quality20"].basis is Basis.UNKNOWN


def test_fewer_images_than_were_trained_on_have_no_score_without_a_scaling_law() -> None:
    plan = make_plan(known(SCORES), Demand(1e9, MEGAPIXEL, images=50))
    assert all(row.score is None for row in plan.rows)
    assert plan.following and plan.following.arguments == ("scaling", "--points", "bpg-qp42,bpg-qp36,bpg-qp30")
    law = PowerLaw(1.0, 0.5)
    moved = row(make_plan(known(SCORES, growth=law), Demand(1e9, MEGAPIXEL, images=50)), "bpg-qp30")
    assert moved.score and moved.score.value == pytest.approx(0.48 + 100**-0.5 - 50**-0.5)
    assert moved.score.interval and moved.score.interval[1] - moved.score.value == pytest.approx(0.01 * math.sqrt(2))
    assert moved.basis is Basis.INTERPOLATED
    beyond = row(make_plan(known(SCORES, growth=law), Demand(1e9, MEGAPIXEL, images=2000)), "bpg-qp30")
    assert beyond.basis is Basis.EXTRAPOLATED


@pytest.mark.parametrize(
    ("rates", "points"),
    [({36: 0.4}, "bpg-qp24,bpg-qp36,bpg-qp48"), ({36: 0.4, 38: 0.3}, "bpg-qp38,bpg-qp37,bpg-qp36")],
)
def test_a_law_of_images_is_asked_for_at_as_many_points_as_it_takes(rates: dict[int, float], points: str) -> None:
    few = known({(36, None): Score(0.45, (0.44, 0.46))}, rates)
    following = make_plan(few, Demand(1e9, MEGAPIXEL, labels=50)).following
    assert following and following.arguments == ("scaling", "--points", points)


def test_more_images_compressed_harder_beat_fewer_where_the_law_says_so() -> None:
    demand = Demand(1e7, MEGAPIXEL)  # 100 images at QP 30, 400 at QP 42
    steep = make_plan(known(SCORES, growth=PowerLaw(1.6, 0.5)), demand)
    flat = make_plan(known(SCORES, growth=PowerLaw(0.1, 0.5)), demand)
    assert (steep.rows[0].point, steep.rows[0].repair, flat.rows[0].point) == ("bpg-qp42", "gan", "bpg-qp30")


def test_within_a_loss_the_cheapest_comes_first_and_the_rest_is_counted() -> None:
    plan = make_plan(known(SCORES), Demand(1e9, MEGAPIXEL, images=100, max_loss=5))
    assert plan.rows[0].score and plan.rows[0].score.value >= 0.45 - 1e-9
    assert plan.rows == sorted(plan.rows, key=lambda row: row.kept * row.bytes)
    # As many as fit take the budget, whatever the rate.
    filled = make_plan(known(SCORES), Demand(1e9, MEGAPIXEL, max_loss=5))
    assert [row.point for row in filled.rows] == [row.point for row in plan.rows]
    assert all(row.repair is None for row in plan.rows) and plan.left_out > 0
    with pytest.raises(PlanningError, match="--config OO"):
        make_plan(replace(known(SCORES), reference=None), Demand(1e9, MEGAPIXEL, max_loss=5))


def test_a_budget_for_not_one_image_says_what_one_takes() -> None:
    with pytest.raises(PlanningError, match="25000 bytes"):
        make_plan(known(SCORES), Demand(1000, MEGAPIXEL))


def test_the_widest_row_that_may_be_best_is_measured_next_in_the_middle_of_its_gap() -> None:
    untold = {(30, None): SCORES[30, None], (42, None): SCORES[42, None]}
    gap = make_plan(known(untold), Demand(1e9, MEGAPIXEL, images=100, max_loss=10))
    assert gap.following and gap.rows[gap.following.row].basis is Basis.INTERPOLATED
    assert gap.following.arguments == ("train", "--config", "CO", "--codec", "bpg", "--quality", "36")
    tight = make_plan(known(untold), Demand(9e6, MEGAPIXEL, images=100))  # 0.72 bits a pixel: QP 30 does not fit
    assert tight.following and tight.rows[0].point == tight.rows[tight.following.row].point == "bpg-qp31"


def test_what_cannot_be_the_best_is_not_measured_next() -> None:
    hopeless = {**SCORES, (42, "gan"): Score(0.1, (0.0, 0.46)), (30, "gan"): Score(0.1, (0.05, 0.11))}
    plan = make_plan(known(hopeless), Demand(1e9, MEGAPIXEL, images=100))
    assert plan.rows[0].point == "bpg-qp30" and plan.following is None  # nothing reaches its 47 %, and it fits
    certain = make_plan(known({(42, None): SCORES[42, None]}, {42: 0.2}), Demand(1e9, MEGAPIXEL, images=100))
    assert certain.following is None


def test_a_finer_point_of_another_kind_does_not_outdo_one() -> None:
    other = Family.of(OperatingPoint.parse("bpg-qp45+chroma=4:4:4"))
    unsure = known({(36, None): Score(0.60, (0.50, 0.70))}, {36: 0.44})
    apart = replace(
        unsure,
        rated=[*unsure.rated, Rated("bpg-qp45+chroma=4:4:4", "bpg", 45, other, 0.46)],
        scores={**unsure.scores, ("bpg-qp45+chroma=4:4:4", None): Score(0.61, (0.60, 0.62))},
        seeds={**unsure.seeds, ("bpg-qp45+chroma=4:4:4", None): 3},
    )
    plan = make_plan(apart, Demand(1e9, MEGAPIXEL, images=100))
    assert plan.following and plan.rows[plan.following.row].point == "bpg-qp36"


def test_a_score_of_one_seed_asks_for_more_seeds() -> None:
    plan = make_plan(known({(42, "gan"): Score(0.4)}, {42: 0.2}), Demand(1e9, MEGAPIXEL, images=100))
    assert plan.following and plan.following.arguments[-4:] == ("--restorer", "gan", "--seeds", "5")
    one_each = known({(30, None): Score(0.48), (42, None): Score(0.4)})
    following = make_plan(one_each, Demand(1e9, MEGAPIXEL, images=100)).following
    assert following and following.arguments[-4:] == ("--quality", "30", "--seeds", "5")  # not the gap between them


def test_times_go_with_the_pixels_and_repairs_are_the_server_s() -> None:
    times = Times("one core", {"bpg-qp42": 2e-7}, {"bpg-qp42": 1e-8}, {"gan": 3e-6})
    plan = make_plan(known(SCORES, times=times), Demand(1e9, Size(2000, 1000), images=100))
    assert row(plan, "bpg-qp42").device_ms == pytest.approx(400)
    assert row(plan, "bpg-qp42").server_core_hours == pytest.approx(0.02 / 3600)
    assert row(plan, "bpg-qp42", "gan").server_core_hours == pytest.approx(6.02 / 3600)
    assert row(plan, "bpg-qp40").device_ms == pytest.approx(400)  # of the nearest quality


def test_intervals_share_one_spread_between_seeds() -> None:
    alone = [0.4, 0.42, 0.47]
    one = BySeed(dict(enumerate(alone)))
    assert score_of(one, pooled([one])).interval == pytest.approx(t_interval(alone))
    other = BySeed({0: 0.30, 1: 0.31})
    deviation, freedom = pooled([one, other, BySeed({0: 0.2})]) or (0.0, 0)
    assert freedom == 3
    assert deviation**2 == pytest.approx((2 * (one.deviation or 0) ** 2 + (other.deviation or 0) ** 2) / 3)
    assert pooled([BySeed({0: 0.2}), BySeed({0: 0.3})]) is None


finite = st.floats(0.05, 0.95)


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(finite, min_size=3, max_size=3),
    power=st.floats(0.05, 1.5),
    height=st.floats(0, 2),
    budgets=st.tuples(st.floats(3e4, 1e9), st.floats(3e4, 1e9)),
    labels=st.one_of(st.none(), st.integers(1, 500)),
    images=st.one_of(st.none(), st.integers(1, 500)),
    with_law=st.booleans(),
)
def test_more_room_never_gives_a_worse_best_plan(scores, power, height, budgets, labels, images, with_law) -> None:
    measured = {(qp, None): Score(value, (value - 0.01, value + 0.01)) for qp, value in zip((30, 36, 42), scores)}
    found = known(measured, growth=PowerLaw(height, power) if with_law else None)
    small, large = sorted(budgets)
    best = []
    for budget in (small, large):
        plan = make_plan(found, Demand(budget, MEGAPIXEL, images, labels))
        assert all(row.kept * row.bytes <= budget * (1 + 1e-9) for row in plan.rows)
        best.append(plan.rows[0].score.value if plan.rows[0].score else -1.0)
    assert best[0] <= best[1] + 1e-12
