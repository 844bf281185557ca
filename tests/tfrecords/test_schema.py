from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tfrecords.errors import ArtefactError
from tfrecords.framing import frame
from tfrecords.schema import (
    Record,
    canonical_json,
    decode_png,
    decode_record,
    encode_png,
    encode_record,
    read_shard,
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
sizes = st.integers(0, 2**63 - 1)
any_records = st.builds(
    Record, st.text(), sizes, sizes, st.binary(), st.binary(), st.binary(), st.dictionaries(st.text(), json_values)
)


def real_record(labelled: bool = True) -> Record:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    image = encode_png(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return Record("a/b", 5, 7, image, encode_png(label) if labelled else b"", b"bits", {"codec": {"name": "x"}})


@given(any_records)
@settings(deadline=None)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert decode_record(encode_record(record)) == record


@given(any_records)
@settings(deadline=None)
def test_bytes_parse_to_the_example_that_tensorflow_would_make(record: Record) -> None:
    def feature(value: bytes | int) -> tf.train.Feature:
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    values = dataclasses.asdict(record)
    values.update(key=record.key.encode(), provenance=canonical_json(record.provenance).encode())
    expected = tf.train.Example(features=tf.train.Features(feature={k: feature(v) for k, v in values.items()}))
    assert tf.train.Example.FromString(encode_record(record)) == expected
    assert decode_record(expected.SerializeToString()) == record


@given(st.binary())
@settings(deadline=None)
@example(b"")
@example(encode_record(real_record())[:-3])
@example(tf.train.Example().SerializeToString())
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ArtefactError, match="no record of an image"):
        decode_record(data)


@given(st.integers(0, 10**6), st.integers(1, 255))
@settings(deadline=None)
def test_altered_bytes_give_a_record_or_an_artefact_error(position: int, change: int) -> None:
    data = bytearray(encode_record(real_record()))
    data[position % len(data)] ^= change
    try:
        record = decode_record(bytes(data))
        record.pixels()
        record.train_ids()
    except ArtefactError:
        pass


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([(), (3,)]), st.integers(0, 9))
@settings(deadline=None)
def test_png_is_lossless_and_read_alike_by_tensorflow(height: int, width: int, channels: tuple, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, *channels), dtype=np.uint8)
    data = encode_png(pixels)
    np.testing.assert_array_equal(decode_png(data, height, width, "RGB" if channels else "L"), pixels)
    np.testing.assert_array_equal(tf.io.decode_png(data).numpy().reshape(pixels.shape), pixels)


def test_pngs_that_are_not_what_the_record_says_are_refused() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (7, 5)).save(buffer, "JPEG")
    good = real_record()
    changes: list[tuple[dict[str, Any], str]] = [
        ({"width": 8}, "the PNG is 7x5 RGB where 8x5 RGB is expected"),
        ({"image": good.label}, "the PNG is 7x5 L where 7x5 RGB"),
        ({"image": buffer.getvalue()}, "the PNG is damaged"),
        ({"image": good.image[:60]}, "the PNG is damaged"),
        ({"image": b""}, "the PNG is damaged"),
        ({"height": 1 << 40, "width": 1 << 20}, "is not a size of an image"),
    ]
    for change, said in changes:
        with pytest.raises(ArtefactError, match=f"image of 'a/b': .*{said}"):
            dataclasses.replace(good, **change).pixels()


def test_a_record_without_label_has_none() -> None:
    assert real_record(labelled=False).train_ids() is None
    assert real_record().train_ids() is not None


def test_a_shard_of_another_count_or_content_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.write_bytes(frame(encode_record(real_record())) * 2)
    assert len(list(read_shard(path, 2))) == 2
    with pytest.raises(ArtefactError, match="shard holds 2 records where its manifest counts 3"):
        list(read_shard(path, 3))
    path.write_bytes(frame(encode_record(real_record())) + frame(b"something else"))
    with pytest.raises(ArtefactError, match="shard: record 1: it is no record"):
        list(read_shard(path, 2))


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    one, other = {"b": [1, 2.5], "a": "ü"}, {"a": "ü", "b": [1, 2.5]}
    assert canonical_json(one) == canonical_json(other) == '{"a":"ü","b":[1,2.5]}'
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))


def test_nothing_that_workers_import_imports_tensorflow() -> None:
    code = "import sys, tfrecords.converter; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
