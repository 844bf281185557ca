"""The hyper-synthesis in integers: sums that no order changes, and how near they are to the network they were made
from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from dsr.models.hyperprior.config import SCALES, HyperpriorConfig, HyperpriorError
from dsr.models.hyperprior.integer import (
    EXACT,
    LARGEST_ACTIVATION,
    LARGEST_Z,
    IntegerConvolution,
    IntegerHyperSynthesis,
    largest_sums,
    parameters_digest,
    quantize,
)
from tests.hyperpriors import lively_network, scenes


def convolution(side: int, before: int, after: int, upsampling: bool, seed: int = 0) -> IntegerConvolution:
    """Random weights of all sizes, and biases that take the sums up to the bound."""
    rng = np.random.default_rng(seed)
    kernel = rng.integers(-127, 128, (side, side, before, after)).astype(np.int8)
    largest = largest_sums(kernel, upsampling, LARGEST_ACTIVATION)
    return IntegerConvolution(
        kernel,
        (EXACT - largest).astype(np.int32),
        np.full(after, 12, np.int8),
        np.ones(after, np.float32),
        upsampling,
        LARGEST_ACTIVATION,
    )


def activations(*shape: int, seed: int = 0) -> np.ndarray:
    """Integers over the whole range, a third of them at its ends."""
    rng = np.random.default_rng(seed)
    ends = rng.choice([-LARGEST_ACTIVATION, LARGEST_ACTIVATION], shape)
    return np.where(rng.random(shape) < 1 / 3, ends, rng.integers(-LARGEST_ACTIVATION, LARGEST_ACTIVATION + 1, shape))


def int64_sums(layer: IntegerConvolution, inputs: np.ndarray) -> np.ndarray:
    """SciPy's correlation in int64, for upsampling of inputs with zeros between them and with the turned kernel."""
    kernel = layer.kernel.astype(np.int64)
    if layer.upsampling:
        height, width, channels = inputs.shape
        spread = np.zeros((2 * height, 2 * width, channels), np.int64)
        spread[::2, ::2] = inputs
        inputs, kernel = spread, kernel[::-1, ::-1]
    margin = len(kernel) // 2
    padded = np.pad(inputs.astype(np.int64), ((margin, margin), (margin, margin), (0, 0)))
    maps = [correlate(padded, kernel[..., i], mode="valid", method="direct")[..., 0] for i in range(kernel.shape[3])]
    return np.stack(maps, axis=-1) + layer.bias


