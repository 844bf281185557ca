"""The training of the learned codec: its loss against a computation apart from it, and that a step depends on (seed,
step) alone."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from dsr.models.hyperprior.config import (
    LAMBDAS,
    QUALITIES,
    SCALES,
    CodecTrainingConfig,
    HyperpriorConfig,
    HyperpriorError,
    weight_of,
)
from dsr.models.hyperprior.network import DEAREST, HyperpriorTraining, bits_of, scale_of
from dsr.models.hyperprior.start import start_from_images
from dsr.models.losses import ms_ssim_loss
from tests.hyperpriors import lively_network

TINY = CodecTrainingConfig(network=HyperpriorConfig(8, 12), quality=4, patch=64, batch=2, steps=10, learning_rate=1e-3)


def pictures(count: int = 2, size: int = 64, seed: int = 0) -> tf.Tensor:
    rng = np.random.default_rng(seed)
    return tf.constant(np.cumsum(rng.integers(-3, 5, (count, size, size, 3)), axis=2).clip(0, 255).astype(np.uint8))


def model(config: CodecTrainingConfig = TINY, seed: int = 0) -> HyperpriorTraining:
    tf.keras.utils.set_random_seed(1)
    built = HyperpriorTraining(config, seed)
    built.build_optimizers()
    return built


def unit(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255


def test_the_rate_of_y_is_that_of_normal_distributions_over_unit_intervals() -> None:
    training = model()
    pixels = unit(pictures())
    y = training.network.latents(pixels, 4)
    mean, index = training.network.entropy_parameters(tf.round(training.network.hyper_analysis(y)))
    symbols = np.round((y - mean).numpy().astype(np.float64))
    sigma = scale_of(np.clip(np.round(index.numpy()), 0, SCALES - 1)).numpy().astype(np.float64)
    likelihood = norm.cdf((symbols + 0.5) / sigma) - norm.cdf((symbols - 0.5) / sigma)
    expected = np.minimum(-np.log2(np.maximum(likelihood, 1e-300)), DEAREST).sum() / (2 * 64 * 64)
    assert float(training.measure(pixels, 4, training=False)["bpp_y"]) == pytest.approx(expected, rel=1e-3)


def test_scales_rise_in_equal_ratios_between_the_published_ends() -> None:
    scales = scale_of(tf.range(SCALES)).numpy()
    assert scales[0] == pytest.approx(0.11) and scales[-1] == pytest.approx(256, rel=1e-5)
    np.testing.assert_allclose(scales[1:] / scales[:-1], (256 / 0.11) ** (1 / (SCALES - 1)), rtol=1e-5)


@pytest.mark.parametrize("distortion", sorted(LAMBDAS))
def test_the_loss_is_rate_plus_lambda_distortion(distortion: str) -> None:
    # MS-SSIM has five scales, the coarsest of which needs eleven pixels.
    config = dataclasses.replace(TINY, distortion=distortion, patch=192)
    training = model(config)
    pixels = unit(pictures(1, 192))
    values = {name: float(value) for name, value in training.measure(pixels, 4, training=False).items()}
    decoded = training.network(pixels, 4)
    squared = float(np.mean((255 * (decoded.numpy() - pixels.numpy())) ** 2))
    assert values["mse"] == pytest.approx(squared, rel=1e-4)
    assert values["bpp"] == pytest.approx(values["bpp_y"] + values["bpp_z"])
    distance = squared if distortion == "mse" else float(ms_ssim_loss(2 * decoded - 1, 2 * pixels - 1))
    assert values["loss"] == pytest.approx(values["bpp"] + LAMBDAS[distortion][3] * distance, rel=1e-4)


def test_noise_in_training_costs_about_what_rounding_does() -> None:
    training = model()
    pixels = unit(pictures(4))
    noisy, rounded = (float(training.measure(pixels, 4, training=mode)["bpp"]) for mode in (True, False))
    assert noisy == pytest.approx(rounded, rel=0.25)


def test_the_decoders_side_sees_rounded_latents_and_the_gradient_of_unrounded_ones() -> None:
    training = model()
    latents = tf.Variable(tf.random.normal((1, 4, 4, 8), stddev=3.0))
    with tf.GradientTape(persistent=True) as tape:
        coded, decoded = training._quantized(latents, 0, training=True)
    np.testing.assert_array_equal(decoded, np.round(latents.numpy()))
    assert 0.2 < np.abs(coded - latents).mean() < 0.3 and np.abs(coded - latents).max() <= 0.5
    for seen in (coded, decoded):
        np.testing.assert_array_equal(tape.gradient(seen, latents), np.ones(latents.shape))


def test_gains_are_interpolated_in_the_logarithm_between_whole_qualities() -> None:
    network = lively_network()
    pixels = unit(pictures(1))
    at = {quality: network.latents(pixels, quality).numpy() for quality in (2, 2.25, 3, 6)}
    np.testing.assert_allclose(at[2.25], np.sign(at[2]) * np.abs(at[2]) ** 0.75 * np.abs(at[3]) ** 0.25, rtol=1e-4)
    np.testing.assert_allclose(at[6], np.exp(network.log_gain[5]) * network.analysis(pixels), rtol=1e-5)
    decoded = network.pixels(at[6], 5.5)
    inverse = np.exp(0.5 * (network.log_inverse_gain[4] + network.log_inverse_gain[5]))
    np.testing.assert_allclose(decoded, network.synthesis(at[6] * inverse), atol=1e-5 * np.ptp(decoded))


def test_each_image_of_a_batch_has_its_own_quality() -> None:
    network = lively_network()
    pixels = unit(pictures(3))
    together = network(pixels, tf.constant([1.0, 3.7, 6.0]))
    for image, quality in enumerate((1, 3.7, 6)):
        alone = network(pixels[image : image + 1], quality)[0]
        np.testing.assert_allclose(together[image], alone, atol=1e-5 * np.ptp(alone))


def test_lambda_of_a_real_quality_lies_geometrically_between_those_of_whole_ones() -> None:
    for distortion, weights in LAMBDAS.items():
        assert [weight_of(quality, distortion) for quality in range(1, 9)] == pytest.approx(weights)
        assert weight_of(2.5, distortion) == pytest.approx(math.sqrt(weights[1] * weights[2]))
    assert dataclasses.replace(TINY, quality=None).weights == pytest.approx(LAMBDAS["mse"][:6])


def test_the_loss_of_all_qualities_weighs_each_image_by_the_root_of_its_lambda() -> None:
    training = model(dataclasses.replace(TINY, quality=None))
    pixels = unit(pictures(3))
    qualities = [1.0, 3.5, 6.0]
    losses = []
    for image, quality in enumerate(qualities):
        values = training.measure(pixels[image : image + 1], quality, training=False)
        weight = weight_of(quality)
        balance = math.sqrt(math.sqrt(weight_of(1) * weight_of(6)) / weight)
        losses.append(balance * (float(values["bpp"]) + weight * float(values["mse"])))
    found = training.measure(pixels, tf.constant(qualities), training=False)["loss"]
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-4)


def test_qualities_are_drawn_evenly_half_of_them_whole() -> None:
    training = model(dataclasses.replace(TINY, quality=None))
    drawn = []
    for step in range(150):
        training._step.assign(step)
        drawn.append(training._drawn_qualities(tf.constant(4)).numpy())
    qualities = np.concatenate(drawn)
    assert qualities.min() == 1 and qualities.max() == 6
    whole = qualities[qualities == np.round(qualities)]
    # Half are rounded, and of the others those beyond the ends are moved to them.
    assert len(whole) / len(qualities) == pytest.approx(0.5 + 0.5 / 6, abs=0.04)
    shares = [np.mean(np.round(qualities) == quality) for quality in QUALITIES]
    assert shares == pytest.approx([1 / 6] * 6, abs=0.04)
    assert np.all(np.diff(drawn, axis=1) >= 0) and np.all(np.ptp(drawn, axis=1) > 2)  # each batch spans the scale
    assert model()._drawn_qualities(tf.constant(2)).numpy().tolist() == [4, 4]


def test_no_symbol_costs_more_than_the_escape_code_but_in_training() -> None:
    likelihood = tf.math.log([0.5, 2.0**-10, 2.0**-100])
    assert bits_of(likelihood).numpy() == pytest.approx([1, 10, DEAREST])
    assert bits_of(likelihood, training=True).numpy() == pytest.approx([1, 10, 100])


def test_a_step_is_a_function_of_weights_seed_and_step_number() -> None:
    batch = {"image": pictures()}
    losses = []
    for seed in (3, 3, 4):
        training = model(seed=seed)
        losses.append([float(training.train_step(batch)["loss"]) for _ in range(2)])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]
    assert losses[0][0] != losses[0][1]


def test_the_noise_of_a_resumed_training_goes_on_where_it_was(tmp_path) -> None:
    batch = {"image": pictures()}
    whole = model()
    for _ in range(2):
        whole.train_step(batch)
    saved = tf.train.Checkpoint(model=whole).save(str(tmp_path / "checkpoint"))
    whole.train_step(batch)

    resumed = model(seed=0)
    tf.train.Checkpoint(model=resumed).restore(saved).assert_existing_objects_matched()
    resumed.train_step(batch)
    for there, here in zip(whole.network.weights, resumed.network.weights):
        np.testing.assert_array_equal(there.numpy(), here.numpy())


def test_the_noise_is_another_in_every_step_and_for_every_seed() -> None:
    training = model()
    zeros = tf.zeros((1, 4, 4, 8))
    noises = [training._quantized(zeros, stream, True)[0].numpy() for stream in (0, 1)]
    training._step.assign(1)
    noises.append(training._quantized(zeros, 0, True)[0].numpy())
    noises.append(model(seed=1)._quantized(zeros, 0, True)[0].numpy())
    for number, noise in enumerate(noises):
        assert -0.5 <= noise.min() < -0.3 and 0.3 < noise.max() < 0.5
        assert not any(np.array_equal(noise, other) for other in noises[:number])


class Noiseless(HyperpriorTraining):
    """Replicas draw noise of their own; without any, two of them must do what one does."""

    def _quantized(self, latents: tf.Tensor, stream: int, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        return latents, latents


def train_plainly(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Metrics of two steps of plain gradient descent, and what they changed, which shows the gradients themselves."""
    tf.keras.utils.set_random_seed(0)
    with strategy.scope():
        training = Noiseless(TINY)
        # Small, and without clipping, which would hide a gradient of the wrong length.
        training.optimizer = tf.keras.optimizers.SGD(1e-6)
        before = [weight.numpy() for weight in training.network.trainable_weights]
        noisy = HyperpriorTraining(TINY)
    batches = tf.data.Dataset.from_tensors({"image": pictures(4)}).repeat(2)
    for batch in strategy.experimental_distribute_dataset(batches):
        strategy.run(training.train_step, args=(batch,))
        strategy.run(noisy.train_step, args=(batch,))
    assert noisy.metrics[0].result() > 0
    changes = [weight.numpy() - old for weight, old in zip(training.network.trainable_weights, before)]
    return [np.concatenate([change.ravel() for change in changes]), *(m.result().numpy() for m in training.metrics)]


