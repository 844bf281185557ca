"""DeepLabv3+ as a whole: the published size, any input size, alignment of crops and whole images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.models.errors import UserError
from dsr.models.segmenter.config import DeepLabConfig
from dsr.models.segmenter.deeplab import CountedDropout, LatticeUpsampling, build_deeplab


@pytest.fixture(scope="module")
def tiny() -> tf.keras.Model:
    return build_deeplab(DeepLabConfig.tiny(), 5)


@pytest.fixture(scope="module")
def variant() -> tf.keras.Model:
    """At stride 8, in mixed precision, with the backbone's batch normalisation frozen."""
    config = dataclasses.replace(DeepLabConfig.tiny(), output_stride=8, freeze_batch_norm=True)
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        return build_deeplab(config, 5)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")


def test_the_papers_network_has_the_published_number_of_parameters() -> None:
    """41 258 213 with 21 classes: what Xception-65 DeepLabv3+ as published for PASCAL VOC has."""
    config = dataclasses.replace(DeepLabConfig.paper(), weights="none")
    network = build_deeplab(config, 21)
    counter = 1  # of the dropout's calls
    assert network.count_params() - counter == 41_258_213


@pytest.mark.parametrize(("height", "width"), [(64, 96), (45, 61), (33, 90)])
def test_logits_have_the_size_of_the_input(tiny: tf.keras.Model, height: int, width: int) -> None:
    logits = tiny(tf.zeros((2, height, width, 3)))
    assert logits.shape == (2, height, width, 5)
    assert logits.dtype == tf.float32


def test_the_pyramid_at_stride_8_is_twice_as_dense_and_its_rates_twice_as_wide(variant: tf.keras.Model) -> None:
    depthwise = [layer for layer in variant.layers if isinstance(layer, tf.keras.layers.DepthwiseConv2D)]
    rates = [layer.dilation_rate for layer in depthwise if layer.name.startswith("aspp")]
    assert rates == [(12, 12), (24, 24), (36, 36)]
    pyramid = tf.keras.Model(variant.input, variant.get_layer("aspp").output)
    assert pyramid(tf.zeros((1, 64, 80, 3))).shape[1:3] == (8, 10)


def test_the_image_pooling_branch_sees_the_whole_image(tiny: tf.keras.Model) -> None:
    """At 400 pixels a far corner reaches a feature through no convolution of the pyramid but through the pooling."""
    pooled = tf.keras.Model(tiny.input, tiny.get_layer("aspp_image_relu").input)
    image = tf.Variable(tf.random.stateless_uniform((1, 400, 64, 3), [0, 1], -1, 1))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(pooled(image) ** 2)
    reached = np.abs(tape.gradient(value, image).numpy()).sum((0, 2, 3))
    assert reached[:16].any() and reached[-16:].any()


@pytest.mark.parametrize("factor", [2, 4])
def test_upsampling_leaves_samples_where_they_lie_and_is_linear_between(factor: int) -> None:
    features = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
    size = (factor * 3 + 1, factor * 4 + 1)
    dense = LatticeUpsampling(factor)((features, tf.zeros((1, *size, 7)))).numpy()
    rows = np.arange(size[0]) / factor
    expected = np.stack([[np.interp(rows, range(4), features[0, :, x, c]) for c in range(2)] for x in range(5)])
    columns = np.arange(size[1]) / factor
    expected = np.stack([[np.interp(columns, range(5), expected[:, c, y]) for c in range(2)] for y in range(size[0])])
    np.testing.assert_allclose(dense[0], expected.transpose(0, 2, 1), atol=1e-5)


def test_upsampling_at_4k_plus_1_is_the_papers_align_corners() -> None:
    features = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
    ours = LatticeUpsampling(4)((features, tf.zeros((1, 13, 17, 1))))
    theirs = tf.compat.v1.image.resize_bilinear(features, (13, 17), align_corners=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_mixed_precision_keeps_weights_and_logits_in_float32(variant: tf.keras.Model) -> None:
    logits = variant(tf.zeros((1, 33, 48, 3)))
    assert logits.dtype == tf.float32 and np.isfinite(logits).all()
    assert {variable.dtype for variable in variant.trainable_variables} == {tf.float32}
    assert variant.get_layer("decoder_conv1_pointwise").compute_dtype == "bfloat16"


def test_frozen_batch_normalisation_does_not_move_in_training(variant: tf.keras.Model) -> None:
    backbone = variant.get_layer("backbone")
    assert all("kernel" in variable.name for variable in backbone.trainable_variables)
    before = [variable.numpy() for variable in backbone.variables]
    variant(tf.random.stateless_uniform((2, 64, 64, 3), [0, 1]), training=True)
    for old, variable in zip(before, backbone.variables):
        np.testing.assert_array_equal(old, variable)


def test_dropout_goes_on_from_a_checkpoint_as_if_never_stopped() -> None:
    ones = tf.ones((1, 8, 8, 16))
    layer, resumed = CountedDropout(0.5), CountedDropout(0.5)
    masks = [layer(ones, training=True) for _ in range(2)]
    resumed.build(ones.shape)
    resumed.set_weights(layer.get_weights())
    third = layer(ones, training=True)
    np.testing.assert_array_equal(resumed(ones, training=True), third)
    assert not np.array_equal(masks[0], masks[1])
    assert 0.4 < np.mean(third > 0) < 0.6 and np.max(third) == 2.0
    np.testing.assert_array_equal(layer(ones, training=False), ones)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backbone": "xception_65"}, "xception65"),
        ({"output_stride": 32}, "8 or 16"),
        ({"width": 0.0}, "positive"),
        ({"backbone": "resnet50", "width": 0.5}, "resnet50"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_values_that_make_no_network_are_refused(change: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        DeepLabConfig(**change)


def test_saved_weights_make_the_same_network_again(tiny: tf.keras.Model, tmp_path: Path) -> None:
    tiny.save_weights(tmp_path / "network.weights.h5")
    again = build_deeplab(DeepLabConfig.tiny(), 5)
    assert not np.array_equal(again.get_weights()[0], tiny.get_weights()[0])
    again.load_weights(tmp_path / "network.weights.h5")
    for saved, loaded in zip(tiny.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(loaded, saved)
