"""A dataset in files below a folder: images, and label maps that are found by their names."""

from __future__ import annotations

import functools
import hashlib
import math
import os
import stat
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import numpy as np
from PIL import Image

from dsr.data_pipelines.datasets import images
from dsr.data_pipelines.datasets.base import Listing, Sample, Source, SourceFile, at_least
from dsr.data_pipelines.datasets.errors import DatasetError
from dsr.data_pipelines.datasets.files import expanded, no_memory, read_bytes
from dsr.data_pipelines.datasets.labels import LabelTable
from dsr.data_pipelines.datasets.listing import Found, counted, list_files
from dsr.tfrecords.files import stamp


class FileSource(Source):
    """A dataset in files below a folder.

    root: the dataset's folder; a leading ~ is the home folder. max_pixels: bound on width x height of a file, checked
    before it is decoded. skip_others: whether files and folders that are not read are left out, not refused.
    """

    layout: ClassVar[str]
    """What the root must hold, for the error message of a wrong root."""
    turns_upright = True
    """Whether an EXIF orientation is applied, to images and labels alike."""

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        max_pixels: int = images.MAX_PIXELS,
        skip_others: bool = False,
    ) -> None:
        if root is None:
            raise DatasetError(f"Dataset {self.name} is read from files: give its root, a folder with {self.layout}.")
        self.root = expanded(root)
        self.max_pixels = self.at_least(1, "max_pixels", max_pixels)
        if not isinstance(skip_others, bool):
            raise DatasetError(f"Dataset {self.name}: skip_others must be true or false, not {skip_others!r}.")
        self.skip_others = skip_others

    @abstractmethod
    def listing(self, split: str) -> Listing:
        """What `samples` and `others` say of a split that there is."""

    def samples(self, split: str) -> list[Sample]:
        self._check_split(split)
        listing = self.listing(split)
        if listing.others and not self.skip_others:
            raise DatasetError(
                f"Dataset {self.name}: {self.root} holds {counted(self._named(listing))} that would be left out; move "
                "them away, convert them to a format that is read (docs/reading.md), or leave them out with "
                "--skip-others."
            )
        return listing.samples

    def others(self, split: str) -> list[str]:
        self._check_split(split)
        return self._named(self.listing(split))

    def _named(self, listing: Listing) -> list[str]:
        return [_readable(f"{os.path.relpath(other.path, self.root)}: {other.why}") for other in listing.others]

    def image_path(self, name: str) -> Path:
        return self.root / name

    def label_path(self, name: str) -> Path:
        return self.root / name

    def at_least(self, minimum: int, option: str, value: Any) -> int:
        """`value` if it is an integer >= minimum, else DatasetError."""
        return at_least(self.name, minimum, option, value)

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
        return self._cut(sample, self._decoded(sample), np.s_[:, :])

    def paths(self, samples: Iterable[Sample]) -> Iterator[tuple[str, str, Path]]:
        seen = set()
        for sample in samples:
            for kind, name, path_of in (
                ("image", sample.image, self.image_path),
                ("label", sample.label, self.label_path),
            ):
                if name and (kind, name) not in seen and not (sample.flaw and not path_of(name).exists()):
                    seen.add((kind, name))
                    yield kind, name, path_of(name)

    def files(self, samples: Iterable[Sample]) -> Iterator[SourceFile]:
        for kind, name, path in self.paths(samples):
            data, pixels = b"", None
            with suppress(DatasetError):  # reading the sample says what is wrong
                data = read_bytes(path, images.max_bytes(self.max_pixels))
                if kind == "image":
                    pixels = math.prod(images.size_of(path, data, self.max_pixels))
            yield SourceFile(kind, name, len(data), hashlib.sha256(data).hexdigest(), pixels)

    def _decoded(
        self, sample: Sample, resize: Callable[[int, int], tuple[int, int]] | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The pixels and the ids or colours of the sample's files.

        `resize` says to which (width, height) they are resized.

        Raises DatasetError and ReadError.
        """
        if sample.flaw:
            raise DatasetError(sample.flaw)
        image = self.image_path(sample.image)
        label = None if sample.label is None else self.label_path(sample.label)
        stamps = stamp(image), label and stamp(label)
        try:
            return _decode(image, label, self.table, resize, self.max_pixels, self.turns_upright, *stamps)
        except MemoryError:
            raise no_memory(image) from None

    def _cut(
        self, sample: Sample, decoded: tuple[np.ndarray, np.ndarray | None], window: tuple[slice, slice]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """A window (rows, columns) of what was decoded, as `read` gives it."""
        pixels, raw = decoded
        label = sample.label and self.label_path(sample.label)
        return pixels[window].copy(), None if raw is None else self.table.to_train_ids(raw[window], label)

    def files_in(
        self, folder: Path, suffixes: Sequence[str], recursive: bool = False, companions: Sequence[str] = ()
    ) -> Found:
        """See `list_files`. Raises DatasetError if the folder is missing or holds no file with one of the suffixes."""
        if not folder.is_dir():
            raise DatasetError(f"Dataset {self.name}: no folder {folder}; root must be a folder with {self.layout}.")
        found = list_files(folder, suffixes, recursive, companions)
        if not found.files:
            there = f", but {counted(self._named(Listing([], found.others)))}" if found.others else ""
            raise DatasetError(f"Dataset {self.name}: {folder} holds no {', '.join(suffixes)} file{there}; check root.")
        return found

    def pair(self, found: Found, labels: Found | None) -> Listing:
        """Samples from images and labels of the same name; one whose partner or name is in doubt has a flaw."""
        samples = []
        inside = _below(found.folder, self.image_path(""))
        labels_inside = "" if labels is None else _below(labels.folder, self.label_path(""))
        label_files = {} if labels is None else labels.files
        for stem in found.files.keys() | label_files.keys():
            images, partners = found.files.get(stem, []), label_files.get(stem, [])
            flaw = _flaw(stem, found, labels)
            label = _readable(labels_inside + partners[0]) if partners else None
            key = quote(os.fsencode(stem), safe="/")
            samples += [
                Sample(key, _readable(inside + name) if name else "", label, flaw=flaw) for name in images or [""]
            ]
        others = found.others + ([] if labels is None else labels.others)
        return Listing(sorted(samples, key=lambda sample: (sample.key, sample.image)), others)

    def _listing(self, split: str) -> Iterator[list[Any]]:
        size = functools.lru_cache(maxsize=2)(_size)  # the parts of an image follow each other
        for sample in self.samples(split):
            entry = [sample.key, sample.part, sample.image, size(self.image_path(sample.image))]
            if sample.label is not None:
                entry += [sample.label, size(self.label_path(sample.label))]
            yield entry if sample.flaw is None else [*entry, "flawed"]


def _flaw(stem: str, images: Found, labels: Found | None) -> str | None:
    for kind, found in (("image", images), ("label", labels)):
        names = found.files.get(stem, []) if found is not None else []
        if found is not None and len(names) > 1:
            second = names[1].rpartition("/")[2]
            return _readable(f"{found.folder / names[0]} and {second} are one {kind} by name; keep one of them.")
    if stem not in images.files and labels is not None:
        there, missing = labels, "image"
    elif labels is not None and stem not in labels.files:
        there, missing = images, "label"
    elif _readable(stem) != stem:
        return _readable(f"{images.folder / images.files[stem][0]}: its name is not UTF-8; rename the file.")
    else:
        return None
    file = there.folder / there.files[stem][0]
    return _readable(f"{file}: has no {missing} named '{stem}' beside it; add the {missing} or remove this file.")


def _below(folder: Path, root: Path) -> str:
    """What is to be put before names in `folder` to make them names in `root`."""
    inside = folder.relative_to(root).as_posix()
    return "" if inside == "." else f"{inside}/"


def _readable(name: str) -> str:
    """As UTF-8 can write it, which need not be as the file system has it."""
    return name if name.isascii() else os.fsencode(name).decode(errors="replace")


def _size(path: Path) -> int | None:
    """Bytes of a file; None of what is no file (any more): reading it says what is wrong."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@functools.lru_cache(maxsize=1)  # the parts of a large image follow each other: decode it once, not once a part
def _decode(
    image: Path,
    label: Path | None,
    table: LabelTable,
    resize: Callable[[int, int], tuple[int, int]] | None,
    max_pixels: int,
    upright: bool,
    *stamps: object,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels, and ids or colours; `stamps` tell changed files apart from cached ones."""
    picture = images.read_picture(image, max_pixels)
    picture = picture if upright else replace(picture, orientation=1)
    pixels, raw = picture.rgb(), None
    if label is not None:
        annotation = images.read_picture(label, max_pixels)
        annotation = annotation if upright else replace(annotation, orientation=1)
        raw = annotation.labels(table)
        _check_pair(picture, annotation)
    size = pixels.shape[1::-1]
    if resize is not None and resize(*size) != size:
        size = resize(*size)
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
        raw = None if raw is None else np.asarray(Image.fromarray(raw).resize(size, Image.Resampling.NEAREST))
    for array in (pixels, raw):
        if array is not None:
            array.flags.writeable = False
    return pixels, raw


def _check_pair(image: images.Picture, label: images.Picture) -> None:
    """DatasetError if a label does not lie on its image."""
    turned = (
        f"the EXIF orientation of the label is {label.orientation}, that of its image {image.path.name} "
        f"{image.orientation}"
    )
    if label.orientation not in (1, image.orientation):
        raise DatasetError(f"{label.path}: {turned}; turn both upright, or give both the same.")
    if label.size == image.size:
        return
    if label.orientation != image.orientation and label.image.size == image.image.size:
        raise DatasetError(
            f"{label.path}: {turned}, so that only the image is turned; turn both upright, or give both the same."
        )
    width, height = label.size
    raise DatasetError(
        f"{label.path}: the label is {width}x{height} but its image {image.path.name} {image.size[0]}x{image.size[1]}; "
        "both must have one size."
    )
