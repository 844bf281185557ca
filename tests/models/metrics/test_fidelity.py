from __future__ import annotations

import io
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dsr.models.metrics.fidelity import K1, PEAK, SCALE_WEIGHTS, ms_ssim, psnr, to_db


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth structure with edges and some noise, as photographs have."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = 128 + 60 * np.sin(x / 9)[..., None] * np.cos(y / 13)[..., None] + 40 * ((x // 20 + y // 31) % 2)[..., None]
    return np.clip(waves + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def distorted(image: np.ndarray, kind: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    if kind == "jpeg":
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=10)
        return np.array(Image.open(buffer))
    if kind == "noise":
        return np.clip(image + rng.normal(0, 40, image.shape), 0, 255).astype(np.uint8)
    if kind == "negative":
        return 255 - image
    return (image // 3).astype(np.uint8)


@pytest.mark.parametrize("kind", ["jpeg", "noise", "negative", "dark"])
@pytest.mark.parametrize("size", [(176, 176), (183, 231), (360, 480)])
def test_ms_ssim_is_that_of_tensorflow(size: tuple[int, int], kind: str) -> None:
    image = picture(*size)
    other = distorted(image, kind)
    expected = float(tf.image.ssim_multiscale(image, other, max_val=255))
    assert ms_ssim(image, other) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", ["jpeg", "noise", "negative", "dark"])
def test_ms_ssim_of_a_large_image_is_that_of_tensorflow_though_not_all_windows_are_taken(kind: str) -> None:
    image = picture(521, 777)
    other = distorted(image, kind)
    expected = float(tf.image.ssim_multiscale(image, other, max_val=255))
    assert ms_ssim(image, other) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(("side", "scales"), [(175, 4), (88, 4), (87, 3), (43, 2), (21, 1), (11, 1)])
def test_small_images_get_the_scales_that_fit_with_weights_of_sum_one(side: int, scales: int) -> None:
    image = picture(side, side + 7)
    other = distorted(image, "noise")
    weights = np.array(SCALE_WEIGHTS[:scales])
    expected = tf.image.ssim_multiscale(image, other, max_val=255, power_factors=weights / weights.sum())
    assert ms_ssim(image, other) == pytest.approx(float(expected), abs=1e-4)


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 255), st.integers(0, 255))
@settings(max_examples=25, deadline=None)
def test_ms_ssim_of_flat_images_is_their_luminance_term(height: int, width: int, a: int, b: int) -> None:
    # Both variances are 0: the contrast-structure terms are 1, and the last scale's luminance term is left.
    similarity = ms_ssim(np.full((height, width, 3), a, np.uint8), np.full((height, width, 3), b, np.uint8))
    scales = max(1, sum(min(height, width) >= 11 * 2**scale for scale in range(5)))
    weight = SCALE_WEIGHTS[scales - 1] / sum(SCALE_WEIGHTS[:scales])
    c1 = (K1 * PEAK) ** 2
    assert similarity == pytest.approx(((2 * a * b + c1) / (a * a + b * b + c1)) ** weight, abs=2e-3)


def test_ms_ssim_of_a_real_photograph_is_that_of_tensorflow(shared) -> None:
    image = np.array(Image.open(min((shared / "camvid" / "test").iterdir())).convert("RGB"))
    other = distorted(image, "jpeg")
    assert ms_ssim(image, other) == pytest.approx(float(tf.image.ssim_multiscale(image, other, 255)), abs=1e-4)


def test_ms_ssim_falls_as_noise_grows_and_does_not_care_for_the_order() -> None:
    image = picture(180, 200)
    noise = np.random.default_rng(2).normal(0, 1, image.shape)
    noisy = [np.clip(image + sigma * noise, 0, 255).astype(np.uint8) for sigma in (0, 2, 8, 32, 128)]
    values = [ms_ssim(image, other) for other in noisy]
    assert values[0] == pytest.approx(1, abs=1e-6)
    assert values == sorted(values, reverse=True)
    assert all(0 <= value <= 1 for value in values)
    assert ms_ssim(noisy[3], image) == pytest.approx(values[3], abs=1e-9)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_psnr_is_its_definition(height: int, width: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    error = sum((int(p) - int(q)) ** 2 for p, q in zip(a.ravel(), b.ravel())) / a.size
    assert psnr(a, b) == pytest.approx(20 * math.log10(255) - 10 * math.log10(error) if error else math.inf)


def test_psnr_knows_the_extremes() -> None:
    black, white = np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 255, np.uint8)
    assert psnr(black, white) == 0
    assert psnr(white, white) == math.inf


def test_decibels_count_the_nines() -> None:
    assert [to_db(x) for x in (0, 0.9, 0.99)] == pytest.approx([0, 10, 20])
    assert to_db(1.0) == math.inf


@pytest.mark.parametrize("measure", [psnr, ms_ssim])
def test_images_that_do_not_match_are_refused(measure) -> None:
    image = picture(20, 20)
    for other in (picture(20, 21), image.astype(np.float32), image[:0]):
        with pytest.raises(ValueError, match="of one size"):
            measure(image, other)
