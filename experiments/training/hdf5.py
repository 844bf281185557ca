"""Keras's weights in an HDF5 file that is whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf

from dsr.tfrecords import files

OVERHEAD = 4096
"""Bytes that HDF5 may need for an array beside its values; measured: 1600."""


def save_weights(network: tf.keras.Model, path: Path, scratch: Path) -> None:
    """Write the weights of a network as Keras does.

    On a disk that gets full HDF5 crashes the process, or leaves a broken file without a word. So the room is taken
    first, and the file is read again before it gets its name.

    Args:
      path: the file; ends in `.weights.h5`.
      scratch: a folder on the same disk, where it is made.

    Raises:
      OSError: it cannot be written, and nothing is there.
    """
    sizes = sorted(variable.numpy().nbytes for variable in network.variables)
    made = scratch / f"made.{path.name}"
    try:
        with made.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, sum(sizes) + OVERHEAD * (1 + len(sizes)))
        made.unlink()
        network.save_weights(str(made))
        if _sizes(made) != sizes:
            raise OSError(errno.EIO, "it did not come out as it was written", str(path))
        files.sync(made)
        os.replace(made, path)
    finally:
        made.unlink(missing_ok=True)
    files.sync(path.parent)


def _sizes(path: Path) -> list[int]:
    """Bytes of each array in an HDF5 file, in order, having read them."""
    found: list[int] = []

    def read(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(item[()].nbytes)

    with h5py.File(path, "r") as file:
        file.visititems(read)
    return sorted(found)
