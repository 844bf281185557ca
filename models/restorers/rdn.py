"""The residual dense network, a restorer without an adversary: appendix C, after Zhang et al.

    compressed (B, H, W, 3) in [-1, 1]
      |- shallow_1  3x3                                         (H, W, G0)         F_-1
      |- shallow_2  3x3                                         (H, W, G0)         F_0
      |- block d    [x, 3x3 + ReLU] C times: dense              (H, W, G0 + C G)
      |             1x1: local feature fusion, + x              (H, W, G0)         F_d, d = 1 .. D
      |- fusion     1x1 of F_1 .. F_D: global feature fusion    (H, W, G0)
      |             3x3, + F_-1: global residual                (H, W, G0)
      |- out        3x3                                         (H, W, 3)
      + ------------------------------------------------------> restored (B, H, W, 3) = compressed + out

This is the form for image restoration (Zhang et al., "Residual Dense Network for Image Restoration", 2020), in which
nothing is upsampled and the input is added to the output; the one of 2018 is for super-resolution. Convolutions pad
with zeros. Decisions of our own:

- The 1x1 convolution over the concatenated F_1 .. F_D is written as the sum of D convolutions, which it is: the
  concatenation would be the largest map of all, 4 KB a pixel at the paper's size.
- The kernel of `out` starts at zero, as in the adversarial generator: training starts at the identity.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from dsr.models import losses
from dsr.models.adam import build_adam
from dsr.models.pixels import to_unit
from dsr.models.restorers.rdn_config import DenseConfig, Objective, RdnConfig
from dsr.models.restorers.saved import save_network

ROUNDING = (2 / 255) ** 2 / 12  # mean squared error of rounding [-1, 1] to 8 bits: no PSNR is measured below it


def _conv(filters: int, kernel_size: int, name: str, **options: object) -> tf.keras.layers.Layer:
    return tf.keras.layers.Conv2D(filters, kernel_size, padding="same", name=name, **options)


def _dense_block(x: tf.Tensor, config: RdnConfig, name: str) -> tf.Tensor:
    dense = x
    for i in range(1, config.layers + 1):
        grown = _conv(config.growth, 3, f"{name}_dense_{i}", activation="relu")(dense)
        dense = tf.concat([dense, grown], axis=-1)
    return x + _conv(config.features, 1, f"{name}_fusion")(dense)


def build_rdn(config: RdnConfig) -> tf.keras.Model:
    """The network compressed -> restored, both float32 (B, H, W, 3); any height and width.

    Compressed values lie in [-1, 1], restored ones may leave it slightly. Weights are drawn with TensorFlow's global
    seed: call `tf.keras.utils.set_random_seed` first.
    """
    compressed = tf.keras.Input((None, None, 3), name="compressed")
    shallow = _conv(config.features, 3, "shallow_1")(compressed)
    x = _conv(config.features, 3, "shallow_2")(shallow)
    fused = 0.0
    for d in range(1, config.blocks + 1):
        x = _dense_block(x, config, f"block{d}")
        fused += _conv(config.features, 1, f"fusion_{d}", use_bias=d == 1)(x)  # one bias for the sum
    x = shallow + _conv(config.features, 3, "fusion")(fused)
    residual = _conv(3, 3, "out", kernel_initializer="zeros")(x)
    return tf.keras.Model(compressed, compressed + residual, name="rdn")


class DenseRestorer(tf.keras.Model):
    """Trains on batches {'compressed', 'original'} of pairs, uint8 (B, H, W, 3) with H and W known; ready for `fit`.

    Called on images in [-1, 1], it restores them. Metrics of a step, means over the steps since the last reset:

    - loss: the mean squared error of values in [-1, 1] (`mse`, which maximises PSNR), or 1 - MS-SSIM (`ms-ssim`);
    - psnr, psnr_gain: of the restored patches in dB, and how much that is above the compressed ones.

    Under a `tf.distribute` strategy (build it within the strategy's scope) the loss is the mean over the global
    batch, which every replica must get an equal part of.
    """

    def __init__(self, config: DenseConfig, objective: Objective) -> None:
        super().__init__()
        self.config = config
        self.network = build_rdn(config.network)
        self._loss = {"mse": losses.mse_loss, "ms-ssim": losses.ms_ssim_loss}[objective]
        self._means = {name: tf.keras.metrics.Mean(name) for name in ("loss", "psnr", "psnr_gain")}
        self.compile(
            build_adam(
                config.learning_rate, config.decay_steps, config.decay_to, beta_1=config.beta_1, beta_2=config.beta_2
            )
        )

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return list(self._means.values())

    def build_optimizers(self) -> None:
        """Make the optimizer's variables, which else come with the first step: do it before restoring a checkpoint."""
        self.optimizer.build(self.network.trainable_weights)

    def save_networks(self, folder: Path) -> None:
        """Write the network into an existing folder."""
        save_network(self.network, self.config.network, folder)

    def learning_rates(self) -> dict[str, float]:
        """The rate of the last step."""
        return {"learning_rate": float(self.optimizer.learning_rate.numpy())}

    def call(self, compressed: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.network(compressed, training=training)

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on one batch."""
        compressed, original = to_unit(batch["compressed"]), to_unit(batch["original"])
        with tf.GradientTape() as tape:
            restored = self.network(compressed, training=True)
            loss = self._loss(restored, original)
            # Gradients are summed over the replicas, so each contributes its part of the mean over the global batch.
            share = loss / tf.distribute.get_strategy().num_replicas_in_sync
        weights = self.network.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(share, weights), weights))
        psnr = _psnr(restored, original)
        self._means["loss"].update_state(loss)
        self._means["psnr"].update_state(psnr)
        self._means["psnr_gain"].update_state(psnr - _psnr(compressed, original))
        return {name: mean.result() for name, mean in self._means.items()}


def _psnr(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Of each image in dB, (B,); at most 58.9, where the error is that of rounding."""
    error = tf.reduce_mean(tf.math.squared_difference(a, b), axis=[1, 2, 3])
    return 10.0 * tf.math.log(4.0 / tf.maximum(error, ROUNDING)) / tf.math.log(10.0)
