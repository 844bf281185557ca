"""What can go wrong while networks are trained and tested, as errors of one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Optional

import tensorflow as tf

from dsr.experiments.graph.artefacts import Artefact
from dsr.models.errors import UserError
from dsr.tfrecords.errors import ONLY_WRITING, ArtefactError, cannot_write, one_sentence
from dsr.tfrecords.integrity import damages
from dsr.tfrecords.reader import WRONG_SIZE

OF_DATA = (
    tf.errors.DataLossError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.FailedPreconditionError,
)
"""What TensorFlow raises where it reads something else than was written; and in other cases."""


class TrainingError(UserError):
    """A training that cannot go on, or whose network is no use: its loss or its weights are no numbers any more."""


def not_finite(variables: Iterable[tf.Variable]) -> Optional[str]:
    """The name of the first of these that holds NaN or an infinity; None if none does."""
    for variable in variables:
        if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(variable))):
            return variable.name
    return None


@contextmanager
def in_one_sentence(artefact: Artefact) -> Iterator[None]:
    """While the artefact is made: damage of its inputs as ArtefactError, and so a disk that is full or read-only."""
    try:
        with one_sentence(artefact.folder):
            yield
    except (RuntimeError, tf.errors.OpError) as error:  # RuntimeError is HDF5's
        full = _is_full(error)
        if full:
            raise cannot_write(artefact.folder, full) from error
        if isinstance(error, OF_DATA):
            for other in artefact.inputs.values():
                for sentence in damages(other.folder, other.manifest.files, digests=True).values():
                    raise ArtefactError(f"{sentence}: run dsr convert again, which repairs it") from error
            if WRONG_SIZE in str(error) or isinstance(error, tf.errors.DataLossError):
                folders = " or ".join(str(other.folder) for other in artefact.inputs.values())
                said = WRONG_SIZE if WRONG_SIZE in str(error) else error.message
                raise ArtefactError(
                    f"{folders} holds what dsr does not write ({said}): delete it and make it anew"
                ) from error
        raise


def _is_full(error: Exception) -> Optional[OSError]:
    """The system's error in an error that says, in the system's words alone, that a disk takes no more."""
    for number in ONLY_WRITING:
        if os.strerror(number) in str(error):
            return OSError(number, os.strerror(number))
    return None
