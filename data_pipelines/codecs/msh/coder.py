"""Pixels to the strings of a bitstream and back, with TensorFlow.

The encoder writes z = round(hyper-analysis(y)) of y = gain x analysis(pixels), and then round(y - mean), which the
decoder adds to the mean again, multiplies by the inverse gain and gives to the synthesis. Both take mean and scale
index from z in integers, so they agree.
"""

from __future__ import annotations

import zlib

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

from dsr.data_pipelines.codecs.base import CodecError
from dsr.data_pipelines.codecs.msh.container import Bitstream
from dsr.data_pipelines.codecs.msh.retired import source_of
from dsr.models.hyperprior.config import HyperpriorConfig
from dsr.models.hyperprior.integer import LARGEST_Z, fixed_z, parameters_digest
from dsr.models.hyperprior.saved import SavedHyperprior, Tables
from dsr.models.hyperprior.transforms import STRIDE, Transforms, bands

LARGEST_SYMBOL = 2**15
"""Bound on y - mean, rounded: the encoder clips to it, the decoder refuses more."""

_PIXELS = tf.TensorSpec((None, None, 3), tf.uint8)
_STRING = tf.TensorSpec((), tf.string)
_FEATURES = tf.TensorSpec((1, None, None, None), tf.float32)
_GAIN = tf.TensorSpec((None,), tf.float32)
_SIDE = tf.TensorSpec((), tf.int32)


