"""The TFRecord container: how byte strings follow one another in a file, without TensorFlow.

    uint64 length | uint32 masked CRC-32C of the length | data | uint32 masked CRC-32C of the data   (little endian)

The mask (rotate right by 15 bits, add 0xa282ead8) is TensorFlow's, see tensorflow/core/lib/hash/crc32c.h. Nothing in
the container tells how many records there are: a file that ends between two records is well formed, and only a count
kept elsewhere (see `dsr.tfrecords.manifest`) shows that something is missing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
BEFORE = _HEADER.size
"""Bytes of a record before its data."""


def masked_crc(data: bytes) -> int:
    """TensorFlow's masked CRC-32C (Castagnoli, RFC 3720) of `data`."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(data: bytes) -> bytes:
    """One record, ready to be appended to a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return b"".join([length, _FOOTER.pack(masked_crc(length)), data, _FOOTER.pack(masked_crc(data))])


def find_records(path: Path) -> list[tuple[int, int]]:
    """Of each record of a TFRecord file the byte where it starts, and the bytes of its data; no data are read.

    Raises:
      ArtefactError: the file ends inside a record, or cannot be read.
    """
    found: list[tuple[int, int]] = []
    start = 0
    try:
        with files.reading(path) as file:
            size = files.size(path)
            while start < size:
                file.seek(start)
                header = file.read(_HEADER.size)
                length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else size
                found.append((start, length))
                start += _HEADER.size + length + _FOOTER.size
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}") from error
    if start > size:
        raise ArtefactError(f"{path}: record {len(found) - 1} is cut short or damaged; make its folder anew")
    return found


def read_frame(path: Path, start: int) -> bytes:
    """The data of the record that starts at a byte; ArtefactError names file and byte where it is damaged."""
    try:
        with files.reading(path) as file:
            file.seek(start)
            return _read_frame(file, files.size(path))
    except _Damage as damage:
        raise ArtefactError(f"{path}: the record at byte {start} is damaged: {damage}") from None
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}") from error


def read_frames(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file in order; ArtefactError names the file, record and byte where it is damaged."""
    try:
        size = files.size(path)
        with files.reading(path) as file:
            number = 0
            while file.tell() < size:
                start = file.tell()
                try:
                    yield _read_frame(file, size)
                except _Damage as damage:
                    raise ArtefactError(f"{path}: record {number} at byte {start} is damaged: {damage}") from None
                number += 1
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}") from error


class _Damage(Exception):
    pass


def _read_frame(file: BinaryIO, size: int) -> bytes:
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise _Damage("the file ends inside its header")
    length, crc = _HEADER.unpack(header)
    if masked_crc(header[:8]) != crc:
        raise _Damage("the checksum of its length is wrong")
    # Compared with what the file still holds before anything of that length is allocated; a file may have holes.
    if length + _FOOTER.size > size - file.tell():
        raise _Damage(f"it should have {length} bytes, but the file ends before")
    if length > files.MAX_BYTES:
        raise _Damage(f"it has {length} bytes, more than any image")
    data = file.read(length)
    if _FOOTER.pack(masked_crc(data)) != file.read(_FOOTER.size):
        raise _Damage("the checksum of its data is wrong")
    return data
