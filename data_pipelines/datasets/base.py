"""What every dataset is to the rest of the project: a `Source` of samples, each an image and its label map."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import numpy as np
from PIL import Image

from dsr.data_pipelines.datasets import images
from dsr.data_pipelines.datasets.errors import DatasetError
from dsr.data_pipelines.datasets.labels import IGNORE, Label, LabelTable

__all__ = ["IGNORE", "DatasetError", "FileSource", "Label", "LabelTable", "Sample", "Source"]


Files = dict[str, list[Path]]


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


class Source(ABC):
    """A dataset: lists and reads its samples.

    Picklable, cheap to construct, and free of TensorFlow, so that worker processes can hold one each. Constructing
    and listing read no pixels.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    """One line for lists of datasets."""
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
        """The samples of a split, sorted by key, those with a flaw too. Raises DatasetError (unknown split, wrong root)."""

    @abstractmethod
    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels, uint8 RGB (H, W, 3), and train ids, uint8 (H, W), or None. Raises DatasetError naming the file."""

    def bitstream(self, sample: Sample) -> bytes:
        """What came of a sample of a split in `received`, and `read` decodes. Raises DatasetError."""
        raise DatasetError(f"Dataset {self.name}: {sample.image} did not come compressed.")

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """All options, JSON-able, but for the place of the files and max_pixels."""

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


class FileSource(Source):
    """A dataset in files below a folder.

    root: the dataset's folder. max_pixels: bound on width x height of a file, checked before it is decoded.
    """

    layout: ClassVar[str]
    """What the root must hold, for the error message of a wrong root."""

    def __init__(self, root: str | os.PathLike[str] | None, max_pixels: int = images.MAX_PIXELS) -> None:
        if root is None:
            raise DatasetError(f"Dataset {self.name} is read from files: give its root, a folder with {self.layout}.")
        self.root = Path(root)
        self.max_pixels = self.at_least(1, "max_pixels", max_pixels)

    def image_path(self, name: str) -> Path:
        return self.root / name

    def label_path(self, name: str) -> Path:
        return self.root / name

    def at_least(self, minimum: int, option: str, value: Any) -> int:
        """`value` if it is an integer >= minimum, else DatasetError."""
        return at_least(self.name, minimum, option, value)

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
        return self._load(sample, np.s_[:, :])

    def _load(
        self, sample: Sample, window: tuple[slice, slice], size: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """A window (rows, columns) of the sample's files, resized before to `size` (width, height) if given."""
        if sample.flaw:
            raise DatasetError(sample.flaw)
        image = self.image_path(sample.image)
        label = None if sample.label is None else self.label_path(sample.label)
        pixels, raw = _decode(image, label, size, self.max_pixels, _stamp(image), label and _stamp(label))
        return pixels[window].copy(), None if raw is None else self.table.to_train_ids(raw[window], label)

    def files_in(self, folder: Path, suffixes: Sequence[str], recursive: bool = False) -> Files:
        """Files below `folder` with one of the (lower-case) suffixes: name without its suffix -> paths, sorted by name.

        More than one path is two files that differ only in their suffix. Raises DatasetError if the folder is missing or
        holds none.
        """
        if not folder.is_dir():
            raise DatasetError(f"Dataset {self.name}: no folder {folder}; root must be a folder with {self.layout}.")
        found: Files = {}
        for path in sorted(folder.rglob("*") if recursive else folder.iterdir()):
            name = path.relative_to(folder).as_posix()
            suffix = next((s for s in suffixes if name.lower().endswith(s)), None)
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if suffix is not None and not hidden and path.is_file():
                found.setdefault(name[: -len(suffix)], []).append(path)
        if not found:
            raise DatasetError(f"Dataset {self.name}: {folder} holds no {', '.join(suffixes)} file; check root.")
        return found

    def pair(self, found: Files, labels: Files | None) -> list[Sample]:
        """Samples from images and labels of the same name; one whose partner or name is in doubt has a flaw."""
        samples = []
        for stem in found.keys() | (labels or {}).keys():
            images, partners = found.get(stem, []), [] if labels is None else labels.get(stem, [])
            flaw = _flaw(stem, images, partners, labels is not None)
            label = _readable(partners[0].relative_to(self.label_path("")).as_posix()) if partners else None
            names = [_readable(path.relative_to(self.image_path("")).as_posix()) for path in images] or [""]
            key = quote(os.fsencode(stem), safe="/")
            samples += [Sample(key, name, label, flaw=flaw and _readable(flaw)) for name in names]
        return sorted(samples, key=lambda sample: (sample.key, sample.image))

    def _listing(self, split: str) -> Iterator[list[Any]]:
        size = functools.lru_cache(maxsize=2)(_size)  # the parts of an image follow each other
        for sample in self.samples(split):
            entry = [sample.key, sample.part, sample.image, size(self.image_path(sample.image))]
            if sample.label is not None:
                entry += [sample.label, size(self.label_path(sample.label))]
            yield entry if sample.flaw is None else [*entry, "flawed"]


def _flaw(stem: str, images: list[Path], labels: list[Path], labelled: bool) -> str | None:
    for kind, paths in (("image", images), ("label", labels)):
        if len(paths) > 1:
            return f"{paths[0]} and {paths[1].name} are one {kind} by name; keep one of them."
    if not images:
        return f"{labels[0]}: has no image named '{stem}' beside it; add the image or remove this file."
    if labelled and not labels:
        return f"{images[0]}: has no label named '{stem}' beside it; add the label or remove this file."
    if any(_readable(str(path)) != str(path) for path in images + labels):
        return f"{images[0]}: its name is not UTF-8; rename the file."
    return None


def _readable(name: str) -> str:
    """As UTF-8 can write it, which need not be as the file system has it."""
    return os.fsencode(name).decode(errors="replace")


def _size(path: Path) -> int | None:
    """Bytes of a file; None of what is no file (any more): reading it says what is wrong."""
    return path.stat().st_size if path.is_file() else None


def at_least(dataset: str, minimum: int, option: str, value: Any) -> int:
    """`value` if it is an integer >= minimum, else DatasetError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise DatasetError(f"Dataset {dataset}: {option} must be a whole number of at least {minimum}, not {value!r}.")
    return value


def permuted(keys: Iterable[str], seed: int) -> list[str]:
    """The keys in an order that depends on the set of keys and the seed alone."""
    ordered = sorted(keys)
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None  # decoding says what is wrong
    return stat.st_mtime_ns, stat.st_size


@functools.lru_cache(maxsize=1)  # the parts of a large image follow each other: decode it once, not once a part
def _decode(
    image: Path, label: Path | None, size: tuple[int, int] | None, max_pixels: int, *stamps: object
) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels and raw label values; `stamps` tell changed files apart from cached ones."""
    pixels = images.read_rgb(image, max_pixels)
    raw = None if label is None else images.read_labels(label, max_pixels)
    if raw is not None and raw.shape[:2] != pixels.shape[:2]:
        raise DatasetError(
            f"{label}: the label is {raw.shape[1]}x{raw.shape[0]} but its image {image.name} "
            f"{pixels.shape[1]}x{pixels.shape[0]}; both must have one size."
        )
    if size is not None and size != (pixels.shape[1], pixels.shape[0]):
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
        raw = None if raw is None else np.asarray(Image.fromarray(raw).resize(size, Image.Resampling.NEAREST))
    for array in (pixels, raw):
        if array is not None:
            array.flags.writeable = False
    return pixels, raw
