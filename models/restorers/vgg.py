"""VGG-16 as a feature extractor for L_VGG.

    image (B, H, W, 3) in [-1, 1] -> 2 x conv 64 | 2 x conv 128 | 3 x conv 256 | 3 x conv 512 | 3 x conv 512
                                     each 3x3 with ReLU; 2x2 max pooling at every |

The output of a block is that of its last ReLU: pooling it would drop three of four values and add nothing. Two sets
of ImageNet weights are in use, and they expect different inputs:

- An .npz file with the arrays `block1_conv1__kernel` (3, 3, in, out), `block1_conv1__bias` (out,), ..
  `block5_conv3__bias` in float16, 32 or 64, for RGB / 255 normalised by ImageNet's mean and standard deviation
  (torchvision's weights). Its features are of order 1.
- 'imagenet': the original ones, which Keras downloads, for BGR - mean in 0..255. Their features are of order 100, and
  the loss would drown all others under the paper's weights. Every block's output is therefore scaled to the mean that
  torchvision's gives on one fixed image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from dsr.models.arrays import UNREADABLE, read_array
from dsr.models.restorers.gan_config import RestorerError

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters, convolutions

TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of RGB / 255
TORCH_STDDEV = np.array([0.229, 0.224, 0.225], np.float32)
CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # of BGR
TORCH_ACTIVATIONS = (1.2656, 2.5042, 1.2807, 0.23694, 0.065621)  # mean output of every block on `reference_image`

TYPES = ("<f2", "<f4", "<f8")
"""Of the arrays in a file."""

Weights = dict[str, np.ndarray]


def convolutions() -> list[tuple[str, tuple[int, int, int, int]]]:
    """Name and kernel shape of the 13 convolutions, in order."""
    layers, channels = [], 3
    for block, (filters, count) in enumerate(BLOCKS, start=1):
        for conv in range(1, count + 1):
            layers.append((f"block{block}_conv{conv}", (3, 3, channels, filters)))
            channels = filters
    return layers


def read_weights(path: Path) -> Weights:
    """Kernels and biases from an .npz file as described above, float32.

    Raises RestorerError if the file is missing or damaged, or an array is missing, of another shape or not finite.
    """
    weights: Weights = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name, shape in convolutions():
                for key, expected in ((f"{name}__kernel", shape), (f"{name}__bias", shape[-1:])):
                    weights[key] = read_array(archive, key, expected, TYPES).astype(np.float32)
    except FileNotFoundError:
        raise RestorerError(f"{path}: no such file with VGG weights: give vgg the path of one, or 'imagenet'") from None
    except UNREADABLE as error:
        raise RestorerError(f"{path}: not an .npz file with VGG-16 weights ({error}): give vgg another file") from error
    return weights


def download_weights() -> Weights:
    """The ImageNet weights of Keras. Raises RestorerError where they cannot be downloaded."""
    try:
        network = tf.keras.applications.VGG16(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises bare Exceptions for network trouble
        raise RestorerError(
            f"cannot download the VGG-16 weights ({error}): set vgg to a local .npz file, or set weights.vgg to 0"
        ) from error
    weights: Weights = {}
    for name, _ in convolutions():
        weights[f"{name}__kernel"], weights[f"{name}__bias"] = network.get_layer(name).get_weights()
    return weights


def torch_input(image: tf.Tensor) -> tf.Tensor:
    """[-1, 1] to what torchvision's weights expect."""
    return ((image + 1.0) / 2.0 - TORCH_MEAN) / TORCH_STDDEV


def caffe_input(image: tf.Tensor) -> tf.Tensor:
    """[-1, 1] to what the original weights expect."""
    return (image[..., ::-1] + 1.0) * 127.5 - CAFFE_MEAN


def reference_image() -> np.ndarray:
    """A fixed image with the 1/f spectrum of photographs: float32 (1, 128, 128, 3) in [-1, 1]."""
    side = 128
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    noise = np.random.default_rng(0).standard_normal((3, side, side))
    image = np.fft.irfft2(np.fft.rfft2(noise) / frequency, s=(side, side))
    return np.clip(0.5 * image / image.std(), -1, 1).transpose(1, 2, 0)[None].astype(np.float32)


def _build(weights: Weights, precision: str) -> tf.keras.Model:
    """The frozen network: prepared image -> outputs of the five blocks."""
    image = tf.keras.Input((None, None, 3))
    x, outputs = tf.cast(image, precision), []
    for block, (filters, count) in enumerate(BLOCKS, start=1):
        if block > 1:
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        for conv in range(1, count + 1):
            name = f"block{block}_conv{conv}"
            layer = tf.keras.layers.Conv2D(filters, 3, padding="same", activation="relu", dtype=precision, name=name)
            x = layer(x)
            layer.set_weights([weights[f"{name}__kernel"], weights[f"{name}__bias"]])
        outputs.append(x)
    return tf.keras.Model(image, outputs, trainable=False)


def rescaled(weights: Weights, factors: Sequence[float]) -> Weights:
    """Weights whose block j puts out `factors[j]` times what it did: ReLU and pooling pass factors on."""
    result, before = dict(weights), 1.0
    for block, (factor, (_, count)) in enumerate(zip(factors, BLOCKS), start=1):
        for conv in range(1, count + 1):
            name = f"block{block}_conv{conv}"
            result[f"{name}__kernel"] = weights[f"{name}__kernel"] * np.float32(factor / before)
            result[f"{name}__bias"] = weights[f"{name}__bias"] * np.float32(factor)
            before = factor
    return result


def mean_activations(weights: Weights, prepared: tf.Tensor) -> list[float]:
    """Mean output of every block."""
    return [float(tf.reduce_mean(x)) for x in _build(weights, "float32")(prepared)]


def _with_torch_activations(caffe: Weights) -> Weights:
    activations = mean_activations(caffe, caffe_input(tf.constant(reference_image())))
    return rescaled(caffe, [target / mean for target, mean in zip(TORCH_ACTIVATIONS, activations)])


class VggFeatures:
    """The five block outputs of a fixed VGG-16, for images (B, H, W, 3) in [-1, 1] with sides of at least 16 pixels.

    A plain object and no Keras layer: its 15 million weights never change, so a restorer that holds one must neither
    train nor save them.

    Args:
        weights: 'imagenet', or the path of an .npz file.
        precision: 'float32' or 'bfloat16', of the convolutions; the outputs have the same type.
    """

    def __init__(self, weights: str, precision: str = "float32") -> None:
        if weights == "imagenet":
            self._prepare = caffe_input
            self._network = _build(_with_torch_activations(download_weights()), precision)
        else:
            self._prepare = torch_input
            self._network = _build(read_weights(Path(weights)), precision)

    def __call__(self, images: tf.Tensor) -> list[tf.Tensor]:
        return self._network(self._prepare(images), training=False)
