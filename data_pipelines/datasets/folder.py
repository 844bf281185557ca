"""Your own images: a folder of images, a folder of label maps and a list of classes."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

from dsr.data_pipelines.codecs import CodecError
from dsr.data_pipelines.datasets import images as image_files
from dsr.data_pipelines.datasets.base import IGNORE, DatasetError, FileSource, Label, LabelTable, Sample, permuted
from dsr.data_pipelines.received import all_suffixes, decode, read_bitstream, read_header

SPLITS = ("train", "val", "test", "restore")


class Folder(FileSource):
    """Images and label maps with the same names in two folders, at any depth, and the classes in a CSV file.

    With subfolders named train, val, test or restore in the folder of images, those are the splits; `restore`, which
    needs no labels, goes without where the folder of labels has no `restore`. Otherwise a permutation of the sorted
    names, drawn with `seed`, gives `test_share` of the images to split test, `restore_share` to restore, the others
    to train.

    images, labels, classes: the folders and the CSV file, relative to `root`.
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
        max_pixels: int = image_files.MAX_PIXELS,
    ) -> None:
        super().__init__(root, max_pixels)
        self._images, self._labels = self.root / images, self.root / labels
        self.table = read_classes(self.root / classes)
        given = tuple(split for split in SPLITS if (self._images / split).is_dir())
        self._has_folders = bool(given)
        self.splits = given or ("train", "test", "restore")
        if not (test_share >= 0 and restore_share >= 0 and test_share + restore_share < 1):
            raise DatasetError(
                f"Dataset {self.name}: test_share {test_share!r} and restore_share {restore_share!r} must not be "
                "negative, and leave a share for training."
            )
        self.received = frozenset(filter(None, received.split(",")))
        if not self.received <= set(given):
            raise DatasetError(
                f"Dataset {self.name}: received={received} must name folders in {self._images} out of {', '.join(SPLITS)}."
            )
        self._options: dict[str, Any] = {"received": sorted(self.received)} if self.received else {}
        if not self._has_folders:
            self._options = {
                "test_share": test_share,
                "restore_share": restore_share,
                "seed": self.at_least(0, "seed", seed),
            }

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
        try:
            pixels = decode(read_header(sample.image, bitstream), bitstream, self.max_pixels)
        except CodecError as error:
            raise DatasetError(f"{path}: {error}") from error
        if sample.label is None:
            return pixels, None
        label = self.label_path(sample.label)
        raw = image_files.read_labels(label, self.max_pixels)
        if raw.shape[:2] != pixels.shape[:2]:
            raise DatasetError(
                f"{label}: the label is {raw.shape[1]}x{raw.shape[0]} but its image {path.name} "
                f"{pixels.shape[1]}x{pixels.shape[0]}; both must have one size."
            )
        return pixels, self.table.to_train_ids(raw, label)

    def bitstream(self, sample: Sample) -> bytes:
        path = self.image_path(sample.image)
        try:
            return read_bitstream(path)
        except (OSError, CodecError) as error:
            raise DatasetError(f"{path}: cannot be read ({error}).") from error

    def samples(self, split: str) -> list[Sample]:
        self._check_split(split)
        inner = split if self._has_folders else ""
        suffixes = all_suffixes() if split in self.received else image_files.EXTENSIONS
        found = self.files_in(self._images / inner, suffixes, recursive=True)
        if inner == "restore" and not (self._labels / inner).exists():
            return self.pair(found, None)
        labels = self.files_in(self._labels / inner, (".png", ".tif", ".tiff", ".bmp"), recursive=True)
        samples = self.pair(found, labels)
        if self._has_folders:
            return samples
        order = permuted({s.key for s in samples}, self._options["seed"])
        test = round(self._options["test_share"] * len(order))
        restore = round(self._options["restore_share"] * len(order))
        shares = {"test": order[:test], "restore": order[test : test + restore], "train": order[test + restore :]}
        keys = set(shares[split])
        chosen = [s for s in samples if s.key in keys]
        if not chosen:
            raise DatasetError(
                f"{self._images}: {len(order)} images are too few for a split '{split}'; raise its share."
            )
        return chosen


def read_classes(path: Path) -> LabelTable:
    """A class list: CSV with a header of id,name and, if wanted, r,g,b and small and train_id, in any order.

    Without train_id, classes are numbered in the order of the file. An empty train_id, or 255, ignores the label.
    Without r,g,b, colours are made up. small is 1 or 0. Raises DatasetError naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path}: the class list cannot be read ({error}); it must be a CSV file with a header id,name."
        ) from None
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    columns = set(rows.fieldnames or ())
    unknown = columns - {"id", "name", "r", "g", "b", "small", "train_id"}
    if not {"id", "name"} <= columns or unknown or len(columns & {"r", "g", "b"}) not in (0, 3):
        raise DatasetError(
            f"{path}: the first line must name columns id,name[,r,g,b][,small][,train_id], not {rows.fieldnames}."
        )
    labels: list[Label] = []
    for row in rows:
        try:
            number = len(labels)
            train_id = int(row["train_id"] or IGNORE) if "train_id" in columns else number
            color = (int(row["r"]), int(row["g"]), int(row["b"])) if "r" in columns else _made_up_color(number)
            if not all(0 <= value <= 255 for value in (train_id, *color)) or row["name"] is None:
                raise ValueError("r, g, b and train_id go from 0 to 255, and each class has a name")
            labels.append(Label(int(row["id"]), train_id, row["name"].strip(), color, _flag(row.get("small") or "0")))
        except (TypeError, ValueError) as error:
            raise DatasetError(
                f"{path}, line {rows.line_num}: {error}; write it as {','.join(rows.fieldnames or ())}."
            ) from None
    try:
        return LabelTable(tuple(labels))
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None


def _flag(text: str) -> bool:
    if text.strip() not in ("0", "1"):
        raise ValueError(f"small must be 1 or 0, not '{text}'")
    return text.strip() == "1"


def _made_up_color(number: int) -> tuple[int, int, int]:
    """Distinct colours by the bits of the class number, as in PASCAL VOC; class 0 is not black, which is `ignore`."""
    number += 1
    r, g, b = (sum((number >> 3 * i + channel & 1) << 7 - i for i in range(8)) for channel in range(3))
    return r, g, b
