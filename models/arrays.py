"""Arrays from files, which may be damaged or of evil intent."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

UNREADABLE = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, MemoryError, EOFError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What reading raises for .npz files that are damaged, no archives, or without the array asked for."""

PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""As NumPy packs arrays. Of other kinds a few bytes may unpack to gigabytes, whatever is asked of them."""

ENCRYPTED = 1
"""A flag of a file in an archive."""


def read_array(archive: Any, name: str, shape: Sequence[int], dtypes: Sequence[str]) -> np.ndarray:
    """An array of an open .npz archive, which is allocated only if its header says what is expected.

    Args:
      archive: what `np.load` returned for the file.
      shape: what it must have; a negative number stands for 1 up to so many.
      dtypes: the types of which one it must be, such as "<f4".

    Raises:
      ValueError: it is of another shape or type, or a number is not finite. KeyError: it is not there.
    """
    member = archive.zip.getinfo(f"{name}.npy")
    if member.compress_type not in PACKED or member.flag_bits & ENCRYPTED:
        raise ValueError(f"{name} is packed as NumPy packs nothing")
    # Read here, as `archive[name]` may be another array: one whose file has no suffix goes before.
    with archive.zip.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{name} is of version {version}")
        found, by_columns, stored = np.lib.format.read_array_header_1_0(file)
        fits = len(found) == len(shape) and all(a == b or 0 < a <= -b for a, b in zip(found, shape))
        if not fits or stored not in [np.dtype(dtype) for dtype in dtypes]:
            raise ValueError(f"{name} is {stored} of shape {found}")
        size = math.prod(found) * stored.itemsize
        data = file.read(size + 1)  # to its end, where its checksum is compared
    if len(data) != size:
        raise ValueError(f"{name} does not end where it should")
    array = np.frombuffer(bytearray(data), stored).reshape(found, order="F" if by_columns else "C")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not made of finite numbers")
    return array
