"""VGG-16 features against Keras's own network, and what is refused as weights."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.models.restorers import vgg
from dsr.models.restorers.gan_config import RestorerError
from dsr.models.restorers.vgg import VggFeatures, read_weights


@pytest.fixture(scope="module")
def weights() -> vgg.Weights:
    """Random ones that keep the size of activations from layer to layer (He et al. 2015)."""
    generator = np.random.default_rng(0)
    made = {}
    for name, shape in vgg.convolutions():
        stddev = np.sqrt(2 / np.prod(shape[:3]))
        made[f"{name}__kernel"] = (generator.standard_normal(shape, np.float32) * stddev).astype(np.float16)
        made[f"{name}__bias"] = (generator.standard_normal(shape[-1:]) * 0.05).astype(np.float16)
    return made


@pytest.fixture(scope="module")
def path(weights, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "weights.npz"
    np.savez(path, **weights)
    return path


def images(side: int = 32) -> tf.Tensor:
    return tf.random.stateless_uniform((2, side, side, 3), (0, side), -1, 1)


def test_features_are_the_last_activations_of_each_block_of_keras_vgg16(path, weights):
    reference = tf.keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    for name, _ in vgg.convolutions():
        reference.get_layer(name).set_weights([weights[f"{name}__kernel"], weights[f"{name}__bias"]])
    ends = [reference.get_layer(f"block{i}_conv{n}").output for i, n in zip(range(1, 6), (2, 2, 3, 3, 3))]
    expected = tf.keras.Model(reference.input, ends)(vgg.torch_input(images()))
    features = VggFeatures(str(path))(images())
    assert [tuple(f.shape[1:]) for f in features] == [
        (32, 32, 64),
        (16, 16, 128),
        (8, 8, 256),
        (4, 4, 512),
        (2, 2, 512),
    ]
    for feature, reference_feature in zip(features, expected):
        np.testing.assert_allclose(feature, reference_feature, atol=1e-4)


@pytest.mark.parametrize("mode, prepare", [("torch", vgg.torch_input), ("caffe", vgg.caffe_input)])
def test_inputs_are_prepared_as_keras_does_it(mode, prepare):
    pixels = (images() + 1) * 127.5
    expected = tf.keras.applications.imagenet_utils.preprocess_input(pixels, "channels_last", mode)
    np.testing.assert_allclose(prepare(images()), expected, atol=1e-4)


def test_rescaled_weights_put_out_the_same_features_times_the_factors(weights):
    factors = [3.0, 0.5, 7.0, 100.0, 0.01]
    single = {key: value.astype(np.float32) for key, value in weights.items()}
    plain = vgg._build(single, "float32")(images())
    scaled = vgg._build(vgg.rescaled(single, factors), "float32")(images())
    for factor, a, b in zip(factors, plain, scaled):
        np.testing.assert_allclose(b, a * factor, rtol=1e-3, atol=1e-4 * factor)


def test_features_of_downloaded_weights_have_the_size_of_torchvisions(weights, monkeypatch):
    large = vgg.rescaled({key: value.astype(np.float32) for key, value in weights.items()}, [50, 300, 400, 90, 10])
    monkeypatch.setattr(vgg, "download_weights", lambda: large)
    means = [tf.reduce_mean(f).numpy() for f in VggFeatures("imagenet")(tf.constant(vgg.reference_image()))]
    np.testing.assert_allclose(means, vgg.TORCH_ACTIVATIONS, rtol=1e-3)


def test_the_size_of_torchvisions_features_is_the_measured_one(shared):
    weights = read_weights(shared / "weights/vgg16_imagenet_notop_float16.npz")
    means = vgg.mean_activations(weights, vgg.torch_input(tf.constant(vgg.reference_image())))
    np.testing.assert_allclose(means, vgg.TORCH_ACTIVATIONS, rtol=1e-3)


@pytest.mark.skipif(
    not Path("/proc/cpuinfo").is_file() or "avx512_bf16" not in Path("/proc/cpuinfo").read_text(),
    reason="needs a processor with bfloat16 convolutions",
)
def test_bfloat16_changes_a_feature_distance_little(path):
    distances = []
    for precision in ("float32", "bfloat16"):
        extract = VggFeatures(str(path), precision)
        a, b = ([tf.cast(f, tf.float32) for f in extract(x)] for x in (images(), images()[:, ::-1]))
        distances.append([tf.reduce_mean(tf.abs(x - y)).numpy() for x, y in zip(a, b)])
    np.testing.assert_allclose(distances[1], distances[0], rtol=0.01)


def test_arrays_laid_out_by_columns_are_the_same_weights(weights, path, tmp_path):
    np.savez(tmp_path / "columns.npz", **{key: np.asfortranarray(array, "<f8") for key, array in weights.items()})
    for key, array in read_weights(tmp_path / "columns.npz").items():
        np.testing.assert_array_equal(array, weights[key])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RestorerError, match="absent.npz: no such file"):
        VggFeatures(str(tmp_path / "absent.npz"))


@pytest.mark.parametrize("cut", [0, 10, 1000, -1000])
def test_a_damaged_file_is_refused_by_its_name(path, tmp_path, cut):
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RestorerError, match="cut.npz"):
        read_weights(tmp_path / "cut.npz")


@pytest.mark.parametrize(
    "array", [np.zeros((3, 3, 64, 65)), np.full((3, 3, 3, 64), np.nan), np.array([{}], object), np.array(["text"])]
)
def test_arrays_that_are_no_vgg16_are_refused(tmp_path, array):
    np.savez(tmp_path / "other.npz", block1_conv1__kernel=array)
    with pytest.raises(RestorerError, match="other.npz"):
        read_weights(tmp_path / "other.npz")


def test_a_file_that_promises_other_arrays_is_refused_before_they_are_made(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", block1_conv1__kernel=np.zeros((1 << 24,), np.float32))
    tracemalloc.start()
    with pytest.raises(RestorerError, match="bomb.npz"):
        read_weights(tmp_path / "bomb.npz")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20
