"""Trains and tests one model on one device and on two, run as a process of its own because devices cannot change later.

`weighted` as argument: with class weights, smoothed labels, warm-up and a backbone that learns at a rate of its own.
"""

from __future__ import annotations

import sys

import numpy as np
import tensorflow as tf

from dsr.models.segmenter.training import Segmenter, build_optimizer

CLASSES = 3


def build(strategy: tf.distribute.Strategy, weighted: bool) -> Segmenter:
    tf.keras.utils.set_random_seed(1)
    with strategy.scope():
        backbone = tf.keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="backbone")
        layers = [backbone, tf.keras.layers.Conv2D(CLASSES, 1)]
        image = tf.keras.Input((None, None, 3))
        network = tf.keras.Model(image, layers[1](layers[0](image)))
        if weighted:
            model = Segmenter(network, CLASSES, 0.1, np.array([0.5, 1, 4], np.float32), 0.1)
            model.compile(build_optimizer("sgd", 0.3, 10, 0.2), build_optimizer("sgd", 0.15, 10, 0.2))
        else:
            model = Segmenter(network, CLASSES, weight_decay=0.1)
            model.compile(optimizer=build_optimizer("sgd", 0.3, 10))
    return model


def batches() -> tf.data.Dataset:
    """Three batches of 4 images; the first half of each has a tenth of the labelled pixels of the second."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (12, 9, 7, 3)).astype(np.uint8)
    label = rng.integers(0, CLASSES, (12, 9, 7)).astype(np.uint8)
    unlabelled = rng.random((12, 9, 7)) < np.where(np.arange(12) % 4 < 2, 0.9, 0.0)[:, None, None]
    label[unlabelled] = 255
    return tf.data.Dataset.from_tensor_slices({"image": image, "label": label}).batch(4)


def main() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    weighted = sys.argv[1] == "weighted"
    one = build(tf.distribute.get_strategy(), weighted)
    two = build(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), weighted)
    assert two.distribute_strategy.num_replicas_in_sync == 2
    before = one.get_weights()
    losses = [model.fit(batches(), verbose=0).history["loss"] for model in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    for start, a, b in zip(before, one.network.get_weights(), two.network.get_weights()):
        assert not np.allclose(start, a, atol=1e-3)
        np.testing.assert_allclose(a, b, atol=1e-6)
    results = [model.evaluate(batches(), verbose=0, return_dict=True) for model in (one, two)]
    np.testing.assert_allclose(results[0]["loss"], results[1]["loss"], rtol=1e-5)
    assert results[0]["miou"] == results[1]["miou"]
    np.testing.assert_array_equal(one.confusion.matrix, two.confusion.matrix)


if __name__ == "__main__":
    main()
