"""A scaling law is found again in what was made from it, and its optimum is the closed form's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsr.experiments.planning import scaling
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.scaling import FAMILIES, Law, Observation, fit_laws, optimum

E, A, ALPHA, B, BETA = 0.2, 1.5, 0.4, 30.0, 0.6
CROSS = [(n, 20_000) for n in (100, 200, 400, 800)] + [(800, size) for size in (2500, 5000, 10_000)] + [(100, 2500)]


def power(images: float, size: float) -> float:
    return E + A * images**-ALPHA + B * size**-BETA


def made(error: Callable[[float, float], float], noise: float = 0.0, seed: int = 0) -> list[Observation]:
    random = np.random.default_rng(seed)
    return [Observation(n, size, error(n, size) + noise * random.standard_normal()) for n, size in CROSS]


@pytest.fixture(scope="module", autouse=True)
def few_draws() -> Iterator[None]:
    """A bootstrap of a hundred takes seconds on a busy machine, and no test here needs its tails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "DRAWS", 12)
        yield


@pytest.fixture(scope="module")
def law() -> Law:
    return fit_laws(made(power))[0]


def test_the_power_law_is_found_again_with_its_exponents(law: Law) -> None:
    assert law.family.name == "power" and law.left_out < 1e-5
    floor, images_at_middle, alpha, bytes_at_middle, beta = law.constants
    assert (floor, alpha, beta) == pytest.approx((E, ALPHA, BETA), abs=1e-4)
    assert images_at_middle * law.middle[0] ** alpha == pytest.approx(A, rel=1e-3)
    assert bytes_at_middle * law.middle[1] ** beta == pytest.approx(B, rel=1e-3)
    assert float(law.error(300, 7000)) == pytest.approx(power(300, 7000), abs=1e-5)


@pytest.mark.parametrize("budget", [1e6, 4e6, 1.2e7])
def test_the_optimum_is_the_closed_form(law: Law, budget: float) -> None:
    """Mentzer and Montanari's L* = C s^(a / (a + b)), n* = s / L*, C = (b B / (a A))^(1 / (a + b))."""
    size = (BETA * B / (ALPHA * A)) ** (1 / (ALPHA + BETA)) * budget ** (ALPHA / (ALPHA + BETA))
    found = optimum(law, budget)
    if size > 20_000:
        assert found.at_end == "most" and found.bytes == pytest.approx(20_000)
    else:
        # Images are whole, and the error is flat there.
        assert found.bytes == pytest.approx(size, rel=0.03) and found.images == pytest.approx(budget / size, rel=0.03)
        assert 1 - found.score.value == pytest.approx(power(budget / size, size), abs=2e-4)
        assert found.at_end is None
    assert found.images * found.bytes <= budget
    assert found.beyond == (not 100 <= found.images <= 800)


def test_labels_bound_the_images_and_the_rest_goes_into_bytes(law: Law) -> None:
    free, bound = optimum(law, 4e6), optimum(law, 4e6, most_images=free_images(law) // 2)
    assert bound.images == free_images(law) // 2 and bound.bytes > free.bytes
    assert bound.score.value < free.score.value
    with pytest.raises(PlanningError, match="not one image"):
        optimum(law, 1000)


def free_images(law: Law) -> int:
    return optimum(law, 4e6).images


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("logarithm", lambda n, size: 0.9 - 0.05 * np.log(n) - 0.02 * np.log(size)),
        (
            "arctan",
            lambda n, size: (
                0.3 + 0.5 * (1 - 2 / np.pi * np.arctan(n / 150)) + 0.3 * (1 - 2 / np.pi * np.arctan(size / 4000))
            ),
        ),
    ],
)
def test_other_families_are_found_where_they_are_true(name: str, error: Callable[[float, float], float]) -> None:
    best, *others = fit_laws(made(error))
    assert best.family.name == name and best.left_out < 1e-3
    assert all(other.left_out > best.left_out for other in others)


def test_more_images_or_bytes_never_lower_the_score_whatever_was_seen() -> None:
    backwards = [Observation(n, size, 0.3 + n / 4000 + size / 1e5) for n, size in CROSS]
    for law in fit_laws(backwards):
        assert law.change(100, 1000).value >= 0
        grid = law.error(np.array([100.0, 400.0, 1600.0])[:, None], np.array([1000.0, 9000.0])[None])
        assert (np.diff(grid, axis=0) <= 1e-12).all() and (np.diff(grid, axis=1) <= 1e-12).all()


def test_changes_add_up_and_intervals_hold_their_value(law: Law) -> None:
    assert law.change(100, 400).value == pytest.approx(power(100, 1) - power(400, 1), abs=1e-5)
    assert law.change(100, 200).value + law.change(200, 400).value == pytest.approx(law.change(100, 400).value)
    assert law.change(300, 300).value == 0
    for noisy in fit_laws(made(power, 0.01, seed=3)):
        score = noisy.score(400, 5000)
        assert score.interval and score.interval[0] <= score.value <= score.interval[1]


def test_a_score_and_its_interval_are_shares_however_far_from_what_was_seen() -> None:
    law = fit_laws(made(power, noise=0.05))[0]
    for images, size in ((1, 1.0), (1, 1e9), (10**9, 1.0), (10**9, 1e9)):
        score = law.score(images, size)
        assert score.interval is not None
        assert 0 <= score.interval[0] <= score.value <= score.interval[1] <= 1
    assert law.error(1, 1.0) > 1, "the law itself has no such bounds"


def test_one_training_that_went_wrong_does_not_carry_the_law_away() -> None:
    spoilt = made(power)
    spoilt[2] = Observation(spoilt[2].images, spoilt[2].bytes, spoilt[2].error + 0.3)
    (law,) = (one for one in fit_laws(spoilt, noise=0.005) if one.family.name == "power")
    # Least squares spreads the 30 points over the arm; the robust loss keeps most of them out of it.
    others = [one for number, one in enumerate(spoilt) if number != 2]
    assert max(abs(float(law.error(one.images, one.bytes)) - one.error) for one in others) < 0.05


def test_the_same_trainings_give_the_same_law() -> None:
    first, second = (fit_laws(made(power, 0.01))[0] for _ in range(2))
    np.testing.assert_array_equal(first.draws, second.draws)


def test_too_few_trainings_are_refused() -> None:
    with pytest.raises(PlanningError, match="it takes six"):
        fit_laws(made(power)[:5])
    with pytest.raises(PlanningError, match="2 rates"):
        fit_laws([Observation(n, size, 0.5) for n in (1, 2, 3) for size in (10, 20)])


def test_every_family_falls_in_both_directions_within_its_bounds() -> None:
    @settings(max_examples=50, deadline=None)
    @given(st.sampled_from(FAMILIES), st.lists(st.floats(0, 1), min_size=2, max_size=2), st.floats(1e-3, 1e3))
    def falls(family, shares, ratio) -> None:
        constants = np.array([low + share * (high - low) for low, high, share in zip(family.low, family.high, shares)])
        values, slopes = family.term(np.array([ratio, ratio * 1.5]), constants)
        for number in range(len(constants)):
            step = 1e-6 * np.eye(len(constants))[number]
            there, here = (family.term(np.array([ratio, ratio * 1.5]), constants + sign * step)[0] for sign in (1, -1))
            np.testing.assert_allclose(slopes[:, number], (there - here) / 2e-6, rtol=1e-3, atol=1e-4)
        assert np.isfinite(values).all() and values[1] <= values[0] + 1e-12

    falls()
