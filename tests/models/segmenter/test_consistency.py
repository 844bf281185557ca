"""The divergence of two predictions, and the training that adds it to the loss, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dsr.models.segmenter.consistency import ConsistentSegmenter, divergence
from dsr.models.segmenter.training import Segmenter
from tests.models.segmenter.test_training import tiny_network


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_divergence_is_that_of_the_definition_over_the_pixels_inside() -> None:
    rng = np.random.default_rng(0)
    target, logits = (3 * rng.normal(size=(2, 4, 5, 3)) for _ in range(2))
    inside = rng.choice([0, 255], size=(2, 4, 5)).astype(np.uint8)
    p, q = softmax(target), softmax(logits)
    expected = (p * np.log(p / q)).sum(axis=-1)[inside == 0]
    total, pixels = divergence(tf.constant(target, tf.float32), tf.constant(logits, tf.float32), inside)
    assert pixels == expected.size
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-4)
    assert expected.min() >= 0


def test_equal_predictions_do_not_diverge_and_only_the_second_gets_a_gradient() -> None:
    logits = tf.Variable(tf.random.stateless_normal((1, 3, 3, 4), [0, 1]))
    target = tf.Variable(tf.random.stateless_normal((1, 3, 3, 4), [0, 2]))
    inside = tf.zeros((1, 3, 3), tf.uint8)
    assert abs(float(divergence(logits, logits + 5, inside)[0])) < 1e-5
    with tf.GradientTape() as tape:
        total, _ = divergence(target, logits, inside)
    to_target, to_logits = tape.gradient(total, [target, logits])
    assert to_target is None
    np.testing.assert_allclose(to_logits, softmax(logits.numpy()) - softmax(target.numpy()), atol=1e-6)


def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    pictures = {
        name: rng.integers(0, 256, (2, 6, 7, 3)).astype(np.uint8) for name in ("image", "compressed", "original")
    }
    return {
        **pictures,
        "label": rng.integers(0, 3, (2, 6, 7)).astype(np.uint8),
        "inside": np.zeros((2, 6, 7), np.uint8),
    }


def trained(weight: float, rising: int = 0, steps: int = 1) -> tuple[list[np.ndarray], dict[str, float]]:
    """Weights after some steps, and the last metrics."""
    tf.keras.utils.set_random_seed(0)
    model = ConsistentSegmenter(tiny_network(3), 3, weight=weight, rising=rising)
    model.compile(tf.keras.optimizers.SGD(0.5))
    for _ in range(steps):
        for metric in model.metrics:
            metric.reset_state()
        metrics = model.train_step({name: tf.constant(value) for name, value in batch().items()})
    return [weight.numpy() for weight in model.network.weights], {name: float(value) for name, value in metrics.items()}


def test_without_weight_it_learns_what_a_plain_segmenter_learns() -> None:
    """The network has no batch normalisation, so pairs that do not count change nothing."""
    tf.keras.utils.set_random_seed(0)
    plain = Segmenter(tiny_network(3), 3)
    plain.compile(tf.keras.optimizers.SGD(0.5))
    metrics = plain.train_step({name: tf.constant(batch()[name]) for name in ("image", "label")})
    weights, found = trained(0.0)
    for ours, theirs in zip(weights, plain.network.weights):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert found["loss"] == pytest.approx(float(metrics["loss"]), rel=1e-6)
    assert found["consistency"] > 0


def test_a_pair_that_learns_to_agree_diverges_less() -> None:
    apart, close = (trained(weight, steps=30)[1]["consistency"] for weight in (0.0, 20.0))
    assert close < apart / 2


@pytest.mark.parametrize(("rising", "expected"), [(0, [2, 2, 2, 2, 2]), (4, [0, 0.5, 1, 1.5, 2]), (1, [0, 2, 2, 2, 2])])
def test_the_weight_rises_evenly_and_follows_from_the_step(rising: int, expected: list[float]) -> None:
    model = ConsistentSegmenter(tiny_network(3), 3, weight=2.0, rising=rising)
    assert [float(model.weight_at(tf.constant(step, tf.int64))) for step in range(5)] == expected
    assert float(model.weight_at(tf.constant(1000, tf.int64))) == 2


def test_the_first_step_of_a_rising_weight_is_one_without() -> None:
    for ours, theirs in zip(trained(3.0, rising=5)[0], trained(0.0)[0]):
        np.testing.assert_array_equal(ours, theirs)
    assert any(np.any(a != b) for a, b in zip(trained(3.0, rising=5, steps=2)[0], trained(0.0, steps=2)[0]))
