"""Label maps that any program predicted, as folders of PNG files, to the counts of each case.

A folder for each case, called as dsr calls its own evaluations: the configuration, then the operating point, the
restorer and the seed as far as there are several to tell apart:

OO/NAME.png                            trained on originals, tested on originals
CO/NAME.png, RO/NAME.png               trained on compressed or restored images, tested on originals
CO-bpg-qp36/NAME.png                   at this operating point
RO-bpg-qp36-esrgan-seed1/NAME.png      restored by this restorer, the training of seed 1
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Optional
from urllib.parse import unquote

import numpy as np

from dsr.data_pipelines.datasets import IGNORE, DatasetError, Label, LabelTable, Sample, Source, images
from dsr.data_pipelines.datasets.listing import composed
from dsr.data_pipelines.degradations import Degradation
from dsr.data_pipelines.degradations.base import DegradationError, Degraded
from dsr.experiments.config.schema import CONFIGURATIONS, OperatingPoint
from dsr.experiments.domain import Case
from dsr.experiments.graph.progress import Progress
from dsr.experiments.scoring.counts import Counts, ImageCounts
from dsr.experiments.scoring.errors import ScoreError
from dsr.models.errors import UserError
from dsr.tfrecords import files
from dsr.tfrecords.workers import available_cores

SUFFIX = ".png"

RECEIVED, RESTORED = "received", "restorer"
"""What the operating point and the restorer are called where a folder's name does not say."""

SHOWN = 30
"""Faults that are told one by one."""

Ids = Literal["dataset", "train"]


@dataclass(frozen=True)
class Elsewhere(Degradation):
    """What images went through elsewhere: nothing is known of it but what it is called."""

    name = "elsewhere"

    called: str

    @property
    def level(self) -> None:
        return None

    @property
    def point(self) -> str:
        return self.called

    def degrade(self, pixels: np.ndarray, key: str) -> Degraded:
        raise DegradationError(f"{self.called} is done elsewhere, and not known here")

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "called": self.called}


@dataclass(frozen=True)
class Predicted:
    """A case and the folder of its label maps."""

    case: Case
    folder: Path


def parse_case(text: str) -> Case:
    """Read CONFIGURATION[-POINT[-RESTORER]][-seedN].

    POINT is an operating point as dsr prints it, or any one word without a hyphen.

    Raises:
        ScoreError: it is not of this form.
    """
    found = re.fullmatch(r"([A-Z]{2})(?:-(?!seed\d+$)(.+?))?(?:-seed(\d{1,9}))?", text)
    if found is None or found[1] not in CONFIGURATIONS:
        raise ScoreError(
            f"{text!r} names no case: call the folder {', '.join(CONFIGURATIONS[:-1])} or {CONFIGURATIONS[-1]}, with "
            "-POINT, -RESTORER and -seedN after it where there are several, as in RO-bpg-qp36-esrgan-seed1"
        )
    configuration, rest, seed = found[1], found[2], int(found[3] or 0)
    if configuration == "OO" and rest:
        raise ScoreError(f"{text!r}: nothing is compressed or restored in OO, so it is OO or OO-seedN")
    degradation, restorer = _split(text, rest) if rest else (Elsewhere(RECEIVED), None)
    if restorer and "R" not in configuration:
        raise ScoreError(
            f"{text!r}: {restorer!r} would be a restorer, and nothing is restored in {configuration}; give an "
            "operating point as bpg-qp36, or one word without a hyphen"
        )
    return Case.of(configuration, degradation, restorer or RESTORED, seed)


def _split(text: str, rest: str) -> tuple[Degradation, Optional[str]]:
    """Operating point and restorer of what stands between configuration and seed."""
    if not re.fullmatch(r"[\w.+=:-]+", rest):
        raise ScoreError(f"{text!r}: names are made of letters, digits and . + = : _ -")
    words = rest.split("-")
    for end in range(len(words), 0, -1):
        try:
            point = OperatingPoint.parse("-".join(words[:end])).make()
        except (ValueError, UserError):
            continue
        return point, "-".join(words[end:]) or None
    return Elsewhere(words[0]), "-".join(words[1:]) or None


