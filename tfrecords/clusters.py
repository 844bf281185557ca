"""What the engines that give shards to the workers of a cluster have in common: how a failure comes back.

What a user has to put right is no failure of a worker, which a cluster would try again, on this worker or another. So
it is left in a file of the scratch folder, which all workers and this process reach under the same path, and the shards
that have not begun by then are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dsr.models.errors import UserError
from dsr.tfrecords import files
from dsr.tfrecords.engine import Work
from dsr.tfrecords.errors import ArtefactError

FAILURE = "failure"
"""The file in the scratch folder."""


def attempt(work: Work, task: Any) -> bool:
    """Do a task, such as to write a shard, in a worker of a cluster, unless a failure has been left.

    Returns:
      Whether what it makes is on disk now.

    Raises whatever `work` raises that is no UserError: the cluster's to try again, or a bug.
    """
    failure = work.scratch / FAILURE
    if files.exists(failure):
        return False
    try:
        for _ in work(task):
            pass
    except UserError as error:
        files.write_atomically(failure, str(error).encode())
        return False
    return True


@contextmanager
def raising(work: Work, what: str) -> Iterator[None]:
    """Around the use of a cluster.

    Raises:
      ArtefactError: with the sentence that a worker left, or if `what` (such as `Beam pipeline`) failed otherwise.
    """
    failure = work.scratch / FAILURE
    failure.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        raise ArtefactError(f"the {what} failed: {reason_of(error)}; finished shards are kept") from error
    if files.exists(failure):
        with files.reading(failure) as file:
            sentence = file.read().decode()
        failure.unlink()
        raise ArtefactError(sentence)


def reason_of(error: Exception) -> str:
    """The last line of what Python said; a frame of Java below it is no reason."""
    said = str(error).partition("\n\tat ")[0].strip(" :\n").rpartition("\n")[2]
    return said or type(error).__name__
