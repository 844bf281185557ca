"""Arrays from files, which may be damaged or of evil intent."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

UNREADABLE = (OSError, KeyError, ValueError, TypeError, AttributeError, MemoryError, EOFError, zipfile.BadZipFile)
"""What NumPy raises for .npz files that are damaged, no archives, or without the array asked for."""


def read_array(archive: Any, name: str, shape: Sequence[int], dtypes: Sequence[str]) -> np.ndarray:
    """An array of an open .npz archive, which is allocated only if its header says what is expected.

    Args:
      archive: what `np.load` returned for the file.
      shape: what it must have; a negative number stands for 1 up to so many.
      dtypes: the types of which one it must be, such as "<f4".

    Raises:
      ValueError: it is of another shape or type, or a number is not finite. KeyError: it is not there.
    """
    with archive.zip.open(f"{name}.npy") as file:
        np.lib.format.read_magic(file)
        found, _, stored = np.lib.format.read_array_header_1_0(file)
    fits = len(found) == len(shape) and all(a == b or 0 < a <= -b for a, b in zip(found, shape))
    if not fits or stored not in [np.dtype(dtype) for dtype in dtypes]:
        raise ValueError(f"{name} is {stored} of shape {found}")
    array = archive[name]
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not made of finite numbers")
    return array