def find_cases(given: Sequence[str]) -> list[Predicted]:
    """The cases in a folder of folders, or those named one by one as CASE=FOLDER, in order of their names.

    Raises:
        ScoreError: a folder is missing or holds no case, or two are of one case.
    """
    found = []
    for text in given:
        name, named, folder = text.partition("=")
        if named and not Path(text).is_dir():
            if not Path(folder).is_dir():
                raise ScoreError(f"{folder} is no folder; give the one with the label maps of {name}")
            found.append(Predicted(parse_case(name), Path(folder)))
            continue
        root = Path(text)
        if not root.is_dir():
            raise ScoreError(f"{root} is no folder; give one with folders OO, CO, RO, ... of label maps in it")
        inside = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
        loose = [path.name for path in root.iterdir() if path.suffix.lower() in images.EXTENSIONS]
        if loose or not inside:
            raise ScoreError(
                f"{root} holds {'images, as ' + min(loose) if loose else 'no folder'}: put label maps into folders "
                f"{root}/OO, {root}/CO, {root}/RO, ... or say what they are with --predictions OO={root}"
            )
        found += [Predicted(parse_case(path.name), path) for path in inside]
    by_case: dict[Case, Predicted] = {}
    for one in found:
        other = by_case.setdefault(one.case, one)
        if other is not one:
            raise ScoreError(f"{other.folder} and {one.folder} are of one case; tell them apart by -seedN")
    return sorted(found, key=_order)


def _order(one: Predicted) -> tuple[int, str, int]:
    return CONFIGURATIONS.index(one.case.configuration), one.case.changed.suffix, one.case.seed


def read_cases(
    found: Sequence[Predicted], source: Source, samples: Sequence[Sample], ids: Ids, progress: Progress
) -> dict[Case, Counts]:
    """Compare the label maps of each case with the dataset's.

    Args:
        found: The cases.
        source: The dataset.
        samples: Its test images, those without a label map are refused.
        ids: What the predicted maps hold: the dataset's ids, or train ids with 255 for no class.
        progress: Told after every image.

    Raises:
        ScoreError: with every fault of every case at once: files that are missing, or of no test image, cannot be
            read, have another size than the ground truth, or hold ids that are none.
    """
    faults: list[str] = []
    places: dict[Case, dict[str, Path]] = {}
    for one in found:
        places[one.case], wrong = match(one.folder, samples)
        faults += wrong
    table = source.table

    def compare(sample: Sample) -> tuple[dict[Case, ImageCounts], list[str]]:
        try:
            truth = _truth(source, sample)
        except UserError as error:
            return {}, [str(error)]
        counts, wrong = {}, []
        for case, files_of in places.items():
            path = files_of.get(sample.key)
            try:
                if path is not None:
                    predicted = read_label_map(path, table, ids)
                    if predicted.shape != truth.shape:
                        raise ScoreError(f"{path}: has {_size(predicted)} pixels, its ground truth {_size(truth)}")
                    counts[case] = ImageCounts.of(truth, predicted, table.num_classes)
            except UserError as error:
                wrong.append(str(error))
        return counts, wrong

    by_image = []
    with ThreadPoolExecutor(available_cores()) as pool, progress.meter("score predictions", len(samples)) as meter:
        for number, (counts, wrong) in enumerate(pool.map(compare, samples), start=1):
            by_image.append(counts)
            faults += wrong
            meter.update(number)
    if faults:
        more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        listed = "\n".join(f"  {fault}" for fault in [*faults[:SHOWN], *more])
        raise ScoreError(f"the predictions cannot be scored before these are put right:\n{listed}")
    keys = [sample.key for sample in samples]
    return {one.case: Counts.joined({key: counts[one.case] for key, counts in zip(keys, by_image)}) for one in found}


