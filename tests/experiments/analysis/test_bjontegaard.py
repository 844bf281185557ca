"""Averages over rate curves: closed forms, another implementation, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dsr.experiments.analysis.bjontegaard import RateCurve, bd_quality, bd_rate, why_no_quality, why_no_rate

BPP, DB = [0.1, 0.2, 0.5, 1.1], [28.0, 31.5, 35.0, 39.0]
CURVE = RateCurve("a", BPP, DB)

# What the package bjontegaard 1.3.0 (FAU-LMS) gives with method="pchip": its bd_rate and bd_psnr.
THEIRS = [
    (
        ([0.11, 0.18, 0.3, 0.44], [34.2, 36.9, 39.1, 40.4]),
        ([0.11, 0.18, 0.3, 0.44], [35.1, 37.4, 40.0, 41.2]),
        -14.344707088771925,
        0.7240641652532847,
    ),
    (
        ([0.05, 0.09, 0.16, 0.31, 0.6], [0.41, 0.47, 0.52, 0.555, 0.57]),
        ([0.06, 0.1, 0.2, 0.33, 0.7], [0.40, 0.455, 0.515, 0.54, 0.575]),
        33.39736939175118,
        -0.019572871042102813,
    ),
]


@pytest.mark.parametrize(("anchor", "curve", "rate", "quality"), THEIRS)
def test_averages_are_those_of_another_implementation(anchor, curve, rate, quality):
    curves = RateCurve("a", *anchor), RateCurve("b", *curve)
    assert bd_rate(*curves) == pytest.approx(rate, rel=1e-12)
    assert bd_quality(*curves) == pytest.approx(quality, rel=1e-12)
    assert why_no_rate(*curves) == why_no_quality(*curves) == ""


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.25])
def test_bytes_scaled_by_a_factor_are_that_much_bd_rate(factor):
    assert bd_rate(CURVE, RateCurve("b", [factor * bpp for bpp in BPP], DB)) == pytest.approx(100 * (factor - 1))


@pytest.mark.parametrize("more", [-2.0, 0.0, 0.7])
def test_quality_that_is_higher_everywhere_is_that_much_higher_on_average(more):
    assert bd_quality(CURVE, RateCurve("b", BPP, [db + more for db in DB])) == pytest.approx(more)


def test_averages_of_straight_lines_are_their_distance():
    # log rate = dB / 10 against dB / 10 - 0.2: equal quality for exp(-0.2) of the rate, and 2 dB more at equal rate
    anchor_db, db = np.array([20.0, 24, 28, 32]), np.array([24.0, 27, 31, 35])
    anchor = RateCurve("a", np.exp(anchor_db / 10), anchor_db)
    curve = RateCurve("b", np.exp(db / 10 - 0.2), db)
    assert bd_rate(anchor, curve) == pytest.approx(100 * np.expm1(-0.2))
    assert bd_quality(anchor, curve) == pytest.approx(2)


def test_the_order_of_points_does_not_matter():
    shuffled = RateCurve("a", [BPP[i] for i in (2, 0, 3, 1)], [DB[i] for i in (2, 0, 3, 1)])
    other = RateCurve("b", [0.12, 0.25, 0.4, 1.0], [29.0, 32.5, 34.0, 39.5])
    assert bd_rate(shuffled, other) == bd_rate(CURVE, other)
    assert bd_quality(other, shuffled) == bd_quality(other, CURVE)
    assert why_no_rate(shuffled, other) == ""


def test_curves_that_share_nothing_have_no_average():
    assert math.isnan(bd_rate(CURVE, RateCurve("b", BPP, [db + 50 for db in DB])))
    assert math.isnan(bd_quality(CURVE, RateCurve("b", [20 * bpp for bpp in BPP], DB)))


@pytest.mark.parametrize(
    ("bpp", "quality", "rate", "level"),
    [
        (BPP, [31.5, 30.0, 35.0, 39.0], "b does not rise from each rate to the next", ""),
        (BPP, [28.0, 31.5, 31.5, 39.0], "b does not rise from each rate to the next", ""),
        (BPP[:3], DB[:3], "3 of the 4 rates that it takes", "3 of the 4 rates that it takes"),
        (BPP, [37.0, 39.0, 41.0, 43.0], "the curves share 33 % of their quality", ""),
        (BPP, [46.0, 48.0, 50.0, 52.0], "the curves share 0 % of their quality", ""),
        ([5 * bpp for bpp in BPP], DB, *["the curves share 33 % of their rates"] * 2),
        ([*BPP, 0.2], [*DB, 31.9], *["b has two points of one rate"] * 2),
        ([*BPP, 0.2], [*DB, 31.5], *["b has two points of one rate"] * 2),
        ([*BPP, np.nextafter(0.1, 1)], [*DB, 31.9], *["b has two points of one rate"] * 2),  # in the logarithm
        ([0.2], [31.5], *["1 of the 4 rates that it takes"] * 2),
        ([0.2, 0.2], [31.5, 31.9], *["b has two points of one rate"] * 2),
    ],
)
def test_averages_that_would_say_little_are_refused_with_the_reason(bpp, quality, rate, level):
    curve = RateCurve("b", bpp, quality)
    assert why_no_rate(CURVE, curve) == rate
    assert why_no_quality(CURVE, curve) == level


def test_a_curve_that_lies_within_the_range_of_another_is_compared_over_all_it_has():
    """As a learned codec of a few qualities is with BPG."""
    within = RateCurve("b", [0.3, 0.32, 0.35, 0.4], [33.0, 33.2, 33.5, 34.0])
    assert why_no_rate(CURVE, within) == why_no_rate(within, CURVE) == ""
