r"""The hyper-synthesis in integers: what the entropy coder is told must be the same on every machine.

The decoder rebuilds the scale index of every latent from z, and a single index that comes out one higher than in the
encoder makes the range decoder read noise from there on. The rounding of floating-point convolutions depends on
processor, library and number of threads (Balle, Johnston and Minnen, "Integer networks for data compression with
latent-variable models", 2019), so a trained hyper-synthesis is quantised here to convolutions that cannot round:

    z (int, |z| <= 127) --conv x2--> sums --LReLU, 2^-k, round, clip to +-255--> a_1 --conv x2--> sums --...--> a_2
    a_2 --conv--> sums --2^-k--> mean (multiples of 2^-k);  sums --2^-k, round, clip to 0..63--> scale index

with int8 weights, int32 biases and one shift k for every output channel.

**Why no order of summation can change a sum.** Let A be the largest magnitude of an input of the convolution, w the
weights that meet in one output value (for an upsampling convolution only those of the output's phase: positions of one
parity), and b its bias. Weights and inputs are integers of at most 8 significant bits, which float32, TF32 and BF16 all
hold, so every product w a is computed without error. A partial sum, of any of the products in any order and grouping,
with or without the bias, is an integer with

    |partial sum| <= |b| + A sum |w| <= 2^24,

which `IntegerConvolution` checks for every channel of every model it is given. float32 holds every integer up to 2^24,
and IEEE 754 returns the exact result of an addition (or fused multiply-add) where the format holds it. By induction
over the additions each of them is exact, and all orders end in the same sum. What follows is exact too: LReLU's slope
is 1/4, a scaling by 2^-k only changes the exponent, and rounding to the nearest integer (ties to even) and clipping
return what they return for real numbers.

What is left is an algorithm that forms other products, as Winograd's and Fourier transforms do.
`IntegerHyperSynthesis.digest` is what a fixed z leads to in 64-bit arithmetic; a machine on which the float32
convolutions give something else must not code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dsr.models.hyperprior.config import LEAK, MIDDLE_SCALE, SCALES, HyperpriorError

if TYPE_CHECKING:
    import tensorflow as tf

LARGEST_Z = 127
LARGEST_ACTIVATION = 255
LARGEST_WEIGHT = 127
LARGEST_SHIFT = 64
EXACT = 2**24
"""Up to here float32 holds every integer."""

_SMALLEST = 2.0**-40  # a channel whose weights are smaller is as good as unconnected


@dataclass(frozen=True, eq=False)
class IntegerConvolution:
    """A convolution whose sums are exact in float32: see the module.

    Attributes:
      kernel: int8 (k, k, in, out).
      bias: int32 (out,), in units of the sums.
      shift: int8 (out,): an output value is its sum times 2^-shift.
      step: float32 (out,): what one unit of an output value stands for in the network that was quantised.
      upsampling: whether it doubles height and width (transposed, the kernel's centre on even positions); else stride
      1. largest_input: bound on the magnitude of the integers it is given.
    """

    kernel: np.ndarray
    bias: np.ndarray
    shift: np.ndarray
    step: np.ndarray
    upsampling: bool
    largest_input: int

    def __post_init__(self) -> None:
        """Raises HyperpriorError where a sum could exceed what float32 holds exactly, or a scaling its exponent."""
        if np.abs(self.shift.astype(int)).max() > LARGEST_SHIFT or not (self.step > 0).all():
            raise HyperpriorError("the scales of an integer convolution are no numbers to compute with")
        products = largest_sums(self.kernel, self.upsampling, self.largest_input)
        if (np.abs(self.bias.astype(np.float64)) + products).max() > EXACT:
            raise HyperpriorError("the sums of an integer convolution exceed 2^24 and so depend on the machine")

    @property
    def scale(self) -> np.ndarray:
        """2^-shift, float32 (out,)."""
        return np.ldexp(np.float32(1), -self.shift.astype(np.int32))

    def sums(self, inputs: np.ndarray) -> np.ndarray:
        """(B, h, w, in) integers -> sums with bias as float64, whose 53 bits hold them: the reference for float32.

        Upsampling gives (B, 2h, 2w, out), else (B, h, w, out).
        """
        batch, height, width, _ = inputs.shape
        side, step = len(self.kernel), 2 if self.upsampling else 1
        weights = self.kernel.astype(np.float64)
        padded = np.zeros((batch, step * height + side - 1, step * width + side - 1, weights.shape[3]))
        for i, j in np.ndindex(side, side):
            # Each tap spreads the inputs over the outputs around them; a correlation does so with its kernel turned.
            tap = weights[i, j] if self.upsampling else weights[-1 - i, -1 - j]
            padded[:, i : i + step * height : step, j : j + step * width : step] += inputs @ tap
        margin = side // 2
        return padded[:, margin : margin + step * height, margin : margin + step * width] + self.bias

    def float_sums(self, inputs: tf.Tensor) -> tf.Tensor:
        """The same in float32, by TensorFlow's convolutions."""
        import tensorflow as tf

        kernel, bias = tf.constant(self.kernel, tf.float32), tf.constant(self.bias, tf.float32)
        if not self.upsampling:
            return tf.nn.conv2d(inputs, kernel, 1, "SAME") + bias
        shape = tf.shape(inputs)
        outputs = tf.stack([shape[0], 2 * shape[1], 2 * shape[2], kernel.shape[3]])
        kernel = tf.transpose(kernel, (0, 1, 3, 2))
        return tf.nn.conv2d_transpose(inputs, kernel, outputs, 2, [[0, 0], [2, 1], [2, 1], [0, 0]]) + bias


@dataclass(frozen=True, eq=False)
class IntegerHyperSynthesis:
    """z -> mean and scale index of every latent, alike on every machine.

    Attributes:
      convolutions: the three of `dsr.models.hyperprior.network.HyperpriorNetwork.hyper_synthesis`.
    """

    convolutions: Sequence[IntegerConvolution]

    def __call__(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The entropy parameters, by TensorFlow. On the CPU wherever the rest runs: a GPU may convolve by transforms.

        Args:
          z: float32 (B, h, w, N), integers from -127 to 127.

        Returns:
          Mean, float32 (B, 4h, 4w, M), and scale index, int32 of that shape.
        """
        import tensorflow as tf

        with tf.device("/CPU:0"):
            *hidden, last = self.convolutions
            values = z
            for convolution in hidden:
                sums = convolution.float_sums(values)
                values = tf.round(tf.maximum(sums, LEAK * sums) * convolution.scale)
                values = tf.clip_by_value(values, -LARGEST_ACTIVATION, LARGEST_ACTIVATION)
            mean, index = tf.split(last.float_sums(values) * last.scale, 2, axis=-1)
            return mean, tf.cast(tf.clip_by_value(tf.round(index), 0, SCALES - 1), tf.int32)

    def reference(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same in NumPy with 53 bits, of integers in any type."""
        *hidden, last = self.convolutions
        values = z.astype(np.float64)
        for convolution in hidden:
            values = _activations(convolution.sums(values), convolution.scale)
        mean, index = np.split(last.sums(values) * last.scale, 2, axis=-1)
        return mean.astype(np.float32), np.clip(np.rint(index), 0, SCALES - 1).astype(np.int32)

    def digest(self) -> bytes:
        """SHA-256 of what `reference` makes of the fixed z."""
        return parameters_digest(*self.reference(fixed_z(self.convolutions[0].kernel.shape[2])))

    def dequantized(self) -> list[np.ndarray]:
        """Kernels and biases, float32, of the network that this stands for, in its order."""
        weights = []
        step = np.ones(self.convolutions[0].kernel.shape[2], np.float32)
        for convolution in self.convolutions:
            unit = convolution.scale * convolution.step
            weights += [convolution.kernel * unit / step[:, None], convolution.bias * unit]
            step = convolution.step
        weights[-1] -= _offset(len(weights[-1]))
        return weights


def fixed_z(channels: int) -> np.ndarray:
    """float32 (1, 3, 5, channels) of integers from -127 to 127."""
    values = np.arange(15 * channels) * 37 % (2 * LARGEST_Z + 1) - LARGEST_Z
    return values.reshape(1, 3, 5, channels).astype(np.float32)


def parameters_digest(mean: np.ndarray, index: np.ndarray) -> bytes:
    """SHA-256 of float32 means and int32 indexes."""
    mean = np.asarray(mean, "<f4") + np.float32(0)  # -0 and 0 are the same mean
    return hashlib.sha256(mean.tobytes() + np.asarray(index, "<i4").tobytes()).digest()


def quantize(weights: Sequence[np.ndarray], z: np.ndarray) -> IntegerHyperSynthesis:
    """Quantise a trained hyper-synthesis.

    Every output channel of a hidden convolution has a scale of its own, such that its weights fill int8 and its
    activations, as far as the calibration images go, 255; the next convolution's weights absorb the scale. Activations
    of other images that go beyond are clipped: room for them would cost all others more (0.3 instead of 0.2 % of the
    bits at quality 1, where activations are small). The last one's scales are powers of two, because its outputs are
    not free. Weights of a channel whose sums could exceed 2^24 are scaled down.

    Args:
      weights: kernel and bias of the three convolutions, float32, in the order of the network.
      z: integers (B, h, w, N) of calibration images.
    """
    step = np.ones(z.shape[-1])
    values = np.clip(z, -LARGEST_Z, LARGEST_Z).astype(np.float64)
    convolutions = []
    for layer, (kernel, bias) in enumerate(zip(weights[::2], weights[1::2])):
        hidden = layer < 2
        largest_input = LARGEST_ACTIVATION if layer else LARGEST_Z
        kernel = kernel.astype(np.float64) * step[:, None]
        bias = bias + (0 if hidden else _offset(len(bias)))
        products = largest_sums(kernel, hidden, largest_input)
        # Rounding moves every weight, and the bias, by half at most.
        rounding = largest_sums(np.full(kernel.shape, 0.5), hidden, largest_input) + 0.5
        gain = np.minimum(
            LARGEST_WEIGHT / np.maximum(np.abs(kernel).max((0, 1, 2)), _SMALLEST),
            (EXACT - rounding) / np.maximum(products + np.abs(bias), _SMALLEST),
        )
        if not hidden:
            gain = np.exp2(np.floor(np.log2(gain)))
        integers = IntegerConvolution(
            kernel=np.rint(kernel * gain).astype(np.int8),
            bias=np.rint(bias * gain).astype(np.int32),
            shift=np.zeros(len(bias), np.int8),
            step=np.ones(len(bias), np.float32),
            upsampling=hidden,
            largest_input=largest_input,
        )
        if hidden:
            sums = integers.sums(values)
            peak = np.abs(np.maximum(sums, LEAK * sums)).max((0, 1, 2))
            shift = np.ceil(np.log2(np.maximum(peak / LARGEST_ACTIVATION, 1)))
            values = _activations(sums, np.exp2(-shift))
            step = np.exp2(shift) / gain
        else:
            shift, step = np.log2(gain), np.ones(len(bias))
        convolutions.append(replace(integers, shift=shift.astype(np.int8), step=step.astype(np.float32)))
    return IntegerHyperSynthesis(convolutions)


def largest_sums(kernel: np.ndarray, upsampling: bool, largest_input: int) -> np.ndarray:
    """A sum |w| of the module's bound, float64 (out,): of the phase with the largest, where there is more than one."""
    magnitudes = np.abs(kernel.astype(np.float64))
    step = 2 if upsampling else 1
    phases = [magnitudes[i::step, j::step].sum((0, 1, 2)) for i, j in np.ndindex(step, step)]
    return largest_input * np.max(phases, axis=0)


def _activations(sums: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(np.maximum(sums, LEAK * sums) * scale), -LARGEST_ACTIVATION, LARGEST_ACTIVATION)


def _offset(outputs: int) -> np.ndarray:
    """What the network adds to its outputs, means and then scale indexes."""
    return np.repeat(np.array([0, MIDDLE_SCALE], np.float32), outputs // 2)
