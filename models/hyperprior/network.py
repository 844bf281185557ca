r"""The mean-scale hyperprior codec as a network, and the step that trains it.

Minnen, Balle and Toderici, "Joint autoregressive and hierarchical priors for learned image compression" (2018), without
the context model; the paper's appendix A. Sizes for an image of H x W pixels:

    x (H, W, 3) --analysis, g--> y (H/16, W/16, M) --round, code--> y^ --h, synthesis--> x^ (H, W, 3)
                              |                      ^ mean, scale of every value
                              v                      |
                       hyper-analysis           hyper-synthesis
                              |                      ^
                              v                      |
                      z (H/64, W/64, N) --round, code--> z^

    analysis         conv 5x5 N /2, GDN, conv 5x5 N /2, GDN, conv 5x5 N /2, GDN, conv 5x5 M /2
    synthesis        conv 5x5 N x2, IGDN, conv 5x5 N x2, IGDN, conv 5x5 N x2, IGDN, conv 5x5 3 x2
    hyper-analysis   conv 3x3 N, LReLU, conv 5x5 N /2, LReLU, conv 5x5 N /2
    hyper-synthesis  conv 5x5 M x2, LReLU, conv 5x5 3M/2 x2, LReLU, conv 3x3 2M

One network serves every quality: gain units (Cui et al., "Asymmetric gained deep image compression with continuous rate
adaptation", 2021) multiply y's channels by g before, and by h after, rounding. Both are stored for some qualities and
interpolated in the logarithm between them. A larger g is a finer rounding, that is more bits; z has no gain, so that
the exact path from z to mean and scale is one for all qualities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Union

import tensorflow as tf
import tensorflow_compression as tfc

from dsr.models.adam import build_adam
from dsr.models.hyperprior.config import (
    LEAK,
    MIDDLE_SCALE,
    QUALITIES,
    SCALES,
    CodecTrainingConfig,
    HyperpriorConfig,
)
from dsr.models.metrics.ms_ssim import ms_ssim

Batch = dict[str, tf.Tensor]
Quality = Union[float, tf.Tensor]
"""One for all images of a batch, or float32 (B,), one for each."""

DEAREST = 18.0
"""Bits that the dearest symbols take, however improbable by their distributions: the rarest that a table of 16-bit
probabilities holds take 16, the escape code a little more."""

_LOWEST_SCALE, _HIGHEST_SCALE = 0.11, 256.0


def scale_of(index: tf.Tensor) -> tf.Tensor:
    """Standard deviation of index 0 to SCALES - 1, in equal ratios from 0.11 to 256 (Balle et al. 2018)."""
    step = math.log(_HIGHEST_SCALE / _LOWEST_SCALE) / (SCALES - 1)
    return _LOWEST_SCALE * tf.exp(step * tf.cast(index, tf.float32))


def leaky_relu(x: tf.Tensor) -> tf.Tensor:
    """x where it is positive, LEAK x elsewhere."""
    return tf.nn.leaky_relu(x, LEAK)


def _down(channels: int, support: int = 5, stride: int = 2, **options: object) -> tfc.SignalConv2D:
    return tfc.SignalConv2D(
        channels,
        support,
        corr=True,
        strides_down=stride,
        padding="same_zeros",
        use_bias=True,
        kernel_parameter="variable",
        **options,
    )


def _up(channels: int, **options: object) -> tfc.SignalConv2D:
    return tfc.SignalConv2D(
        channels,
        5,
        corr=False,
        strides_up=2,
        padding="same_zeros",
        use_bias=True,
        kernel_parameter="variable",
        **options,
    )


def _gdn(inverse: bool = False) -> tfc.GDN:
    """y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2), or times it (Balle et al. 2016), with their start at 0.1 I."""
    return tfc.GDN(
        inverse=inverse,
        alpha_parameter=2,
        epsilon_parameter=0.5,
        gamma_initializer=tf.keras.initializers.Identity(0.1),
    )


class HyperpriorNetwork(tf.keras.Model):
    """The four transforms, the gains and the prior of z, without any rounding.

    Pixels are float32 in [0, 1], heights and widths multiples of 64.

    Args:
      qualities: those that have gains of their own, ascending in steps of one; it serves all from the first to the
      last.
    """

    def __init__(self, config: HyperpriorConfig, qualities: Sequence[float] = QUALITIES) -> None:
        super().__init__(name="hyperprior")
        n, m = config.filters, config.latents
        self.config = config
        self.qualities = tuple(map(float, qualities))
        self.analysis = tf.keras.Sequential(
            [_down(n), _gdn(), _down(n), _gdn(), _down(n), _gdn(), _down(m)], name="analysis"
        )
        self.synthesis = tf.keras.Sequential(
            [_up(n), _gdn(True), _up(n), _gdn(True), _up(n), _gdn(True), _up(3)], name="synthesis"
        )
        self.hyper_analysis = tf.keras.Sequential(
            [_down(n, 3, 1, activation=leaky_relu), _down(n, activation=leaky_relu), _down(n)], name="hyper_analysis"
        )
        self.hyper_synthesis = tf.keras.Sequential(
            [_up(m, activation=leaky_relu), _up(3 * m // 2, activation=leaky_relu), _down(2 * m, 3, 1)],
            name="hyper_synthesis",
        )
        self.prior = tfc.NoisyDeepFactorized(batch_shape=(n,))
        self.log_gain = self.add_weight("log_gain", (len(self.qualities), m), initializer="zeros")
        self.log_inverse_gain = self.add_weight("log_inverse_gain", (len(self.qualities), m), initializer="zeros")
        for part, shape in (
            (self.analysis, (None, None, None, 3)),
            (self.synthesis, (None, None, None, m)),
            (self.hyper_analysis, (None, None, None, m)),
            (self.hyper_synthesis, (None, None, None, n)),
        ):
            part.build(shape)
        self.built = True

    def latents(self, pixels: tf.Tensor, quality: Quality) -> tf.Tensor:
        """Pixels (B, H, W, 3) -> y (B, H/16, W/16, M), with the gain of the quality."""
        return self.analysis(pixels) * self._gain(self.log_gain, quality)

    def pixels(self, latents: tf.Tensor, quality: Quality) -> tf.Tensor:
        """y^ (B, h, w, M) -> pixels (B, 16h, 16w, 3), about in [0, 1]."""
        return self.synthesis(latents * self._gain(self.log_inverse_gain, quality))

    def entropy_parameters(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(B, h, w, N) -> mean and scale index, both (B, 4h, 4w, M); the index is real and not yet bounded."""
        mean, index = tf.split(self.hyper_synthesis(z), 2, axis=-1)
        return mean, index + MIDDLE_SCALE

    def call(self, pixels: tf.Tensor, quality: Quality, training: bool = False) -> tf.Tensor:
        """Pixels (B, H, W, 3) in [0, 1] as they come back, with rounded latents."""
        y = self.latents(pixels, quality)
        mean, _ = self.entropy_parameters(tf.round(self.hyper_analysis(y)))
        return self.pixels(tf.round(y - mean) + mean, quality)

    def interpolated(self, table: tf.Tensor, quality: Quality) -> tf.Tensor:
        """The rows (B, ...) of a table (qualities, ...) at real qualities; B is 1 for one quality."""
        distances = tf.abs(tf.reshape(tf.cast(quality, tf.float32), (-1, 1)) - tf.constant(self.qualities))
        return tf.nn.relu(1 - distances) @ table

    def _gain(self, table: tf.Tensor, quality: Quality) -> tf.Tensor:
        return tf.exp(self.interpolated(table, quality))[:, None, None]


