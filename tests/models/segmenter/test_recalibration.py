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
SIZES = ((64, 96), (80, 64), (64, 64))


def pictures(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (1, *size, 3)).astype(np.uint8) for size in SIZES]


def norms(network: tf.keras.Model) -> list[tf.keras.layers.BatchNormalization]:
    layers = network._flatten_layers(include_self=False)
    return [layer for layer in layers if isinstance(layer, tf.keras.layers.BatchNormalization)]


def network(config: DeepLabConfig = CONFIG) -> tf.keras.Model:
    """One whose statistics and scales are not those of a start."""
    tf.keras.utils.set_random_seed(3)
    built = build_deeplab(config, 4)
    rng = np.random.default_rng(1)
    for norm in norms(built):
        channels = norm.gamma.shape[0]
        low, high = (0.5, 2.0)
        norm.set_weights([rng.uniform(low, high, channels) for _ in ("gamma", "beta", "mean", "variance")])
    return built


def given(built: tf.keras.Model, images: Iterable[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """What each normalisation is given in inference, (positions, C) of each image: seen by the layer itself."""
    seen: dict[str, list[np.ndarray]] = {}

    def watching(norm: tf.keras.layers.BatchNormalization, call: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        def watched(inputs: tf.Tensor, training: object = None) -> tf.Tensor:
            seen.setdefault(norm.name, []).append(inputs.numpy().reshape(-1, inputs.shape[-1]))
            return call(inputs, training=training)

        return watched

    calls = {norm: norm.call for norm in norms(built)}
    for norm, call in calls.items():
        norm.call = watching(norm, call)
    try:
        for image in images:
            built(tf.cast(image, tf.float32) / 127.5 - 1, training=False)
    finally:
        for norm, call in calls.items():
            norm.call = call
    return seen


def test_the_statistics_are_mean_and_variance_of_what_each_layer_is_given_over_all_images() -> None:
    built, images = network(), pictures()
    assert recalibrate(built, images) == len(images)
    seen = given(built, images)
    assert seen.keys() == {norm.name for norm in norms(built)} and len(seen) > 50
    for norm in norms(built):
        values = np.concatenate(seen[norm.name]).astype(np.float64)
        assert len(values) == sum(len(one) for one in seen[norm.name])
        scale = values.std(axis=0).max() + 1e-3
        np.testing.assert_allclose(norm.moving_mean, values.mean(axis=0), rtol=1e-4, atol=1e-4 * scale)
        np.testing.assert_allclose(norm.moving_variance, values.var(axis=0), rtol=1e-3, atol=1e-4 * scale**2)


def test_nothing_but_the_statistics_changes() -> None:
    built = network()
    before = {variable.name: variable.numpy() for variable in built.trainable_variables}
    recalibrate(built, pictures())
    for variable in built.trainable_variables:
        np.testing.assert_array_equal(variable.numpy(), before[variable.name])


def test_neither_the_order_of_the_images_nor_what_the_statistics_were_matters() -> None:
    one, other, images = network(), network(), pictures()
    for norm in norms(other):
        norm.moving_mean.assign(norm.moving_mean * 7 - 3)
        norm.moving_variance.assign(norm.moving_variance * 9)
    recalibrate(one, images)
    recalibrate(other, images[::-1])
    for ours, theirs in zip(norms(one), norms(other)):
        scale = np.sqrt(ours.moving_variance.numpy().max()) + 1e-3
        np.testing.assert_allclose(theirs.moving_mean, ours.moving_mean, rtol=1e-3, atol=1e-3 * scale)
        np.testing.assert_allclose(theirs.moving_variance, ours.moving_variance, rtol=1e-3, atol=1e-3 * scale**2)


def test_a_shift_and_scale_of_all_images_is_undone() -> None:
    """The first layer is a convolution, so what it is given of a image + b it normalises to what it did of the image.

    (But beside the image's borders, where zeros are padded; here there is no bias and b = 0.)
    """
    one, other, images = network(), network(), pictures()
    dark = [(127.5 + (image.astype(np.float32) - 127.5) / 4) for image in images]
    recalibrate(one, [tf.constant(image, tf.float32) for image in images])
    recalibrate(other, [tf.constant(image, tf.float32) for image in dark])
    bright, dim = (
        net(tf.constant(image, tf.float32) / 127.5 - 1).numpy() for net, image in ((one, images[0]), (other, dark[0]))
    )
    assert np.abs(bright).max() > 0.1
    # Not the same: each variance has an epsilon beside it.
    np.testing.assert_allclose(dim, bright, atol=0.05 * np.abs(bright).max())


@pytest.mark.parametrize("most", [0, 300_000])
def test_what_is_kept_on_the_way_does_not_matter(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, images = network(), network(), pictures()[:2]
    recalibrate(one, images)
    monkeypatch.setattr(recalibration, "MOST", most)
    recalibrate(other, images)
    for ours, theirs in zip(norms(one), norms(other)):
        np.testing.assert_array_equal(ours.moving_mean, theirs.moving_mean)
        np.testing.assert_array_equal(ours.moving_variance, theirs.moving_variance)


def test_frozen_statistics_stay_and_the_others_do_not() -> None:
    built = network(replace(CONFIG, freeze_batch_norm=True))
    before = {norm.name: norm.moving_mean.numpy() for norm in norms(built)}
    recalibrate(built, pictures())
    changed = {norm.name for norm in norms(built) if np.any(norm.moving_mean.numpy() != before[norm.name])}
    frozen = {norm.name for norm in norms(built.get_layer("backbone"))}
    assert frozen and not changed & frozen
    assert changed == before.keys() - frozen


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_refused(count: int) -> None:
    with pytest.raises(UserError, match=f"{count} images have no statistics"):
        recalibrate(network(), pictures()[:count])


def test_it_tells_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    built = network()
    recalibrate(built, pictures()[:2], lambda *numbers: told.append(numbers))
    assert told == [(number, len(norms(built))) for number in range(1, len(norms(built)) + 1)]
