"""Shards as TensorFlow reads them."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from dsr.models.segmenter.labels import IGNORE
from dsr.tfrecords import files
from dsr.tfrecords.manifest import check
from dsr.tfrecords.png import MAX_PIXELS

_FEATURES = {name: tf.io.FixedLenFeature([], tf.string) for name in ("key", "image", "label")} | {
    name: tf.io.FixedLenFeature([], tf.int64) for name in ("height", "width")
}
_BUFFER = 1 << 23  # bytes: at 2048x1024 a record has two or three million
_SIZE_AT, _SIZE_BYTES = 16, 8  # where a PNG says its width and height

WRONG_SIZE = "the picture of a record is not of the size that it says"
"""What TensorFlow's error says of such a record."""


class ShardSet:
    """All shards of one dataset split in one domain.

    Attributes:
      folder: the artefact's folder.
      manifest: its manifest; summary, configuration and fingerprint are in there.
      paths: the shard files, in order of their keys.
      num_images: how many records they hold together.
    """

    def __init__(self, folder: Path) -> None:
        """Raises ArtefactError if a file is missing, or its size or the counts are wrong."""
        self.folder = files.location(folder)
        self.manifest = check(self.folder)
        self.paths = [self.folder / name for name in self.manifest.shards]
        self.num_images = sum(self.manifest.files[path.name]["records"] for path in self.paths)

    def serialized(self) -> tf.data.Dataset:
        """Serialized examples (string scalars) in order of keys, each once; damage raises tf.errors.DataLossError."""
        records = tf.data.TFRecordDataset([str(path) for path in self.paths], buffer_size=_BUFFER)
        return records.apply(tf.data.experimental.assert_cardinality(self.num_images))

    @staticmethod
    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """One serialized example to its tensors; works in graphs.

        Returns:
          key: string. image: uint8 (height, width, 3). label: uint8 (height, width), train ids, 255 everywhere if the
          image has no label. height, width: int64.
        """
        example = tf.io.parse_single_example(serialized, _FEATURES)
        size = tf.stack([example["height"], example["width"]])
        image = _decode(example["image"], size, channels=3)
        label = tf.cond(
            tf.strings.length(example["label"]) > 0,
            lambda: _decode(example["label"], size, channels=1)[..., 0],
            lambda: tf.fill(tf.shape(image)[:2], tf.constant(IGNORE, tf.uint8)),
        )
        return {**example, "image": image, "label": tf.ensure_shape(label, [None, None])}


def _decode(png: tf.Tensor, size: tf.Tensor, channels: int) -> tf.Tensor:
    """The pixels of a PNG of this height and width.

    Its header is compared first: a few bytes may ask for any memory.
    """
    told = tf.io.decode_raw(tf.strings.substr(png, _SIZE_AT, _SIZE_BYTES), tf.int32, little_endian=False)
    fits = tf.reduce_all(told[::-1] == tf.cast(size, tf.int32)) & (tf.reduce_prod(size) <= MAX_PIXELS)
    with tf.control_dependencies([tf.debugging.Assert(fits, [WRONG_SIZE, told])]):
        return tf.io.decode_png(png, channels=channels)