class HyperpriorTraining(tf.keras.Model):
    """Trains a `HyperpriorNetwork` on batches {"image": uint8 (B, H, W, 3)}; ready for `fit`.

    Loss: R + lambda D (Minnen et al. 2018, equation 2; the paper, section V-A), R in bits per pixel, D = 255^2 MSE
    or 1 - MS-SSIM of pixels in [0, 1]. In place of rounding, the rates see uniform noise, and the decoder's side sees
    rounded latents with the gradient of unrounded ones (Minnen and Singh, "Channel-wise autoregressive entropy models
    for learned image compression", 2020).

    Where one network learns all qualities, each crop has one of its own, half of them whole ones, spread evenly over
    each batch; and its loss is weighted by (l / lambda)^0.5, l being the geometric mean of the smallest and the largest
    lambda. Bits grow about as the root of lambda, so that a share of its bits counts alike at every quality.

    Metrics, means since the last reset: loss; bpp and its parts bpp_y and bpp_z; mse (of values in 0..255), psnr (dB,
    of the mean MSE), and ms_ssim_loss if that is the distortion.
    """

    def __init__(self, config: CodecTrainingConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.network = HyperpriorNetwork(config.network, config.qualities)
        self._seed = seed
        # Counts steps in the checkpoint: a step's noise is a function of (seed, step), also after a resume.
        self._step = tf.Variable(
            0, dtype=tf.int64, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )
        names = ["loss", "bpp", "bpp_y", "bpp_z", "mse"] + (["ms_ssim_loss"] if config.distortion == "ms-ssim" else [])
        self._means = {name: tf.keras.metrics.Mean(name) for name in names}
        self.compile(
            build_adam(config.learning_rate, [config.decay_step], config.decay_to, global_clipnorm=config.gradient_norm)
        )

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return list(self._means.values())

    def build_optimizers(self) -> None:
        """Make the optimizer's variables, which else come with the first step: do it before restoring a checkpoint."""
        self.optimizer.build(self.network.trainable_weights)

    def learning_rates(self) -> dict[str, float]:
        """The rate of the last step."""
        return {"learning_rate": float(self.optimizer.learning_rate.numpy())}

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        pixels = to_float(batch["image"])
        with tf.GradientTape() as tape:
            values = self.measure(pixels, self._drawn_qualities(tf.shape(pixels)[0]), training=True)
            # Gradients are summed over the replicas, so that each contributes its part of the mean over the global
            # batch.
            loss = values["loss"] / tf.distribute.get_strategy().num_replicas_in_sync
        weights = self.network.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        self._step.assign_add(1)
        for name, mean in self._means.items():
            mean.update_state(values[name])
        results = {name: mean.result() for name, mean in self._means.items()}
        return {**results, "psnr": psnr_of(results["mse"])}

    def measure(self, pixels: tf.Tensor, quality: Quality, training: bool) -> dict[str, tf.Tensor]:
        """The scalars of a batch (B, H, W, 3) in [0, 1], means over its images.

        Noise in place of rounding in training, estimated rates in both.
        """
        network = self.network
        y = network.latents(pixels, quality)
        z = network.hyper_analysis(y)
        coded_z, decoded_z = self._quantized(z, 0, training)
        mean, index = network.entropy_parameters(decoded_z)
        coded, residual = self._quantized(y - mean, 1, training)
        index = tfc.upper_bound(tfc.lower_bound(index, 0.0), float(SCALES - 1))
        if not training:
            index = tf.round(index)
        distribution = tfc.NoisyNormal(loc=0.0, scale=scale_of(index))
        restored = network.pixels(residual + mean, quality)
        area = tf.cast(tf.reduce_prod(tf.shape(pixels)[1:3]), tf.float32)
        values = {
            "bpp_y": _sums(bits_of(distribution.log_prob(coded), training)) / area,
            "bpp_z": _sums(bits_of(network.prior.log_prob(coded_z), training)) / area,
            "mse": 255**2 * tf.reduce_mean(tf.math.squared_difference(pixels, restored), axis=(1, 2, 3)),
        }
        values["bpp"] = values["bpp_y"] + values["bpp_z"]
        distortion = values["mse"]
        if self.config.distortion == "ms-ssim":
            values["ms_ssim_loss"] = distortion = 1 - ms_ssim(2 * restored - 1, 2 * pixels - 1)
        weights = self.config.weights
        weight = tf.exp(network.interpolated(tf.math.log(weights)[:, None], quality)[:, 0])
        balance = tf.sqrt(math.sqrt(weights[0] * weights[-1]) / weight)
        values["loss"] = balance * (values["bpp"] + weight * distortion)
        return {name: tf.reduce_mean(value) for name, value in values.items()}

    def _drawn_qualities(self, batch: tf.Tensor) -> tf.Tensor:
        """float32 (batch,)."""
        low, high, count = self.network.qualities[0], self.network.qualities[-1], len(self.network.qualities)
        uniform = self._random(2, tf.stack([batch + 1]))
        # Half a step beyond the ends, so that rounding brings every whole quality as often.
        even = low - 0.5 + count * (tf.range(tf.cast(batch, tf.float32)) + uniform[0]) / tf.cast(batch, tf.float32)
        return tf.clip_by_value(tf.where(uniform[1:] < 0.5, low + tf.round(even - low), even), low, high)

    def _quantized(self, latents: tf.Tensor, stream: int, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """What the rate is estimated of, and what the decoder sees."""
        rounded = tf.round(latents)
        if not training:
            return rounded, rounded
        return latents + self._random(stream, tf.shape(latents)) - 0.5, latents + tf.stop_gradient(rounded - latents)

    def _random(self, stream: int, shape: tf.Tensor) -> tf.Tensor:
        """Uniform in [0, 1), by seed and step.

        One stream of numbers for each of z, y and the qualities, and for each replica.
        """
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        stream = tf.cast(3 * replica + stream, tf.int64)
        key = tf.stack([self._seed + stream * 2**32, self._step])
        return tf.random.stateless_uniform(shape, key, alg="philox")


def _sums(bits: tf.Tensor) -> tf.Tensor:
    """(B, h, w, channels) -> (B,)."""
    return tf.reduce_sum(bits, axis=(1, 2, 3))


def bits_of(log_likelihood: tf.Tensor, training: bool = False) -> tf.Tensor:
    """Bits of symbols from the natural logarithm of their likelihood.

    But in training, where the tail has a gradient to give, none takes more than the escape code.
    """
    bits = -log_likelihood / math.log(2)
    return bits if training else tf.minimum(bits, DEAREST)


def to_float(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 to float32 in [0, 1]."""
    return tf.cast(pixels, tf.float32) / 255


def psnr_of(mse: tf.Tensor) -> tf.Tensor:
    """dB of a mean squared error of values in 0..255."""
    return 10 / math.log(10) * tf.math.log(255.0**2 / mse)
