"""The residual dense network: its size, its wiring, its objectives, and the step that trains it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dsr.models import losses
from dsr.models.metrics import fidelity
from dsr.models.pixels import to_unit
from dsr.models.restorers.gan_config import RestorerError
from dsr.models.restorers.rdn import DenseRestorer, build_rdn
from dsr.models.restorers.rdn_config import DenseConfig, RdnConfig
from tests.models.restorers.replicas import train_on_one_and_two

NETWORK = RdnConfig(blocks=2, layers=3, growth=4, features=6)
CONFIG = DenseConfig(network=NETWORK, patch=32, batch=2, steps=40)


def noise(*shape: int) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, (1, shape[1]), -1, 1)


def network(config: RdnConfig = NETWORK) -> tf.keras.Model:
    """One that changes its input."""
    tf.keras.utils.set_random_seed(0)
    made = build_rdn(config)
    out = made.get_layer("out")
    out.kernel.assign(tf.random.normal(out.kernel.shape, stddev=0.1))
    return made


def batches(count: int, size: int = 2) -> tf.data.Dataset:
    """Smooth originals, and the same with noise."""
    rng = np.random.default_rng(0)
    original = rng.integers(60, 196, (count * size, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
    compressed = original + rng.integers(-40, 41, original.shape)
    pairs = {"compressed": compressed.astype(np.uint8), "original": original.astype(np.uint8)}
    return tf.data.Dataset.from_tensor_slices(pairs).batch(size)


def test_the_paper_network_has_as_many_parameters_as_its_notation_says():
    def convolution(side: int, inputs: int, outputs: int) -> int:
        return side * side * inputs * outputs + outputs

    block = sum(convolution(3, 64 + 32 * i, 32) for i in range(6)) + convolution(1, 64 + 6 * 32, 64)
    shallow, fusion = convolution(3, 3, 64) + convolution(3, 64, 64), convolution(1, 16 * 64, 64)
    expected = shallow + 16 * block + fusion + convolution(3, 64, 64) + convolution(3, 64, 3)
    assert RdnConfig.paper().parameters == expected == 4_390_531


@pytest.mark.parametrize("config", [NETWORK, RdnConfig.tiny(), RdnConfig(blocks=1, layers=1, growth=1, features=1)])
def test_networks_have_as_many_parameters_as_their_configuration_says(config):
    assert build_rdn(config).count_params() == config.parameters


def test_the_network_is_that_of_zhang_et_al_written_with_concatenations():
    made, x = network(), noise(1, 11, 14, 3)
    weights = {variable.name.partition(":")[0]: variable for variable in made.variables}

    def conv(name: str, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(x, weights[f"{name}/kernel"], 1, "SAME") + weights[f"{name}/bias"]

    shallow = conv("shallow_1", x)
    block_input, blocks = conv("shallow_2", shallow), []
    for d in (1, 2):
        maps = [block_input]
        for c in (1, 2, 3):
            maps.append(tf.nn.relu(conv(f"block{d}_dense_{c}", tf.concat(maps, -1))))
        block_input = conv(f"block{d}_fusion", tf.concat(maps, -1)) + block_input
        blocks.append(block_input)
    kernel = tf.concat([weights["fusion_1/kernel"], weights["fusion_2/kernel"]], axis=2)
    fused = tf.nn.conv2d(tf.concat(blocks, -1), kernel, 1, "SAME") + weights["fusion_1/bias"]
    expected = x + conv("out", shallow + conv("fusion", fused))
    assert np.abs(expected - x).max() > 0.01
    np.testing.assert_allclose(made(x), expected, atol=1e-5)


def test_training_starts_at_the_identity():
    x = noise(2, 9, 13, 3)
    np.testing.assert_array_equal(build_rdn(NETWORK)(x), x)


def test_a_value_sees_as_far_as_the_margin_and_no_further():
    config = RdnConfig(blocks=2, layers=2, growth=2, features=2)
    made = network(config)
    for variable in made.variables:  # positive ones, so that no path is cut by a ReLU or cancelled by another
        variable.assign(tf.abs(variable) + 0.01)
    side = 2 * config.margin + 9
    x = tf.Variable(tf.ones((1, side, side, 3)))
    with tf.GradientTape() as tape:
        value = made(x)[0, side // 2, side // 2, 0]
    seen = np.flatnonzero(tape.gradient(value, x).numpy()[0].any((1, 2)))
    assert (side // 2 - seen.min(), seen.max() - side // 2) == (config.margin, config.margin)
    assert RdnConfig.paper().margin == 100


def test_the_loss_for_psnr_is_the_mean_squared_error():
    restored = tf.constant([[[[0.5, -0.5, 0.0]], [[1.0, 1.0, 1.0]]]])
    assert losses.mse_loss(restored, tf.zeros_like(restored)).numpy() == pytest.approx(3.5 / 6)


@pytest.mark.parametrize("objective", ["mse", "ms-ssim"])
def test_a_step_descends_its_objective(objective):
    restorer, batch = DenseRestorer(CONFIG, objective), next(iter(batches(1)))
    restorer.optimizer = tf.keras.optimizers.SGD(0.1)
    out = restorer.network.get_layer("out")
    out.kernel.assign(tf.random.stateless_normal(out.kernel.shape, (1, 2), stddev=0.05))
    given, wanted = to_unit(batch["compressed"]), to_unit(batch["original"])
    with tf.GradientTape() as tape:
        restored = restorer.network(given)
        expected = tf.reduce_mean((restored - wanted) ** 2)
        if objective == "ms-ssim":
            expected = 1 - tf.reduce_mean(losses.ms_ssim(restored, wanted))
    gradients = tape.gradient(expected, restorer.network.trainable_weights)
    before = [weight.numpy() for weight in restorer.network.trainable_weights]
    logs = restorer.train_step(batch)
    assert float(logs["loss"]) == pytest.approx(float(expected), rel=1e-5)
    for start, weight, gradient in zip(before, restorer.network.trainable_weights, gradients):
        np.testing.assert_allclose(start - weight, 0.1 * gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("objective", ["mse", "ms-ssim"])
def test_training_takes_away_noise(objective):
    tf.keras.utils.set_random_seed(0)
    restorer = DenseRestorer(dataclasses.replace(CONFIG, learning_rate=3e-3), objective)
    history = restorer.fit(batches(4).repeat(), epochs=4, steps_per_epoch=10, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["psnr_gain"][-1] > max(1.0, history["psnr_gain"][0])


def test_the_psnr_of_a_step_is_that_of_the_pixels():
    batch = next(iter(batches(1)))
    logs = DenseRestorer(CONFIG, "mse").train_step(batch)
    pairs = zip(batch["compressed"].numpy(), batch["original"].numpy())
    assert float(logs["psnr"]) == pytest.approx(np.mean([fidelity.psnr(a, b) for a, b in pairs]), abs=1e-3)
    assert float(logs["psnr_gain"]) == pytest.approx(0, abs=1e-5)


def test_nothing_to_restore_has_a_finite_psnr():
    batch = next(iter(batches(1)))
    logs = DenseRestorer(CONFIG, "mse").train_step({key: batch["original"] for key in batch})
    assert float(logs["psnr"]) == pytest.approx(58.92, abs=0.01)


def test_the_learning_rate_falls_to_a_tenth_at_80_and_150_of_200_parts_of_the_steps():
    paper = DenseConfig.paper()
    assert (paper.steps, paper.batch, paper.patch, paper.learning_rate) == (200_000, 1, 256, 1e-3)
    assert paper.decay_steps == [80_000, 150_000]
    restorer = DenseRestorer(dataclasses.replace(CONFIG, steps=20), "mse")
    weight, rates = restorer.network.trainable_weights[0], []
    for _ in range(20):
        restorer.optimizer.apply_gradients([(tf.zeros_like(weight), weight)])
        rates.append(restorer.learning_rates()["learning_rate"])
    assert rates == pytest.approx([1e-3] * 8 + [1e-4] * 7 + [1e-5] * 5)


def test_a_learning_rate_that_never_falls_stays_what_it_is():
    restorer = DenseRestorer(dataclasses.replace(CONFIG, decay_at=()), "mse")
    restorer.train_step(next(iter(batches(1))))
    assert restorer.learning_rates() == {"learning_rate": pytest.approx(CONFIG.learning_rate)}


def _train_plainly(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Weights and metrics after two steps of plain gradient descent, which shows the gradients themselves."""
    tf.keras.utils.set_random_seed(0)
    with strategy.scope():
        restorer = DenseRestorer(CONFIG, "mse")
        restorer.optimizer = tf.keras.optimizers.SGD(0.1)
    for batch in strategy.experimental_distribute_dataset(batches(2, size=4)):
        strategy.run(restorer.train_step, args=(batch,))
    return [v.numpy() for v in (*restorer.trainable_weights, *(metric.result() for metric in restorer.metrics))]


def test_two_replicas_train_like_one_on_the_same_global_batch():
    one, two = train_on_one_and_two(_train_plainly)
    for a, b in zip(one, two):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-6)
    out = one[[w.name for w in DenseRestorer(CONFIG, "mse").trainable_weights].index("out/kernel:0")]
    assert np.abs(out).max() > 1e-3  # it starts at zero


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"patch": 10}, "11 or more"),
        ({"batch": 0}, "rdn.batch is 0"),
        ({"steps": 0}, "rdn.steps 0"),
        ({"decay_at": (0.7, 0.2)}, "rising shares"),
        ({"decay_at": (0.5, 1.5)}, "between 0 and 1"),
    ],
)
def test_configurations_that_cannot_train_are_refused_with_what_to_do(changes, words):
    with pytest.raises(RestorerError, match=words):
        dataclasses.replace(CONFIG, **changes)


@pytest.mark.parametrize("name", ["blocks", "layers", "growth", "features"])
def test_a_network_of_nothing_is_refused_by_the_name_of_its_key(name):
    with pytest.raises(RestorerError, match=f"rdn.network.{name} is 0"):
        RdnConfig(**{name: 0})
