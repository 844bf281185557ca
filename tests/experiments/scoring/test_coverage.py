"""The simulation behind the smallest number of images that has an interval, where its answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dsr.experiments.benchmarks.coverage import ASKED, share_held

E = math.exp(-1)


@pytest.mark.parametrize(
    ("name", "images", "share"),
    [
        ("normal", 2, 1 / 2),
        ("normal", 3, 3 / 4),
        ("exponential", 2, 1 - (1 - E) ** 2 - E**2),
        ("exponential", 3, 1 - (1 - E) ** 3 - E**3),
    ],
)
def test_draws_of_two_or_three_numbers_hold_the_truth_if_it_lies_between_them(
    name: str, images: int, share: float
) -> None:
    """One draw in 4, or 27, repeats the smallest alone: more than 2.5 %, so the interval ends there."""
    sets = 1500
    found = share_held(ASKED[name], np.random.default_rng(1), images, sets)
    assert found == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / sets))


def test_a_class_of_many_images_is_held_more_often_than_one_of_few() -> None:
    few, many = (share_held(ASKED["IoU of a class"], np.random.default_rng(2), n, 100) for n in (2, 30))
    assert few < 0.7
    assert many > 0.8
