"""Backbones of keras-cv: small ones, randomly started, that stand in Kaggle's cache where their presets would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras_cv
import numpy as np
import pytest
import tensorflow as tf
from keras_cv.src.utils.preset_utils import save_to_preset

from dsr.models.segmenter.backbones import build_backbone
from dsr.models.segmenter.backbones.dilation import dilate
from dsr.models.segmenter.config import DeepLabConfig
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.models.segmenter.errors import BackboneError, WeightsError

Cache = Callable[[str, tf.keras.Model], tf.keras.Model]


def resnet_v2() -> tf.keras.Model:
    return keras_cv.models.ResNetV2Backbone(
        stackwise_filters=[64, 8, 8, 8],
        stackwise_blocks=[2, 2, 2, 2],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=True,
        block_type="basic_block",
    )


def resnet() -> tf.keras.Model:
    return keras_cv.models.ResNetBackbone(
        stackwise_filters=[8, 8, 8, 8],
        stackwise_blocks=[2, 2, 2, 2],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=False,
    )


def mobilenet_v3() -> tf.keras.Model:
    """A third as deep as the small one, with its squeeze-and-excitation and its hard swish."""
    return keras_cv.models.MobileNetV3Backbone(
        stackwise_expansion=[1, 4, 4, 4, 6],
        stackwise_filters=[8, 8, 16, 16, 16],
        stackwise_kernel_size=[3, 3, 3, 5, 5],
        stackwise_stride=[2, 2, 1, 2, 2],
        stackwise_se_ratio=[0.25, None, None, 0.25, 0.25],
        stackwise_activation=["relu", "relu", "relu", "hard_swish", "hard_swish"],
        include_rescaling=True,
    )


def efficientnet_lite() -> tf.keras.Model:
    """With stochastic depth, whose drawing no checkpoint holds."""
    return keras_cv.models.EfficientNetLiteBackbone(
        stackwise_kernel_sizes=[3, 3, 5, 3, 3],
        stackwise_num_repeats=[1, 2, 1, 1, 1],
        stackwise_input_filters=[32, 16, 16, 16, 16],
        stackwise_output_filters=[16, 16, 16, 16, 16],
        stackwise_expansion_ratios=[1, 2, 2, 2, 2],
        stackwise_strides=[1, 2, 2, 2, 2],
        width_coefficient=1.0,
        depth_coefficient=1.0,
        dropout_rate=0.5,
        include_rescaling=True,
    )


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Put a network where a preset's download would be."""
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))

    def put(preset: str, network: tf.keras.Model) -> tf.keras.Model:
        handle = type(network).presets[preset]["kaggle_handle"][len("kaggle://") :]
        folder = tmp_path / "models" / handle
        with monkeypatch.context() as patch:  # as keras-cv reads it under TensorFlow 2.14, and later Keras writes it
            functional = next(kind for kind in type(network).__mro__ if kind.__name__ == "Functional")
            patch.setattr(functional, "_layer_checkpoint_dependencies", {})
            save_to_preset(network, str(folder))
        for path in folder.iterdir():
            marker = folder.parent / ".complete" / folder.name / path.name
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.with_name(f"{path.name}.complete").touch()
        return network

    return put


