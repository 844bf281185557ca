"""Your own images: a folder of images, a folder of label maps and a list of classes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dsr.data_pipelines import received as files_received
from dsr.data_pipelines.codecs import CodecError, Inspection
from dsr.data_pipelines.datasets import images as image_files
from dsr.data_pipelines.datasets.base import DatasetError, Listing, Sample, permuted
from dsr.data_pipelines.datasets.classes import read_classes
from dsr.data_pipelines.datasets.file_source import FileSource
from dsr.data_pipelines.datasets.files import expanded
from dsr.data_pipelines.datasets.labels import IGNORE, Label, LabelTable, voc_color
from dsr.data_pipelines.datasets.listing import Found, Other, beside

SPLITS = ("train", "val", "test", "restore")
_MEANT = {
    **{split: split for split in SPLITS},
    "training": "train",
    "validation": "val",
    "valid": "val",
    "testing": "test",
}
"""Names that others give to split folders, in lower case -> those that are read."""


UPRIGHT, STORED = "upright", "stored"


class Folder(FileSource):
    """Images and label maps with the same names in two folders, at any depth, and the classes in a CSV file.

    With subfolders named train, val, test or restore in the folder of images, those are the splits; `restore`, which
    needs no labels, goes without where the folder of labels has no `restore`. Otherwise a permutation of the sorted
    names, drawn with `seed`, gives `test_share` of the images to split test, `restore_share` to restore, the others
    to train.

    images, labels, classes: the folders and the CSV file, relative to `root`.
    label_suffix: what the name of a label has behind that of its image: `_mask` for 0001.jpg and 0001_mask.png. Images
        and labels may then lie in one folder.
    exif: `upright` turns images and labels as their EXIF says, `stored` leaves them as they are stored.
    ignore_ids: ids of label files, separated by commas, that neither the loss nor the metric looks at, whether the
        class list has them or not.
    received: names of split folders, separated by commas, whose images came compressed, as files that
        `dsr.data_pipelines.received` decodes: they are kept as they came, and there are no originals of them.
    """

    name = "folder"
    about = "your own: a folder of images, a folder of label maps, a list of classes"
    choosing = frozenset({"test_share", "restore_share", "seed"})
    layout = "images/, labels/ and classes.csv (or say where with the options images, labels and classes)"

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        *,
        images: str = "images",
        labels: str = "labels",
        classes: str = "classes.csv",
        test_share: float = 0.2,
        restore_share: float = 0.2,
        seed: int = 0,
        received: str = "",
        label_suffix: str = "",
        exif: str = "upright",
        ignore_ids: str | int = "",
        max_pixels: int = image_files.MAX_PIXELS,
        skip_others: bool = False,
    ) -> None:
        super().__init__(root, max_pixels, skip_others)
        self._images, self._labels = self._place("images", images), self._place("labels", labels)
        self.table = _ignoring(read_classes(self._place("classes", classes)), self._ids(ignore_ids))
        given = tuple(split for split in SPLITS if (self._images / split).is_dir())
        self._has_folders = bool(given)
        self.splits = given or ("train", "test", "restore")
        self._check_names()
        shares = (test_share, restore_share)
        if not all(isinstance(share, (int, float)) and 0 <= share < 1 for share in shares) or not sum(shares) < 1:
            raise DatasetError(
                f"Dataset {self.name}: test_share {test_share!r} and restore_share {restore_share!r} must be numbers "
                "that are not negative, and leave a share for training."
            )
        self.received = frozenset(filter(None, str(received).split(",")))
        if not self.received <= set(given):
            raise DatasetError(
                f"Dataset {self.name}: received={received} must name folders in {self._images} out of "
                f"{', '.join(SPLITS)}."
            )
        self._options: dict[str, Any] = {"received": sorted(self.received)} if self.received else {}
        if not isinstance(label_suffix, str) or "/" in label_suffix:
            raise DatasetError(f"Dataset {self.name}: label_suffix must be the end of a name, not {label_suffix!r}.")
        if exif not in (UPRIGHT, STORED):
            raise DatasetError(f"Dataset {self.name}: exif must be {UPRIGHT} or {STORED}, not {exif!r}.")
        if exif == STORED and self.received:
            raise DatasetError(f"Dataset {self.name}: exif={STORED} is not for images that came compressed.")
        self.label_suffix, self.turns_upright = label_suffix, exif == UPRIGHT
        if exif == STORED:  # the others show in the class list and in the listing
            self._options["exif"] = exif
        if not self._has_folders:
            self._options |= {
                "test_share": test_share,
                "restore_share": restore_share,
                "seed": self.at_least(0, "seed", seed),
            }

    def _place(self, option: str, value: Any) -> Path:
        if not isinstance(value, (str, os.PathLike)):
            raise DatasetError(f"Dataset {self.name}: {option} must be a path, not {value!r}.")
        return self.root / expanded(value)

    def image_path(self, name: str) -> Path:
        return self._images / name

    def label_path(self, name: str) -> Path:
        return self._labels / name

    def options(self) -> dict[str, Any]:
        return dict(self._options)

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
        if sample.image.partition("/")[0] not in self.received or sample.flaw:
            return super().read(sample)
        bitstream = self.bitstream(sample)
        path = self.image_path(sample.image)
        header = self._inspected(sample, bitstream)
        try:
            pixels = files_received.decode(header, bitstream, self.max_pixels)
        except CodecError as error:
            raise DatasetError(f"{path}: {error}") from error
        if sample.label is None:
            return pixels, None
        label = self.label_path(sample.label)
        annotation = image_files.read_picture(label, self.max_pixels)
        turned = files_received.orientation(header.codec, bitstream, self.max_pixels)
        if annotation.orientation not in (1, turned):
            raise DatasetError(
                f"{label}: the EXIF orientation of the label is {annotation.orientation}, that of its image "
                f"{path.name} {turned}; turn both upright, or give both the same."
            )
        raw = annotation.labels(self.table)
        if raw.shape[:2] != pixels.shape[:2]:
            raise DatasetError(
                f"{label}: the label is {raw.shape[1]}x{raw.shape[0]} but its image {path.name} "
                f"{pixels.shape[1]}x{pixels.shape[0]}; both must have one size."
            )
        return pixels, self.table.to_train_ids(raw, label)

    def bitstream(self, sample: Sample) -> bytes:
        try:
            return files_received.read_bitstream(self.image_path(sample.image))
        except CodecError as error:
            raise DatasetError(str(error)) from error

    def header(self, sample: Sample, bitstream: bytes) -> dict[str, Any]:
        found = self._inspected(sample, bitstream)
        return {"codec": found.codec, "quality": found.quality, "chroma": found.chroma}

    def _inspected(self, sample: Sample, bitstream: bytes) -> Inspection:
        try:
            return files_received.read_header(str(self.image_path(sample.image)), bitstream)
        except CodecError as error:
            raise DatasetError(str(error)) from error

    def listing(self, split: str) -> Listing:
        inner = split if self._has_folders else ""
        found = self.files_in(
            self._images / inner,
            files_received.all_suffixes() if split in self.received else image_files.EXTENSIONS,
            recursive=True,
        )
        labelled = (self._labels / inner).exists()
        if self.label_suffix and self._labels == self._images:
            labelled = self._take_labels_out(found)
        found.others.extend(self._beside(self._images))
        if inner == "restore" and not labelled:
            return self.pair(found, None)
        labels = self.files_in(self._labels / inner, image_files.LABEL_EXTENSIONS, recursive=True)
        labels.others.extend(self._beside(self._labels))
        if self.label_suffix:
            self._strip_suffix(labels)
        pairs = self.pair(found, labels)
        if self._has_folders:
            return pairs
        order = permuted({s.key for s in pairs.samples}, self._options["seed"])
        test = round(self._options["test_share"] * len(order))
        restore = round(self._options["restore_share"] * len(order))
        shares = {"test": order[:test], "restore": order[test : test + restore], "train": order[test + restore :]}
        keys = set(shares[split])
        if not keys:
            raise DatasetError(
                f"{self._images}: {len(order)} images are too few for a split '{split}'; raise its share."
            )
        return pairs.only(s for s in pairs.samples if s.key in keys)

    def _take_labels_out(self, found: Found) -> bool:
        """Leave the images among files of both; returns whether there are labels among them."""
        ours = [
            name for stem in list(found.files) if stem.endswith(self.label_suffix) for name in found.files.pop(stem)
        ]
        no_labels = sorted(name for name in ours if not name.lower().endswith(image_files.LABEL_EXTENSIONS))
        endings = ", ".join(image_files.LABEL_EXTENSIONS)
        why = f"its name is a label's by {self.label_suffix}, and labels end in {endings}"
        found.others += [Other(found.folder / name, why) for name in no_labels]
        return len(ours) > len(no_labels)

    def _strip_suffix(self, labels: Found) -> None:
        """Call label files by the names of their images."""
        ours = {stem: names for stem, names in labels.files.items() if stem.endswith(self.label_suffix)}
        others = sorted(name for stem, names in labels.files.items() if stem not in ours for name in names)
        labels.files = {stem[: -len(self.label_suffix)]: names for stem, names in ours.items()}
        why = f"its name does not end in {self.label_suffix}"
        labels.others += [Other(labels.folder / name, why) for name in others]
        if self._labels == self._images:  # those are images, and what is none of either the other listing says
            labels.others.clear()

    def _ids(self, ids: Any) -> list[int]:
        texts = [part.strip() for part in str(ids).split(",") if part.strip()]
        if not all(text.isdecimal() and len(text) <= 5 and int(text) <= 65535 for text in texts):
            raise DatasetError(f"Dataset {self.name}: ignore_ids must be ids from 0 to 65535, not {ids!r}.")
        return list(dict.fromkeys(map(int, texts)))

    def _beside(self, folder: Path) -> Iterator[Other]:
        """What lies beside the split folders."""
        return (
            (other for other in beside(folder) if other.path.name not in self.splits) if self._has_folders else iter(())
        )

    def _check_names(self) -> None:
        """DatasetError for a folder that is called almost as a split: it would be mixed with others, or left out."""
        for folder in (self._images, self._labels):
            for other in beside(folder) if folder.is_dir() else ():
                split = _MEANT.get(other.path.name.lower())
                if split not in (None, other.path.name) and other.path.is_dir():
                    raise DatasetError(
                        f"{other.path}: looks like a split, and splits are called {', '.join(SPLITS)}; rename it to "
                        f"{split}, or otherwise if it is none."
                    )


def _ignoring(table: LabelTable, ids: list[int]) -> LabelTable:
    """The table in which some ids, of the list or not, are ignored."""
    if not ids:
        return table
    kept = [replace(label, train_id=IGNORE) if label.id in ids else label for label in table.labels]
    learnt = sorted({label.train_id for label in kept} - {IGNORE})
    closed = {old: number for number, old in enumerate(learnt)}  # without a hole where a class went
    kept = [replace(label, train_id=closed.get(label.train_id, IGNORE)) for label in kept]
    known, colors = {label.id for label in kept}, {label.color for label in kept}
    free = (color for color in map(voc_color, range(1 << 24)) if color not in colors)
    new = [Label(number, IGNORE, f"ignored {number}", next(free)) for number in ids if number not in known]
    return replace(table, labels=(*kept, *new))
