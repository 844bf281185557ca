"""What a record holds, and its bytes: a `tf.train.Example` that TensorFlow reads as it stands, written without it.

key         bytes   UTF-8, unique in its dataset split
height      int64   pixels
width       int64   pixels
image       bytes   PNG, RGB, 8 bit: the decoded pixels, whatever the domain
label       bytes   PNG, gray, 8 bit: train ids, 255 = ignore; empty if the image has none
bitstream   bytes   what the codec wrote (compressed images only): `image` is what it decodes to
provenance  bytes   canonical JSON: source, split, then codec and restorer, as far as the image has come,
                    and `measured`, the image's line in images.json

The PNGs are of the one kind that `dsr.tfrecords.png` writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory, text_format
from numpy.typing import NDArray

from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import read_frame, read_frames
from dsr.tfrecords.png import decode_png


@dataclass(frozen=True)
class Record:
    """One image in one domain; see the module for what each field holds."""

    key: str
    height: int
    width: int
    image: bytes
    label: bytes
    bitstream: bytes
    provenance: dict[str, Any]

    def pixels(self) -> NDArray[np.uint8]:
        """The image, uint8 (height, width, 3); ArtefactError if the PNG is damaged or of another size."""
        return self._decode("image", self.image, "RGB")

    def train_ids(self) -> NDArray[np.uint8] | None:
        """The label, uint8 (height, width), 255 = ignore; None if there is none."""
        return self._decode("label", self.label, "L") if self.label else None

    def _decode(self, field: str, data: bytes, mode: str) -> NDArray[np.uint8]:
        try:
            return decode_png(data, self.height, self.width, mode)
        except ArtefactError as error:
            raise ArtefactError(f"{field} of {self.key!r}: {error}") from error


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no blanks, UTF-8; ValueError on NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def encode_record(record: Record) -> bytes:
    """The record as a serialized `tf.train.Example`: equal records give equal bytes."""
    example = _Example()
    feature = example.features.feature
    for name in ("image", "label", "bitstream"):
        feature[name].bytes_list.value.append(getattr(record, name))
    feature["key"].bytes_list.value.append(record.key.encode())
    feature["provenance"].bytes_list.value.append(canonical_json(record.provenance).encode())
    for name in ("height", "width"):
        feature[name].int64_list.value.append(getattr(record, name))
    return example.SerializeToString(deterministic=True)


def decode_record(serialized: bytes) -> Record:
    """The inverse of `encode_record`; ArtefactError if the bytes are no such record."""
    try:
        feature = _Example.FromString(serialized).features.feature
        values = {name: _single(feature[name].bytes_list) for name in ("image", "label", "bitstream")}
        values.update({name: _single(feature[name].int64_list) for name in ("height", "width")})
        key = _single(feature["key"].bytes_list).decode()
        provenance = json.loads(_single(feature["provenance"].bytes_list))
    except (message.DecodeError, ValueError, RecursionError) as error:
        raise ArtefactError(f"it is no record of an image: {error}") from error
    if not isinstance(provenance, dict):
        raise ArtefactError("it is no record of an image: its provenance is no JSON object")
    return Record(key=key, provenance=provenance, **values)


def read_shard(path: Path, count: int) -> Iterator[Record]:
    """The records of one shard in order, without TensorFlow.

    ArtefactError names the file if it is damaged or holds another number of records than `count`.
    """
    number = 0
    for number, serialized in enumerate(read_frames(path), start=1):
        try:
            yield decode_record(serialized)
        except ArtefactError as error:
            raise ArtefactError(f"{path}: record {number - 1}: {error}") from error
    if number != count:
        raise ArtefactError(f"{path} holds {number} records where its manifest counts {count}; make the folder anew")


def read_record(path: Path, start: int) -> Record:
    """The record of a shard that starts at a byte, as `find_records` gives it; ArtefactError names file and byte."""
    data = read_frame(path, start)
    try:
        return decode_record(data)
    except ArtefactError as error:
        raise ArtefactError(f"{path}: the record at byte {start}: {error}") from error


def _single(values: Any) -> Any:
    if len(values.value) != 1:
        raise ValueError("a field is missing or repeated")
    return values.value[0]


# tensorflow/core/example/{example,feature}.proto
_EXAMPLE_PROTO = """
name: "example.proto"  package: "tensorflow"  syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type { name: "Feature"
  oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: ".tensorflow.BytesList" oneof_index: 0 }
  field { name: "float_list" number: 2 type: TYPE_MESSAGE type_name: ".tensorflow.FloatList" oneof_index: 0 }
  field { name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: ".tensorflow.Int64List" oneof_index: 0 } }
message_type { name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
          type_name: ".tensorflow.Features.FeatureEntry" }
  nested_type { name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".tensorflow.Feature" } } }
message_type { name: "Example"
  field { name: "features" number: 1 type: TYPE_MESSAGE type_name: ".tensorflow.Features" } }
"""


def _example_class() -> Any:
    # A pool of its own, because TensorFlow registers the same names in the default one.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_EXAMPLE_PROTO, descriptor_pb2.FileDescriptorProto()))
    descriptor = pool.FindMessageTypeByName("tensorflow.Example")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)  # protobuf 3.20, with Python 3.9 and 3.10


_Example = _example_class()
