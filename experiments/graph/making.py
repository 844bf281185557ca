"""Making what is missing of a graph of artefacts."""

from __future__ import annotations

from collections.abc import Iterable

from dsr.experiments.graph import hosts, together
from dsr.experiments.graph.artefacts import Artefact, closure
from dsr.experiments.graph.progress import Progress
from dsr.tfrecords import files
from dsr.tfrecords.building import tidy
from dsr.tfrecords.errors import ArtefactError

NETWORKS = ("codecs", "restorers", "segmenters")
"""Groups of artefacts that need a disk: Keras's weights and TensorBoard's events need files."""


def make(targets: Iterable[Artefact], progress: Progress) -> None:
    """Build all that is missing, inputs first.

    Several hosts work together where there is something to train, see `dsr.experiments.graph.together`; where there is
    not, as in a conversion, it does not matter what is told of hosts.

    Raises:
      ArtefactError: a network is missing and the work folder is a URL; nothing was made.
    """
    targets = list(targets)
    everything = closure(targets)
    shared = any(artefact.batch is not None for artefact in everything) and hosts.is_multi_host()
    if not shared or hosts.is_chief():
        for artefact in everything:
            if artefact.exists:
                tidy(artefact.folder)
    needed = {artefact.folder for artefact in closure(targets, beyond_existing=False)}
    missing = [artefact for artefact in everything if artefact.folder in needed and not artefact.whole]
    for artefact in missing:
        if artefact.group in NETWORKS and files.is_url(artefact.folder):
            where = "networks are trained in a work folder on a disk; give --work FOLDER"
            raise ArtefactError(f"{artefact.folder}: {where}")
    if shared:
        together.make(everything, missing, progress)
        return
    for artefact in missing:
        if artefact.whole:
            continue  # another process, perhaps of another study, made it meanwhile
        artefact.build(artefact, progress)
        artefact.__dict__.pop("damaged", None)  # it was looked at before
