from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import convolve
from scipy.special import gamma

from dsr.models.metrics.perceptual import INDEXES, PerceptualError, load_index, stored
from dsr.models.metrics.perceptual.niqe import FEATURES, PATCH, Niqe, patch_features, sharp_features
from dsr.models.metrics.perceptual.scene_statistics import SHAPES, asymmetric_gaussian, halved, luminance, normalized
from tests.models.leaves import blurred, by_level, leaves


def pattern() -> np.ndarray:
    """Edges and waves of all kinds, by formula, because its reference values are written down."""
    y, x = np.mgrid[: 3 * PATCH, : 3 * PATCH]
    waves = 128 + 50 * np.sin(x * y / 900) + 30 * np.cos(x / 7) * np.sin(y / 5)
    waves += 20 * ((x * 7 + y * 13) % 31 > 15) + (x * x * 3 + y * y * 5 + x * y * 7) % 23
    return np.clip(waves[..., None] + np.array([0, 6, -9]), 0, 255).astype(np.uint8)


# scikit-video 1.1.11, skvideo.measure.niqe.get_patches_test_features of the pattern's luminance, middle patch, rounded.
# Left out are the right scales of both diagonals, in whose place it gives the left ones twice.
SCIKIT_VIDEO = {
    0: 5.120, 1: 1.23736, 2: 1.076, 3: -0.02388, 4: 0.40741, 5: 0.38107, 6: 1.163, 7: -0.13584, 8: 0.47842, 9: 0.31419,
    10: 1.077, 11: -0.06127, 12: 0.42015, 14: 1.064, 15: 0.01812, 16: 0.37874,
    18: 1.762, 19: 0.48891, 20: 0.680, 21: 0.10814, 22: 0.0103, 23: 0.06082, 24: 0.686, 25: 0.10673, 26: 0.0104,
    27: 0.06142, 28: 0.798, 29: 0.07898, 30: 0.02206, 32: 0.673, 33: 0.10963, 34: 0.01167,
}  # fmt: skip


def test_features_are_those_of_scikit_video() -> None:
    # The middle patch alone: at an image's edges that implementation takes zeros for what lies outside.
    features, _ = patch_features(pattern())
    found = features[4, list(SCIKIT_VIDEO)]
    assert found == pytest.approx(list(SCIKIT_VIDEO.values()), abs=6e-4)  # its shapes are whole thousandths


def transcribed_features(pixels: np.ndarray) -> np.ndarray:
    """The authors' published procedure, an image and a patch at a time, in plain steps."""
    gray = luminance(pixels).astype(float)
    rows, columns = (size // PATCH for size in gray.shape)
    gray = gray[: rows * PATCH, : columns * PATCH]
    offset = np.arange(-3, 4)
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    found = np.empty((rows * columns, 2, 18))
    for scale in range(2):
        mean = convolve(gray, window, mode="nearest")
        deviation = np.sqrt(np.abs(convolve(gray**2, window, mode="nearest") - mean**2))
        coefficients, side = (gray - mean) / (deviation + 1), PATCH >> scale
        for number in range(rows * columns):
            top, left = number // columns * side, number % columns * side
            patch = coefficients[top : top + side, left : left + side]
            shape, left_scale, right_scale = transcribed_asymmetric_gaussian(patch)
            features = [shape, (left_scale + right_scale) / 2]
            for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                shape, left_scale, right_scale = transcribed_asymmetric_gaussian(patch * np.roll(patch, shift, (0, 1)))
                mean_of_it = (right_scale - left_scale) * math.gamma(2 / shape) / math.gamma(1 / shape)
                features += [shape, mean_of_it, left_scale, right_scale]
            found[number, scale] = features
        gray = shrink(shrink(gray).T).T
    return found.reshape(-1, FEATURES)


def transcribed_asymmetric_gaussian(values: np.ndarray) -> tuple[float, float, float]:
    grid = np.arange(0.2, 10.001, 0.001)
    left = math.sqrt(np.mean(values[values < 0] ** 2))
    right = math.sqrt(np.mean(values[values > 0] ** 2))
    skew = left / right
    ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2) * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = grid[np.argmin((gamma(2 / grid) ** 2 / (gamma(1 / grid) * gamma(3 / grid)) - ratio) ** 2)]
    scale = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    return shape, left * scale, right * scale


