"""The network's shape and size as published, and its transforms in the form that encoder and decoder use."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from dsr.models.hyperprior import transforms as hyperprior_transforms
from dsr.models.hyperprior.config import HyperpriorConfig
from dsr.models.hyperprior.network import HyperpriorNetwork
from dsr.models.hyperprior.saved import load_hyperprior, read_hyperprior
from dsr.models.hyperprior.transforms import STRIDE, Transforms, bands, to_pixel_kernel
from tests.hyperpriors import TINY, saved_codec, scenes


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[HyperpriorNetwork, Transforms]:
    """A network and the transforms with the same weights."""
    path = saved_codec(tmp_path_factory.mktemp("codec"))
    network = HyperpriorNetwork(TINY)
    load_hyperprior(path, network)
    return network, Transforms(read_hyperprior(path))


@pytest.mark.parametrize(
    ("config", "compressai"),
    # CompressAI 1.2.8: mbt2018-mean, MeanScaleHyperprior(N, M), less its entropy bottleneck (61 N, another density).
    [
        (HyperpriorConfig.low_rate(), 7_028_003 - 61 * 128),
        (HyperpriorConfig.high_rate(), 17_561_699 - 61 * 192),
    ],
)
def test_the_transforms_have_as_many_parameters_as_compressais(config: HyperpriorConfig, compressai: int) -> None:
    network = HyperpriorNetwork(config)
    prior = sum(int(tf.size(variable)) for variable in network.prior.trainable_variables)
    gains = 2 * 6 * config.latents
    assert network.count_params() - prior - gains == compressai
    assert prior == 28 * config.filters


def test_latents_are_16_and_64_times_smaller_than_the_image() -> None:
    network = HyperpriorNetwork(TINY)
    y = network.analysis(tf.zeros((2, 128, 192, 3)))
    z = network.hyper_analysis(y)
    mean, index = network.entropy_parameters(z)
    assert y.shape == mean.shape == index.shape == (2, 8, 12, 12)
    assert z.shape == (2, 2, 3, 8)
    assert network(tf.zeros((2, 128, 192, 3)), 3).shape == (2, 128, 192, 3)


def test_transforms_compute_what_the_networks_layers_do(pair) -> None:
    network, transforms = pair
    pixels = tf.constant(scenes(2), tf.float32) / 255
    y = network.analysis(pixels)
    assert float(tf.math.reduce_std(y)) > 0.5
    np.testing.assert_allclose(transforms.analysis(pixels), y, atol=1e-4)
    np.testing.assert_allclose(transforms.hyper_analysis(y), network.hyper_analysis(y), atol=1e-4)
    np.testing.assert_allclose(transforms.synthesis(y), network.synthesis(y), atol=5e-3)


def test_the_last_convolution_is_a_transposed_one() -> None:
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((5, 5, 6, 3)).astype(np.float32)
    x = rng.standard_normal((1, 5, 7, 6)).astype(np.float32)
    folded = tf.nn.depth_to_space(tf.nn.conv2d(x, to_pixel_kernel(kernel), 1, "SAME"), 2)
    transposed = tf.nn.conv2d_transpose(x, kernel.transpose(0, 1, 3, 2), (1, 13, 17, 3), 2, "VALID")[:, 2:-1, 2:-1]
    np.testing.assert_allclose(folded, transposed, atol=1e-5)


@given(height=st.integers(1, 3000), width=st.integers(1, 5000))
def test_bands_cover_every_row_once_with_their_margins(height: int, width: int) -> None:
    found = bands(STRIDE * height, STRIDE * width)
    assert [row for band in found for row in range(band.start, band.stop)] == list(range(height))
    for band in found:
        assert band.top == max(0, band.start - 2) and band.bottom == min(height, band.stop + 2)
        assert (band.stop - band.start) * STRIDE * STRIDE * width <= max(hyperprior_transforms.BAND_PIXELS, 256 * width)


def test_bands_give_what_the_whole_image_gives(pair, monkeypatch) -> None:
    monkeypatch.setattr(hyperprior_transforms, "BAND_PIXELS", 2 * STRIDE * 64)
    _, transforms = pair
    pixels = tf.constant(scenes(1, 192, 64), tf.float32) / 255
    whole = transforms.analysis(pixels)
    found = bands(192, 64)
    assert len(found) == 6
    y = [transforms.analysis(pixels[:, STRIDE * b.top : STRIDE * b.bottom])[:, b.kept] for b in found]
    np.testing.assert_allclose(tf.concat(y, axis=1), whole, atol=1e-4)
    image = transforms.synthesis(whole)
    for band in found:
        rows = slice(STRIDE * band.kept.start, STRIDE * band.kept.stop)
        computed = transforms.synthesis(whole[:, band.top : band.bottom])[:, rows]
        np.testing.assert_allclose(computed, image[:, STRIDE * band.start : STRIDE * band.stop], atol=5e-3)
