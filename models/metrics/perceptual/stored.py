"""Reading and writing the numbers that an index was fitted with, which lie beside this module."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsr.models.errors import UserError

FOLDER = Path(__file__).with_name("weights")


class PerceptualError(UserError):
    """An index that does not exist, or whose weights cannot be read."""


def read_weights(name: str, shapes: dict[str, tuple[int, ...]], dtype: str) -> dict[str, NDArray[Any]]:
    """The arrays of `weights/NAME.npz`.

    Raises PerceptualError unless they are finite, of these shapes and this type.
    """
    path = FOLDER / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in shapes}
        for key, array in arrays.items():
            if array.shape != shapes[key] or array.dtype != np.dtype(dtype) or not np.isfinite(array).all():
                raise ValueError(f"{key} is {array.dtype} of shape {array.shape}, or not finite")
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise PerceptualError(f"{path}: not the file that comes with dsr ({error}); install dsr again") from error
    return arrays
