"""Scores are those of all pixels together, and intervals those of a bootstrap over images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from dsr.experiments.scoring.counts import Counts, ImageCounts, estimate, over_common
from dsr.experiments.scoring.errors import ScoreError
from dsr.models.errors import UserError
from dsr.models.metrics.distances import FEWEST_IMAGES

CLASSES = 4


def maps(images: int, wrong: float, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Truths with some void, and predictions with a share of wrong pixels that differs from image to image."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(images):
        truth = rng.choice([0, 1, 2, 3, 255], (12, 16), p=[0.5, 0.3, 0.1, 0.05, 0.05]).astype(np.uint8)
        predicted = np.where(truth == 255, 0, truth)
        change = rng.random(truth.shape) < 2 * wrong * rng.random()
        predicted[change] = rng.choice([0, 1, 2, 3, 255], change.sum())
        pairs.append((truth, predicted.astype(np.uint8)))
    return pairs


def counted(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Counts:
    return Counts.joined({str(number): ImageCounts.of(*pair, CLASSES) for number, pair in enumerate(pairs)})


def by_sets(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """IoU of each class as the definition has it: sets of pixels."""
    found = []
    for label in range(CLASSES):
        truth = {(n, *p) for n, (t, _) in enumerate(pairs) for p in zip(*np.nonzero(t == label))}
        said = {(n, *p) for n, (t, s) in enumerate(pairs) for p in zip(*np.nonzero((s == label) & (t != 255)))}
        found.append(len(truth & said) / len(truth | said))
    return found


def test_scores_are_those_of_the_sets_of_pixels_of_all_images_together() -> None:
    pairs = maps(5, wrong=0.3)
    counts = counted(pairs)
    assert counts.iou == pytest.approx(by_sets(pairs), abs=1e-12)
    assert counts.miou == pytest.approx(np.mean(by_sets(pairs)), abs=1e-12)
    truths, said = (np.concatenate([pair[n].ravel() for pair in pairs]) for n in (0, 1))
    assert counts.pixel_accuracy == pytest.approx(np.mean((truths == said)[truths != 255]), abs=1e-12)


def test_a_class_that_is_nowhere_has_no_score_and_does_not_count() -> None:
    truth = np.zeros((4, 4), np.uint8)
    counts = counted([(truth, truth)] * FEWEST_IMAGES)
    assert counts.iou[0] == 1 and np.isnan(counts.iou[1:]).all() and counts.miou == 1
    miou, per_class = estimate(counts)
    assert miou is not None and (miou.value, miou.low, miou.high) == (1, 1, 1)
    assert per_class[1:] == [None] * 3


def test_no_labelled_pixel_gives_no_score() -> None:
    counts = counted([(np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8))])
    assert math.isnan(counts.miou) and math.isnan(counts.pixel_accuracy)
    assert estimate(counts)[0] is None


def test_the_interval_is_that_of_another_bootstrap() -> None:
    pairs = maps(40, wrong=0.3)
    counts = counted(pairs)
    index = np.arange(40)

    def miou(drawn: np.ndarray) -> float:
        return float(np.nanmean(counts.intersection[drawn].sum(0) / counts.union[drawn].sum(0)))

    other = bootstrap(
        (index,), miou, vectorized=False, method="percentile", n_resamples=4000, random_state=np.random.default_rng(1)
    ).confidence_interval
    found = estimate(counts)[0]
    assert found is not None
    width = other.high - other.low
    assert width > 0.02
    assert abs(found.low - other.low) < 0.1 * width and abs(found.high - other.high) < 0.1 * width


def test_differences_are_of_the_same_drawn_images() -> None:
    """Two cases that go wrong in the same images: their difference is surer than either."""
    pairs = maps(30, wrong=0.4)
    better = [(truth, np.where(np.arange(16) == 3, truth, said)) for truth, said in pairs]
    better = [(truth, np.where(said == 255, 0, said).astype(np.uint8)) for truth, said in better]
    worse, good = counted(pairs), counted(better)
    apart, alone = estimate(good, worse)[0], estimate(worse)[0]
    assert apart is not None and alone is not None
    assert apart.value == pytest.approx(good.miou - worse.miou)
    assert apart.low > 0 and apart.high - apart.low < 0.5 * (alone.high - alone.low)
    same, per_class = estimate(worse, worse)
    assert same is not None and (same.value, same.low, same.high) == (0, 0, 0)
    assert all(entry is not None and entry.low == entry.high == 0 for entry in per_class)


def test_equal_images_leave_nothing_to_chance() -> None:
    found = estimate(counted(maps(1, wrong=0.3) * FEWEST_IMAGES))[0]
    assert found is not None and found.low == pytest.approx(found.value) == pytest.approx(found.high)


def test_of_few_images_there_is_a_value_and_no_interval() -> None:
    for images in (1, FEWEST_IMAGES - 1):
        counts = counted(maps(images, wrong=0.3))
        miou, per_class = estimate(counts)
        assert miou is not None and (miou.value, miou.low, miou.high) == (counts.miou, None, None)
        assert all(one is not None and one.low is None and not one.clear for one in per_class)
        apart = estimate(counted(maps(images, wrong=0.1)), counts)[0]
        assert apart is not None and apart.value != 0 and apart.low is None and not apart.clear
    found = estimate(counted(maps(FEWEST_IMAGES, wrong=0.3)))[0]
    assert found is not None and found.low is not None and found.high is not None and found.low < found.high


def test_an_image_without_a_label_is_none_of_the_images_that_an_interval_needs() -> None:
    void = (np.full((12, 16), 255, np.uint8), np.zeros((12, 16), np.uint8))
    found = estimate(counted([*maps(FEWEST_IMAGES - 1, wrong=0.3), void, void]))[0]
    assert found is not None and found.low is None


def labelled_as_3_in(pairs: list[tuple[np.ndarray, np.ndarray]], images: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Class 3 in the labels of the first images alone, half of it found; every image has a pixel predicted as it."""
    found = []
    for number, (truth, said) in enumerate(pairs):
        truth, said = np.where(truth == 3, 0, truth), np.where(said == 3, 0, said)
        truth[2, :8], said[2, :8] = 3 if number < images else 0, 0
        said[2, :4] = 3 if number < images else 0
        truth[3, 0], said[3, 0] = 0, 3
        found.append((truth.astype(np.uint8), said.astype(np.uint8)))
    return found


