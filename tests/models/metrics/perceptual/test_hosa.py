from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import skew

from dsr.models.metrics.perceptual import load_index
from dsr.models.metrics.perceptual.hosa import (
    FEATURES,
    MIN_SIDE,
    SIZE,
    WORDS,
    Codebook,
    Hosa,
    _moments,
    normalized_patches,
)
from dsr.models.metrics.perceptual.scene_statistics import luminance
from dsr.models.metrics.perceptual.stored import FOLDER
from tests.models.leaves import by_level, leaves, noisy


def transcribed_features(codebook: Codebook, pixels: np.ndarray) -> np.ndarray:
    """The authors' published procedure, a word at a time, in plain steps."""
    gray = luminance(pixels).astype(float)
    step = max(1, int(np.sqrt(gray.size / 10000)))
    patches = []
    for top in range(0, gray.shape[0] - 6, step):
        for left in range(0, gray.shape[1] - 6, step):
            patch = gray[top : top + 7, left : left + 7].ravel()
            patches.append((patch - patch.mean()) / np.sqrt(patch.var(ddof=1) + 10))
    white = (np.array(patches) - codebook.center) @ codebook.whitening
    squared = cdist(white, codebook.mean, "sqeuclidean")
    order = np.argsort(squared, axis=1)[:, :5]
    weight = np.exp(-0.05 * np.take_along_axis(squared, order, axis=1))
    weight /= weight.sum(axis=1, keepdims=True)
    difference = np.zeros((3, WORDS, SIZE))
    for word in range(WORDS):
        row, place = np.nonzero(order == word)
        if not len(row):
            continue
        share = weight[row, place] / weight[row, place].sum()
        own = white[row]
        mean = share @ own
        variance = share @ (own - mean) ** 2
        third = share @ (own - mean) ** 3
        difference[0, word] = mean - codebook.mean[word]
        if variance.sum() > 1e-8:
            difference[1, word] = variance - codebook.variance[word]
            difference[2, word] = third / (variance**1.5 + 1e-4) - codebook.skewness[word]
    features = np.sign(difference.ravel()) * np.abs(difference.ravel()) ** 0.2
    return features / np.sqrt((features**2).sum())


@pytest.fixture(scope="module")
def hosa() -> Hosa:
    return Hosa.shipped()


@pytest.mark.parametrize("size", [(64, 64), (70, 91), (205, 210)])
def test_features_are_those_of_the_published_procedure(hosa: Hosa, size: tuple[int, int]) -> None:
    pixels = leaves(*size)
    expected = transcribed_features(hosa.codebook, pixels)
    # The power of 0.2 makes 1e-15 to 1e-3: differences of next to nothing may differ.
    found = hosa.codebook.features(pixels)
    assert found == pytest.approx(expected, abs=2e-5)
    assert np.median(np.abs(found - expected)) < 1e-10


def test_features_have_length_one_and_the_size_of_three_moments_of_a_hundred_words(hosa: Hosa) -> None:
    features = hosa.codebook.features(leaves(80, 80))
    assert features.shape == (FEATURES,) == (14_700,)
    assert np.linalg.norm(features) == pytest.approx(1)


def test_moments_under_equal_weights_are_those_of_scipy() -> None:
    values = np.random.default_rng(0).gamma(2, size=(4000, 3))
    total, mean, variance, skewness = _moments(values, np.full((4000, 1), 0.25))
    assert total == pytest.approx([1000])
    assert mean[0] == pytest.approx(values.mean(axis=0))
    assert variance[0] == pytest.approx(values.var(axis=0))
    assert skewness[0] == pytest.approx(skew(values), rel=1e-3)  # less what is added to the denominator


def test_moments_under_weights_are_those_of_repeated_values() -> None:
    rng = np.random.default_rng(1)
    values, times = rng.normal(size=(50, 2)), rng.integers(0, 4, size=(50, 3))
    _, mean, variance, skewness = _moments(values, times.astype(float))
    for word in range(3):
        repeated = np.repeat(values, times[:, word], axis=0)
        _, *expected = _moments(repeated, np.ones((len(repeated), 1)))
        for found, one in zip((mean, variance, skewness), expected):
            assert found[word] == pytest.approx(one[0])


