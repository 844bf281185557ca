"""The Karhunen-Loeve start of a learned codec, against the linear algebra that defines it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dsr.models.hyperprior.config import HyperpriorConfig, weight_of
from dsr.models.hyperprior.network import HyperpriorNetwork
from dsr.models.hyperprior.start import start_from_images

WEIGHT = 0.0250
STEP = np.sqrt(18 / (WEIGHT * np.log(2))) / 255


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(6, 32, 48, 3)), axis=1), axis=2)
    return (0.4 + 0.1 * smooth / smooth.std()).clip(0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def network(pixels: np.ndarray) -> HyperpriorNetwork:
    network = HyperpriorNetwork(HyperpriorConfig(24, 24), (5,))
    start_from_images(network, pixels)
    return network


def linear(network: HyperpriorNetwork, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Latents and reconstruction without GDN."""
    for layer in network.analysis.layers[::2]:
        x = layer(x)
    y = x
    for layer in network.synthesis.layers[::2]:
        x = layer(x)
    return y, x


def test_the_latents_are_uncorrelated_and_in_steps(network: HyperpriorNetwork, pixels: np.ndarray) -> None:
    y = linear(network, pixels)[0].numpy().reshape(-1, 24)
    moments = y.T @ y / len(y)
    np.testing.assert_allclose(moments, np.diag(np.diag(moments)), atol=1e-3 * moments.max())
    assert np.all(np.diff(np.diag(moments)) <= 1e-3 * moments.max())  # strongest first


def test_what_the_latents_lose_is_what_the_pixels_lose(network: HyperpriorNetwork, pixels: np.ndarray) -> None:
    # Parseval: the transform is orthonormal up to the step, so energies add up.
    y, decoded = linear(network, pixels)
    centred = pixels - pixels.mean((0, 1, 2))
    lost = np.sum((decoded.numpy() - pixels) ** 2)
    assert STEP**2 * np.sum(y.numpy() ** 2) + lost == pytest.approx(np.sum(centred**2), rel=1e-4)
    assert lost < 0.02 * np.sum(centred**2)


def test_with_room_for_every_component_nothing_is_lost(pixels: np.ndarray) -> None:
    network = HyperpriorNetwork(HyperpriorConfig(192, 768), (5,))
    start_from_images(network, pixels)
    np.testing.assert_allclose(linear(network, pixels)[1], pixels, atol=1e-4)


def test_the_gains_make_the_step_of_every_quality(pixels: np.ndarray) -> None:
    network = HyperpriorNetwork(HyperpriorConfig(24, 24))
    start_from_images(network, pixels)
    unscaled = linear(network, pixels)[0]
    gains = np.exp(network.log_gain.numpy())
    for quality, gain in zip((1, 2, 3, 4, 5, 6), gains):
        energy = np.sum((gain * unscaled) ** 2) * 18 / (weight_of(quality) * np.log(2)) / 255**2
        centred = pixels - pixels.mean((0, 1, 2))
        assert energy == pytest.approx(np.sum(centred**2), rel=0.02)
    np.testing.assert_allclose(network.log_inverse_gain, -network.log_gain.numpy(), rtol=1e-6)


def test_gdn_starts_near_the_identity(network: HyperpriorNetwork, pixels: np.ndarray) -> None:
    decoded = network.synthesis(network.analysis(pixels))
    assert float(tf.reduce_max(tf.abs(decoded - linear(network, pixels)[1]))) < 0.05


def test_it_beats_a_random_start_by_far(network: HyperpriorNetwork, pixels: np.ndarray) -> None:
    random = HyperpriorNetwork(HyperpriorConfig(24, 24))
    errors = [float(tf.reduce_mean((one.synthesis(one.analysis(pixels)) - pixels) ** 2)) for one in (network, random)]
    assert errors[0] < 0.01 * errors[1]


def test_every_kernel_gets_a_gradient(network: HyperpriorNetwork, pixels: np.ndarray) -> None:
    weights = [*network.analysis.trainable_weights, *network.synthesis.trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((network.synthesis(network.analysis(pixels)) - 0.5) ** 2)
    for weight, gradient in zip(weights, tape.gradient(loss, weights)):
        assert float(tf.reduce_max(tf.abs(gradient))) > 0, weight.name
