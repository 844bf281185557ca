"""Shards as TensorFlow reads them."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from dsr.tfrecords import files
from dsr.tfrecords.manifest import check

_FEATURES = {name: tf.io.FixedLenFeature([], tf.string) for name in ("key", "image", "label")} | {
    name: tf.io.FixedLenFeature([], tf.int64) for name in ("height", "width")
}
_IGNORE = 255
_BUFFER = 1 << 23  # bytes: at 2048x1024 a record has two or three million


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
        label = tf.cond(
            tf.strings.length(example["label"]) > 0,
            lambda: tf.io.decode_png(example["label"], channels=1)[..., 0],
            lambda: tf.fill(size, tf.constant(_IGNORE, tf.uint8)),
        )
        image = tf.io.decode_png(example["image"], channels=3)
        return {**example, "image": image, "label": tf.ensure_shape(label, [None, None])}