@pytest.mark.parametrize(("side", "upsampling"), [(5, True), (3, False)])
def test_float32_sums_up_to_the_bound_are_those_of_int64(side: int, upsampling: bool) -> None:
    layer = convolution(side, 40, 6, upsampling)
    inputs = activations(5, 7, 40)
    # One position where every product pulls the same way, so that the sum reaches the bound itself.
    inputs[1:4, 2:5] = LARGEST_ACTIVATION * np.sign(layer.kernel[:3, :3, :, 0] if not upsampling else 1)
    expected = int64_sums(layer, inputs)
    assert np.abs(expected).max() > EXACT / 3
    assert np.array_equal(layer.sums(inputs[None])[0], expected)
    assert np.array_equal(layer.float_sums(tf.constant(inputs[None], tf.float32))[0], expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_order_of_float32_additions_ends_in_the_same_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = convolution(3, 24, 1, False, seed)
    products = (layer.kernel[..., 0].astype(np.int64) * activations(3, 3, 24, seed=seed)).ravel()
    terms = np.append(products, layer.bias).astype(np.float32)
    in_order = np.add.accumulate(rng.permutation(terms))[-1]
    pairwise = np.sum(rng.permutation(terms))
    assert in_order.dtype == np.float32
    assert in_order == pairwise == products.sum() + int(layer.bias[0])


def test_a_step_beyond_the_bound_sums_would_depend_on_their_order() -> None:
    terms = np.array([EXACT, 1, 1], np.float32)
    assert (terms[0] + terms[1]) + terms[2] != terms[0] + (terms[1] + terms[2])


@pytest.mark.parametrize("upsampling", [True, False])
def test_weights_that_could_exceed_the_bound_are_refused(upsampling: bool) -> None:
    layer = convolution(3, 8, 2, upsampling)
    with pytest.raises(HyperpriorError, match="2\\^24"):
        dataclasses.replace(layer, bias=layer.bias + 1)


def test_the_bound_of_an_upsampling_convolution_is_that_of_its_largest_phase() -> None:
    kernel = np.ones((5, 5, 1, 1), np.int8)
    assert largest_sums(kernel, True, 10) == 10 * 9
    impulse = np.full((1, 9, 9, 1), 10)
    layer = IntegerConvolution(
        kernel, np.zeros(1, np.int32), np.zeros(1, np.int8), np.ones(1, np.float32), True, 10
    )  # fmt: skip
    assert layer.sums(impulse).max() == 10 * 9


def test_operands_survive_bfloat16() -> None:
    integers = tf.range(-LARGEST_ACTIVATION, LARGEST_ACTIVATION + 1)
    assert np.array_equal(tf.cast(tf.cast(integers, tf.bfloat16), tf.int32), integers)


@pytest.fixture(scope="module")
def quantized() -> tuple[IntegerHyperSynthesis, np.ndarray, list[np.ndarray]]:
    """A hyper-synthesis in integers, the z it was fitted to, and the float mean and index of them."""
    network = lively_network(HyperpriorConfig(16, 24))
    z = tf.round(network.hyper_analysis(network.latents(scenes().astype(np.float32) / 255, 4)))
    assert 5 < float(tf.reduce_max(tf.abs(z))) < LARGEST_Z
    integers = quantize([variable.numpy() for variable in network.hyper_synthesis.weights], z.numpy())
    return integers, z.numpy(), [tensor.numpy() for tensor in network.entropy_parameters(z)]


def test_entropy_parameters_are_near_those_of_the_float_network(quantized) -> None:
    integers, z, (mean, index) = quantized
    integer_mean, integer_index = integers.reference(z)
    assert np.std(mean) > 1 and np.std(index) > 1
    assert np.std(integer_mean - mean) < 0.03 * np.std(mean)
    assert np.mean(integer_index != np.clip(np.round(index), 0, SCALES - 1)) < 0.1


def test_tensorflow_gives_the_reference_to_the_bit_in_any_order_of_channels(quantized) -> None:
    integers, z, _ = quantized
    expected = integers.reference(z)
    first, second, third = integers.convolutions
    order = np.random.default_rng(0).permutation(first.kernel.shape[3])
    shuffled = IntegerHyperSynthesis([
        dataclasses.replace(
            first, kernel=first.kernel[..., order], bias=first.bias[order], shift=first.shift[order],
            step=first.step[order]
        ),
        dataclasses.replace(second, kernel=second.kernel[:, :, order]),
        third,
    ])  # fmt: skip
    for hyper_synthesis in (integers, shuffled):
        for found, wanted in zip(hyper_synthesis(tf.constant(z)), expected):
            assert np.array_equal(found, wanted)


def test_every_z_that_a_bitstream_can_hold_stays_exact(quantized) -> None:
    integers, z, _ = quantized
    z = np.random.default_rng(1).choice([-LARGEST_Z, -1, 0, LARGEST_Z], z.shape).astype(np.float32)
    for found, wanted in zip(integers(tf.constant(z)), integers.reference(z)):
        assert np.array_equal(found, wanted)


def test_the_digest_tells_a_changed_weight(quantized) -> None:
    integers, _, _ = quantized
    *rest, last = integers.convolutions
    kernel = last.kernel.copy()
    kernel[1, 1, 0, 0] += 1 if kernel[1, 1, 0, 0] < 0 else -1
    changed = IntegerHyperSynthesis([*rest, dataclasses.replace(last, kernel=kernel)])
    assert changed.digest() != integers.digest()
    assert parameters_digest(-np.zeros(1), np.ones(1)) == parameters_digest(np.zeros(1), np.ones(1))


def test_dequantized_weights_give_the_network_back(quantized) -> None:
    integers, z, _ = quantized
    network = lively_network(HyperpriorConfig(16, 24), seed=1)
    for variable, array in zip(network.hyper_synthesis.weights, integers.dequantized()):
        variable.assign(array)
    mean, index = integers.reference(z)
    float_mean, float_index = network.entropy_parameters(z)
    # What is left is the rounding of activations.
    assert np.std(mean - float_mean) < 0.02 * np.std(mean)
    assert np.mean(index != np.clip(np.round(float_index), 0, SCALES - 1)) < 0.1


def test_a_channel_without_weights_is_quantized_to_its_bias() -> None:
    weights = [np.zeros(shape, np.float32) for shape in ((5, 5, 2, 4), (4,), (5, 5, 4, 6), (6,), (3, 3, 6, 8), (8,))]
    weights[-1][:] = np.arange(8)
    mean, index = quantize(weights, np.ones((1, 1, 1, 2))).reference(np.ones((1, 1, 1, 2)))
    assert np.allclose(mean[0, 0, 0], [0, 1, 2, 3], atol=1e-3)
    assert index[0, 0, 0].tolist() == [20, 21, 22, 23]
