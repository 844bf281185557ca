"""A dataset looked at whole: every image and label is read as a conversion would, and all that is wrong is told."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Optional

import numpy as np
from PIL import Image

from dsr.data_pipelines.datasets import IGNORE, DatasetError, Sample, Source, images
from dsr.data_pipelines.datasets.file_source import FileSource
from dsr.data_pipelines.datasets.files import read_bytes
from dsr.experiments.graph.progress import Progress
from dsr.models.errors import UserError
from dsr.tfrecords.plan import evenly
from dsr.tfrecords.workers import run

SHOWN = 24
"""Images of a split on the contact sheet, evenly spread."""

THUMBNAIL = 160
"""Pixels along the longer side of one."""


@dataclass(frozen=True)
class Task:
    """A sample to look at, and whether it is shown."""

    split: str
    sample: Sample
    shown: bool

    def __str__(self) -> str:
        return f"{self.split}: {self.sample.image or self.sample.label}"


@dataclass
class ImageFacts:
    """What one sample is.

    Attributes:
      faults: why it cannot be used, as sentences.
      size: (width, height) of the upright image; None if it cannot be read.
      orientation: of the file, 1 to 8 as EXIF numbers them.
      pixels: of each class by its train id, 255 for those that are ignored; empty without a label.
      digest: SHA-256 of the image's file; None of what is drawn.
      thumbnails: the image and its label in colours, WebP, in Base64.
    """

    faults: list[str] = field(default_factory=list)
    size: Optional[tuple[int, int]] = None
    orientation: int = 1
    pixels: dict[int, int] = field(default_factory=dict)
    digest: Optional[str] = None
    thumbnails: list[str] = field(default_factory=list)


@dataclass
class ClassCount:
    """A class in a split: its pixels, their share of all labelled ones, and in how many images it is."""

    name: str
    pixels: int
    share: float
    images: int


@dataclass
class Shown:
    """An image of the contact sheet."""

    name: str
    thumbnails: list[str]


@dataclass
class SplitFacts:
    """What a split is.

    Attributes:
      images: how many samples it lists.
      labelled: how many of those have a label that can be read.
      sizes: "WIDTHxHEIGHT" -> how many images, the most frequent first.
      turned: EXIF orientation -> how many images, of those that are not upright as stored.
      classes: in the order of train ids, those without a pixel too.
      ignored: share of labelled pixels that neither loss nor metric looks at.
      faults: a sentence for each file that cannot be used, and for what is not read.
      notes: sentences on what is no fault, and may surprise.
      shown: images of the contact sheet.
    """

    split: str
    images: int = 0
    labelled: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    turned: dict[int, int] = field(default_factory=dict)
    classes: list[ClassCount] = field(default_factory=list)
    ignored: float = 0.0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)


@dataclass
class Look:
    """What a worker does: reads a sample as it would be converted."""

    source: Source

    def __call__(self, task: Task) -> Iterator[ImageFacts]:
        facts, sample = ImageFacts(), task.sample
        try:
            pixels, labels = self.source.read(sample)
        except UserError as error:
            facts.faults = [str(error), *self._of_label(sample, str(error))]
        else:
            facts.size = (pixels.shape[1], pixels.shape[0])
            if labels is not None:
                values, counts = np.unique(labels, return_counts=True)
                facts.pixels = dict(zip(values.tolist(), counts.tolist()))
            if task.shown:
                facts.thumbnails.append(_thumbnail(pixels))
            if task.shown and labels is not None:
                facts.thumbnails.append(_thumbnail(self.source.table.colorize(labels), exact=True))
        if isinstance(self.source, FileSource) and sample.image:
            path, most = self.source.image_path(sample.image), self.source.max_pixels
            with suppress(UserError):  # said above
                data = read_bytes(path, images.max_bytes(most))
                facts.digest = hashlib.sha256(data).hexdigest()
                facts.orientation = images.orientation_of(path, data, most)
        yield facts

    def _of_label(self, sample: Sample, said: str) -> list[str]:
        """What is wrong with the label of an image that cannot be used, if that is another thing."""
        if sample.flaw or sample.label is None or not isinstance(self.source, FileSource):
            return []
        path, table = self.source.label_path(sample.label), self.source.table
        try:
            table.to_train_ids(images.read_labels(path, table, self.source.max_pixels), path)
        except UserError as error:
            return [str(error)] if str(error) != said else []
        return []


def check(source: Source, workers: Optional[int], progress: Progress) -> list[SplitFacts]:
    """Look at all of a dataset.

    Args:
      source: one that leaves out what it does not read; that is told as a fault.
      workers: processes, by default one a core.
      progress: told after every image.

    Returns:
      Each split. The same image in two splits is a fault of the second.
    """
    found = {split: SplitFacts(split) for split in source.splits}
    tasks = []
    for split, facts in found.items():
        try:
            samples = source.samples(split)
            facts.faults += source.others(split)
        except DatasetError as error:
            facts.faults.append(str(error))
            continue
        facts.images = len(samples)
        shown = set(evenly(SHOWN, len(samples)))
        tasks += [Task(split, sample, number in shown) for number, sample in enumerate(samples)]
    looked = {}
    running = run(Look(source), tasks, workers)
    with progress.meter(f"check {source.name}", len(tasks)) as meter, closing(running) as items:
        for done, (task, facts_of_image) in enumerate(items, start=1):
            looked[task] = facts_of_image
            meter.update(done)
    for split, facts in found.items():
        mine = [(task, looked[task]) for task in tasks if task.split == split]
        _sum_up(facts, source, mine)
    _compare_splits(found, [(task, looked[task]) for task in tasks])
    return list(found.values())


def _sum_up(facts: SplitFacts, source: Source, looked: list[tuple[Task, ImageFacts]]) -> None:
    pixels: Counter[int] = Counter()
    images_with: Counter[int] = Counter()
    sizes: Counter[str] = Counter()
    turned: Counter[int] = Counter()
    for task, image in looked:
        facts.faults += image.faults
        pixels.update(image.pixels)
        images_with.update(image.pixels.keys())
        if image.size:
            sizes["{}x{}".format(*image.size)] += 1
        if image.orientation != 1:
            turned[image.orientation] += 1
        if image.thumbnails:
            facts.shown.append(Shown(task.sample.image, image.thumbnails))
    facts.labelled = sum(bool(image.pixels) for _, image in looked)
    facts.sizes, facts.turned = dict(sizes.most_common()), dict(sorted(turned.items()))
    labelled = sum(pixels.values()) - pixels[IGNORE]
    for label in source.table.classes:
        of_class = pixels[label.train_id]
        facts.classes.append(ClassCount(label.name, of_class, of_class / max(labelled, 1), images_with[label.train_id]))
    facts.ignored = pixels[IGNORE] / max(sum(pixels.values()), 1)
    missing = [one.name for one in facts.classes if not one.pixels]
    if labelled and missing:
        facts.notes.append(
            f"no label has {', '.join(missing)}: tested on this split, dsr score leaves such a class out, and in a "
            "study one pixel that is predicted as such lowers mIoU"
        )
    elif facts.labelled and not labelled:
        labels = f"{facts.labelled} label{'s' if facts.labelled != 1 else ''}"
        facts.notes.append(
            f"no pixel of its {labels} has a class: all are void, so nothing can be learnt or scored of it"
        )


def _compare_splits(found: dict[str, SplitFacts], looked: Iterable[tuple[Task, ImageFacts]]) -> None:
    first: dict[tuple[str, int], Task] = {}
    for task, image in looked:
        if image.digest is None:
            continue
        other = first.setdefault((image.digest, task.sample.part), task)
        if other.split != task.split:
            found[task.split].faults.append(
                f"{task.sample.image} in split {task.split} has the content of {other.sample.image} in "
                f"{other.split}: keep it in one of them"
            )


def _thumbnail(pixels: np.ndarray, exact: bool = False) -> str:
    image = Image.fromarray(pixels)
    how = Image.Resampling.NEAREST if exact else Image.Resampling.BOX
    image.thumbnail((THUMBNAIL, THUMBNAIL), how, reducing_gap=None)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=exact, quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
