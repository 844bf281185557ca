r"""The mean-scale hyperprior codec as a network, and the step that trains it.

Minnen, Balle and Toderici, "Joint autoregressive and hierarchical priors for learned image compression" (2018), without
the context model; the paper's appendix A. Sizes for an image of H x W pixels:

    x (H, W, 3) --analysis--> y (H/16, W/16, M) --round, code--> y^ --synthesis--> x^ (H, W, 3)
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
"""

from __future__ import annotations

import math

import tensorflow as tf
import tensorflow_compression as tfc

from dsr.models.adam import build_adam
from dsr.models.hyperprior.config import LEAK, MIDDLE_SCALE, SCALES, CodecTrainingConfig, HyperpriorConfig
from dsr.models.losses import ms_ssim_loss

Batch = dict[str, tf.Tensor]

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
    """The four transforms and the prior of z, without any rounding. Pixels are float32 in [0, 1], heights and widths
    multiples of 64."""

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__(name="hyperprior")
        n, m = config.filters, config.latents
        self.config = config
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
        for part, shape in (
            (self.analysis, (None, None, None, 3)),
            (self.synthesis, (None, None, None, m)),
            (self.hyper_analysis, (None, None, None, m)),
            (self.hyper_synthesis, (None, None, None, n)),
        ):
            part.build(shape)
        self.built = True

    def entropy_parameters(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(B, h, w, N) -> mean and scale index, both (B, 4h, 4w, M); the index is real and not yet bounded."""
        mean, index = tf.split(self.hyper_synthesis(z), 2, axis=-1)
        return mean, index + MIDDLE_SCALE

    def call(self, pixels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Pixels (B, H, W, 3) in [0, 1] as they come back, with rounded latents."""
        y = self.analysis(pixels)
        mean, _ = self.entropy_parameters(tf.round(self.hyper_analysis(y)))
        return self.synthesis(tf.round(y - mean) + mean)


class HyperpriorTraining(tf.keras.Model):
    """Trains a `HyperpriorNetwork` on batches {"image": uint8 (B, H, W, 3)}; ready for `fit`.

    Loss: R + lambda D (Minnen et al. 2018, equation 2; the paper, section V-A), R in bits per pixel with uniform noise in place of
    rounding, D = 255^2 MSE or 1 - MS-SSIM of pixels in [0, 1]. Metrics, means since the last reset: loss; bpp and its parts bpp_y and
    bpp_z; mse (of values in 0..255), psnr (dB, of the mean MSE), and ms_ssim_loss if that is the distortion.
    """

    def __init__(self, config: CodecTrainingConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.network = HyperpriorNetwork(config.network)
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
            values = self.measure(pixels, training=True)
            # Gradients are summed over the replicas, so that each contributes its part of the mean over the global batch.
            loss = values["loss"] / tf.distribute.get_strategy().num_replicas_in_sync
        weights = self.network.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        self._step.assign_add(1)
        for name, mean in self._means.items():
            mean.update_state(values[name])
        results = {name: mean.result() for name, mean in self._means.items()}
        return {**results, "psnr": psnr_of(results["mse"])}

    def measure(self, pixels: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        """The scalars of a batch (B, H, W, 3) in [0, 1]; noise in place of rounding in training, estimated rates in both."""
        network = self.network
        y = network.analysis(pixels)
        z = network.hyper_analysis(y)
        z = self._quantized(z, 0, training)
        mean, index = network.entropy_parameters(z)
        residual = self._quantized(y - mean, 1, training)
        index = tfc.upper_bound(tfc.lower_bound(index, 0.0), float(SCALES - 1))
        if not training:
            index = tf.round(index)
        distribution = tfc.NoisyNormal(loc=0.0, scale=scale_of(index))
        restored = network.synthesis(residual + mean)
        area = tf.cast(tf.reduce_prod(tf.shape(pixels)[:3]), tf.float32)
        values = {
            "bpp_y": tf.reduce_sum(bits_of(distribution.log_prob(residual), training)) / area,
            "bpp_z": tf.reduce_sum(bits_of(network.prior.log_prob(z), training)) / area,
            "mse": 255**2 * tf.reduce_mean(tf.math.squared_difference(pixels, restored)),
        }
        values["bpp"] = values["bpp_y"] + values["bpp_z"]
        distortion = values["mse"]
        if self.config.distortion == "ms-ssim":
            values["ms_ssim_loss"] = distortion = ms_ssim_loss(2 * restored - 1, 2 * pixels - 1)
        values["loss"] = values["bpp"] + self.config.weight * distortion
        return values

    def _quantized(self, latents: tf.Tensor, stream: int, training: bool) -> tf.Tensor:
        if not training:
            return tf.round(latents)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        # One stream of numbers for each of z and y, and for each replica.
        stream = tf.cast(2 * replica + stream, tf.int64)
        key = tf.stack([self._seed + stream * 2**32, self._step])
        return latents + tf.random.stateless_uniform(tf.shape(latents), key, -0.5, 0.5, alg="philox")


def bits_of(log_likelihood: tf.Tensor, training: bool = False) -> tf.Tensor:
    """Bits of symbols from the natural logarithm of their likelihood; but in training, where the tail has a gradient to give, none
    takes more than the escape code."""
    bits = -log_likelihood / math.log(2)
    return bits if training else tf.minimum(bits, DEAREST)


def to_float(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 to float32 in [0, 1]."""
    return tf.cast(pixels, tf.float32) / 255


def psnr_of(mse: tf.Tensor) -> tf.Tensor:
    """dB of a mean squared error of values in 0..255."""
    return 10 / math.log(10) * tf.math.log(255.0**2 / mse)