def train_on_two_replicas() -> list[np.ndarray]:
    """For a process of its own: the number of logical devices is settled when TensorFlow starts."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return train_plainly(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))


def test_two_replicas_train_like_one_on_the_same_global_batch() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        two = pool.apply_async(train_on_two_replicas)
        one = train_plainly(tf.distribute.get_strategy())
        for a, b in zip(one, two.get()):
            np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-3 * np.abs(a).max())


def test_every_weight_is_trained() -> None:
    training = model(dataclasses.replace(TINY, quality=None, batch=12))
    start_from_images(training.network, unit(pictures()).numpy())
    before = [weight.numpy() for weight in training.network.trainable_weights]
    training.train_step({"image": pictures(12)})
    for weight, old in zip(training.network.trainable_weights, before):
        assert not np.array_equal(weight.numpy(), old), weight.name


def test_training_brings_the_loss_down() -> None:
    training = model(dataclasses.replace(TINY, steps=60))
    step = tf.function(training.train_step)
    batch = {"image": pictures()}
    losses = [float(step(batch)["loss"]) for _ in range(15)]  # running means
    assert losses[-1] < 0.9 * losses[0]


def test_psnr_is_that_of_the_mean_squared_error() -> None:
    result = model().train_step({"image": pictures()})
    assert float(result["psnr"]) == pytest.approx(10 * math.log10(255**2 / float(result["mse"])), abs=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quality": 9}, "quality is 9"),
        ({"quality": 2.0001}, "three|3 decimal places"),
        ({"patch": 100}, "multiple of 64"),
        ({"distortion": "lpips"}, "set it to mse or ms-ssim"),
        ({"steps": 0}, "1 or more"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_what_can(change: dict, said: str) -> None:
    with pytest.raises(HyperpriorError, match=said):
        dataclasses.replace(TINY, **change)
