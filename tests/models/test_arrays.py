"""Arrays of files that are damaged or of evil intent: what was checked is what is read, and no more."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dsr.models.arrays import UNREADABLE, read_array

GIVEN = np.arange(6, dtype="<f4").reshape(2, 3)


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def read(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as archive:
        return read_array(archive, "x", (2, -9), ["<f4", "<f2"])


@pytest.mark.parametrize("array", [GIVEN, GIVEN.astype("<f2"), np.asfortranarray(GIVEN)])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path: Path, array: np.ndarray, save) -> None:
    save(tmp_path / "a.npz", x=array)
    found = read(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        np.testing.assert_array_equal(found, archive["x"])
        assert (found.dtype, found.strides) == (archive["x"].dtype, archive["x"].strides)
    found += 1  # it is the caller's own


def test_an_array_of_another_size_under_the_bare_name_is_not_read_in_its_place(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x", npy(np.zeros((1000, 1000))))
        archive.writestr("x.npy", npy(GIVEN))
    np.testing.assert_array_equal(read(tmp_path / "a.npz"), GIVEN)


def packed(path: Path, content: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", content)
    return path


@pytest.mark.parametrize("content", [npy(GIVEN)[:-1], npy(GIVEN) + b"\0", npy(GIVEN, (2, 0)), b"\x93NUMPY", b""])
def test_an_array_that_is_cut_goes_on_or_has_another_header_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError):
        read(packed(tmp_path / "a.npz", content))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_without_a_bound_is_refused(tmp_path: Path, compression: int) -> None:
    with pytest.raises(ValueError, match="packed"):
        read(packed(tmp_path / "a.npz", npy(GIVEN), compression))


def patched(path: Path, place: int, value: int) -> Path:
    """A 16-bit field of the archive's only entry changed, in both of its headers."""
    data = bytearray(path.read_bytes())
    for header, before in ((data.index(b"PK\3\4"), 4), (data.index(b"PK\1\2"), 6)):
        struct.pack_into("<H", data, header + before + place, value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("place, value", [(2, 1), (4, 99)])  # encrypted; a way of packing that there is not
def test_what_cannot_be_unpacked_is_refused(tmp_path: Path, place: int, value: int) -> None:
    with pytest.raises(UNREADABLE):
        read(patched(packed(tmp_path / "a.npz", npy(GIVEN)), place, value))


def test_damage_of_a_compressed_array_is_refused_unless_it_changes_nothing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 9)).astype("<f4")
    path = packed(tmp_path / "a.npz", npy(noise), zipfile.ZIP_DEFLATED)
    whole = path.read_bytes()
    start = 30 + len("x.npy")
    for place in range(start, whole.index(b"PK\1\2")):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read(path), noise)  # the last bits may stand for nothing
        except UNREADABLE:
            continue
