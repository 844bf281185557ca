"""The discriminators: size, receptive field, scales."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dsr.models.restorers import discriminator
from dsr.models.restorers.discriminator import at_scale, build_discriminator
from dsr.models.restorers.gan_config import DiscriminatorConfig, RestorerError

NARROW = DiscriminatorConfig(width=4)


def noise(*shape: int) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, (1, shape[1]), -1, 1)


def test_the_paper_discriminator_has_as_many_parameters_as_its_notation_says():
    convolutions = 4 * 4 * (6 * 64 + 64 * 128 + 128 * 256 + 256 * 512)  # C64 C128 C256 C512 on the 6 channels of a pair
    convolutions += 512 + 1  # O1
    expected = convolutions + 2 * (64 + 128 + 256 + 512)
    assert build_discriminator(DiscriminatorConfig.paper()).count_params() == expected
    assert DiscriminatorConfig.paper().parameters == 2 * expected, "one for each of two scales"


@pytest.mark.parametrize("config", [NARROW, DiscriminatorConfig(3, (1, 2, 4), normalize_last=False)])
def test_networks_have_as_many_parameters_as_their_configuration_says(config):
    networks = [build_discriminator(config) for _ in config.scales]
    assert sum(network.count_params() for network in networks) == config.parameters


def test_logits_and_the_four_features_halve_the_resolution_each_time():
    logits, features = build_discriminator(NARROW)([noise(2, 64, 96, 3), noise(2, 64, 96, 3)])
    assert [tuple(f.shape) for f in features] == [(2, 32, 48, 4), (2, 16, 24, 8), (2, 8, 12, 16), (2, 4, 6, 32)]
    assert logits.shape == (2, 4, 6, 1) and logits.dtype == tf.float32


@pytest.mark.parametrize("scale", DiscriminatorConfig.paper().scales)
def test_one_logit_sees_a_square_of_46_pixels_at_its_scale(scale, monkeypatch):
    monkeypatch.setattr(discriminator, "instance_norm", lambda name: tf.keras.layers.Activation("linear", name=name))
    network = build_discriminator(NARROW)  # normalisation, which ties every value to the whole map, is out of the way
    field, jump = 1, 1
    for layer in (layer for layer in network.layers if isinstance(layer, tf.keras.layers.Conv2D)):
        field, jump = field + (layer.kernel_size[0] - 1) * jump, jump * layer.strides[0]
    side = 128 * scale
    candidate = tf.Variable(noise(1, side, side, 3))
    with tf.GradientTape() as tape:
        logit = network([at_scale(noise(1, side, side, 3), scale), at_scale(candidate, scale)])[0][0, 4, 4, 0]
    seen = np.any(tape.gradient(logit, candidate).numpy()[0] != 0, axis=-1)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert field == 46 and np.ptp(rows) + 1 == np.ptp(columns) + 1 == 46 * scale


def test_the_judgement_depends_on_the_compressed_image_and_on_the_candidate():
    network, a, b = build_discriminator(NARROW), noise(1, 64, 64, 3), noise(1, 64, 64, 3)[:, ::-1]
    judged = [network([x, y])[0].numpy() for x, y in ((a, a), (a, b), (b, a))]
    assert not any(np.allclose(judged[i], judged[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("normalize_last", [True, False])
def test_normalising_the_last_layer_hides_the_strength_of_its_features(normalize_last):
    tf.keras.utils.set_random_seed(0)
    network = build_discriminator(DiscriminatorConfig(width=4, normalize_last=normalize_last))
    kernel = network.get_layer("c4").kernel

    def last_feature() -> np.ndarray:
        return network([noise(1, 64, 64, 3), noise(1, 64, 64, 3)])[1][-1].numpy()

    before = last_feature()
    kernel.assign(kernel * 100)
    factor = np.linalg.norm(last_feature()) / np.linalg.norm(before)
    assert factor == pytest.approx(1 if normalize_last else 100, rel=0.2)


def test_a_coarser_scale_is_the_mean_of_square_blocks():
    image = noise(2, 16, 24, 3)
    blocks = image.numpy().reshape(2, 4, 4, 6, 4, 3).mean((2, 4))
    np.testing.assert_allclose(at_scale(image, 4), blocks, atol=1e-6)
    np.testing.assert_array_equal(at_scale(image, 1), image)


@pytest.mark.parametrize("normalize_last, side", [(True, 128), (False, 64)])
def test_the_smallest_patch_is_the_smallest_whose_normalized_maps_vary(normalize_last, side):
    config = DiscriminatorConfig(width=4, normalize_last=normalize_last)
    assert config.smallest_patch == side

    def normalized_map(side: int) -> tf.Tensor:
        network, image = build_discriminator(config), at_scale(noise(1, side, side, 3), 4)
        return network([image, image[:, ::-1]])[1][-1 if normalize_last else -2]

    assert tf.math.reduce_std(normalized_map(side), axis=(1, 2)).numpy().max() > 0.1
    assert np.allclose(normalized_map(side // 2), 0, atol=1e-4)


def test_a_discriminator_of_nothing_is_refused():
    with pytest.raises(RestorerError, match="discriminator.width is 0"):
        DiscriminatorConfig(width=0)
    with pytest.raises(RestorerError, match="discriminator.scales"):
        DiscriminatorConfig(scales=())