def test_a_class_has_an_interval_if_enough_labels_have_it_however_often_it_is_predicted() -> None:
    for images in (1, FEWEST_IMAGES - 1, FEWEST_IMAGES):
        pairs = labelled_as_3_in(maps(30, wrong=0.3), images)
        better = [(truth, np.where(truth == 3, 3, said).astype(np.uint8)) for truth, said in pairs]
        for per_class in (estimate(counted(pairs))[1], estimate(counted(better), counted(pairs))[1]):
            assert [one is not None and one.low is not None for one in per_class] == [True] * 3 + [images >= 10]
            assert per_class[3] is not None and per_class[3].clear == (images >= FEWEST_IMAGES)


def test_draws_without_a_class_have_neither_its_iou_nor_a_mean_of_fewer_classes() -> None:
    counts = counted(labelled_as_3_in(maps(30, wrong=0.3), 1))
    mious, ious = counts.replicates
    without = np.isnan(ious[:, 3])
    assert without.mean() == pytest.approx((1 - 1 / 30) ** 30, abs=0.05)  # of images in all of which it is predicted
    assert np.array_equal(np.isnan(mious), without)
    assert mious[~without] == pytest.approx(ious[~without].mean(axis=1))


def test_the_interval_of_the_mean_holds_it_where_a_class_is_in_one_image() -> None:
    """That class is hardly found, so that a mean without it is far above."""
    pairs = labelled_as_3_in(maps(30, wrong=0.05), 1)
    pairs[0][1][2, :4] = 0
    found = estimate(counted(pairs))[0]
    assert found is not None and found.low is not None and found.high is not None
    assert found.low <= found.value <= found.high < found.value + 0.1


def test_the_mean_has_no_interval_if_most_draws_lack_a_class() -> None:
    """Of three classes that have an image each, 25 % of the draws have all."""
    pairs = [(np.zeros((12, 16), np.uint8), np.zeros((12, 16), np.uint8)) for _ in range(30)]
    for label in (1, 2, 3):
        pairs[label][0][:4] = label
    miou, per_class = estimate(counted(pairs))
    assert miou is not None and miou.low is None and miou.high is None
    assert per_class[0] is not None and per_class[0].low is not None


def test_a_class_that_no_label_has_moves_no_score_when_it_is_predicted() -> None:
    pairs = [(np.where(truth == 3, 0, truth), np.where(said == 3, 0, said)) for truth, said in maps(30, wrong=0.3)]
    said_once = [(truth, said.copy()) for truth, said in pairs]
    for truth, said in said_once:
        said[(truth != 255) & (truth != said)] = 3  # wrong before, wrong now
    one, other = counted(pairs), counted([said_once[0], *pairs[1:]])
    assert other.union[:, 3].sum() > 0 and math.isnan(other.iou[3])
    assert abs(other.miou - one.miou) < 0.02
    apart, per_class = estimate(other, one)
    assert apart is not None and abs(apart.value) < 0.02 and per_class[3] is None


def test_cases_are_reduced_to_the_images_that_all_have_in_one_order() -> None:
    pairs = maps(6, wrong=0.3)
    images = {f"k{number}": ImageCounts.of(*pair, CLASSES) for number, pair in enumerate(pairs)}
    whole = Counts.joined(images)
    backwards = Counts.joined({key: images[key] for key in reversed(images) if key not in ("k1", "k4")})
    found = over_common({"a": whole, "b": backwards})
    for one in found.values():
        assert one.keys == ("k0", "k2", "k3", "k5")
        assert np.array_equal(one.union, whole.union[[0, 2, 3, 5]])
    assert over_common({"a": whole, "b": whole})["b"] is whole


def test_cases_without_a_common_image_are_refused() -> None:
    image = ImageCounts.of(*maps(1, wrong=0.3)[0], CLASSES)
    with pytest.raises(UserError, match="no image is in all of what is to be compared"):
        over_common({"a": Counts.joined({"x": image}), "b": Counts.joined({"y": image})})


def test_common_images_without_a_label_are_refused() -> None:
    """The label that there is, is of an image that not all have."""
    labelled = ImageCounts.of(*maps(1, wrong=0.3)[0], CLASSES)
    void = ImageCounts.of(np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8), CLASSES)
    with pytest.raises(ScoreError, match="no pixel of the 1 test images to be scored has a class"):
        over_common({"a": Counts.joined({"x": void, "y": labelled}), "b": Counts.joined({"x": void})})
