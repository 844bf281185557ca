"""Distances against closed forms, other formulas for the same thing, and what must hold of any sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment

from dsr.models.metrics.distances import (
    DISTANCES,
    Sampled,
    between_halves,
    correlate,
    frechet_distance,
    kernel_distance,
    resamples,
    sliced_distance,
)

seeds = st.integers(0, 1000)


def pair(seed: int, images: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of images in two domains, the second a distorted first."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(images, channels)) @ random.normal(size=(channels, channels))
    return x, 0.8 * x + 0.3 * random.normal(size=x.shape) + 0.2


@given(seeds)
def test_frechet_is_the_formula_with_scipys_matrix_root_where_covariances_are_regular(seed: int) -> None:
    x, y = pair(seed, 40, 6)
    covariances = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)


def test_frechet_is_the_limit_of_regular_covariances_where_images_are_too_few() -> None:
    """Twelve images of forty channels: the plain formula on covariances with a little added to make them regular."""
    x, y = pair(1, 12, 40)
    a, b = (np.cov(features, rowvar=False) + 1e-6 * np.eye(40) for features in (x, y))
    roots = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0)).sum()
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a + b) - 2 * roots
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)


@given(st.floats(-3, 3), st.floats(0.1, 5))
def test_frechet_of_a_line_is_the_squared_differences_of_mean_and_deviation(shift: float, scale: float) -> None:
    x = np.random.default_rng(0).normal(size=(30, 1))
    y = scale * x + shift
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected, abs=1e-9)


def test_frechet_of_large_samples_is_that_of_the_gaussians_they_were_drawn_from() -> None:
    """Diagonal covariances: |m|^2 + sum (s_x - s_y)^2."""
    random = np.random.default_rng(0)
    deviations, shift = np.array([[1.0, 2.0, 0.5], [2.0, 1.0, 0.5]]), np.array([1.0, 0.0, -0.5])
    x, y = (random.normal(size=(200_000, 3)) * deviation for deviation in deviations)
    assert frechet_distance(x, y + shift) == pytest.approx(1.25 + 2.0, rel=0.01)


@given(seeds)
def test_the_sliced_distance_of_a_shift_is_its_square_whatever_the_bases(seed: int) -> None:
    x, _ = pair(seed, 20, 5)
    shift = np.array([1.0, -2.0, 0.0, 0.5, 3.0])
    assert sliced_distance(x, x + shift, seed) == pytest.approx(float(shift @ shift))
    assert sliced_distance(x, x[::-1], seed) == pytest.approx(0, abs=1e-12)  # sets have no order


@given(seeds)
def test_the_sliced_distance_of_a_line_is_the_best_assignment_of_images(seed: int) -> None:
    x, y = (part[:, :1] for part in pair(seed, 12, 3))
    rows, columns = linear_sum_assignment((x - y.T) ** 2)
    assert sliced_distance(x, y) == pytest.approx(float(np.mean((x[rows] - y[columns]) ** 2)))


@given(seeds)
def test_the_sliced_distance_is_at_most_that_of_the_best_assignment(seed: int) -> None:
    """On no line are two sets farther apart than their images are when assigned at best (Wasserstein)."""
    x, y = pair(seed, 15, 4)
    cost = ((x[:, None] - y[None]) ** 2).sum(axis=-1)
    assert sliced_distance(x, y) <= float(cost[linear_sum_assignment(cost)].mean()) + 1e-9


@given(seeds)
def test_the_kernel_distance_is_the_mean_over_pairs_of_different_images(seed: int) -> None:
    """A transcription of the definition, one pair after the other."""
    x, y = pair(seed, 7, 3)

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / 3 + 1) ** 3

    terms = [
        k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i]) for i in range(7) for j in range(7) if i != j
    ]
    assert kernel_distance(x, y) == pytest.approx(math.fsum(terms) / len(terms), rel=1e-9, abs=1e-9)


def test_the_kernel_distance_is_unbiased_for_paired_images_where_the_plain_estimate_is_not() -> None:
    """Under the cubic kernel of one channel the distance is the sum over moments of weighted squared differences:
    (xy + 1)^3 = 1 + 3 xy + 3 x^2 y^2 + x^3 y^3. Here y is x with its sign turned, and x normal around 1."""
    moments = np.array([1.0, 2.0, 4.0])  # E x, E x^2, E x^3
    expected = float(np.array([3.0, 3.0, 1.0]) @ (moments - moments * np.array([-1, 1, -1])) ** 2)
    random = np.random.default_rng(0)
    samples = [1 + random.normal(size=(10, 1)) for _ in range(4000)]
    estimates = [kernel_distance(x, -x) for x in samples]
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert np.mean(estimates) == pytest.approx(expected, abs=3 * error)
    with_itself = (
        np.mean([2 * float(np.mean((1 - x * x) ** 3)) for x in samples]) / 10
    )  # what i = j adds across the sets
    assert abs(with_itself) > 5 * error


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
class TestBoth:
    @given(seed=seeds)
    def test_equal_sets_are_no_distance_apart_and_order_does_not_matter(self, distance, seed: int) -> None:
        x, y = pair(seed, 9, 4)
        scale = np.abs(x).max() ** 6
        assert distance(x, x) == pytest.approx(0, abs=1e-12 * scale)
        assert distance(x, y) == pytest.approx(distance(y, x), rel=1e-6, abs=1e-12 * scale)
        order = np.random.default_rng(seed).permutation(9)
        assert distance(x[order], y[order]) == pytest.approx(distance(x, y), rel=1e-6, abs=1e-12 * scale)

    @given(seed=seeds)
    def test_counts_of_one_and_none_are_the_images_themselves(self, distance, seed: int) -> None:
        x, y = pair(seed, 9, 4)
        counts = np.array([1, 1, 0, 1, 1, 0, 1, 1, 1])
        assert distance(x, y, counts) == pytest.approx(distance(x[counts > 0], y[counts > 0]), rel=1e-9, abs=1e-9)

    def test_a_stronger_shift_is_farther(self, distance) -> None:
        x, _ = pair(0, 50, 10)
        values = [distance(x, x + shift) for shift in (0.1, 0.3, 1.0)]
        assert values == sorted(values) and values[0] > 0

    def test_halves_of_one_set_are_the_same_every_time(self, distance) -> None:
        x, _ = pair(0, 20, 4)
        assert between_halves(distance, x) == between_halves(distance, x)


def test_a_repeated_image_counts_like_its_copy_in_the_frechet_distance() -> None:
    x, y = pair(3, 6, 4)
    counts = np.array([2, 0, 1, 3, 1, 1])
    copies = np.repeat(np.arange(6), counts)
    assert frechet_distance(x, y, counts) == pytest.approx(frechet_distance(x[copies], y[copies]))


def test_halves_of_one_domain_are_unbiased_in_the_kernel_distance() -> None:
    values = [between_halves(kernel_distance, np.random.default_rng(seed).normal(size=(40, 5))) for seed in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def test_draws_follow_from_the_seed_and_never_show_one_image_alone() -> None:
    assert all(np.array_equal(a, b) for a, b in zip(resamples(5, seed=1), resamples(5, seed=1)))
    assert any(not np.array_equal(a, b) for a, b in zip(resamples(5, seed=1), resamples(5, seed=2)))
    drawn = resamples(3, draws=500)
    assert {int(counts.sum()) for counts in drawn} == {3}
    assert min(np.count_nonzero(counts) for counts in drawn) == 2


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
def test_the_interval_is_as_wide_as_values_of_other_images_spread(distance) -> None:
    """The bootstrap of one sample against 100 fresh samples of the same population."""

    def sample(seed: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        x = random.normal(size=(60, 4))
        return x, 0.8 * x + 0.3 + 0.2 * random.normal(size=x.shape)

    fresh = np.std([distance(*sample(seed)) for seed in range(100)])
    widths = []
    for seed in range(5):
        x, y = sample(seed)
        sampled = Sampled.of(distance, x, y, resamples(60))
        low, high = sampled.interval
        assert low < sampled.value < high
        widths.append((high - low) / (2 * 1.96))
    assert np.mean(widths) == pytest.approx(fresh, rel=0.35)


def test_a_difference_of_the_same_draws_is_surer_than_the_two_distances() -> None:
    x, y = pair(0, 50, 4)
    near, far = (Sampled.of(frechet_distance, x, one, resamples(50)) for one in (y, y + 0.1))
    lows, highs = zip(*(one.interval for one in (near, far, far - near)))
    widths = np.subtract(highs, lows)
    assert (far - near).value == pytest.approx(frechet_distance(x, y + 0.1) - frechet_distance(x, y))
    assert widths[2] < 0.5 * min(widths[:2])


@given(st.floats(0.1, 3), st.floats(-2, 2))
def test_a_line_is_found_with_all_of_it_explained(slope: float, offset: float) -> None:
    x = np.linspace(0, 1, 20)
    found = correlate(x, slope * x + offset)
    assert found.slope == pytest.approx(slope)
    assert found.r2 == pytest.approx(1)
    assert found.rms == pytest.approx(np.sqrt(np.mean(((slope - 1) * x + offset) ** 2)))


@given(seeds)
def test_a_correlation_is_that_of_numpy(seed: int) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, 30))
    found = correlate(x, y)
    assert found.slope == pytest.approx(np.polyfit(x, y, 1)[0])
    assert found.r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
