"""Recalibrated statistics are those of what each layer is given, and follow from the set of images alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from dsr.models.errors import UserError
from dsr.models.segmenter import recalibration
from dsr.models.segmenter.config import DeepLabConfig
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.models.segmenter.recalibration import recalibrate

CONFIG = replace(DeepLabConfig.tiny(), aspp_width=8, decoder_width=8, low_level_width=8)
POOLED = "aspp_image_BN"
"""The normalisation of the pyramid's pooled branch, behind a mean over the whole image."""
SIZES = ((64, 96), (80, 64), (64, 64))


def pictures(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (1, *size, 3)).astype(np.uint8) for size in SIZES]


def norms(network: tf.keras.Model) -> list[tf.keras.layers.BatchNormalization]:
    layers = network._flatten_layers(include_self=False)
    return [layer for layer in layers if isinstance(layer, tf.keras.layers.BatchNormalization)]


def built(config: DeepLabConfig) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(3)
    return build_deeplab(config, 4)


@pytest.fixture(scope="module")
def kept() -> tf.keras.Model:
    return built(CONFIG)


@pytest.fixture
def network(kept: tf.keras.Model) -> tf.keras.Model:
    """One whose statistics and scales are not those of a start."""
    return fresh(kept)


def fresh(network: tf.keras.Model) -> tf.keras.Model:
    rng = np.random.default_rng(1)
    for norm in norms(network):
        norm.set_weights([rng.uniform(0.5, 2.0, norm.gamma.shape[0]) for _ in ("gamma", "beta", "mean", "variance")])
    return network


def statistics(network: tf.keras.Model, images: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Mean and variance of each normalisation after recalibrating."""
    recalibrate(network, images)
    return [weight.numpy() for norm in norms(network) for weight in (norm.moving_mean, norm.moving_variance)]


def given(network: tf.keras.Model, images: Iterable[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """What each normalisation is given in inference, (positions, C) of each image: seen by the layer itself."""
    seen: dict[str, list[np.ndarray]] = {}

    def watching(norm: tf.keras.layers.BatchNormalization, call: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        def watched(inputs: tf.Tensor, training: object = None) -> tf.Tensor:
            seen.setdefault(norm.name, []).append(inputs.numpy().reshape(-1, inputs.shape[-1]))
            return call(inputs, training=training)

        return watched

    calls = {norm: norm.call for norm in norms(network)}
    for norm, call in calls.items():
        norm.call = watching(norm, call)
    try:
        for image in images:
            network(tf.cast(image, tf.float32) / 127.5 - 1, training=False)
    finally:
        for norm, call in calls.items():
            norm.call = call
    return seen


def test_the_statistics_are_mean_and_variance_of_what_each_layer_is_given_over_all_images(
    network: tf.keras.Model,
) -> None:
    images = pictures()
    assert recalibrate(network, images) == len(images)
    seen = given(network, images)
    assert seen.keys() == {norm.name for norm in norms(network)} and len(seen) > 50
    for norm in norms(network):
        if norm.name == POOLED:
            continue
        values = np.concatenate(seen[norm.name]).astype(np.float64)
        scale = values.std(axis=0).max() + 1e-3
        np.testing.assert_allclose(norm.moving_mean, values.mean(axis=0), rtol=1e-4, atol=1e-4 * scale)
        np.testing.assert_allclose(norm.moving_variance, values.var(axis=0), rtol=1e-3, atol=1e-4 * scale**2)


def test_nothing_but_the_statistics_changes_and_it_tells_how_far_it_is(network: tf.keras.Model) -> None:
    before = [variable.numpy() for variable in network.trainable_variables]
    told: list[tuple[int, int]] = []
    recalibrate(network, pictures()[:2], lambda *numbers: told.append(numbers))
    for variable, was in zip(network.trainable_variables, before):
        np.testing.assert_array_equal(variable.numpy(), was)
    assert told == [(number, len(norms(network))) for number in range(1, len(norms(network)) + 1)]


def test_neither_the_order_of_the_images_nor_what_the_statistics_were_matters(network: tf.keras.Model) -> None:
    images = pictures()
    one = statistics(network, images)
    for norm in norms(network):
        if norm.name == POOLED:
            continue
        norm.moving_mean.assign(norm.moving_mean * 7 - 3)
        norm.moving_variance.assign(norm.moving_variance * 9)
    for ours, theirs in zip(one, statistics(network, images[::-1])):
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-3 * (np.abs(ours).max() + 1e-3))


def test_images_of_less_contrast_look_alike_to_a_network_with_their_statistics(network: tf.keras.Model) -> None:
    """The first layer has no bias, so statistics undo a factor, but for the epsilon beside each variance."""
    images = [tf.constant(image, tf.float32) for image in pictures()]
    pale = [127.5 + (image - 127.5) / 4 for image in images]
    recalibrate(network, images)
    bright = network(images[0] / 127.5 - 1, training=False).numpy()
    before = network(pale[0] / 127.5 - 1, training=False).numpy()
    recalibrate(network, pale)
    dim = network(pale[0] / 127.5 - 1, training=False).numpy()
    assert np.abs(dim - bright).max() < 0.1 * np.abs(before - bright).max()


@pytest.mark.parametrize("most", [0, 300_000])
def test_what_is_kept_on_the_way_does_not_matter(
    most: int, network: tf.keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pictures()[:2]
    one = statistics(network, images)
    monkeypatch.setattr(recalibration, "MOST", most)
    for ours, theirs in zip(one, statistics(fresh(network), images)):
        np.testing.assert_array_equal(ours, theirs)


def test_frozen_statistics_stay_and_the_others_do_not() -> None:
    network = fresh(built(replace(CONFIG, freeze_batch_norm=True)))
    before = {norm.name: norm.moving_mean.numpy() for norm in norms(network)}
    recalibrate(network, pictures()[:2])
    changed = {norm.name for norm in norms(network) if np.any(norm.moving_mean.numpy() != before[norm.name])}
    frozen = {norm.name for norm in norms(network.get_layer("backbone"))}
    assert frozen and not changed & frozen
    assert changed == before.keys() - frozen - {POOLED}


def test_what_is_given_one_value_an_image_keeps_its_statistics(network: tf.keras.Model) -> None:
    norm = network.get_layer(POOLED)
    before = [weight.numpy() for weight in norm.weights]
    recalibrate(network, pictures())
    assert given(network, pictures())[POOLED][0].shape[0] == 1
    for weight, was in zip(norm.weights, before):
        np.testing.assert_array_equal(weight.numpy(), was)


def test_no_images_are_refused(network: tf.keras.Model) -> None:
    with pytest.raises(UserError, match="no images to recalibrate"):
        recalibrate(network, [])
