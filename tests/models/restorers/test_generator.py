"""The generator: its size, its shapes, where it starts, and the way from pixels to pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from dsr.models.pixels import to_pixels, to_unit
from dsr.models.restorers import generator as restorer
from dsr.models.restorers.gan_config import GeneratorConfig, RestorerError
from dsr.models.restorers.generator import build_generator
from dsr.models.restorers.tiling import restore

SIZES = [(1, 1), (2, 7), (5, 3), (16, 24), (33, 17), (45, 64)]


def generator(**changes: Any) -> tf.keras.Model:
    """A small generator that changes its input."""
    tf.keras.utils.set_random_seed(1)
    network = build_generator(GeneratorConfig(**{"width": 4, "downsamplings": 3, "blocks": 2, **changes}))
    out = network.get_layer("o")
    out.kernel.assign(tf.random.normal(out.kernel.shape, stddev=0.05))
    return network


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


def test_the_paper_generator_has_as_many_parameters_as_its_notation_says():
    convolutions = 7 * 7 * 3 * 64  # c64
    convolutions += 9 * (64 * 128 + 128 * 256 + 256 * 512)  # d128 d256 d512
    convolutions += 9 * 2 * 9 * 512 * 512  # 9 x r512, two convolutions each
    convolutions += 9 * (512 * 256 + 256 * 128 + 128 * 64)  # u256 u128 u64
    convolutions += 7 * 7 * 64 * 3 + 3  # o3, the only one with a bias
    normalized_channels = 64 + (128 + 256 + 512) + 9 * 2 * 512 + (256 + 128 + 64)
    assert GeneratorConfig.paper().parameters == convolutions + 2 * normalized_channels == 45_603_971


@pytest.mark.parametrize("config", [GeneratorConfig.tiny(), GeneratorConfig(width=3, downsamplings=4, blocks=1)])
def test_networks_have_as_many_parameters_as_their_configuration_says(config):
    assert build_generator(config).count_params() == config.parameters


def test_training_starts_at_the_identity():
    config = GeneratorConfig.tiny()
    network = build_generator(config)
    assert all(np.array_equal(restore(network, config, image(*size)), image(*size)) for size in SIZES)


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_restored_images_have_the_size_of_the_compressed_one(upsampling):
    network = generator(upsampling=upsampling)
    for height, width in SIZES:
        restored = network(to_unit(image(height, width)[None]))
        assert restored.shape == (1, height, width, 3)
        assert np.abs(restored - to_unit(image(height, width)[None])).max() > 1e-3
        assert np.isfinite(restored).all()


def test_the_residual_lies_in_the_range_of_tanh():
    network = generator()
    out = network.get_layer("o")
    out.kernel.assign(out.kernel * 1000)
    compressed = to_unit(image(16, 24)[None])
    assert 0.99 < np.abs(network(compressed) - compressed).max() <= 1 + 1e-6


def test_padding_an_image_by_reflection_beforehand_changes_nothing():
    network, small = generator(), image(30, 21)
    padded = np.pad(small, ((0, 2), (0, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(network(to_unit(small[None])), network(to_unit(padded[None]))[:, :30, :21])


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 70), downsamplings=st.integers(1, 4))
def test_sides_are_reflected_as_numpy_does_it(size, downsamplings):
    multiple = 2**downsamplings
    indices = restorer._reflected_indices(tf.constant(size), multiple).numpy()
    assert len(indices) % multiple == 0 and size <= len(indices) < size + 2 * multiple
    np.testing.assert_array_equal(indices, np.pad(np.arange(size), (0, len(indices) - size), mode="reflect"))


def test_every_image_of_a_batch_is_restored_by_itself():
    network = generator()
    batch = to_unit(np.stack([image(16, 16), image(16, 17)[:, 1:]]))
    np.testing.assert_allclose(network(batch), tf.concat([network(batch[:1]), network(batch[1:])], 0), atol=1e-5)


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_only_resizing_treats_every_position_of_the_grid_alike(upsampling):
    flat = tf.keras.Input((8, 8, 4))
    network = tf.keras.Model(flat, restorer.UPSAMPLINGS[upsampling](flat, 3, "u", lambda _: tf.identity))
    kernel = network.get_layer("u").kernel
    kernel.assign(tf.random.stateless_uniform(kernel.shape, (1, 2)))
    interior = network(tf.ones((1, 8, 8, 4)))[0, 2:-2, 2:-2].numpy()
    assert interior.shape == (12, 12, 3) and interior.min() > 0.1
    assert (np.ptp(interior, axis=(0, 1)).max() < 1e-5) == (upsampling == "resize")


def test_eager_and_graph_give_the_same_network():
    network, compressed = generator(), to_unit(image(20, 27)[None])
    np.testing.assert_allclose(network(compressed), tf.function(network)(compressed), atol=1e-5)


def test_pixels_survive_the_way_to_the_unit_range_and_back():
    pixels = np.arange(256, dtype=np.uint8)
    unit = to_unit(pixels)
    assert unit.dtype == tf.float32 and unit[0] == -1 and unit[-1] == 1
    np.testing.assert_array_equal(to_pixels(unit), pixels)


def test_pixels_are_clipped_and_go_to_the_nearest_level():
    levels = tf.constant([-3.0, 0.4, 0.6, 127.5, 254.4, 270.0])
    np.testing.assert_array_equal(to_pixels(levels / 127.5 - 1), [0, 0, 1, 128, 254, 255])


def test_restoring_twice_gives_the_same_pixels():
    network = generator()
    first = restore(network, GeneratorConfig(), image(37, 50))
    assert first.dtype == np.uint8 and first.shape == (37, 50, 3)
    np.testing.assert_array_equal(first, restore(network, GeneratorConfig(), image(37, 50)))


def test_the_seed_decides_the_weights():
    assert np.array_equal(generator().get_layer("d1").kernel, generator().get_layer("d1").kernel)
    assert not np.array_equal(generator().get_layer("r1_1").kernel, generator().get_layer("r1_2").kernel)


def test_the_moments_of_a_large_bright_map_are_right_in_bfloat16():
    bright = tf.cast(tf.random.stateless_normal((1, 128, 128, 4), (1, 2)) + 8.0, tf.bfloat16)
    normal = restorer.instance_norm("norm")(bright).numpy()
    np.testing.assert_allclose(normal.mean((1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(normal.std((1, 2)), 1, atol=1e-3)


def test_an_upsampling_of_another_name_is_refused():
    with pytest.raises(RestorerError, match="transposed or resize"):
        GeneratorConfig(upsampling="bilinear")


@pytest.mark.parametrize("name", ["width", "downsamplings", "blocks"])
def test_a_network_of_nothing_is_refused_by_the_name_of_its_key(name):
    with pytest.raises(RestorerError, match=f"generator.{name} is 0"):
        GeneratorConfig(**{name: 0})
