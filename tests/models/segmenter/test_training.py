"""Loss, confusion matrix, schedule and training step against loops in numpy and closed forms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from dsr.models.segmenter.training import ConfusionMatrix, Segmenter, build_optimizer, cross_entropy, iou_per_class


def tiny_network(classes: int) -> tf.keras.Model:
    image = tf.keras.Input((None, None, 3))
    x = tf.keras.layers.DepthwiseConv2D(3, padding="same")(image)
    return tf.keras.Model(image, tf.keras.layers.Conv2D(classes, 1)(x))


def test_the_loss_is_the_mean_of_minus_log_probability_over_labelled_pixels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 4, 5, 3)).astype(np.float32)
    labels = rng.choice([0, 1, 2, 255], size=(2, 4, 5)).astype(np.uint8)
    expected = [
        -np.log(np.exp(logits[at][labels[at]]) / np.exp(logits[at]).sum())
        for at in np.ndindex(2, 4, 5)
        if labels[at] != 255
    ]
    total, pixels = cross_entropy(labels, logits)
    assert pixels == len(expected)
    np.testing.assert_allclose(total, np.sum(expected), rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 3.0]])
def test_the_weighted_and_smoothed_loss_is_its_closed_form(smoothing: float, weights: list[float] | None) -> None:
    """The cross-entropy of a soft label q, each class of it weighed: q = (1 - s) of the true class and s / N of every
    one."""
    rng = np.random.default_rng(1)
    logits = 4 * rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    labels = rng.choice([0, 1, 2, 255], size=(2, 5, 4)).astype(np.uint8)
    w = np.array(weights or [1.0, 1.0, 1.0])
    expected, number = 0.0, 0.0
    for at in np.ndindex(2, 5, 4):
        if labels[at] == 255:
            continue
        surprise = -np.log(np.exp(logits[at].astype(float)) / np.exp(logits[at].astype(float)).sum())
        label = np.eye(3)[labels[at]]
        expected += ((1 - smoothing) * label + smoothing / 3) @ (w * surprise)
        number += w[labels[at]]
    total, pixels = cross_entropy(labels, logits, None if weights is None else tf.constant(weights), smoothing)
    np.testing.assert_allclose(pixels, number, rtol=1e-6)
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_a_smoothed_and_weighted_loss_sees_nothing_of_pixels_without_label() -> None:
    label = tf.constant([[[0, 255, 2]]], tf.uint8)
    logits = tf.Variable(tf.random.stateless_normal((1, 1, 3, 4), [0, 1]))
    with tf.GradientTape() as tape:
        total, _ = cross_entropy(label, logits, tf.constant([1.0, 2.0, 3.0, 4.0]), 0.1)
    gradient = tape.gradient(total, logits)[0, 0]
    assert not np.any(gradient[1]) and np.all(gradient[0]) and np.all(gradient[2])


def test_an_image_without_labels_has_no_loss_and_no_gradient() -> None:
    logits = tf.Variable(tf.random.stateless_normal((1, 3, 3, 4), [0, 1]))
    with tf.GradientTape() as tape:
        total, pixels = cross_entropy(tf.fill((1, 3, 3), tf.constant(255, tf.uint8)), logits)
    assert (total, pixels) == (0, 0)
    assert not np.any(tape.gradient(total, logits))


pixel_pairs = st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.integers(0, 3)), min_size=1, max_size=60)


@settings(max_examples=30, deadline=None)
@given(st.lists(pixel_pairs, min_size=1, max_size=4))
def test_the_confusion_matrix_counts_pixels_and_miou_follows(batches: list[list[tuple[int, int]]]) -> None:
    metric = ConfusionMatrix(4)
    expected = np.zeros((4, 4), np.int64)
    for pairs in batches:
        labels, predictions = np.array(pairs).T
        metric.update_state(labels.astype(np.uint8), predictions)
        for truth, prediction in pairs:
            if truth != 255:
                expected[truth, prediction] += 1
    np.testing.assert_array_equal(metric.matrix, expected)
    ious = []
    for c in range(4):
        seen = [(t == c, p == c) for pairs in batches for t, p in pairs if t != 255]
        union = sum(t or p for t, p in seen)
        ious.append(sum(t and p for t, p in seen) / union if union else np.nan)
    np.testing.assert_allclose(metric.iou_per_class(), ious)
    np.testing.assert_allclose(metric.result(), np.nanmean(ious) if not np.all(np.isnan(ious)) else np.nan)
    right = [t == p for pairs in batches for t, p in pairs if t != 255]
    np.testing.assert_allclose(metric.pixel_accuracy(), np.mean(right) if right else np.nan)


def test_counts_stay_exact_where_floating_point_would_not() -> None:
    metric = ConfusionMatrix(2)
    metric.total.assign([[2**53, 0], [0, 0]])
    metric.update_state([0], [0])
    assert metric.matrix[0, 0] == 2**53 + 1


def test_a_reset_confusion_matrix_is_empty() -> None:
    metric = ConfusionMatrix(2)
    metric.update_state([0, 1], [1, 1])
    metric.reset_state()
    assert not metric.matrix.any()


def test_a_class_that_is_only_predicted_counts_as_missed_and_an_absent_one_not_at_all() -> None:
    matrix = np.array([[6, 2, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(iou_per_class(matrix), [0.75, 0.0, np.nan])


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_the_learning_rate_decays_as_a_polynomial_to_zero(name: str) -> None:
    rate = build_optimizer(name, 0.02, 200)._learning_rate
    for step in (0, 1, 100, 199, 200):
        assert float(rate(step)) == pytest.approx(0.02 * (1 - step / 200) ** 0.9, abs=1e-9)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_the_learning_rate_rises_evenly_and_then_decays(name: str) -> None:
    rate = build_optimizer(name, 0.02, 200, 0.05)._learning_rate
    corners = {0: 0.002, 4: 0.01, 9: 0.02, 10: 0.02, 105: 0.02 * 0.5**0.9, 199: 0.02 * (1 / 190) ** 0.9, 200: 0.0}
    assert {step: pytest.approx(float(rate(step)), abs=1e-8) for step in corners} == corners


@pytest.mark.parametrize(("steps", "warmup"), [(1, 1.0), (10, 1.0), (3, 0.9), (10, 0.04)])
def test_a_rate_is_positive_in_every_step_however_much_of_them_leads_up_to_it(steps: int, warmup: float) -> None:
    rate = build_optimizer("adam", 0.02, steps, warmup)._learning_rate
    rates = [float(rate(step)) for step in range(steps)]
    assert all(0 < value <= 0.02 * (1 + 1e-6) for value in rates)
    assert max(rates) == pytest.approx(0.02)


def test_the_backbone_learns_at_its_own_rate_and_the_heads_at_theirs() -> None:
    """Both optimizers are plain descent, so their steps are to each other as their rates."""

    def step(backbone_rate: float | None) -> dict[str, np.ndarray]:
        tf.keras.utils.set_random_seed(3)
        image = tf.keras.Input((None, None, 3))
        backbone = tf.keras.Sequential([tf.keras.layers.Conv2D(4, 3, padding="same", name="early")], name="backbone")
        model = Segmenter(tf.keras.Model(image, tf.keras.layers.Conv2D(2, 1, name="classes")(backbone(image))), 2)
        rest = None if backbone_rate is None else tf.keras.optimizers.SGD(backbone_rate)
        model.compile(tf.keras.optimizers.SGD(0.1), rest)
        before = [variable.numpy() for variable in model.trainable_variables]
        rng = np.random.default_rng(0)
        model.train_step(
            {
                "image": tf.constant(rng.integers(0, 256, (2, 6, 6, 3)), tf.uint8),
                "label": tf.constant(rng.integers(0, 2, (2, 6, 6)), tf.uint8),
            }
        )
        return {v.name: v.numpy() - old for v, old in zip(model.trainable_variables, before)}

    together, apart = step(None), step(0.025)
    assert len(together) == 4
    for name, change in together.items():
        assert np.abs(change).max() > 1e-4
        np.testing.assert_allclose(apart[name], change * (0.25 if "early" in name else 1.0), rtol=1e-3, atol=1e-7)


def test_a_test_reports_the_cross_entropy_itself_whatever_was_trained_on() -> None:
    network = tiny_network(3)
    rng = np.random.default_rng(0)
    batch = {
        "image": tf.constant(rng.integers(0, 256, (2, 5, 5, 3)), tf.uint8),
        "label": tf.constant(rng.integers(0, 3, (2, 5, 5)), tf.uint8),
    }
    plain = Segmenter(network, 3).test_step(batch)["loss"]
    other = Segmenter(network, 3, 4e-4, np.array([1, 5, 9], np.float32), 0.3).test_step(batch)["loss"]
    assert float(plain) == float(other)


def test_weight_decay_shrinks_convolution_kernels_and_nothing_else() -> None:
    """Without labelled pixels the step is that of the penalty alone: w - rate * decay * w."""
    model = Segmenter(tiny_network(3), 3, weight_decay=0.5)
    model.compile(optimizer=tf.keras.optimizers.SGD(0.1))
    before = {variable.name: variable.numpy() for variable in model.trainable_variables}
    model.train_step(
        {"image": tf.zeros((1, 4, 4, 3), tf.uint8), "label": tf.fill((1, 4, 4), tf.constant(255, tf.uint8))}
    )
    for variable in model.trainable_variables:
        factor = 0.95 if variable.name.endswith("/kernel:0") else 1.0
        np.testing.assert_allclose(variable, factor * before[variable.name], rtol=1e-6)
    assert sorted(name.rpartition("/")[2] for name in before) == ["bias:0", "bias:0", "depthwise_kernel:0", "kernel:0"]


def test_training_fits_what_can_be_seen() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    label = (image[..., 0] > 127).astype(np.uint8)
    model = Segmenter(tiny_network(2), 2)
    model.compile(optimizer=build_optimizer("adam", 0.1, 150))
    data = tf.data.Dataset.from_tensors({"image": image, "label": label})
    history = model.fit(data.repeat(150), verbose=0, epochs=2, steps_per_epoch=75).history
    assert history["loss"][1] < history["loss"][0]
    assert model.evaluate(data, verbose=0, return_dict=True)["miou"] > 0.9
    assert model.learning_rates()["learning_rate"] == pytest.approx(0.1 * (1 / 150) ** 0.9)


def test_whole_pixels_and_scaled_ones_give_the_same_prediction() -> None:
    model = Segmenter(tiny_network(5), 5)
    image = np.random.default_rng(0).integers(0, 256, (2, 7, 6, 3)).astype(np.uint8)
    logits = model(image)
    np.testing.assert_allclose(model(tf.constant(image / 127.5 - 1, tf.float32)), logits, atol=1e-5)
    labels = model.label_map(tf.constant(image))
    assert labels.dtype == tf.uint8
    np.testing.assert_array_equal(labels, np.argmax(logits, -1))
    np.testing.assert_array_equal(model.predict({"image": image}, verbose=0), labels)


@pytest.mark.parametrize("recipe", ["plain", "weighted"])
def test_two_replicas_take_the_step_of_one_and_count_the_same_pixels(recipe: str) -> None:
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [sys.executable, "-m", "tests.models.segmenter.two_replicas", recipe],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
