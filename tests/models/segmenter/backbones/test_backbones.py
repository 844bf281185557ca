"""The dilated backbones against Keras's own networks, the literature's sizes, and receptive fields measured by
gradients."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.models.segmenter.backbones import build_backbone, recalibrate_if_folded
from dsr.models.segmenter.backbones.dilation import dilate
from dsr.models.segmenter.backbones.xception import xception65
from dsr.models.segmenter.config import DeepLabConfig
from dsr.models.segmenter.errors import WeightsError


def randomized(model: tf.keras.Model) -> tf.keras.Model:
    """Statistics and scales of batch normalisation that are not 0 and 1, so that a mix-up of layers shows."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if "kernel" not in variable.name:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.fixture(scope="module")
def natural_xception() -> tf.keras.Model:
    return randomized(xception65(width=0.05))


def assert_sampled(dense: tf.Tensor, step: int, expected: tf.Tensor) -> None:
    scale = np.abs(expected).max()
    np.testing.assert_allclose(dense[:, ::step, ::step] / scale, expected / scale, atol=1e-5)


def test_dilated_mobilenet_features_are_a_denser_sampling_of_keras_own() -> None:
    """At 97 = 32 k + 1 pixels Keras pads symmetrically, as the backbone does at every size."""
    keras = randomized(tf.keras.applications.MobileNetV2((97, 97, 3), alpha=0.35, include_top=False, weights=None))
    taps = [keras.get_layer("block_2_depthwise_relu").output, keras.get_layer("block_16_project_BN").output]
    natural = tf.keras.Model(keras.input, taps)
    image = tf.random.stateless_uniform((1, 97, 97, 3), [1, 2], -1, 1)
    expected_low, expected_high = natural(image)
    for output_stride in (16, 8):
        backbone = build_backbone("mobilenet_v2", output_stride=output_stride, width=0.35)
        backbone.set_weights(natural.get_weights())
        low, high = backbone(image)
        assert_sampled(low, 1, expected_low)
        assert_sampled(high, 32 // output_stride, expected_high)


def test_dilated_resnet_features_are_a_denser_sampling_of_keras_own() -> None:
    """Keras's gets the input it was trained on from its own preprocessing, which the backbone has inside."""
    keras = randomized(tf.keras.applications.ResNet50(include_top=False, weights=None))
    assert keras.count_params() == 23_587_712
    backbone = build_backbone("resnet50", output_stride=8)
    backbone.set_weights(keras.get_weights())
    image = np.random.default_rng(0).integers(0, 256, (1, 65, 65, 3)).astype(np.float32)
    expected = keras(tf.keras.applications.resnet50.preprocess_input(image.copy()))
    assert_sampled(backbone(image / 127.5 - 1)[1], 4, expected)


def test_dilated_xception_features_are_a_denser_sampling_of_the_natural_ones(natural_xception: tf.keras.Model) -> None:
    dense = dilate(natural_xception, 8, 0.99)
    dense.set_weights(natural_xception.get_weights())
    image = tf.random.stateless_uniform((1, 50, 71, 3), [1, 2], -1, 1)
    assert dense(image).shape[1:3] == (7, 9)
    assert_sampled(dense(image), 4, natural_xception(image))


@pytest.fixture(scope="module")
def mobilenet() -> tf.keras.Model:
    return build_backbone("mobilenet_v2", width=0.35)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (65, 97), (50, 71)])
