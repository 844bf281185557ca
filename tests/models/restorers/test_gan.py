"""The training step: who learns from which loss, metrics, schedule, checkpoints, replicas."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from dsr.models import losses
from dsr.models.pixels import to_unit
from dsr.models.restorers.discriminator import at_scale
from dsr.models.restorers.gan import AdversarialRestorer
from dsr.models.restorers.gan_config import (
    AdversarialConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    LossWeights,
    RestorerError,
)
from tests.models.restorers.replicas import train_on_one_and_two

CONFIG = AdversarialConfig(
    generator=GeneratorConfig(width=4, downsamplings=1, blocks=1),
    discriminator=DiscriminatorConfig(width=2, normalize_last=False),
    weights=LossWeights(vgg=0),
    vgg=None,
    patch=64,
    batch=2,
    steps=8,
)


def model(**changes) -> AdversarialRestorer:
    tf.keras.utils.set_random_seed(0)
    return AdversarialRestorer(dataclasses.replace(CONFIG, **changes))


def batches(count: int, size: int = 2) -> tf.data.Dataset:
    """Originals with texture, and the same in 8 x 8 blocks."""
    original = np.random.default_rng(0).integers(0, 256, (count * size, 64, 64, 3), np.uint8)
    blocks = original.reshape(-1, 8, 8, 8, 8, 3).mean((2, 4), keepdims=True)
    compressed = np.broadcast_to(blocks, (count * size, 8, 8, 8, 8, 3)).reshape(original.shape).astype(np.uint8)
    pairs = tf.data.Dataset.from_tensor_slices({"compressed": compressed, "original": original})
    return pairs.batch(size, drop_remainder=True)


def values(variables) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def same(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(before, after))


def test_a_step_applies_to_each_network_the_gradient_of_its_own_loss_alone():
    restorer = model()
    restorer.generator_optimizer = tf.keras.optimizers.SGD(1.0)
    restorer.discriminator_optimizer = tf.keras.optimizers.SGD(1.0)
    restorer.generator.get_layer("o").kernel.assign(tf.random.normal((7, 7, 4, 3), stddev=0.05))
    batch = next(iter(batches(1)))
    compressed, original = to_unit(batch["compressed"]), to_unit(batch["original"])

    def judge(candidate: tf.Tensor) -> list:
        return [d([at_scale(compressed, s), at_scale(candidate, s)]) for s, d in zip((1, 4), restorer.discriminators)]

    with tf.GradientTape() as tape:  # the formula of appendix B, by itself and with its own forward passes
        restored = restorer.generator(compressed)
        on_restored, on_original = judge(restored), judge(original)
        gan = sum(tf.reduce_mean(-tf.math.log(tf.sigmoid(logits))) for logits, _ in on_restored)
        dist = sum(
            tf.reduce_mean(tf.abs(a - tf.constant(b.numpy())))
            for (_, fake), (_, real) in zip(on_restored, on_original)
            for a, b in zip(fake, real)
        )
        ms_ssim = tf.reduce_mean(losses.ms_ssim(restored, original))
        loss = gan + 10 * (2 * tf.reduce_mean(tf.abs(restored - original)) + (1 - ms_ssim) + dist)
    generator_gradients = tape.gradient(loss, restorer.generator.trainable_weights)
    with tf.GradientTape() as tape:
        pairs = zip(judge(tf.constant(restored.numpy())), judge(original))
        loss = sum(
            -tf.reduce_mean(tf.math.log(1 - tf.sigmoid(fake))) - tf.reduce_mean(tf.math.log(tf.sigmoid(real)))
            for (fake, _), (real, _) in pairs
        )
    discriminator_gradients = tape.gradient(loss, restorer.discriminator_weights)

    weights = [*restorer.generator.trainable_weights, *restorer.discriminator_weights]
    before = values(weights)
    restorer.train_step(batch)
    for start, after, gradient in zip(before, values(weights), [*generator_gradients, *discriminator_gradients]):
        np.testing.assert_allclose(start - after, gradient, rtol=1e-3, atol=1e-4 * np.abs(gradient).max() + 1e-6)


@pytest.mark.parametrize("frozen", ["generator", "discriminator"])
def test_each_network_is_changed_by_its_own_optimizer_only(frozen):
    restorer = model()
    getattr(restorer, f"{frozen}_optimizer").apply_gradients = lambda pairs: None
    weights = {"generator": restorer.generator.weights, "discriminator": restorer.discriminator_weights}
    before = {name: values(variables) for name, variables in weights.items()}
    for batch in batches(2):
        restorer.train_step(batch)
    for name, variables in weights.items():
        assert same(before[name], values(variables)) == (name == frozen)


def test_every_weight_learns():
    restorer = model()
    before = values(restorer.trainable_weights)
    assert len(before) == len(restorer.generator.weights) + len(restorer.discriminator_weights)
    for batch in batches(2):  # two: the last layer starts at zero and passes nothing back in the first step
        restorer.train_step(batch)
    assert not any(np.array_equal(a, b) for a, b in zip(before, values(restorer.trainable_weights)))


def test_metrics_are_the_means_of_all_terms_and_add_up_to_the_loss():
    restorer = model()
    logs = [{k: float(v) for k, v in restorer.train_step(batch).items()} for batch in batches(2)][-1]
    judged = {f"d_{what}_{scale}" for what in ("original", "restored") for scale in (1, 4)}
    assert set(logs) == {"generator_loss", "discriminator_loss", "gan", "l1", "ms_ssim", "dist"} | judged
    total = logs["gan"] + 10 * (2 * logs["l1"] + logs["ms_ssim"] + logs["dist"])
    assert logs["generator_loss"] == pytest.approx(total, rel=1e-5)
    assert all(0 < logs[name] < 1 for name in judged)
    restorer.reset_metrics()
    assert not any(float(metric.result()) for metric in restorer.metrics)


def test_an_untrained_step_measures_the_compressed_image():
    batch = next(iter(batches(1)))
    logs = model().train_step(batch)
    distance = np.abs(batch["compressed"].numpy().astype(float) - batch["original"].numpy()).mean()
    assert float(logs["l1"]) == pytest.approx(distance / 127.5, rel=1e-5)
    assert float(logs["discriminator_loss"]) == pytest.approx(4 * math.log(2), rel=0.05)


def test_fitting_one_batch_brings_down_its_distance():
    def darken(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"compressed": batch["compressed"] // 2, "original": batch["compressed"]}

    data = batches(1).map(darken)
    before = losses.l1_loss(*(to_unit(next(iter(data))[key]) for key in ("compressed", "original"))).numpy()
    restorer = model(steps=1000, learning_rate=2e-3)
    first, last = restorer.fit(data.repeat(), epochs=2, steps_per_epoch=15, verbose=0).history["l1"]
    assert last < first < before and last < before / 2


def test_the_vgg_term_joins_the_loss(shared):
    path = str(shared / "weights/vgg16_imagenet_notop_float16.npz")
    restorer = model(vgg=path, weights=LossWeights())
    assert len(restorer.variables) == len(model().variables) + 2  # those of the metric: VGG neither trains nor is saved
    logs = {k: float(v) for k, v in restorer.train_step(next(iter(batches(1)))).items()}
    total = logs["gan"] + 10 * (2 * logs["l1"] + logs["vgg"] + logs["ms_ssim"] + logs["dist"])
    assert logs["vgg"] > 0.1 and logs["generator_loss"] == pytest.approx(total, rel=1e-5)


def test_the_learning_rate_falls_to_a_tenth_after_80_of_135_parts_of_the_steps():
    paper = AdversarialConfig.paper()
    assert paper.decay_step == 80_000
    restorer = model(steps=27)  # 16 at the full rate
    rates = []
    for _ in range(18):
        weight = restorer.generator.trainable_weights[0]
        restorer.generator_optimizer.apply_gradients([(tf.zeros_like(weight), weight)])
        rates.append(restorer.learning_rates()["learning_rate"])
    assert rates == pytest.approx([2e-4] * 16 + [2e-5] * 2)


def test_training_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(tmp_path):
    def train(restorer: AdversarialRestorer, data: tf.data.Dataset) -> None:
        for batch in data:
            restorer.train_step(batch)

    data = batches(4)
    whole = model()
    train(whole, data.take(2))
    path = tf.train.Checkpoint(model=whole).save(str(tmp_path / "checkpoint"))
    train(whole, data.skip(2))

    tf.keras.utils.set_random_seed(99)
    resumed = AdversarialRestorer(CONFIG)
    resumed.build_optimizers()
    tf.train.Checkpoint(model=resumed).restore(path).assert_existing_objects_matched()
    assert resumed.generator_optimizer.iterations == resumed.discriminator_optimizer.iterations == 2
    train(resumed, data.skip(2))
    for a, b in zip(values(resumed.trainable_weights), values(whole.trainable_weights)):
        np.testing.assert_allclose(a, b, atol=1e-6)


def _train_plainly(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Weights and metrics after two steps of plain gradient descent, which shows the gradients themselves."""
    with strategy.scope():
        restorer = model()
        restorer.generator_optimizer = tf.keras.optimizers.SGD(1e-3)
        restorer.discriminator_optimizer = tf.keras.optimizers.SGD(1e-3)
    for batch in strategy.experimental_distribute_dataset(batches(2, size=4)):
        strategy.run(restorer.train_step, args=(batch,))
    return [*values(restorer.trainable_weights), np.array([metric.result() for metric in restorer.metrics])]


