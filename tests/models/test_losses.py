"""Every loss term against a hand computation or another implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from dsr.models import losses
from dsr.models.metrics import fidelity
from dsr.models.metrics.fidelity import SCALE_WEIGHTS
from dsr.models.pixels import to_unit
from dsr.models.restorers.gan_config import LossWeights

GENERATOR = np.random.default_rng(0)


def pair(height: int, width: int, noise: float = 40) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures, smooth and the same with noise: uint8 (2, H, W, 3)."""
    rows, columns = np.mgrid[:height, :width]
    smooth = 128 + 100 * np.sin(rows / 7)[..., None] * np.cos(columns[..., None] / np.array([5, 9, 14]))
    a = np.stack([smooth, smooth[::-1]])
    b = a + noise * GENERATOR.standard_normal(a.shape)
    return tuple(np.clip(x, 0, 255).astype(np.uint8) for x in (a, b))


def test_l1_is_the_mean_absolute_difference():
    restored = tf.constant([[[[0.5, -0.5, 0.0]], [[1.0, 1.0, 1.0]]]])
    assert losses.l1_loss(restored, tf.zeros_like(restored)).numpy() == pytest.approx(4 / 6)


def test_the_generator_loss_is_minus_log_of_every_discriminators_judgement():
    full, quarter = np.array([[0.0, 2.0]], np.float32), np.array([[-3.0]], np.float32)
    probabilities = [1 / (1 + np.exp(-x)) for x in (full, quarter)]
    expected = sum(-np.log(p).mean() for p in probabilities)
    assert losses.generator_gan_loss([full, quarter]).numpy() == pytest.approx(expected, rel=1e-6)


def test_the_discriminator_loss_is_the_papers_negated():
    original, restored = np.array([0.5, 3.0], np.float32), np.array([-1.0, 0.25], np.float32)
    on_original, on_restored = (1 / (1 + np.exp(-x)) for x in (original, restored))
    papers = np.log(1 - on_restored).mean() + np.log(on_original).mean()
    assert losses.discriminator_loss(original, restored).numpy() == pytest.approx(-papers, rel=1e-6)
    assert losses.discriminator_loss(np.zeros(4, "f"), np.zeros(2, "f")).numpy() == pytest.approx(2 * math.log(2))


def test_gan_losses_stay_finite_where_probabilities_round_to_zero_and_one():
    far = tf.constant([300.0])
    assert losses.discriminator_loss(-far, far).numpy() == pytest.approx(600)
    assert losses.generator_gan_loss([-far]).numpy() == pytest.approx(300)


def test_feature_loss_weighs_maps_of_any_size_alike():
    restored = [tf.ones((1, 8, 8, 4)), tf.fill((1, 2, 2, 16), 3.0)]
    original = [tf.zeros((1, 8, 8, 4)), tf.fill((1, 2, 2, 16), 1.0)]
    assert losses.feature_loss(restored, original).numpy() == pytest.approx(1 + 2)


def test_features_of_the_original_are_constants():
    restored, original = tf.Variable([[1.0, 2.0]]), tf.Variable([[0.0, 5.0]])
    with tf.GradientTape() as tape:
        loss = losses.feature_loss([restored], [original])
    gradients = tape.gradient(loss, [restored, original])
    assert gradients[0].numpy().tolist() == [[0.5, -0.5]] and gradients[1] is None


def test_bfloat16_features_are_compared_in_float32():
    restored = tf.cast(tf.fill((1, 64, 64, 16), 1.0), tf.bfloat16)
    assert losses.feature_loss([restored], [tf.zeros_like(restored)]).numpy() == pytest.approx(1)


@pytest.mark.parametrize(
    "size, scales", [((11, 40), 1), ((64, 64), 3), ((96, 128), 4), ((128, 128), 4), ((181, 203), 5)]
)
def test_ms_ssim_agrees_with_tensorflow_on_the_scales_that_fit(size, scales):
    a, b = pair(*size)
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    expected = tf.image.ssim_multiscale(a, b, 255, power_factors=weights).numpy()
    assert 0.2 < expected.min() < 0.95
    np.testing.assert_allclose(losses.ms_ssim(to_unit(a), to_unit(b)), expected, atol=2e-5)


@pytest.mark.parametrize("size", [(64, 80), (128, 128), (175, 230), (176, 176)])
def test_ms_ssim_agrees_with_the_measure_of_the_reports(size):
    a, b = pair(*size)
    expected = [fidelity.ms_ssim(x, y) for x, y in zip(a, b)]
    np.testing.assert_allclose(losses.ms_ssim(to_unit(a), to_unit(b)), expected, atol=2e-5)


def test_the_ms_ssim_loss_falls_to_zero_as_images_become_equal():
    a, _ = pair(64, 64)
    values = [losses.ms_ssim_loss(to_unit(a), to_unit(pair(64, 64, noise)[1])).numpy() for noise in (60, 20, 5, 0)]
    assert values == sorted(values, reverse=True) and values[0] > 0.1
    assert values[-1] == pytest.approx(0, abs=1e-6)


def test_ms_ssim_has_a_finite_gradient_where_structures_are_opposed():
    image = tf.Variable(to_unit(pair(64, 64)[1]))
    with tf.GradientTape() as tape:
        loss = losses.ms_ssim_loss(image, tf.stop_gradient(-image))
    assert loss.numpy() > 0.8
    assert np.isfinite(tape.gradient(loss, image)).all()


def test_the_gradient_of_ms_ssim_is_its_slope():
    a, b = (to_unit(x[:1]) for x in pair(32, 32))
    direction = tf.random.stateless_normal(a.shape, (1, 2))
    with tf.GradientTape() as tape:
        tape.watch(a)
        loss = losses.ms_ssim_loss(a, b)
    slope = tf.reduce_sum(tape.gradient(loss, a) * direction).numpy()
    step = 2e-3
    ends = [losses.ms_ssim_loss(a + sign * step * direction, b).numpy() for sign in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=0.02)


def test_ms_ssim_sees_a_change_of_brightness_as_it_does_in_pixels():
    a, _ = pair(64, 64)
    darker = (a // 2).astype(np.uint8)
    expected = [fidelity.ms_ssim(x, y) for x, y in zip(a, darker)]
    np.testing.assert_allclose(losses.ms_ssim(to_unit(a), to_unit(darker)), expected, atol=2e-5)


def test_ms_ssim_of_images_smaller_than_its_window_is_refused():
    with pytest.raises(ValueError, match="at least 11 pixels, not 10 x 64"):
        losses.ms_ssim(tf.zeros((1, 10, 64, 3)), tf.zeros((1, 10, 64, 3)))


def test_the_default_weights_are_the_papers():
    weights, terms = LossWeights(), {"gan": 2.0, "l1": 3.0, "vgg": 5.0, "ms_ssim": 7.0, "dist": 11.0}
    assert set(terms) == set(losses.TERMS)
    total = sum(getattr(weights, name) * value for name, value in terms.items())
    assert total == 2.0 + 10 * (2 * 3.0 + 5.0 + 7.0 + 11.0)
