from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest

from dsr.data_pipelines.datasets import DatasetError
from dsr.data_pipelines.datasets.files import opened, read_bytes
from dsr.data_pipelines.datasets.images import read_rgb, read_size
from dsr.models.errors import ReadError, UserError


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name, kind in (("pipe", "pipe"), ("zero", "device"), ("folder", "folder")):
        for reader in (read_rgb, read_size):
            with pytest.raises(DatasetError, match=rf"{name}\.png: is no regular file but a {kind}"):
                reader(tmp_path / f"{name}.png")


def test_a_file_longer_than_any_image_is_refused_unread(tmp_path):
    path = tmp_path / "huge.png"
    path.touch()
    os.truncate(path, 1 << 42)  # sparse: 4 TB that take no room
    with pytest.raises(DatasetError, match=r"huge\.png: has 4398046511104 bytes, and .* raise max_pixels"):
        read_rgb(path)


@pytest.mark.parametrize(
    "number, sentence",
    [
        (errno.EACCES, "cannot be read (Permission denied); get permission to read it"),
        (errno.EIO, "cannot be read (Input/output error); try again when it can be read"),
        (errno.ENOMEM, "cannot be read (Cannot allocate memory); try with fewer workers"),
        (errno.ENOENT, "no such file; restore it"),
    ],
)
def test_what_the_system_refuses_is_no_damage_of_the_file(tmp_path, monkeypatch, number, sentence):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    real = os.stat

    def stat(where, *arguments, **options):
        if where == path:
            raise OSError(number, os.strerror(number), str(path))
        return real(where, *arguments, **options)

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(ReadError) as refused:
        read_rgb(path)
    assert not isinstance(refused.value, DatasetError)
    assert f"{path}: {sentence}" in str(refused.value)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)  # workers send it


def test_an_error_while_reading_is_no_damage_either():
    path = Path("/proc/self/mem")  # regular, and its first page cannot be read
    if not path.exists():
        pytest.skip("needs Linux's /proc")
    with pytest.raises(ReadError, match="Input/output error"), opened(path) as file:
        file.read(1)
    with pytest.raises(ReadError, match="Input/output error"), opened(path) as file:
        file.read()


def test_a_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    with pytest.raises(DatasetError, match="has 5 bytes, and 4 are read at most"):
        read_bytes(tmp_path / "a", 4)


def test_no_memory_is_no_damage(tmp_path, monkeypatch):
    from PIL import PngImagePlugin

    from tests.data_pipelines.datasets.files import picture, save

    def load(self: object) -> None:
        raise MemoryError

    path = save(tmp_path / "a.png", picture(0, 4, 4))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    with pytest.raises(ReadError, match=r"a\.png: there is no memory to decode it"):
        read_rgb(path)


def test_a_sentence_about_a_name_that_is_not_utf_8_can_be_printed():
    name = os.fsdecode(b"IMG_\xff.png")
    assert str(UserError(f"{name}: is damaged")) == "IMG_?.png: is damaged"
