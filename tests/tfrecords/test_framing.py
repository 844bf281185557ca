from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import find_records, frame, read_frame, read_frames

RECORDS = [b"", b"a", b"some bytes", bytes(range(256))]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.tfrecord"
    path.write_bytes(b"".join(frame(record) for record in RECORDS))
    return path


@given(st.lists(st.binary(max_size=300), max_size=5))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_are_those_that_tensorflow_writes_and_reads(tmp_path: Path, records: list[bytes]) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(b"".join(frame(record) for record in records))
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for record in records:
            writer.write(record)
    assert ours.read_bytes() == theirs.read_bytes()
    assert list(read_frames(theirs)) == records
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(ours))] == records


def test_every_flipped_bit_is_seen_and_named(file: Path) -> None:
    whole = file.read_bytes()
    for position in range(len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :])
        with pytest.raises(ArtefactError, match=r"some\.tfrecord: record \d at byte \d+ is damaged"):
            list(read_frames(file))


def test_every_cut_is_seen_except_between_records(file: Path) -> None:
    whole = file.read_bytes()
    ends = {sum(len(frame(record)) for record in RECORDS[:n]): n for n in range(len(RECORDS) + 1)}
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        if size in ends:
            assert list(read_frames(file)) == RECORDS[: ends[size]]
        else:
            with pytest.raises(ArtefactError, match="the file ends"):
                list(read_frames(file))


def test_a_length_beyond_the_file_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tfrecord"
    header = (1 << 60).to_bytes(8, "little")
    checksum = frame(header)[-4:]  # the masked checksum of these eight bytes
    path.write_bytes(header + checksum)
    with pytest.raises(ArtefactError, match="should have 1152921504606846976 bytes, but the file ends before"):
        list(read_frames(path))


def test_a_missing_file_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="gone.tfrecord cannot be read: No such file"):
        list(read_frames(tmp_path / "gone.tfrecord"))


def test_each_record_is_found_where_it_lies(file: Path) -> None:
    places = find_records(file)
    assert [length for _, length in places] == [len(record) for record in RECORDS]
    assert [read_frame(file, start) for start, _ in reversed(places)] == RECORDS[::-1]
    whole = file.read_bytes()
    assert [whole[start : start + len(frame(record))] for (start, _), record in zip(places, RECORDS)] == [
        frame(record) for record in RECORDS
    ]


def test_a_file_that_ends_inside_a_record_has_no_index(file: Path) -> None:
    whole = file.read_bytes()
    ends = {start + len(frame(record)) for (start, _), record in zip(find_records(file), RECORDS)} | {0}
    for length in set(range(len(whole))) - ends:
        file.write_bytes(whole[:length])
        with pytest.raises(ArtefactError, match=r"some\.tfrecord: record \d is cut short"):
            find_records(file)


def test_a_record_that_is_damaged_is_refused_where_it_lies(file: Path) -> None:
    whole = file.read_bytes()
    start, _ = find_records(file)[2]
    for position in range(start, start + len(frame(RECORDS[2]))):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises(ArtefactError, match=rf"some\.tfrecord: the record at byte {start} is damaged"):
            read_frame(file, start)
