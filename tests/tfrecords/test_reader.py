from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import records
from dsr.tfrecords.png import encode_png
from dsr.tfrecords.reader import WRONG_SIZE, ShardSet
from dsr.tfrecords.schema import Record, encode_record


def keys(dataset: tf.data.Dataset) -> list[str]:
    return [ShardSet.parse(serialized)["key"].numpy().decode() for serialized in dataset]


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("domain", ["originals", "compressed", "restored"])
def test_tensorflow_reads_what_was_written(converted: Path, domain: str, in_graph: bool) -> None:
    shards = ShardSet(converted / domain)
    serialized = shards.serialized()
    parsed = list(serialized.map(shards.parse) if in_graph else map(shards.parse, serialized))
    assert len(parsed) == shards.num_images == 10
    for tensors, record in zip(parsed, records(converted / domain)):
        assert tensors["key"].numpy().decode() == record.key
        assert (int(tensors["height"]), int(tensors["width"])) == (record.height, record.width)
        np.testing.assert_array_equal(tensors["image"], record.pixels())
        label = record.train_ids()
        expected = np.full((record.height, record.width), 255, np.uint8) if label is None else label
        np.testing.assert_array_equal(tensors["label"], expected)
        assert tensors["label"].dtype == tf.uint8


def test_all_fields_are_there_for_tensorflow_alone(converted: Path) -> None:
    manifest = ShardSet(converted / "compressed").manifest
    files = [str(converted / "compressed" / name) for name in manifest.shards]
    names = {"key", "image", "label", "bitstream", "provenance"}
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in names}
    parsed = [tf.io.parse_single_example(serialized, features) for serialized in tf.data.TFRecordDataset(files)]
    expected = list(records(converted / "compressed"))
    assert [example["bitstream"].numpy() for example in parsed] == [record.bitstream for record in expected]
    assert all(example["provenance"].numpy().startswith(b'{"codec":') for example in parsed)


def test_the_order_is_that_of_the_keys(converted: Path) -> None:
    shards = ShardSet(converted / "originals")
    assert keys(shards.serialized()) == [record.key for record in records(converted / "originals")]


def test_elements_have_known_types_for_batching(converted: Path) -> None:
    shards = ShardSet(converted / "originals")
    dataset = shards.serialized().map(shards.parse)
    assert int(dataset.cardinality()) == 10
    assert dataset.element_spec["image"] == tf.TensorSpec([None, None, 3], tf.uint8)
    assert dataset.element_spec["label"] == tf.TensorSpec([None, None], tf.uint8)


def test_opening_compares_files_with_the_manifest(copied: Path) -> None:
    shard = copied / "restored" / "shard-00001-of-00003.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match="shard-00001-of-00003.tfrecord has"):
        ShardSet(copied / "restored")
    with pytest.raises(ArtefactError, match="no finished artefact"):
        ShardSet(copied)


@pytest.mark.parametrize("in_graph", [False, True])
def test_a_picture_of_another_size_than_its_record_asks_for_no_memory(in_graph: bool) -> None:
    """A bomb: 12000 x 12000 pixels in a record of 20 x 24, with checksums that are right."""
    small = encode_png(np.zeros((20, 24, 3), np.uint8))
    bomb = encode_png(np.broadcast_to(np.uint8(0), (12000, 12000)))
    gray = encode_png(np.zeros((20, 24), np.uint8))
    for image, label, height in ((bomb, gray, 20), (small, bomb, 20), (small, gray, 21), (small, b"", 1 << 40)):
        forged = encode_record(Record("a", height, 24, image, label, b"", {}))
        parse = tf.function(ShardSet.parse) if in_graph else ShardSet.parse
        with pytest.raises(tf.errors.InvalidArgumentError, match=WRONG_SIZE):
            parse(tf.constant(forged))