def test_features_have_the_strides_they_claim_at_any_size(mobilenet: tf.keras.Model, height: int, width: int) -> None:
    low, high = mobilenet(tf.zeros((1, height, width, 3)))
    assert low.shape[1:3] == (-(-height // 4), -(-width // 4))
    assert high.shape[1:3] == (-(-height // 16), -(-width // 16))


@pytest.mark.parametrize("size", [96, 97, 103])
def test_a_feature_is_centred_on_its_pixel_whatever_the_size(mobilenet: tf.keras.Model, size: int) -> None:
    """The pixels that move low feature (12, 12) lie around (48, 48): found by gradients, apart from the padding's
    arithmetic."""
    image = tf.Variable(tf.random.stateless_uniform((1, size, size, 3), [3, 4], -1, 1))
    with tf.GradientTape() as tape:
        feature = tf.reduce_sum(mobilenet(image)[0][0, 12, 12])
    moved = np.flatnonzero(np.abs(tape.gradient(feature, image).numpy()).sum((0, 2, 3)))
    assert moved[0] + moved[-1] == 2 * 48


def test_mobilenet_is_keras_own_less_its_last_convolution() -> None:
    """2 257 984 parameters in tf.keras.applications, less the 1x1 convolution from 320 to 1280 and its
    normalisation."""
    assert build_backbone("mobilenet_v2").count_params() == 2_257_984 - 1280 * (320 + 4)


def test_a_keras_weight_file_arrives_in_the_dilated_network(shared: Path) -> None:
    """Features of the real ImageNet weights equal Keras's own network's, at a size where both pad alike."""
    file = shared / "weights" / "mobilenet_v2_imagenet_notop.h5"
    keras = tf.keras.applications.MobileNetV2((97, 97, 3), include_top=False, weights=str(file))
    image = tf.random.stateless_uniform((1, 97, 97, 3), [1, 2], -1, 1)
    low = tf.keras.Model(keras.input, keras.get_layer("block_2_depthwise_relu").output)(image)
    high = tf.keras.Model(keras.input, keras.get_layer("block_16_project_BN").output)(image)
    ours = build_backbone("mobilenet_v2", weights=str(file))(image)
    np.testing.assert_allclose(ours[0], low, atol=1e-3)
    np.testing.assert_allclose(ours[1][:, ::2, ::2], high, atol=1e-3 * np.abs(high).max())


def test_a_published_checkpoint_arrives_in_xception(tmp_path: Path, natural_xception: tf.keras.Model) -> None:
    """A checkpoint with the variable names of research/deeplab (TensorFlow 1), each filled with a number of its own."""
    module = "xception_65/{}/xception_module/"
    scopes = ["xception_65/entry_flow/conv1_1", "xception_65/entry_flow/conv1_2"]
    blocks = [f"entry_flow/block{i}/unit_1" for i in (1, 2, 3)] + [f"middle_flow/block1/unit_{i}" for i in range(1, 17)]
    blocks += ["exit_flow/block1/unit_1", "exit_flow/block2/unit_1"]
    for block in blocks:
        scopes += [
            module.format(block) + f"separable_conv{i}_{kind}" for i in (1, 2, 3) for kind in ("depthwise", "pointwise")
        ]
    scopes += [module.format(block) + "shortcut" for block in [*blocks[:3], "exit_flow/block1/unit_1"]]
    shapes = {variable.name: variable.shape for variable in natural_xception.variables}
    values = {}
    for scope in scopes:
        layer = scope[len("xception_65/") :].replace("/", ".")
        depthwise = scope.endswith("_depthwise")
        kernel = shapes.pop(f"{layer}/{'depthwise_kernel' if depthwise else 'kernel'}:0")
        values[f"{scope}/{'depthwise_weights' if depthwise else 'weights'}"] = kernel
        for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
            values[f"{scope}/BatchNorm/{kind}"] = shapes.pop(f"{layer}.BatchNorm/{kind}:0")
    assert not shapes, "every variable has a name in the checkpoint"
    numbers = {name: float(i + 1) for i, name in enumerate(values)}
    variables = {name: tf.Variable(tf.fill(shape, numbers[name])) for name, shape in values.items()}
    tf.compat.v1.train.Saver(variables).save(None, str(tmp_path / "model.ckpt"), write_meta_graph=False)

    backbone = build_backbone("xception65", width=0.05, weights=str(tmp_path / "model.ckpt.index"))
    got = {variable.name: variable for variable in backbone.variables}
    exit_shortcut = "exit_flow.block1.unit_1.xception_module.shortcut"
    name = "xception_65/exit_flow/block1/unit_1/xception_module/shortcut"
    assert np.all(got[f"{exit_shortcut}/kernel:0"].numpy() == numbers[f"{name}/weights"])
    assert np.all(got[f"{exit_shortcut}.BatchNorm/gamma:0"].numpy() == numbers[f"{name}/BatchNorm/gamma"])
    assert sorted(float(variable.numpy().flat[0]) for variable in backbone.variables) == sorted(numbers.values())


def test_a_file_of_another_network_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(2,))]).save_weights(other)
    with pytest.raises(WeightsError, match=r"other\.h5"):
        build_backbone("mobilenet_v2", width=0.35, weights=str(other))


def test_imagenet_weights_are_those_that_keras_keeps(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file where Keras puts its download, 'imagenet' means that file."""
    file = shared / "weights" / "mobilenet_v2_imagenet_notop.h5"
    folder = tmp_path / ".keras" / "models"
    folder.mkdir(parents=True)
    shutil.copy(file, folder / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5")
    monkeypatch.setenv("HOME", str(tmp_path))
    downloaded, given = (build_backbone("mobilenet_v2", weights=weights) for weights in ("imagenet", str(file)))
    for one, other in zip(downloaded.get_weights(), given.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_imagenet_weights_of_a_width_that_has_none_are_refused() -> None:
    with pytest.raises(WeightsError, match="mobilenet_v2 at width 0.36"):
        build_backbone("mobilenet_v2", width=0.36, weights="imagenet")


@pytest.mark.parametrize("name", ["garbage.h5", "garbage.ckpt.index"])
def test_a_damaged_weight_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)))
    with pytest.raises(WeightsError, match="garbage"):
        build_backbone("mobilenet_v2", width=0.35, weights=str(tmp_path / name))


def test_imagenet_weights_of_xception_are_refused_with_what_to_do() -> None:
    with pytest.raises(WeightsError, match="deeplabv3_xception_2018_01_04"):
        DeepLabConfig.paper().check_weights()


def test_a_missing_weight_file_is_named_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="absent"):
        DeepLabConfig(weights=str(tmp_path / "absent.h5")).check_weights()


def folded(backbone: tf.keras.Model) -> tf.keras.Model:
    """The same function of inference with means of 0, variances of 1 and scales of 1, by scaling the kernels before."""
    body = backbone.get_layer("mobilenet_v2")
    for norm in (layer for layer in body.layers if isinstance(layer, tf.keras.layers.BatchNormalization)):
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        convolution = norm.input.node.layer
        (kernel,) = convolution.get_weights()
        depthwise = isinstance(convolution, tf.keras.layers.DepthwiseConv2D)
        convolution.set_weights([kernel * np.sqrt(1 + norm.epsilon) * (scale[:, None] if depthwise else scale)])
        norm.set_weights([np.ones_like(gamma), beta - scale * mean, np.zeros_like(mean), np.ones_like(variance)])
    return backbone


@pytest.fixture(scope="module")
def natural_images() -> tf.Tensor:
    """Smooth noise, uint8 (4, 64, 96, 3)."""
    noise = tf.random.stateless_uniform((4, 8, 12, 3), [5, 6], 0, 255)
    return tf.cast(tf.image.resize(noise, (64, 96), method="bicubic"), tf.uint8)


def test_recalibration_of_folded_statistics_keeps_inference_and_makes_training_equal_it(
    natural_images: tf.Tensor,
) -> None:
    backbone = folded(randomized(build_backbone("mobilenet_v2", width=0.35)))
    image = tf.cast(natural_images, tf.float32) / 127.5 - 1
    before = [feature.numpy() for feature in backbone(image)]
    weights = backbone.get_weights()
    folded_training = [feature.numpy() for feature in backbone(image, training=True)]
    backbone.set_weights(weights)  # training moved the means
    recalibrate_if_folded(backbone, natural_images)
    inference = [feature.numpy() for feature in backbone(image)]
    training = [feature.numpy() for feature in backbone(image, training=True)]
    for was, is_now, trained, lost in zip(before, inference, training, folded_training):
        scale = np.abs(was).max()
        np.testing.assert_allclose(is_now, was, atol=2e-4 * scale)
        np.testing.assert_allclose(trained, was, atol=2e-3 * scale)
        assert np.abs(lost - was).max() > 0.1 * scale


def test_statistics_that_a_file_has_are_left_alone(natural_images: tf.Tensor) -> None:
    backbone = randomized(build_backbone("mobilenet_v2", width=0.35))
    before = backbone.get_weights()
    recalibrate_if_folded(backbone, natural_images)
    for was, is_now in zip(before, backbone.get_weights()):
        np.testing.assert_array_equal(is_now, was)
