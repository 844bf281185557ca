"""Several hosts that work on one study: who they are, and what each of them does.

Every host runs the same command, sees the same work folder, and has TensorFlow's own description of the cluster:

    TF_CONFIG='{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}' dsr train --config RO

`index` is each host's own number. Worker 0 is the chief: it alone writes into the work folder, and makes the shards and
evaluations while the others wait. A training is done by all hosts together (`MultiWorkerMirroredStrategy`) if its batch can
be dealt out evenly to their devices, and by the chief alone if not. Whoever loses another host stops; the same command,
started again on every host, goes on at the last checkpoint. Without TF_CONFIG, or with one worker in it, there is one host.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.progress import Progress
from models.errors import UserError
from tfrecords import files, manifest
from tfrecords.errors import ArtefactError
from tfrecords.manifest import Build, partial_of

if TYPE_CHECKING:
    import tensorflow as tf

    from experiments.artefacts import Artefact

VISIBLE_WITHIN = 60.0
"""Seconds in which a folder that the chief has finished is seen by the other hosts; network file systems remember names."""


class HostError(UserError):
    """The hosts do not fit together, or one of them was lost."""


def several() -> bool:
    """Whether this process is one of several hosts."""
    return _place()[1] > 1


def is_chief() -> bool:
    """Whether this is the host that writes."""
    return _place()[0] == 0


def share(batch: int | None) -> bool:
    """Whether the hosts train together on batches of this size; None is for what is no training."""
    return several() and batch is not None and batch % join().num_replicas_in_sync == 0


@functools.lru_cache(maxsize=1)  # a process can join its cluster once
def join() -> tf.distribute.MultiWorkerMirroredStrategy:
    """The strategy over all hosts; waits until all of them are there. TensorFlow must not have been used before."""
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def make(everything: Sequence[Artefact], missing: Sequence[Artefact], progress: Progress) -> None:
    """Build what the chief says is missing, each host doing its part.

    Args:
      everything: all artefacts of the command, inputs first, the same on all hosts.
      missing: those that this host finds to be missing.

    Raises:
      HostError: the hosts were started with different commands, do not share the work folder, or one was lost.
    """
    import tensorflow as tf

    progress.say(f"host {_place()[0] + 1} of {_place()[1]}, waiting for the others")
    try:
        join()
        same(_digest(everything), "were started with different commands")
        for artefact, count in zip(everything, _sum([is_chief() and artefact in missing for artefact in everything])):
            if count:
                if is_chief() or share(artefact.batch):
                    artefact.build(artefact, progress)
                else:
                    progress.say(f"{artefact.label}: made by the first host")
                barrier()
                _wait_for(artefact)
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        raise HostError(
            "another host was lost or stopped; start the same command again on every host, trainings go on at their last "
            "checkpoint"
        ) from error


@contextmanager
def building(artefact: Artefact) -> Iterator[Build]:
    """`tfrecords.manifest.building` for a training.

    Hosts that share a training all do the same, because reading what lies on all of them (statistics of a batch normalisation, a
    metric) takes them all. What the others write goes to a temporary folder that begins with what the chief has to go on from.

    Raises ArtefactError if the work folder is a URL: Keras's weights and TensorBoard's events need files.
    """
    if files.is_url(artefact.folder):
        raise ArtefactError(f"{artefact.folder}: networks are trained in a work folder on a disk; give --work FOLDER")
    if is_chief() or not share(artefact.batch):
        with manifest.building(artefact.folder, artefact.identity) as build:
            if share(artefact.batch):
                barrier()
            yield build
        return
    barrier()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / artefact.folder.name
        shutil.copytree(partial_of(artefact.folder), path)
        yield Build(path, artefact.identity, resumed=True)


def barrier() -> None:
    """Wait until all hosts are here."""
    _sum([1])


def same(value: int, otherwise: str) -> None:
    """HostError "the hosts <otherwise>" unless the value, below 2^24, is the same on all of them."""
    _, count = _place()
    if _sum([value, value * value]) != [count * value, count * value * value]:
        raise HostError(f"the hosts {otherwise}; start the same command on each, with the same work folder")


def _place() -> tuple[int, int]:
    """This host's number, from 0, and how many there are."""
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return 0, 1
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        index, count = int(task["index"]), len(cluster["worker"])
        if set(cluster) != {"worker"} or task["type"] != "worker" or not 0 <= index < count:
            raise ValueError("all hosts must be of the type worker, and index the place in their list")
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"TF_CONFIG describes no cluster of workers: {error}") from None
    return index, count


def _sum(values: Sequence[int]) -> list[int]:
    """The sums of the values over all hosts, as float64 has them; waits for all hosts."""
    import tensorflow as tf

    strategy = join()  # before TensorFlow makes anything
    mine = tf.identity(tf.constant(values, tf.float64))  # a constant alone has no device
    return [int(value) for value in strategy.reduce(tf.distribute.ReduceOp.SUM, mine, axis=None).numpy()]


def _digest(artefacts: Sequence[Artefact]) -> int:
    return int(manifest.fingerprint([artefact.fingerprint for artefact in artefacts])[:6], 16)


def _wait_for(artefact: Artefact) -> None:
    deadline = time.monotonic() + VISIBLE_WITHIN
    while not artefact.exists:
        if time.monotonic() > deadline:
            raise HostError(f"{artefact.folder} was made, but is not to be seen here; hosts must share the work folder")
        time.sleep(0.1)