def test_each_patch_belongs_to_its_five_nearest_words_and_most_to_the_nearest(hosa: Hosa) -> None:
    white = np.random.default_rng(2).normal(size=(200, SIZE))
    weights = hosa.codebook._assigned(white)
    distances = cdist(white, hosa.codebook.mean, "sqeuclidean")
    assert (np.count_nonzero(weights, axis=1) == 5).all()
    assert weights.sum(axis=1) == pytest.approx(np.ones(200))
    assert (weights.argmax(axis=1) == distances.argmin(axis=1)).all()
    ratio = np.log(weights.max(axis=1) / np.where(weights > 0, weights, 1).min(axis=1))
    nearest = np.sort(distances, axis=1)[:, :5]
    assert ratio == pytest.approx(0.05 * (nearest[:, 4] - nearest[:, 0]))


def test_patches_are_normalised_for_brightness_and_nearly_for_contrast() -> None:
    dark = (leaves(70, 70) // 4).astype(np.uint8)
    patches = normalized_patches(dark)
    assert np.abs(patches.mean(axis=1)).max() < 1e-12
    assert np.abs(patches - normalized_patches(dark + np.uint8(99))).max() < 1e-12
    variance = luminance(dark)[:7, :7].var(ddof=1)
    assert patches[0].var(ddof=1) == pytest.approx(variance / (variance + 10))


@pytest.mark.parametrize("size", [(64, 64), (100, 100), (199, 201), (480, 360), (1024, 2048)])
def test_the_number_of_patches_is_bounded(size: tuple[int, int]) -> None:
    patches = normalized_patches(np.zeros((*size, 3), np.uint8))
    assert 3_000 < len(patches) <= 40_000


def test_a_learned_codebook_whitens_and_holds_the_moments_of_its_clusters() -> None:
    patches = normalized_patches(leaves(100, 100))[::3]
    codebook = Codebook.learned(patches, seed=3)
    white = (patches - codebook.center) @ codebook.whitening
    covariance = np.cov(white, rowvar=False)
    values = np.linalg.eigvalsh(np.cov(patches, rowvar=False))
    assert np.sort(np.linalg.eigvalsh(covariance)) == pytest.approx(np.sort(values / (values + 0.1)), abs=1e-6)
    assert np.array_equal(codebook.mean, Codebook.learned(patches, seed=3).mean)
    word = cdist(white, codebook.mean).argmin(axis=1)
    largest = np.bincount(word).argmax()
    own = white[word == largest]
    # k-means ended before the last patches had settled.
    assert codebook.mean[largest] == pytest.approx(own.mean(axis=0), abs=0.05)
    assert codebook.variance[largest] == pytest.approx(own.var(axis=0), abs=0.1)


@pytest.mark.parametrize("kind", ["blur", "noise", "jpeg"])
def test_worse_images_get_higher_scores(hosa: Hosa, kind: str) -> None:
    scores = [hosa.score(pixels) for pixels in by_level(leaves(320, 384), kind)]
    assert scores == sorted(scores)
    assert scores[0] + 20 < scores[-1]


def test_the_score_hardly_depends_on_the_piece_of_the_image(hosa: Hosa) -> None:
    pixels = noisy(leaves(256, 512), 10)
    assert hosa.score(pixels[:, :256]) == pytest.approx(hosa.score(pixels[:, 256:]), abs=10)


def test_images_below_the_smallest_have_no_score_and_flat_ones_have_one(hosa: Hosa) -> None:
    pixels = leaves(MIN_SIDE, 200)
    assert hosa.score(pixels[:-1]) is None
    assert hosa.score(pixels[:, : MIN_SIDE - 1]) is None
    assert np.isfinite(hosa.score(pixels))
    assert np.isfinite(hosa.score(np.full((70, 70, 3), 200, np.uint8)))


def test_what_is_written_scores_like_what_was_trained(hosa: Hosa, tmp_path, monkeypatch) -> None:
    np.savez(tmp_path / "hosa.npz", **hosa.arrays())
    monkeypatch.setattr("dsr.models.metrics.perceptual.stored.FOLDER", tmp_path)
    assert load_index("hosa").score(leaves(90, 90)) == hosa.score(leaves(90, 90))


def test_the_shipped_files_are_small() -> None:
    assert (FOLDER / "hosa.npz").stat().st_size < 150_000
    assert (FOLDER / "niqe.npz").stat().st_size < 15_000
