"""Making what is missing of a graph of artefacts."""

from __future__ import annotations

from collections.abc import Iterable

from dsr.experiments.graph import hosts, together
from dsr.experiments.graph.artefacts import Artefact, closure
from dsr.experiments.graph.progress import Progress
from dsr.tfrecords.building import tidy


def make(targets: Iterable[Artefact], progress: Progress) -> None:
    """Build all that is missing, inputs first; see `dsr.experiments.graph.together` for what several hosts do."""
    targets = list(targets)
    for artefact in closure(targets):
        if artefact.exists and hosts.is_chief():
            tidy(artefact.folder)
    missing = [artefact for artefact in closure(targets, beyond_existing=False) if not artefact.whole]
    if hosts.is_multi_host():
        together.make(closure(targets), missing, progress)
        return
    for artefact in missing:
        artefact.build(artefact, progress)
        artefact.__dict__.pop("damaged", None)  # it was looked at before