@pytest.mark.parametrize(("preset", "make", "scale"), [("resnet18_v2", resnet_v2, 255.0), ("resnet18", resnet, 1.0)])
@pytest.mark.parametrize("output_stride", [16, 8])
def test_dilated_features_are_a_denser_sampling_of_keras_cv_s_own(
    cached: Cache, preset: str, make: Callable[[], tf.keras.Model], scale: float, output_stride: int
) -> None:
    """At 97 = 32 k + 1 pixels TensorFlow's SAME pads symmetrically, as the backbone does at every size."""
    network = cached(preset, make())
    levels = network.pyramid_level_inputs
    natural = tf.keras.Model(network.input, [network.get_layer(levels[level]).output for level in ("P2", "P5")])
    image = tf.random.stateless_uniform((1, 97, 97, 3), [1, 2], -1, 1)
    expected_low, expected_high = natural((image + 1) / 2 * scale)
    backbone = build_backbone(f"keras_cv:{preset}", output_stride=output_stride)
    backbone.set_weights(natural.get_weights())
    low, high = backbone(image)
    size = np.abs(expected_high).max()
    np.testing.assert_allclose(low, expected_low, atol=1e-5 * np.abs(expected_low).max())
    np.testing.assert_allclose(
        high[:, :: 32 // output_stride, :: 32 // output_stride] / size, expected_high / size, atol=1e-5
    )


@pytest.mark.parametrize(("preset", "make"), [("resnet18_v2", resnet_v2), ("mobilenet_v3_small", mobilenet_v3)])
def test_features_have_the_strides_they_claim_at_any_size_and_lie_on_their_pixels(
    cached: Cache, preset: str, make: Callable[[], tf.keras.Model]
) -> None:
    cached(preset, make())
    backbone = build_backbone(f"keras_cv:{preset}")
    for height, width in ((64, 96), (65, 97), (50, 71)):
        low, high = backbone(tf.zeros((1, height, width, 3)))
        assert low.shape[1:3] == (-(-height // 4), -(-width // 4))
        assert high.shape[1:3] == (-(-height // 16), -(-width // 16))
    image = tf.Variable(tf.random.stateless_uniform((1, 70, 70, 3), [3, 4], -1, 1))
    plain = tf.keras.Model(backbone.input, backbone.output[0])
    with tf.GradientTape() as tape:
        feature = tf.reduce_sum(plain(image)[0, 8, 8])
    moved = np.abs(tape.gradient(feature, image).numpy()).sum((0, 2, 3))
    rows = np.flatnonzero(moved > 1e-3 * moved.max())  # squeeze-and-excitation sees a little of the whole image
    assert rows[0] + rows[-1] == 2 * 32


def test_a_preset_s_own_weights_arrive(cached: Cache) -> None:
    network = cached("resnet50_v2_imagenet", resnet_v2())
    loaded, random = (build_backbone("keras_cv:resnet50_v2_imagenet", weights=w) for w in ("imagenet", "none"))
    kernel = network.get_layer("conv1_conv").get_weights()[0]
    kernels = [backbone.get_layer("keras_cv").get_layer("conv1_conv").get_weights()[0] for backbone in (loaded, random)]
    np.testing.assert_array_equal(kernels[0], kernel)
    assert not np.array_equal(kernels[1], kernel)


def test_a_segmenter_stands_on_it(cached: Cache) -> None:
    cached("resnet18_v2", resnet_v2())
    config = DeepLabConfig(
        backbone="keras_cv:resnet18_v2", weights="none", aspp_width=8, decoder_width=8, low_level_width=8
    )
    assert build_deeplab(config, 5)(tf.zeros((1, 50, 71, 3))).shape == (1, 50, 71, 5)


def test_training_draws_nothing_that_a_checkpoint_does_not_hold() -> None:
    """Stochastic depth is left out: two calls in training mode give the same."""
    network = efficientnet_lite()
    assert any(isinstance(layer, tf.keras.layers.Dropout) for layer in network.layers)
    taps = [network.get_layer(network.pyramid_level_inputs[level]).output for level in ("P2", "P5")]
    dilated = dilate(tf.keras.Model(network.input, taps), 16, 0.99)
    image = tf.random.stateless_uniform((64, 32, 32, 3), [1, 2], 0, 255)  # each dropped by itself
    once, again = (dilated(image, training=True) for _ in range(2))
    np.testing.assert_array_equal(once[1], again[1])


@pytest.mark.parametrize(
    ("preset", "make", "reason"),
    [
        (
            "densenet121",
            lambda: keras_cv.models.DenseNetBackbone(stackwise_num_repeats=[1, 1, 1, 1], include_rescaling=True),
            "window of 2x2",
        ),
        (
            "efficientnetv2_b0",
            lambda: keras_cv.models.EfficientNetV2Backbone(
                stackwise_kernel_sizes=[3, 3, 3, 3, 3],
                stackwise_num_repeats=[1, 1, 1, 1, 1],
                stackwise_input_filters=[8, 8, 8, 8, 8],
                stackwise_output_filters=[8, 8, 8, 8, 8],
                stackwise_expansion_ratios=[1, 2, 2, 2, 2],
                stackwise_squeeze_and_excite_ratios=[0.0, 0.0, 0.25, 0.25, 0.25],
                stackwise_strides=[1, 2, 2, 2, 2],
                stackwise_conv_types=["fused", "fused", "unfused", "unfused", "unfused"],
                width_coefficient=0.25,
                depth_coefficient=1.0,
                include_rescaling=True,
            ),
            "hides kernels",
        ),
        (
            "csp_darknet_tiny",
            lambda: keras_cv.models.CSPDarkNetBackbone(
                stackwise_channels=[8, 8, 8, 8], stackwise_depth=[1, 1, 1, 1], include_rescaling=True
            ),
            "hides kernels",
        ),
    ],
)
def test_a_network_that_cannot_be_dilated_is_refused_with_the_reason(
    cached: Cache, preset: str, make: Callable[[], tf.keras.Model], reason: str
) -> None:
    cached(preset, make())
    with pytest.raises(BackboneError, match=reason):
        build_backbone(f"keras_cv:{preset}")


def test_keras_cv_says_nothing_where_results_are_printed() -> None:
    code = "import dsr.models.segmenter.backbones.kerascv"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b""


def test_a_mistyped_preset_names_the_nearest_before_anything_is_built() -> None:
    with pytest.raises(BackboneError, match="resnet50_v2_imagenet"):
        DeepLabConfig(backbone="keras_cv:resnet50v2_imagenet", weights="none").check_weights()


def test_a_preset_without_weights_is_refused_where_weights_are_asked_for() -> None:
    with pytest.raises(WeightsError, match="resnet50_v2_imagenet"):
        DeepLabConfig(backbone="keras_cv:resnet18_v2", weights="imagenet").check_weights()


@pytest.mark.parametrize("backbone", ["keras_cv", "keras_cv:", "resnet50:resnet50"])
def test_keras_cv_alone_has_presets_and_needs_one(backbone: str) -> None:
    with pytest.raises(BackboneError, match="keras_cv:resnet50_v2_imagenet"):
        DeepLabConfig(backbone=backbone, weights="none")


def test_a_preset_that_cannot_be_downloaded_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: object, **options: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(keras_cv.models.ResNetV2Backbone, "from_preset", offline)
    with pytest.raises(BackboneError, match="resnet18_v2.*no network"):
        build_backbone("keras_cv:resnet18_v2")
