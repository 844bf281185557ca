from __future__ import annotations

import dataclasses
import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from dsr.tfrecords import png as png_module
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import frame
from dsr.tfrecords.png import decode_png, encode_png
from dsr.tfrecords.schema import Record, canonical_json, decode_record, encode_record, read_shard

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


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([(), (3,)]), st.integers(0, 9))
@settings(deadline=None)
def test_other_programs_read_the_same_pixels(height: int, width: int, channels: tuple, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, *channels), dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        image.verify()
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert image.mode == ("RGB" if channels else "L")
        np.testing.assert_array_equal(np.array(image), pixels)


def png(rows: bytes, height: int = 5, width: int = 7, end: bytes = b"") -> bytes:
    """A PNG of RGB rows, filter bytes included, with right checksums whatever is in them."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for chunk in (b"IHDR" + header, b"IDAT" + zlib.compress(rows, 1) + end, b"IEND"):
        parts += [struct.pack(">I", len(chunk) - 4), chunk, struct.pack(">I", zlib.crc32(chunk))]
    return b"".join(parts)


def test_pngs_that_are_not_what_the_record_says_are_refused() -> None:
    other = io.BytesIO()
    Image.new("RGB", (7, 5)).save(other, "PNG")
    good = real_record()
    rows = (b"\2" + bytes(21)) * 5
    assert not dataclasses.replace(good, image=png(rows)).pixels().any()
    unfit: dict[str, dict[str, Any]] = {
        "is not a size of an image": {"height": 1 << 40, "width": 1 << 20},
        "-7x-5 pixels is not a size": {"height": -5, "width": -7},
        "not what dsr writes of 8x5 RGB pixels": {"width": 8},
    }
    for said, change in unfit.items():
        with pytest.raises(ArtefactError, match=f"image of 'a/b': .*{said}"):
            dataclasses.replace(good, **change).pixels()
    images = {
        "gray": good.label,
        "other filters": other.getvalue(),
        "cut": good.image[:60],
        "nothing": b"",
        "a byte too few": png(rows[:-1]),
        "far too many": png(rows + b"\0" * 10**6),
        "another filter in the last row": png(rows[:-22] + b"\1" + bytes(21)),
        "no rows": png(b"", end=b"none"),
        "no deflate": png(rows).replace(zlib.compress(rows, 1)[:4], b"\xff" * 4),
        "wrong checksum": good.image[:-16] + bytes(4) + good.image[-12:],
    }
    for image in images.values():
        with pytest.raises(
            ArtefactError, match="image of 'a/b': the PNG is damaged, or not what dsr writes of 7x5 RGB"
        ):
            dataclasses.replace(good, image=image).pixels()


def test_a_png_that_promises_little_and_inflates_to_much_takes_no_memory() -> None:
    bomb = png(bytes(1 << 28))
    tracemalloc.start()
    with pytest.raises(ArtefactError, match="is damaged"):
        decode_png(bomb, 5, 7, "RGB")
    assert tracemalloc.get_traced_memory()[1] < 4 * len(bomb)
    tracemalloc.stop()


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
    code = "import sys, dsr.tfrecords.converter; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


@pytest.mark.parametrize("at_once", [1, 50, 100, 1000, 10_000])
def test_a_png_is_the_same_however_much_of_it_is_inflated_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for shape, mode in (((37, 53, 3), "RGB"), ((1, 9, 3), "RGB"), ((64, 1), "L")):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        data = encode_png(pixels)
        monkeypatch.setattr(png_module, "_AT_ONCE", at_once)
        np.testing.assert_array_equal(decode_png(data, *shape[:2], mode), pixels)
    for rows in (b"", b"\2" + bytes(21), 4 * (b"\2" + bytes(21)), 6 * (b"\2" + bytes(21)), 5 * (b"\1" + bytes(21))):
        with pytest.raises(ArtefactError, match="not what dsr writes of 7x5"):
            decode_png(png(rows), 5, 7, "RGB")
    assert not decode_png(png(5 * (b"\2" + bytes(21))), 5, 7, "RGB").any()
