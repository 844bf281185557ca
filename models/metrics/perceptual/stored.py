"""Reading and writing the numbers that an index was fitted with, which lie beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsr.models.arrays import UNREADABLE, read_array
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
            return {key: read_array(archive, key, shape, [dtype]) for key, shape in shapes.items()}
    except UNREADABLE as error:
        raise PerceptualError(f"{path}: not the file that comes with dsr ({error}); install dsr again") from error
