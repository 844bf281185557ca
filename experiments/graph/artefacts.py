"""A study as a graph.

Each artefact knows its configuration, its inputs and how to build its folder, and is built once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median

from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.progress import Progress
from dsr.experiments.summaries import Summary, TrainingSummary, summary_of
from dsr.tfrecords import files
from dsr.tfrecords.building import reached
from dsr.tfrecords.integrity import damages
from dsr.tfrecords.layout import MANIFEST, partial_of
from dsr.tfrecords.manifest import Identity, Manifest, intact

CURVES = "curves.json"
"""What a training wrote on its way: {"loss": [[step, value], ...], ...}."""

CLASSES = "classes.json"
"""In the folder of a segmenter: the label table of the dataset that it was trained on."""


@dataclass(frozen=True, eq=False)
class Artefact:
    """A folder that follows from a configuration and other artefacts.

    `identity` is known before the folder exists: all that its content depends on, and nothing else (neither paths nor
    how often to log). `of` is the domain of its images, the domain that it was trained on (a restorer: that it makes),
    or the case that it evaluates. `units` is the amount of work in images or steps, and `seconds_per_unit` a guess of
    its cost, which a plan corrects by what was measured.
    """

    group: str  # folder of the work folder, one of `dsr.experiments.graph.places.GROUPS`
    root: Path  # the work folder
    identity: Identity
    of: Domain | Case
    inputs: dict[str, Artefact]
    build: Callable[[Artefact, Progress], None] = field(repr=False)
    units: int
    seconds_per_unit: float
    batch: int | None = None  # of a training that hosts may share
    thorough: bool = False  # whether to read all of its files to find damage, or to look at their sizes alone
    notes: tuple[str, ...] = ()  # what a plan says about it
    by: str | None = None  # of a segmenter: the adaptation that makes it, whose cost is its own

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
        return place_of(self.group, self.root, self.identity)

    @property
    def exists(self) -> bool:
        return (self.folder / MANIFEST).is_file()

    @cached_property
    def damaged(self) -> set[str]:
        """Files of existing shards that are not what was written, and that building it again will repair."""
        if self.identity.kind != "shards" or not self.exists:
            return set()
        return set(damages(self.folder, self.manifest.files, digests=self.thorough))

    @property
    def whole(self) -> bool:
        """Whether there is nothing to build."""
        return self.exists and not self.damaged

    @property
    def started(self) -> bool:
        """Whether an unfinished earlier run left something to go on from."""
        return files.exists(partial_of(self.folder))

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the existing folder."""
        return Manifest.load(self.folder)

    def file(self, name: str) -> Path:
        """One of its files, as it was written. Raises ArtefactError if it is not."""
        return intact(self.folder, name)

    def summary(self, kind: type[Summary]) -> Summary:
        """What its manifest says in sum; ArtefactError if it does not."""
        return summary_of(self.manifest, kind, self.folder)

    @property
    def seconds(self) -> float:
        """What it took to make: all runs of a training that was interrupted, else the one run."""
        return self.summary(TrainingSummary).seconds if self.batch is not None else self.manifest.seconds

    @property
    def kind_of_work(self) -> tuple[str | None, ...]:
        """Artefacts of which this is equal cost alike by unit."""
        if self.group in ("shards", "restorers") and isinstance(self.of, Domain):
            degraded_by = self.of.degradation.name if self.of.degradation and self.group == "shards" else None
            return self.group, self.of.letter, degraded_by, self.of.restorer
        return self.group, self.by

    @property
    def label(self) -> str:
        several = ("shards", "features", "losses")
        return f"{self.group if self.group in several else self.group.removesuffix('s')} {self.name}"


def fingerprints(inputs: Mapping[str, Artefact]) -> dict[str, str]:
    """Role -> fingerprint, as the identity of what is made from these inputs has it."""
    return {role: artefact.fingerprint for role, artefact in inputs.items()}


def place_of(group: str, work: Path, identity: Identity) -> Path:
    """The folder of an artefact."""
    return work / group / f"{identity.name}-{identity.fingerprint[:8]}"


def closure(targets: Iterable[Artefact], beyond_existing: bool = True) -> list[Artefact]:
    """The targets and all that they were made from, inputs first, each folder once.

    `beyond_existing=False` leaves out what only served to make something that exists.
    """
    ordered: dict[Path, Artefact] = {}

    def visit(artefact: Artefact) -> None:
        if artefact.folder in ordered:
            return
        if beyond_existing or not artefact.whole:
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
        if self.artefact.exists:
            return "repair" if self.artefact.damaged else "exists"
        return "goes on" if self.artefact.started else "to make"


def plan(targets: Iterable[Artefact], known: Iterable[Artefact] = ()) -> list[Step]:
    """What the targets need, in order: what exists and what is to be made, with an estimate.

    An artefact whose inputs and self are missing is made; one that exists is never remade, and what only served to make
    it is not made again either. An estimate is the built-in guess, times what making took in guesses: the median over
    what exists of the same kind, or else of the same group, among the targets, `known` and all that they were made
    from.
    """
    targets = list(targets)
    took: dict[tuple[str | None, ...], list[float]] = {}
    for artefact in closure([*targets, *known]):
        if artefact.exists and artefact.units:
            guesses = artefact.seconds / (artefact.units * artefact.seconds_per_unit)
            for alike in {artefact.kind_of_work, (artefact.group,)}:
                took.setdefault(alike, []).append(guesses)

    def estimate(artefact: Artefact) -> float:
        measured = took.get(artefact.kind_of_work) or took.get((artefact.group,)) or [1.0]
        return _share_left(artefact) * artefact.units * artefact.seconds_per_unit * median(measured)

    return [Step(artefact, estimate(artefact)) for artefact in closure(targets, beyond_existing=False)]


def _share_left(artefact: Artefact) -> float:
    if not artefact.exists:
        return 1.0 - min(1.0, reached(partial_of(artefact.folder)) / max(1, artefact.units))
    # An evaluation that keeps no sample has no file but its manifest.
    return len(artefact.damaged) / len(artefact.manifest.files) if artefact.damaged else 0.0
