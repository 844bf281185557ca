"""What several hosts do to make the artefacts of one study together."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dsr.experiments.graph.hosts import HostError, barrier, is_chief, join, place, same, share, sum_over_hosts
from dsr.experiments.graph.progress import Progress
from dsr.tfrecords import building as partials
from dsr.tfrecords.building import Build
from dsr.tfrecords.layout import partial_of
from dsr.tfrecords.manifest import fingerprint

if TYPE_CHECKING:
    from dsr.experiments.graph.artefacts import Artefact


VISIBLE_WITHIN = 60.0
"""Seconds in which a folder that the chief has begun or finished is seen by the other hosts; network file systems
remember names."""


def make(everything: Sequence[Artefact], missing: Sequence[Artefact], progress: Progress) -> None:
    """Build what the chief says is missing, each host doing its part.

    Args:
      everything: all artefacts of the command, inputs first, the same on all hosts.
      missing: those that this host finds to be missing.

    Raises:
      HostError: the hosts were started with different commands, do not share the work folder, or one was lost.
    """
    import tensorflow as tf

    progress.say(f"host {place()[0] + 1} of {place()[1]}, waiting for the others")
    try:
        join()
        same(_digest(everything), "were started with different commands")
        for artefact, count in zip(
            everything, sum_over_hosts([is_chief() and artefact in missing for artefact in everything])
        ):
            if count:
                if is_chief() or share(artefact.batch):
                    artefact.build(artefact, progress)
                else:
                    progress.say(f"{artefact.label}: made by the first host")
                barrier()
                _wait_for(partial(getattr, artefact, "exists"), f"{artefact.folder} was made")
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        raise HostError(
            "another host was lost or stopped; start the same command again on every host, trainings go on at their "
            "last checkpoint"
        ) from error


@contextmanager
def building(artefact: Artefact) -> Iterator[Build]:
    """`dsr.tfrecords.building.building` for a training.

    Hosts that share a training all do the same, because reading what lies on all of them (statistics of a batch
    normalisation, a metric) takes them all. What the others write goes to a temporary folder that begins with what the
    chief has to go on from.
    """
    if is_chief() or not share(artefact.batch):
        with partials.building(artefact.folder, artefact.identity) as build:
            if share(artefact.batch):
                barrier()
            yield build
        return
    barrier()
    _wait_for(partial(getattr, artefact, "started"), f"{partial_of(artefact.folder)} was begun")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / artefact.folder.name
        shutil.copytree(partial_of(artefact.folder), path)
        yield Build(path, artefact.identity, resumed=True)


def _digest(artefacts: Sequence[Artefact]) -> int:
    return int(fingerprint([artefact.fingerprint for artefact in artefacts])[:6], 16)


def _wait_for(is_seen: Callable[[], bool], what: str) -> None:
    """Until something is seen that the chief did, which `what` says: "FOLDER was made"."""
    deadline = time.monotonic() + VISIBLE_WITHIN
    while not is_seen():
        if time.monotonic() > deadline:
            raise HostError(f"{what}, but is not to be seen here; hosts must share the work folder")
        time.sleep(0.1)
