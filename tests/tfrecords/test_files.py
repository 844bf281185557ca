"""One set of operations, the same on a disk and in an object store."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import tensorflow as tf

from dsr.tfrecords import files
from dsr.tfrecords.engine import sweep
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import frame
from dsr.tfrecords.layout import SCRATCH
from dsr.tfrecords.manifest import check, records
from dsr.tfrecords.plan import Shard
from tests.tfrecords.fakes import FakeCodec, FakeSource, inline
from tests.tfrecords.object_store import object_store
from tests.tfrecords.writing import write_compressed, write_originals


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """What is in the object store that `gs://` is meanwhile."""
    with (
        object_store(tmp_path_factory.mktemp("store")) as (environment, objects),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        yield objects


@pytest.fixture(params=["disk", "store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "disk":
        return files.location(tmp_path)
    objects = request.getfixturevalue("objects")
    objects.clear()
    return files.location("gs://bucket/deep/folder")


def read(path: Path) -> bytes:
    with files.reading(path) as file:
        return file.read()


def test_what_is_written_is_read_and_listed(folder: Path) -> None:
    data = os.urandom(300_000)
    with files.writing(folder / "shard", folder) as file:
        file.write(data[:1000])
        file.write(data[1000:])
    files.write_atomically(folder / "manifest.json", b"{}")
    assert read(folder / "shard") == data and read(folder / "manifest.json") == b"{}"
    assert files.size(folder / "shard") == len(data)
    assert files.names(folder) == ["manifest.json", "shard"]
    with files.reading(folder / "shard") as file:
        file.seek(250_000)
        assert file.read(100) == data[250_000:250_100] and file.tell() == 250_100


def test_an_empty_file_is_a_file(folder: Path) -> None:
    with files.writing(folder / "streamed", folder):
        pass
    files.write_atomically(folder / "whole", b"")
    for name in ("streamed", "whole"):
        assert files.exists(folder / name) and files.size(folder / name) == 0 and read(folder / name) == b""


def test_a_file_that_is_not_finished_does_not_appear(folder: Path) -> None:
    files.write_atomically(folder / "old", b"old")
    for name in ("new", "old"):
        with pytest.raises(ZeroDivisionError), files.writing(folder / name, folder) as file:
            file.write(b"half")
            assert not files.exists(folder / "new")
            raise ZeroDivisionError
    assert files.names(folder) == ["old"] and read(folder / "old") == b"old"


def test_threads_that_write_equal_names_in_one_scratch_folder_do_not_meet(tmp_path: Path) -> None:
    for name in ("a", "b", "scratch"):
        (tmp_path / name).mkdir()
    with files.writing(tmp_path / "a" / "0001.png", tmp_path / "scratch") as first:
        first.write(b"a" * 1000)
        with files.writing(tmp_path / "b" / "0001.png", tmp_path / "scratch") as second:
            second.write(b"b")
        first.write(b"a")
    assert read(tmp_path / "a" / "0001.png") == b"a" * 1001 and read(tmp_path / "b" / "0001.png") == b"b"
    assert files.temporaries(tmp_path) == []


@pytest.mark.parametrize("letter", ["n", "\N{HANGUL SYLLABLE GA}"])
def test_any_name_that_a_file_may_have_can_be_written(letter: str, tmp_path: Path) -> None:
    path = tmp_path / (letter * (255 // len(letter.encode())))
    with files.writing(path, tmp_path) as file:
        file.write(b"whole")
        (temporary,) = files.temporaries(tmp_path)
        assert len(temporary) < 100
    assert read(path) == b"whole" and files.names(tmp_path) == [path.name]


@pytest.mark.parametrize("version", ["this", "earlier"])
def test_what_killed_writers_left_of_a_shard_is_swept_and_what_others_write_is_not(
    version: str, tmp_path: Path
) -> None:
    own, other = Shard(3, 12, 1), Shard(4, 12, 1)
    with ExitStack() as writers:
        for name in (own.name, f"{own.name}.json", other.name):
            if version == "earlier":
                (tmp_path / f"{name}.host.123.tmp").touch()
            else:
                writers.enter_context(files.writing(tmp_path / name, tmp_path))
        _killed = writers.pop_all()  # and do not tidy up after themselves
    sweep(tmp_path, [own])
    assert [name.startswith(other.name) for name in files.temporaries(tmp_path)] == [True]
    assert files.names(tmp_path) == []


def test_a_disk_that_is_full_at_the_last_moment_has_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_atomically(tmp_path / "file", b"old")

    def full(*paths: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(tmp_path / "file", b"new")
    assert files.names(tmp_path) == ["file"] and read(tmp_path / "file") == b"old"


def test_a_file_written_again_is_the_new_one_at_once(folder: Path) -> None:
    for data in (b"first", b"the second", b"3"):
        files.write_atomically(folder / "file", data)
        assert read(folder / "file") == data and files.size(folder / "file") == len(data)
        with files.writing(folder / "file", folder) as file:
            file.write(data * 2)
        assert read(folder / "file") == data * 2 and files.size(folder / "file") == 2 * len(data)


def test_a_removed_folder_is_gone_and_its_neighbour_is_not(folder: Path) -> None:
    for name in ("a", "ab"):
        files.make_folder(folder / name)
    for name in ("a/1", "a/2", "ab/3"):
        files.write_atomically(folder / name, b"x")
    files.remove(folder / "a")
    assert not files.exists(folder / "a/1") and files.exists(folder / "ab/3")
    assert files.names(folder) == ["ab/3"]
    files.remove(folder / "a")


def test_a_missing_file_is_the_same_error_everywhere(folder: Path) -> None:
    path = folder / "missing"
    assert not files.exists(path) and files.names(path) == []
    for access in (files.size, read):
        with pytest.raises(FileNotFoundError) as caught:
            access(path)
        assert caught.value.strerror == "No such file or directory" and str(caught.value.filename) == str(path)


def test_tensorflow_reads_records_where_they_were_written(folder: Path) -> None:
    records = [os.urandom(10 * n) for n in range(9)]
    with files.writing(folder / "shard", folder) as file:
        for record in records:
            file.write(frame(record))
    assert list(tf.data.TFRecordDataset(str(folder / "shard")).as_numpy_iterator()) == records


def test_a_conversion_in_a_store_is_the_one_on_a_disk(objects: dict[str, bytes], converted: Path) -> None:
    work = files.location("gs://bucket/work")
    write_originals(FakeSource(10), "test", work / "originals", images_per_shard=4, engine=inline)
    write_compressed(work / "originals", FakeCodec(8), work / "compressed", engine=inline)
    for name in ("originals", "compressed"):
        assert check(work / name).files == check(converted / name).files
        assert list(records(work / name)) == list(records(converted / name))
    assert not [name for name in objects if name.startswith("bucket/work") and SCRATCH in name]


def test_a_store_without_a_client_is_an_os_error_with_its_reason() -> None:
    with pytest.raises(OSError, match="s3") as caught:
        files.size(files.location("s3://bucket/file"))
    assert "not implemented" in caught.value.strerror


def test_a_store_that_refuses_is_a_permission_error(objects: dict[str, bytes]) -> None:
    for access in (files.size, read, lambda path: files.write_atomically(path, b"x")):
        with pytest.raises(PermissionError) as caught:
            access(files.location("gs://forbidden/file"))
        assert caught.value.filename == "gs://forbidden/file"


def test_other_kinds_of_url_are_refused_by_name() -> None:
    with pytest.raises(ArtefactError, match="ftp://host/file"):
        files.location("ftp://host/file")


def test_local_files_and_urls_that_are_not_touched_need_no_tensorflow() -> None:
    code = (
        "import sys; from tfrecords import files; files.exists(files.location('.')); "
        "files.location('gs://bucket/a') / 'b'; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
