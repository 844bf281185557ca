"""Losses are foretold from distances where those tell them, and not where they do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.known import Score
from dsr.experiments.planning.untrained import MOST_ERROR, Seen, foretell

DISTANCES = (2.0, 5.0, 9.0, 14.0, 20.0)


def seen(loss, noise: float = 0.0) -> list[Seen]:
    """Trained points: `true` tells the loss, `other` does not."""
    random = np.random.default_rng(0)
    other = random.permutation([1.0, 30.0, 4.0, 60.0, 9.0])
    return [
        Seen(f"p{number}", {"other": far, "true": d}, loss(d) + noise * random.standard_normal())
        for number, (d, far) in enumerate(zip(DISTANCES, other))
    ]


@pytest.mark.parametrize(
    ("curve", "loss"), [("c d", lambda d: 0.004 * d), ("c sqrt(d)", lambda d: 0.02 * math.sqrt(d))]
)
def test_the_distance_and_curve_that_tell_the_losses_are_chosen(curve: str, loss) -> None:
    found = foretell([*seen(loss), Seen("new", {"other": 3.0, "true": 7.0})])
    assert (found.distance, found.curve, found.points) == ("true", curve, 5)
    assert found.error == pytest.approx(0, abs=1e-12) and found.sound
    new = Seen("new", {"other": 3.0, "true": 7.0})
    assert found.loss(new) == pytest.approx(loss(7.0))
    score = found.score(new, Score(0.5, (0.48, 0.52)))
    assert score.value == pytest.approx(0.5 - loss(7.0))
    assert score.interval == pytest.approx((score.value - 0.02, score.value + 0.02))


def test_losses_that_no_distance_tells_are_not_foretold() -> None:
    losses = [0.08, 0.0, 0.07, 0.01, 0.05]
    found = foretell([Seen(f"p{i}", {"a": d, "b": d**2}, loss) for i, (d, loss) in enumerate(zip(DISTANCES, losses))])
    assert found.error > MOST_ERROR and not found.sound


def test_the_error_is_of_points_that_neither_choice_nor_fit_has_seen() -> None:
    """Three points and one curve: each is told by the other two through the origin."""
    points = [Seen(str(i), {"d": d}, loss) for i, (d, loss) in enumerate([(1.0, 0.01), (2.0, 0.02), (4.0, 0.05)])]
    straight = []
    for out in range(3):
        others = [one for number, one in enumerate(points) if number != out]
        constant = sum(o.distances["d"] * (o.loss or 0) for o in others) / sum(o.distances["d"] ** 2 for o in others)
        straight.append(abs(constant * points[out].distances["d"] - (points[out].loss or 0)))
    found = foretell(points)
    assert found.curve == "c d" and found.error == pytest.approx(np.mean(straight))
    wide = found.score(points[0], Score(0.5)).interval
    of_two = stats.t.ppf(0.975, 2) * np.sqrt(np.mean(np.square(straight)))
    assert wide is not None and wide[1] - wide[0] == pytest.approx(2 * of_two)


@pytest.mark.parametrize("points", [3, 6])
def test_intervals_hold_nine_of_ten_new_points_though_only_lucky_choices_foretell(points: int) -> None:
    """Losses on a line with half a point of chance, and three distances that are each 15 % off."""
    random, held = np.random.default_rng(1), []
    while len(held) < 100:
        far = random.uniform(1, 12, points + 1)
        losses = 0.008 * far + random.normal(0, 0.005, points + 1)
        *trained, new = (
            Seen(str(i), {name: d * (1 + random.normal(0, 0.15)) for name in "abc"}, loss)
            for i, (d, loss) in enumerate(zip(far, losses))
        )
        found = foretell(trained)
        if found.sound:
            low, high = found.score(new, Score(0.5)).interval or (0.0, 0.0)
            held.append(low <= 0.5 - (new.loss or 0) <= high)
    assert np.mean(held) >= 0.88


def test_a_distance_below_zero_is_none_and_being_far_is_no_gain() -> None:
    found = foretell([Seen(str(i), {"d": d}, -0.01) for i, d in enumerate((1.0, 2.0, 3.0))])
    assert found.constant == 0.0
    assert foretell(seen(lambda d: 0.004 * d)).loss(Seen("x", {"true": -0.1, "other": 0.0})) == 0.0


def test_two_trained_points_judge_nothing() -> None:
    with pytest.raises(PlanningError, match="takes 3"):
        foretell([*seen(lambda d: d)[:2], Seen("new", {"true": 1.0, "other": 1.0})])
