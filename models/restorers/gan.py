"""The adversarial restorer: generator, discriminators and the step that trains both (appendix B).

compressed ---> generator ---> restored --+--> L_1, L_MS-SSIM, L_VGG     against original
     |                                    |
     +------------- pair -----------------+--> D_1 (full), D_4 (quarter)   L_GAN, L_DIST | L_D
     +------------- pair ---- original -------> D_1, D_4                                  | L_D
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from dsr.models import losses
from dsr.models.adam import build_adam
from dsr.models.pixels import to_unit
from dsr.models.restorers.discriminator import at_scale, build_discriminator
from dsr.models.restorers.gan_config import AdversarialConfig
from dsr.models.restorers.generator import build_generator
from dsr.models.restorers.saved import load_start, save_discriminators, save_network
from dsr.models.restorers.vgg import VggFeatures

Batch = dict[str, tf.Tensor]


class AdversarialRestorer(tf.keras.Model):
    """Trains on batches {'compressed', 'original'} of pairs, uint8 (B, H, W, 3) with H and W known; ready for `fit`.

    Called on images in [-1, 1], it restores them. Metrics of a step, means over the steps since the last reset:

    - generator_loss, and its terms before weighting: gan, l1, vgg (if it has a weight), ms_ssim (1 - MS-SSIM), dist;
    - discriminator_loss, the sum over both discriminators;
    - d_original_1, d_restored_1, d_original_4, d_restored_4: what the discriminators at full and at quarter
      resolution take for the probability that originals and restored images are originals.

    Under a `tf.distribute` strategy (build it within the strategy's scope) the loss is the mean over the global
    batch, which every replica must get an equal part of. A `tf.train.Checkpoint` of the model holds networks and both
    optimizers, not VGG.
    """

    def __init__(self, config: AdversarialConfig) -> None:
        """Raises RestorerError where the VGG weights or the start cannot be had."""
        super().__init__()
        self.config = config
        self.generator = build_generator(config.generator)
        self.discriminators = [
            build_discriminator(config.discriminator, f"discriminator_{scale}") for scale in config.discriminator.scales
        ]
        if config.start is not None:
            load_start(config, self.generator, self.discriminators)
        self._vgg = VggFeatures(config.vgg, config.vgg_precision) if config.vgg and config.weights.vgg else None
        self.generator_optimizer = _optimizer(config)
        self.discriminator_optimizer = _optimizer(config)
        names = ["generator_loss", "discriminator_loss", "gan", "l1", "ms_ssim", "dist"]
        names += ["vgg"] if self._vgg else []
        names += [f"d_{what}_{scale}" for scale in config.discriminator.scales for what in ("original", "restored")]
        self._means = {name: tf.keras.metrics.Mean(name) for name in names}
        self.compile(self.generator_optimizer)

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return list(self._means.values())

    @property
    def discriminator_weights(self) -> list[tf.Variable]:
        """The trainable variables of all discriminators."""
        return [weight for discriminator in self.discriminators for weight in discriminator.trainable_weights]

    @property
    def network(self) -> tf.keras.Model:
        """The generator: what restores."""
        return self.generator

    def build_optimizers(self) -> None:
        """Make the optimizers' variables, which else come with the first step: do it before restoring a checkpoint."""
        self.generator_optimizer.build(self.generator.trainable_weights)
        self.discriminator_optimizer.build(self.discriminator_weights)

    def save_networks(self, folder: Path) -> None:
        """Write generator and discriminators into an existing folder: all that another training can start from."""
        save_network(self.generator, self.config.generator, folder)
        save_discriminators(self.discriminators, self.config.discriminator, folder)

    def learning_rates(self) -> dict[str, float]:
        """The rate of the last step, the same for both optimizers."""
        return {"learning_rate": float(self.generator_optimizer.learning_rate.numpy())}

    def call(self, compressed: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.generator(compressed, training=training)

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One step of both optimizers from one forward pass of every network, each taken as it was before the step."""
        compressed, original = to_unit(batch["compressed"]), to_unit(batch["original"])
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            values = self._forward(compressed, original)
            # Gradients are summed over the replicas, so that every replica contributes its part of the mean over the
            # global batch.
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            generator_loss = values["generator_loss"] / replicas
            discriminator_loss = values["discriminator_loss"] / replicas
        for tape, loss, weights, optimizer in (
            (generator_tape, generator_loss, self.generator.trainable_weights, self.generator_optimizer),
            (discriminator_tape, discriminator_loss, self.discriminator_weights, self.discriminator_optimizer),
        ):
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        for name, value in values.items():
            self._means[name].update_state(value)
        return {name: mean.result() for name, mean in self._means.items()}

    def _forward(self, compressed: tf.Tensor, original: tf.Tensor) -> dict[str, tf.Tensor]:
        """Both losses, all terms and all metrics of one batch in [-1, 1], as scalars by the names of the metrics."""
        restored = self.generator(compressed, training=True)
        values: dict[str, Any] = {"discriminator_loss": 0.0, "dist": 0.0}
        restored_logits = []
        for scale, discriminator in zip(self.config.discriminator.scales, self.discriminators):
            condition = at_scale(compressed, scale)
            on_original, original_features = discriminator([condition, at_scale(original, scale)], training=True)
            on_restored, restored_features = discriminator([condition, at_scale(restored, scale)], training=True)
            restored_logits.append(on_restored)
            values["discriminator_loss"] += losses.discriminator_loss(on_original, on_restored)
            values["dist"] += losses.feature_loss(restored_features, original_features)
            values[f"d_original_{scale}"] = tf.reduce_mean(tf.sigmoid(on_original))
            values[f"d_restored_{scale}"] = tf.reduce_mean(tf.sigmoid(on_restored))
        values["gan"] = losses.generator_gan_loss(restored_logits)
        values["l1"] = losses.l1_loss(restored, original)
        values["ms_ssim"] = losses.ms_ssim_loss(restored, original)
        if self._vgg:
            values["vgg"] = losses.feature_loss(self._vgg(restored), self._vgg(original))
        terms = [getattr(self.config.weights, name) * values[name] for name in losses.TERMS if name in values]
        values["generator_loss"] = tf.add_n(terms)
        return values


def _optimizer(config: AdversarialConfig) -> tf.keras.optimizers.Optimizer:
    return build_adam(
        config.learning_rate, [config.decay_step], config.decay_to, beta_1=config.beta_1, beta_2=config.beta_2
    )