def read_label_map(path: Path, table: LabelTable, ids: Ids) -> np.ndarray:
    """Train ids, uint8 (H, W), 255 where no class is predicted.

    Raises:
        DatasetError: the file cannot be read as a label map, or holds ids of the dataset that there are not.
        ScoreError: it holds train ids that there are not.
    """
    if ids == "dataset":
        return table.to_train_ids(images.read_labels(path, table), path)
    written = images.read_labels(path, _of_train_ids(table))
    if written.ndim != 2:
        raise ScoreError(f"{path}: holds colours; save train ids as 8-bit grey PNG")
    unknown = np.unique(written[(written >= table.num_classes) & (written != IGNORE)])
    if unknown.size:
        raise ScoreError(
            f"{path}: holds {', '.join(map(str, unknown[:4]))}, and train ids go from 0 to {table.num_classes - 1}, "
            f"with {IGNORE} for none"
        )
    return written.astype(np.uint8)


def _of_train_ids(table: LabelTable) -> LabelTable:
    """The table in which the classes' ids are their train ids: what palettes and grey of few bits are told by."""
    taken = {label.color for label in table.classes}
    free = next(color for grey in range(256) if (color := (grey, grey, grey)) not in taken)
    classes = [dataclasses.replace(label, id=label.train_id) for label in table.classes]
    return dataclasses.replace(table, labels=(*classes, Label(IGNORE, IGNORE, "no class", free)))


def _truth(source: Source, sample: Sample) -> np.ndarray:
    truth = source.read(sample)[1]
    if truth is None:
        raise DatasetError(f"{sample.image}: has no label map, so nothing can be scored on it.")
    return truth


def _size(label: np.ndarray) -> str:
    return f"{label.shape[1]}x{label.shape[0]}"


def match(folder: Path, samples: Sequence[Sample]) -> tuple[dict[str, Path], list[str]]:
    """The label map of each image by its key, and sentences on what is missing, there twice, or of no image.

    A file belongs to an image if its name without the suffix is the image's, with or without the folders above it.
    Endings that a dataset gives to all of its images or labels may be left out (as Cityscapes' `_leftImg8bit`).
    """
    whole: dict[str, set[str]] = {}
    bare: dict[str, set[str]] = {}
    parts = Counter(sample.image for sample in samples)
    for sample in samples:
        for name in _names(sample, whole=parts[sample.image] == 1):
            whole.setdefault(name, set()).add(sample.key)
            bare.setdefault(PurePosixPath(name).name, set()).add(sample.key)
    found: dict[str, Path] = {}
    faults: list[str] = []
    for name in files.names(folder):
        path = PurePosixPath(name)
        if path.suffix.lower() not in images.EXTENSIONS or any(part.startswith(".") for part in path.parts):
            continue
        if path.suffix.lower() != SUFFIX:
            faults.append(f"{folder / name}: label maps are PNG files, as others may change ids")
            continue
        stem = path.with_suffix("")
        keys = whole.get(composed(stem.as_posix())) or bare.get(composed(stem.name)) or set()
        if len(keys) != 1:
            why = (
                f"is the name of {len(keys)} test images; keep the folders above it"
                if keys
                else f"is none of the {len(samples)} test images"
            )
            faults.append(f"{folder / name}: {stem.as_posix()} {why}")
            continue
        (key,) = keys
        if key in found:
            faults.append(f"{folder / name}: is of the same image as {found[key]}; keep one of them")
            continue
        found[key] = folder / name
    faults += [
        f"{folder}: has no {unquote(sample.key)}{SUFFIX}, for the image {sample.image}"
        for sample in samples
        if sample.key not in found
    ]
    return found, faults


def _names(sample: Sample, whole: bool) -> set[str]:
    """What the prediction of an image may be called, with all folders; that of a part of a file only by its key."""
    stems = {unquote(sample.key)}
    for name in filter(None, (sample.image, sample.label)) if whole else ():
        stems.add(PurePosixPath(name).with_suffix("").as_posix())
    return {composed(stem) for stem in stems}