def test_two_replicas_train_like_one_on_the_same_global_batch():
    one, two = train_on_one_and_two(_train_plainly)
    for a, b in zip(one, two):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-6)
    start = values(model().trainable_weights)
    assert max(np.abs(a - b).max() for a, b in zip(one, start)) > 1e-3


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"weights": LossWeights()}, "VGG loss has weight 10"),
        ({"patch": 65}, "multiple of 2"),
        ({"patch": 32}, "needs 64 or more"),
        ({"vgg_precision": "float16"}, "float32 or bfloat16"),
        ({"batch": 0}, "batch is 0"),
        ({"steps": 0}, "steps 0"),
    ],
)
def test_configurations_that_cannot_train_are_refused_with_what_to_do(changes, words):
    with pytest.raises(RestorerError, match=words):
        dataclasses.replace(CONFIG, **changes)


@pytest.mark.parametrize("preset", [AdversarialConfig.paper, AdversarialConfig.small, AdversarialConfig.tiny])
def test_presets_are_valid_and_say_the_papers_optimiser(preset):
    config = preset()
    assert (config.learning_rate, config.beta_1, config.beta_2, config.decay_to) == (2e-4, 0.1, 0.9, 0.1)
    assert (config.weights.l1, config.weights.ms_ssim, config.weights.dist) == (20, 10, 10)
