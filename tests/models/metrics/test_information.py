"""Usable information: temperatures against closed forms, differences that add up, intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest

from dsr.models.metrics.distances import FEWEST_IMAGES, resamples
from dsr.models.metrics.information import TEMPERATURES, Losses, differ, fit_temperature


def losses(random: np.random.Generator, images: int = 12, classes: int = 3, absent: int = 2) -> Losses:
    pixels = random.integers(0, 50, (images, classes))
    pixels[:, absent] = 0
    return Losses(random.gamma(2, 1, (images, classes)) * pixels, pixels)


@pytest.mark.parametrize(("margin", "right"), [(1.0, 0.9), (3.0, 0.75), (8.0, 0.99)])
def test_a_temperature_makes_a_model_as_sure_as_it_is_right(margin: float, right: float) -> None:
    # Of two classes, always told apart by the same margin m: the best T has sigmoid(m / T) = the share that is right.
    labels = (np.arange(1000) >= 1000 * right).astype(np.uint8)
    logits = np.tile([margin, 0.0], (1000, 1)).astype(np.float32)
    assert fit_temperature(logits, labels) == pytest.approx(margin / np.log(right / (1 - right)), rel=1e-6)


def test_labels_drawn_from_a_model_take_its_own_temperature_back() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (40_000, 5))
    for temperature in (0.5, 1.0, 2.5):
        shown = random.gumbel(size=logits.shape) + logits
        assert fit_temperature(temperature * logits, shown.argmax(axis=1)) == pytest.approx(temperature, rel=0.03)


def test_a_temperature_stays_within_its_bounds() -> None:
    logits = np.tile([1.0, 0.0], (10, 1))
    assert fit_temperature(logits, np.zeros(10, np.uint8)) == TEMPERATURES[0]  # never wrong, and never sure enough
    assert fit_temperature(logits, np.ones(10, np.uint8)) == TEMPERATURES[1]  # always wrong


def test_bits_are_those_of_known_probabilities() -> None:
    # Two images; of class 0 six pixels with p = 1/2, of class 1 two with p = 1/8.
    nats = np.log([[2.0**4, 8.0], [2.0**2, 8.0]])
    found = Losses(nats, np.array([[4, 1], [2, 1]]))
    assert found.bits == pytest.approx((6 * 1 + 2 * 3) / 8)
    np.testing.assert_allclose(found.by_class, [1, 3])
    np.testing.assert_allclose(found.by_image, [7 / 5, 5 / 3])


def test_a_model_that_is_blind_to_half_of_what_there_is_loses_the_bits_of_it() -> None:
    # Labels of four equally frequent classes: who sees them knows all (0 bits), who sees half 1 bit, who is blind 2.
    pixels = np.full((12, 4), 25)
    seeing, half, blind = (Losses(pixels * np.log(2) * bits, pixels) for bits in (0, 1, 2))
    draws = resamples(12)
    for first, second, bits in ((half, seeing, 1), (blind, seeing, 2), (half, blind, -1)):
        total, classes = differ([(first, second)], draws)
        assert (total.value, total.low, total.high) == pytest.approx((bits, bits, bits))
        assert [one.value for one in classes] == pytest.approx([bits] * 4)


def test_shift_and_information_add_up_to_the_whole_and_classes_to_all() -> None:
    random = np.random.default_rng(1)
    draws = resamples(12)
    seeds = []
    for _ in range(3):
        oo = losses(random)
        seeds.append((oo, *(Losses(oo.nats * random.uniform(0.5, 2, oo.nats.shape), oo.pixels) for _ in range(2))))
    pixels = seeds[0][0].pixels
    seeds = [tuple(Losses(one.nats, pixels) for one in seed) for seed in seeds]
    information, shift, whole = (
        differ([(seed[a], seed[b]) for seed in seeds], draws) for a, b in ((1, 0), (2, 1), (2, 0))
    )
    assert information[0].value + shift[0].value == pytest.approx(whole[0].value, abs=1e-13)
    shares = pixels.sum(axis=0) / pixels.sum()
    for total, classes in (information, shift, whole):
        assert classes[2] is None, "no pixel has that class"
        assert sum(s * one.value for s, one in zip(shares, classes) if one) == pytest.approx(total.value, abs=1e-13)
        assert total.low < total.value < total.high


def test_equal_losses_differ_by_nothing() -> None:
    one = losses(np.random.default_rng(2))
    total, _ = differ([(one, one)] * 2, resamples(12))
    assert (total.value, total.low, total.high) == (0, 0, 0)


def test_of_few_images_or_images_with_a_class_there_is_a_value_and_no_interval() -> None:
    random = np.random.default_rng(3)
    pixels = np.full((30, 3), 50)
    pixels[FEWEST_IMAGES - 1 :, 1] = 0
    pixels[FEWEST_IMAGES:, 2] = 0
    first, second = (Losses(random.gamma(2, 1, pixels.shape) * pixels, pixels) for _ in range(2))
    total, (_, rare, enough) = differ([(first, second)] * 2, resamples(30))
    assert rare is not None and rare.low is rare.high is None and rare.value != 0
    assert enough is not None and enough.low < enough.value < enough.high and total.low < total.high
    few = [Losses(one.nats[: FEWEST_IMAGES - 1], pixels[: FEWEST_IMAGES - 1]) for one in (first, second)]
    total, _ = differ([tuple(few)] * 2, resamples(FEWEST_IMAGES - 1))
    assert total.low is total.high is None and total.value != 0


def simulate(random: np.random.Generator, seeds: int, images: int) -> list[tuple[Losses, Losses]]:
    """A true difference of 0.3 bits, with an effect of each image, of each seed, and of both."""
    pixels = random.integers(50, 150, (images, 1))
    image = random.normal(0, 0.4, images)
    pairs = []
    for seed in random.normal(0, 0.1, seeds):
        apart = 0.3 + seed + image + random.normal(0, 0.2, images)
        nothing = Losses(np.zeros((images, 1)), pixels)
        pairs.append((Losses(np.log(2) * apart[:, None] * pixels, pixels), nothing))
    return pairs


def by_drawing_seeds(pairs: list[tuple[Losses, Losses]], random: np.random.Generator) -> tuple[float, float]:
    """The interval that `differ` does not take: quantiles of draws of images and of seeds."""
    apart = np.stack([first.nats[:, 0] for first, _ in pairs]) / np.log(2)
    pixels = pairs[0][0].pixels[:, 0]
    drawn = []
    for _ in range(200):
        seeds = random.integers(len(pairs), size=len(pairs))
        images = random.integers(len(pixels), size=len(pixels))
        drawn.append(apart[seeds][:, images].sum() / (len(seeds) * pixels[images].sum()))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "least"), [(3, 0.93), (6, 0.93)])
def test_intervals_cover_what_other_images_and_other_seeds_would_give(seeds: int, least: float) -> None:
    random = np.random.default_rng(seeds)
    trials, covered, drawn = 400, 0, 0
    draws = resamples(50, draws=200)
    for _ in range(trials):
        pairs = simulate(random, seeds, 50)
        total, _ = differ(pairs, draws)
        covered += total.low <= 0.3 <= total.high
        low, high = by_drawing_seeds(pairs, random)
        drawn += low <= 0.3 <= high
    assert least <= covered / trials <= 0.995
    assert drawn < covered, "drawing seeds promises more than it keeps"


def test_the_interval_of_one_seed_is_over_images_alone() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        (pair,) = simulate(random, 1, 50)
        apart = pair[0].nats[:, 0] / np.log(2) / pair[0].pixels[:, 0]
        total, _ = differ([pair], resamples(50, draws=200))
        width = 1.96 * apart.std(ddof=1) / np.sqrt(50)
        covered += abs((total.high - total.low) / 2 / width - 1) < 0.25
    assert covered > 270


def test_draws_without_a_pixel_of_a_class_say_nothing_of_it() -> None:
    pixels = np.array([[10, 0]] * 2 + [[10, 5]] * FEWEST_IMAGES)
    some, none = Losses(pixels * 0.5, pixels), Losses(pixels * 0.0, pixels)
    without = np.array([FEWEST_IMAGES, 2] + [0] * FEWEST_IMAGES)
    _, classes = differ([(some, none)], [without, *resamples(len(pixels), draws=50)])
    assert classes[1] is not None
    assert (classes[1].value, classes[1].low) == pytest.approx((0.5 / np.log(2), 0.5 / np.log(2)))