class Coder:
    """Encoder and decoder with the model of one file. Every graph is traced once, for all sizes."""

    def __init__(self, saved: SavedHyperprior) -> None:
        """Raises CodecError on a machine whose float32 convolutions do not give sums of integers."""
        self._saved = saved
        self._filters, self._latents = saved.config.filters, saved.config.latents
        self._transforms = Transforms(saved)
        self._hyper_synthesis = saved.hyper_synthesis
        self._z_coder, self._y_coder = RangeCoder(saved.z_tables), RangeCoder(saved.y_tables)
        computed = self._entropy_parameters(tf.constant(fixed_z(self._filters)))
        if parameters_digest(*(tensor.numpy() for tensor in computed)) != saved.arrays["digest"].tobytes():
            raise CodecError(
                "codec msh: TensorFlow's float32 convolutions on this machine are not exact on integers, so nobody "
                "else could decode what it encodes: use another codec, or try the environment variable "
                "TF_ENABLE_ONEDNN_OPTS=0"
            )

    def encode(self, pixels: np.ndarray, quality: float) -> Bitstream:
        """uint8 (height, width, 3) of any size -> bitstream, at a quality that the model serves."""
        height, width, _ = pixels.shape
        gain, _ = self._gains(quality)
        side = HyperpriorConfig.DOWNSAMPLING
        padded = np.pad(pixels, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
        rows = []
        for band in bands(*padded.shape[:2]):
            computed = self._analyse(padded[STRIDE * band.top : STRIDE * band.bottom], gain)
            rows.append(computed[:, band.kept])
        z, y, latents = self._encode(tf.concat(rows, axis=1))
        return Bitstream(self._saved.identity(quality), width, height, z.numpy(), y.numpy(), _checksum(latents))

    def decode(self, bitstream: Bitstream) -> np.ndarray:
        """Bitstream -> uint8 (height, width, 3). Raises CodecError if it is not one of this model's."""
        quality = self._saved.quality_of(bitstream.model)
        if quality is None:
            found, ours = bitstream.model.hex(), self._saved.fingerprint.hex()
            raise CodecError(f"an msh bitstream of another model, {found}, not {ours[:12]}: {source_of(found)}")
        _, inverse_gain = self._gains(quality)
        height, width = (-(-side // HyperpriorConfig.DOWNSAMPLING) for side in (bitstream.height, bitstream.width))
        z, whole = self._decode_z(bitstream.z, height, width)
        if not whole or tf.reduce_max(tf.abs(z)) > LARGEST_Z:
            raise CodecError("a damaged msh bitstream: its string of z is none of this model's")
        symbols, mean, whole = self._decode_y(bitstream.y, z)
        if not whole or tf.reduce_max(tf.abs(symbols)) > LARGEST_SYMBOL:
            raise CodecError("a damaged msh bitstream: its string of y is none of this model's")
        latents = symbols + mean
        if _checksum(latents) != bitstream.latents:
            raise CodecError(
                "an msh bitstream that does not decode to the latents it was made from: the machine that encoded it "
                "computed other entropy parameters than this one"
            )
        pixels = np.empty((STRIDE * latents.shape[1], STRIDE * latents.shape[2], 3), np.uint8)
        for band in bands(*pixels.shape[:2]):
            computed = self._synthesise(latents[:, band.top : band.bottom], inverse_gain)
            kept = computed[STRIDE * band.kept.start : STRIDE * band.kept.stop]
            pixels[STRIDE * band.start : STRIDE * band.stop] = kept
        return np.ascontiguousarray(pixels[: bitstream.height, : bitstream.width])

    def _gains(self, quality: float) -> list[tf.Tensor]:
        """What y's channels are multiplied by, before and after rounding."""
        return [tf.constant(np.exp(logarithm), tf.float32) for logarithm in self._saved.log_gains(quality)]

    @tf.function(input_signature=[_PIXELS, _GAIN])
    def _analyse(self, pixels: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
        return gain * self._transforms.analysis(tf.cast(pixels[None], tf.float32) / 255)

    @tf.function(input_signature=[_FEATURES])
    def _encode(self, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        y = tf.ensure_shape(y, (1, None, None, self._latents))
        z = tf.clip_by_value(tf.round(self._transforms.hyper_analysis(y)), -LARGEST_Z, LARGEST_Z)
        mean, index = self._entropy_parameters(z)
        symbols = tf.clip_by_value(tf.round(y - mean), -LARGEST_SYMBOL, LARGEST_SYMBOL)
        z_string = self._z_coder.encode(tf.cast(z, tf.int32))
        y_string = self._y_coder.encode(tf.cast(symbols, tf.int32), index)
        return z_string, y_string, symbols + mean

    @tf.function(input_signature=[_STRING, _SIDE, _SIDE])
    def _decode_z(self, string: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        z, whole = self._z_coder.decode(string, tf.stack([1, height, width, self._filters]))
        return tf.cast(z, tf.float32), whole

    @tf.function(input_signature=[_STRING, _FEATURES])
    def _decode_y(self, string: tf.Tensor, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        mean, index = self._entropy_parameters(z)
        symbols, whole = self._y_coder.decode(string, tf.shape(index), index)
        return tf.cast(symbols, tf.float32), mean, whole

    @tf.function(input_signature=[_FEATURES, _GAIN])
    def _synthesise(self, latents: tf.Tensor, inverse_gain: tf.Tensor) -> tf.Tensor:
        scaled = inverse_gain * tf.ensure_shape(latents, (1, None, None, self._latents))
        pixels = self._transforms.synthesis(scaled)[0]
        return tf.cast(tf.round(255 * tf.clip_by_value(pixels, 0.0, 1.0)), tf.uint8)

    @tf.function(input_signature=[_FEATURES])
    def _entropy_parameters(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self._hyper_synthesis(tf.ensure_shape(z, (1, None, None, self._filters)))


class RangeCoder:
    """tensorflow-compression's range coder with stored tables; on the CPU, the only device it has."""

    def __init__(self, tables: Tables) -> None:
        self._cdf, self._offset = tf.constant(tables.cdf), tf.constant(tables.offset)

    def encode(self, symbols: tf.Tensor, index: tf.Tensor | None = None) -> tf.Tensor:
        """int32 (..., channels) -> string, with the distribution of each channel, or of each `index`."""
        with tf.device("/CPU:0"):
            handle = tfc.create_range_encoder([], self._cdf)
            if index is None:
                handle = tfc.entropy_encode_channel(handle, symbols - self._offset)
            else:
                handle = tfc.entropy_encode_index(handle, index, symbols - tf.gather(self._offset, index))
            return tfc.entropy_encode_finalize(handle)

    def decode(
        self, string: tf.Tensor, shape: tf.Tensor, index: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Symbols, int32 of `shape`, and whether the string ended with them."""
        with tf.device("/CPU:0"):
            handle = tfc.create_range_decoder(string, self._cdf)
            if index is None:
                handle, symbols = tfc.entropy_decode_channel(handle, shape, tf.int32)
                offset = self._offset
            else:
                handle, symbols = tfc.entropy_decode_index(handle, index, shape, tf.int32)
                offset = tf.gather(self._offset, index)
            return symbols + offset, tfc.entropy_decode_finalize(handle)


def _checksum(latents: tf.Tensor) -> int:
    return zlib.crc32(latents.numpy().astype("<f4", copy=False))
