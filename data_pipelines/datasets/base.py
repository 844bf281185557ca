"""What every dataset is to the rest of the project: a `Source` of samples, each an image and its label map."""

from __future__ import annotations

import hashlib
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dsr.data_pipelines.datasets.errors import DatasetError
from dsr.data_pipelines.datasets.labels import IGNORE, Label, LabelTable
from dsr.data_pipelines.datasets.listing import Other

__all__ = ["IGNORE", "DatasetError", "Label", "LabelTable", "Listing", "Sample", "Source", "SourceFile"]

MAX_PARTS = 10_000
"""Of one image that is cut into parts."""


@dataclass(frozen=True)
class Sample:
    """One image of a split, or one part (patch, tile) of it.

    key: unique in its split, made of URL-safe characters and '/'; sorted keys are the order of the split.
    image, label: names relative to the dataset's folder; label is None where the split is not annotated.
    flaw: why it cannot be read, where the listing shows that already: it has no partner, or its name is not its own. It
        is listed all the same, so that nothing is left out unseen; reading it raises this.
    """

    key: str
    image: str
    label: str | None
    part: int = 0
    flaw: str | None = None


@dataclass(frozen=True)
class SourceFile:
    """A file that samples are read from: `kind` (image or label) and `name` as in `Sample`, size and SHA-256 (hex).

    pixels: width x height of an image; None for labels and for images that cannot be decoded.
    """

    kind: str
    name: str
    bytes: int
    sha256: str
    pixels: int | None = None


@dataclass(frozen=True)
class Listing:
    """The samples of a split, sorted by key, and what lies in its folders and is not read."""

    samples: list[Sample]
    others: list[Other] = field(default_factory=list)

    def only(self, samples: Iterable[Sample]) -> Listing:
        """The same with other samples."""
        return replace(self, samples=list(samples))


class Source(ABC):
    """A dataset: lists and reads its samples.

    Picklable, cheap to construct, and free of TensorFlow, so that worker processes can hold one each. Constructing
    and listing read no pixels.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    """One line for lists of datasets."""
    teaching: ClassVar[bool] = False
    """Whether its images are drawn, not photographed."""
    roles: ClassVar[Mapping[str, str]] = {}
    """Role -> split, where splits are not named after the roles (restore, train, test)."""
    table: LabelTable
    splits: tuple[str, ...]
    choosing: ClassVar[frozenset[str]] = frozenset()
    """Options that only choose which samples a split has; the listing shows that, so `fingerprint` leaves them out."""
    received: frozenset[str] = frozenset()
    """Splits whose images came compressed: there are no originals of them, and `bitstream` gives what came."""

    @abstractmethod
    def samples(self, split: str) -> list[Sample]:
        """The samples of a split, sorted by key, those with a flaw too.

        Raises DatasetError (unknown split, wrong root).
        """

    @abstractmethod
    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels, uint8 RGB (H, W, 3), and train ids, uint8 (H, W), or None. Raises DatasetError naming the file."""

    def bitstream(self, sample: Sample) -> bytes:
        """What came of a sample of a split in `received`, and `read` decodes. Raises DatasetError."""
        raise DatasetError(f"Dataset {self.name}: {sample.image} did not come compressed.")

    def header(self, sample: Sample, bitstream: bytes) -> dict[str, Any]:
        """What that bitstream says of its codec, quality and chroma, None where it does not. Raises DatasetError."""
        raise DatasetError(f"Dataset {self.name}: {sample.image} did not come compressed.")

    def others(self, split: str) -> list[str]:
        """What lies in the split's folders and is not read: its name in the dataset's folder, and why."""
        return []

    def files(self, samples: Iterable[Sample]) -> Iterator[SourceFile]:
        """The files that samples are read from, as they are now, each once; none of what is drawn. Raises ReadError."""
        return iter(())

    def paths(self, samples: Iterable[Sample]) -> Iterator[tuple[str, str, Path]]:
        """(kind, name, path) of those files."""
        return iter(())

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """All options, JSON-able, but for the place of the files, max_pixels and skip_others."""

    def describe(self) -> dict[str, Any]:
        """JSON-able identity: name, options and classes, not where the files lie."""
        return {"name": self.name, "options": self.options(), "labels": self.table.to_json()}

    def fingerprint(self, split: str) -> str:
        """SHA-256 (hex) over what `read` depends on: name, classes, options, the split's listing and file sizes."""
        options = {option: value for option, value in self.options().items() if option not in self.choosing}
        digest = hashlib.sha256()
        for entry in itertools.chain([[self.name, options, self.table.to_json()]], self._listing(split)):
            digest.update(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        return digest.hexdigest()

    def _listing(self, split: str) -> Iterator[list[Any]]:
        return ([sample.key, sample.part] for sample in self.samples(split))

    def _check_split(self, split: str) -> None:
        if split not in self.splits:
            raise DatasetError(f"Dataset {self.name} has no split '{split}'; it has {', '.join(self.splits)}.")


def at_least(dataset: str, minimum: int, option: str, value: Any, maximum: int | None = None) -> int:
    """`value` if it is an integer >= minimum, and <= maximum if that is given, else DatasetError."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < minimum or (maximum is not None and value > maximum):
        bound = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise DatasetError(f"Dataset {dataset}: {option} must be a whole number {bound}, not {value!r}.")
    return value


def permuted(keys: Iterable[str], seed: int) -> list[str]:
    """The keys in an order that depends on the set of keys and the seed alone."""
    ordered = sorted(keys)
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