def shrink(plane: np.ndarray) -> np.ndarray:
    """Rows at half the resolution: bicubic of twice the width, sampled between every two rows."""
    rows = len(plane)
    position = np.arange(rows // 2)[:, None] * 2 + 0.5
    source = np.arange(-8, rows + 8)
    distance = np.abs(position - source) / 2
    weight = np.where(
        distance <= 1,
        1.5 * distance**3 - 2.5 * distance**2 + 1,
        np.where(distance <= 2, -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2, 0),
    )
    mirrored = np.pad(plane, ((8, 8), (0, 0)), mode="symmetric")
    return weight / weight.sum(axis=1, keepdims=True) @ mirrored


def test_features_by_strips_are_those_of_the_whole_image_by_the_published_procedure() -> None:
    pixels = leaves(3 * PATCH + 50, 2 * PATCH + 7)
    features, _ = patch_features(pixels)
    assert features == pytest.approx(transcribed_features(pixels), abs=2e-3)
    assert np.median(np.abs(features - transcribed_features(pixels))) < 1e-4


@given(st.floats(0.7, 4), st.floats(0.2, 3), st.floats(0.2, 3), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_distribution_that_was_sampled_is_found(shape: float, left: float, right: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    magnitude = rng.gamma(1 / shape, size=200_000) ** (1 / shape)
    values = np.where(rng.random(magnitude.size) < left / (left + right), -left, right) * magnitude
    found = [float(one[0]) for one in asymmetric_gaussian(values[None])]
    assert found == pytest.approx([shape, left, right], rel=0.08)


def test_exact_quantiles_of_gauss_and_laplace_have_their_shapes() -> None:
    from scipy.stats import laplace, norm

    levels = (np.arange(100_000) + 0.5) / 100_000
    shape, left, right = asymmetric_gaussian(np.stack([norm.ppf(levels), laplace.ppf(levels)]))
    assert shape == pytest.approx([2, 1], abs=2e-3)
    assert left == pytest.approx([math.sqrt(2), 1], abs=2e-3)
    assert left == pytest.approx(right)


def test_shapes_beyond_the_range_are_its_ends() -> None:
    two_valued = np.tile([-1.0, 1.0], 500)
    rare = np.zeros(100_000)
    rare[:2] = -1, 1
    assert asymmetric_gaussian(two_valued[None])[0] == pytest.approx(SHAPES[-1])
    assert asymmetric_gaussian(rare[None])[0] == pytest.approx(SHAPES[0])


def test_normalisation_takes_brightness_and_contrast_away() -> None:
    gray = luminance(leaves(96, 96)).astype(float)
    coefficients, deviation = normalized(gray)
    brighter, same = normalized(gray + 31)
    assert brighter == pytest.approx(coefficients, abs=1e-6)
    assert same == pytest.approx(deviation, abs=1e-6)
    # With contrast it takes all but what the stabilizer holds back: x/(s + 1) becomes 50x/(50s + 1).
    stronger, fifty = normalized(50 * gray)
    assert fifty == pytest.approx(50 * deviation, rel=1e-6, abs=1e-3)
    assert stronger == pytest.approx(coefficients * (deviation + 1) * 50 / (50 * deviation + 1), abs=1e-3)


def test_halving_is_pillows_bicubic_within_the_image_and_keeps_flat_ones() -> None:
    gray = luminance(leaves(96, 192)).astype(np.float32)
    expected = np.asarray(Image.fromarray(gray).resize((96, 48), Image.Resampling.BICUBIC))
    assert halved(gray)[2:-2, 2:-2] == pytest.approx(expected[2:-2, 2:-2], abs=1e-3)
    assert halved(np.full((6, 4), 77.0)) == pytest.approx(np.full((3, 2), 77.0))


def test_the_distance_is_mahalanobis_between_both_gaussians() -> None:
    pixels = leaves(2 * PATCH, 3 * PATCH)
    features, _ = patch_features(pixels)
    mean, covariance = features.mean(axis=0), np.cov(features, rowvar=False)
    assert Niqe(mean, np.eye(FEATURES)).score(pixels) == pytest.approx(0, abs=1e-9)
    away = np.linspace(-1, 1, FEATURES)
    inverse = np.linalg.inv((np.diag(np.arange(1.0, 37)) + covariance) / 2)
    expected = math.sqrt(away @ inverse @ away)
    assert Niqe(mean + away, np.diag(np.arange(1.0, 37))).score(pixels) == pytest.approx(expected)


def test_a_model_is_mean_and_covariance_of_the_patches_it_was_fitted_to() -> None:
    features = np.random.default_rng(0).normal(size=(90, FEATURES))
    model = Niqe.fitted(features)
    centred = features - features.mean(axis=0)
    assert model.mean == pytest.approx(features.mean(axis=0))
    assert model.covariance == pytest.approx(centred.T @ centred / 89)


def test_patches_out_of_focus_do_not_count_as_pristine() -> None:
    pixels = leaves(PATCH, 4 * PATCH)
    pixels[:, 2 * PATCH :] = blurred(pixels, 5)[:, 2 * PATCH :]
    features, sharpness = patch_features(pixels)
    assert len(features) == 4
    assert sharpness[:2].min() > 2 * sharpness[2:].max()
    sharp = sharp_features(pixels)
    assert 1 <= len(sharp) <= 2
    assert all((row == features[:2]).all(axis=1).any() for row in sharp)


@pytest.mark.parametrize("kind", ["blur", "noise", "jpeg"])
def test_worse_images_get_higher_scores(kind: str) -> None:
    scores = [load_index("niqe").score(pixels) for pixels in by_level(leaves(384, 480), kind)]
    assert scores == sorted(scores)
    assert scores[0] + 1 < scores[-1]


def test_of_very_large_images_a_bounded_number_of_patches_counts_spread_over_all_rows(monkeypatch) -> None:
    pixels = leaves(8 * PATCH, 4 * PATCH)
    every, _ = patch_features(pixels)
    monkeypatch.setattr("dsr.models.metrics.perceptual.niqe.MAX_PATCHES", 3 * 4 + 3)
    some, _ = patch_features(pixels)
    assert len(every) == 8 * 4
    assert np.array_equal(some, every.reshape(8, 4, FEATURES)[[1, 4, 6]].reshape(-1, FEATURES))


@pytest.mark.parametrize("size", [(95, 400), (400, 95), (96, 191), (1, 1)])
def test_images_below_two_patches_have_no_score(size: tuple[int, int]) -> None:
    assert load_index("niqe").score(leaves(400, 400)[: size[0], : size[1]]) is None


def test_the_smallest_image_has_a_score_and_flat_ones_have_none() -> None:
    niqe = load_index("niqe")
    assert niqe.score(leaves(96, 192)) > 0
    assert niqe.score(np.full((200, 300, 3), 90, np.uint8)) is None
    half_flat = leaves(96, 384)
    half_flat[:, 192:] = 255
    # What the flat half's first patch sees of the other shifts nothing else.
    assert niqe.score(half_flat) == pytest.approx(niqe.score(half_flat[:, :288]), rel=0.5)


def test_grey_images_count_like_coloured_ones_of_their_luminance() -> None:
    pixels = leaves(192, 192)
    gray = np.repeat(luminance(pixels)[..., None], 3, axis=2)
    for name in INDEXES:
        assert load_index(name).score(gray) == load_index(name).score(pixels)


@pytest.mark.parametrize("name", INDEXES)
def test_equal_pixels_have_equal_scores_however_they_lie_in_memory(name: str) -> None:
    pixels = leaves(192, 192)
    fortran = np.asfortranarray(pixels)
    assert load_index(name).score(pixels) == load_index(name).score(fortran) == load_index(name).score(pixels.copy())


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize(
    "pixels", [np.zeros((200, 200), np.uint8), np.zeros((200, 200, 4), np.uint8), np.zeros((200, 200, 3))]
)
def test_what_is_no_rgb_image_is_refused(name: str, pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a uint8 image"):
        load_index(name).score(pixels)


def test_the_shipped_covariance_is_one() -> None:
    covariance = Niqe.shipped().covariance
    assert (covariance == covariance.T).all()
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_unknown_indexes_and_damaged_weights_are_named(tmp_path, monkeypatch) -> None:
    with pytest.raises(PerceptualError, match="niqe, hosa"):
        load_index("brisque")
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    good = {"mean": np.zeros(36), "covariance": np.eye(36)}
    damaged = [
        {"mean": good["mean"]},
        {**good, "covariance": np.eye(35)},
        {**good, "mean": good["mean"].astype("f4")},
        {**good, "mean": np.full(36, np.nan)},
        {**good, "mean": np.array([None] * 36)},  # would be a pickle
    ]
    for arrays in damaged:
        np.savez(tmp_path / "niqe.npz", **arrays)
        with pytest.raises(PerceptualError, match="niqe.npz: not the file"):
            load_index("niqe")
    (tmp_path / "niqe.npz").write_bytes(b"PK\3\4 cut")
    with pytest.raises(PerceptualError, match="install dsr again"):
        load_index("niqe")
    np.savez(tmp_path / "niqe.npz", **good)
    assert load_index("niqe").score(leaves(96, 192)) > 0


def test_scoring_does_not_import_tensorflow() -> None:
    program = """
import sys
from dsr.models.metrics.perceptual import INDEXES, load_index
[load_index(name) for name in INDEXES]
sys.exit("tensorflow" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
