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


def test_two_replicas_take_the_step_of_one_and_count_the_same_pixels() -> None:
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [sys.executable, "-m", "tests.models.segmenter.two_replicas"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
