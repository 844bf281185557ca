"""A study as a graph: each artefact knows its configuration, its inputs and how to build its folder, and is built once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from experiments.progress import Progress
from tfrecords.manifest import MANIFEST, Identity, Manifest

CURVES = "curves.json"
"""What a training wrote on its way: {"loss": [[step, value], ...], ...}."""


@dataclass(frozen=True, eq=False)
class Artefact:
    """A folder that follows from a configuration and other artefacts.

    `identity` is known before the folder exists: all that its content depends on, and nothing else (neither paths nor how often to
    log). `units` is the amount of work in images or steps, and `seconds_per_unit` a guess of its cost until one of its kind has been measured.
    """

    group: str  # folder of the work folder: shards | restorers | segmenters | evaluations
    root: Path  # the work folder
    identity: Identity
    inputs: dict[str, Artefact]
    build: Callable[[Artefact, Progress], None] = field(repr=False)
    units: int
    seconds_per_unit: float

    @property
    def name(self) -> str:
        """For people and file names: `camvid/train/bpg-qp40`."""
        return self.identity.name

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over kind, configuration and the inputs' fingerprints."""
        return self.identity.fingerprint

    @cached_property
    def folder(self) -> Path:
        return self.root / self.group / f"{self.name}-{self.fingerprint[:8]}"

    @property
    def exists(self) -> bool:
        return (self.folder / MANIFEST).is_file()

    @property
    def started(self) -> bool:
        """Whether an unfinished earlier run left something to go on from."""
        return self.folder.with_name(self.folder.name + ".partial").is_dir()

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the existing folder."""
        return Manifest.load(self.folder)

    @property
    def seconds(self) -> float:
        """What it took to make: all runs of a training that was interrupted, else the one run."""
        return self.manifest.summary.get("seconds", self.manifest.seconds)

    @property
    def label(self) -> str:
        return f"{self.group.removesuffix('s') if self.group != 'shards' else self.group} {self.name}"


def closure(targets: Iterable[Artefact], beyond_existing: bool = True) -> list[Artefact]:
    """The targets and all that they were made from, inputs first, each folder once.

    `beyond_existing=False` leaves out what only served to make something that exists.
    """
    ordered: dict[Path, Artefact] = {}

    def visit(artefact: Artefact) -> None:
        if artefact.folder in ordered:
            return
        if beyond_existing or not artefact.exists:
            for other in artefact.inputs.values():
                visit(other)
        ordered[artefact.folder] = artefact

    for target in targets:
        visit(target)
    return list(ordered.values())


@dataclass(frozen=True)
class Step:
    """One line of a plan."""

    artefact: Artefact
    seconds: float  # estimate of the work left, 0 where it exists

    @property
    def state(self) -> str:
        return "exists" if self.artefact.exists else "goes on" if self.artefact.started else "to make"


def plan(targets: Iterable[Artefact]) -> list[Step]:
    """What the targets need, in order: what exists and what is to be made, with an estimate.

    An artefact whose inputs and self are missing is made; one that exists is never remade, and what only served to make it is not
    made again either. The cost of a unit is the one measured on what exists of the same kind in this plan, else the built-in guess.
    """
    needed = closure(targets, beyond_existing=False)
    rates: dict[str, float] = {}
    for artefact in needed:
        if artefact.exists and artefact.units:
            rates[_rate_key(artefact)] = artefact.seconds / artefact.units
    return [Step(a, 0.0 if a.exists else a.units * rates.get(_rate_key(a), a.seconds_per_unit)) for a in needed]


def make(targets: Iterable[Artefact], progress: Progress) -> None:
    """Build all that is missing, inputs first."""
    for artefact in closure(targets, beyond_existing=False):
        if not artefact.exists:
            artefact.build(artefact, progress)


def _rate_key(artefact: Artefact) -> str:
    """Artefacts that cost alike: of a group, for shards also of a domain and a codec."""
    config = artefact.identity.config
    return f"{artefact.group}/{config.get('domain')}/{config.get('codec', {}).get('name')}"
