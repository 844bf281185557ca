"""Windows of images that nothing is trained on, to see at checkpoints how a network does on them.

They are for the eye alone: nothing is decided by them, they are no part of an artefact's identity or curves, and a
training that has none goes on without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.models.errors import UserError
from dsr.tfrecords.reader import ShardSet

WINDOWS = 8

Windows = dict[str, NDArray[Any]]


def windows(folder: Optional[Path], height: int, width: int) -> Optional[Windows]:
    """The middle of the first images of shards that are large enough.

    Args:
      folder: of the shards; None if there are none.
      height, width: of a window, in pixels.

    Returns:
      {"key": (N,), "image": uint8 (N, height, width, 3), "label": uint8 (N, height, width)}, N at most `WINDOWS`;
      None if no image is large enough, or the shards are damaged, which whoever needs them says.
    """
    found: dict[str, list[Any]] = {"key": [], "image": [], "label": []}
    if folder is None:
        return None
    try:
        records = ShardSet(folder).serialized().map(ShardSet.parse).take(4 * WINDOWS).as_numpy_iterator()
        for record in records:
            top, left = ((a - b) // 2 for a, b in zip(record["image"].shape, (height, width)))
            if top >= 0 and left >= 0 and len(found["key"]) < WINDOWS:
                found["key"].append(record["key"])
                for name in ("image", "label"):
                    found[name].append(record[name][top : top + height, left : left + width])
    except (UserError, OSError, tf.errors.OpError):
        return None
    return {name: np.stack(values) for name, values in found.items()} if found["key"] else None


def pairs(compressed: Optional[Path], original: Optional[Path], size: int) -> Optional[tuple[NDArray, NDArray]]:
    """Windows of the same images in two domains, both uint8 (N, size, size, 3); None if there are none."""
    given, wanted = windows(compressed, size, size), windows(original, size, size)
    if given is None or wanted is None:
        return None
    places = {key: number for number, key in enumerate(wanted["key"])}
    both = [(number, places[key]) for number, key in enumerate(given["key"]) if key in places]
    if not both:
        return None
    left, right = map(list, zip(*both))
    return given["image"][left], wanted["image"][right]
