"""The test images of a study as the page shows them: their pictures, and what can be said of each image by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Optional

import numpy as np

from dsr.experiments.analysis import figures, tables
from dsr.experiments.analysis.formats import compact, filesize
from dsr.experiments.analysis.pictures import (
    IGNORE,
    Picture,
    information_map,
    label_map,
    photograph,
    read_ids,
    refuse_other_size,
    thumbnail,
)
from dsr.experiments.analysis.tables import CONFIGURATIONS
from dsr.experiments.results import ClassFacts, Results, SampleImages

PSNR = "PSNR"
"""The measure beside the configurations' labels by which images are put into an order."""

CAPTIONS = {"label": "ground truth", "information": "information lost"}
"""Of pictures that are not called what they are."""

Scores = dict[str, dict[str, dict[str, float]]]
"""Of an image: {measure: {operating point: {class, or "" for all: value}}}.

Higher is better; what is undefined is left out.
"""

MARKUP = 700  # characters at most around a picture in the page, of names that are not long


@dataclass(frozen=True)
class Thumbnail:
    """One picture of a sample. `name` is unique within the sample; `drawn` is true for maps."""

    id: str
    name: str
    caption: str
    detail: str
    picture: Picture
    drawn: bool


@dataclass
class Strip:
    """The pictures of a sample at one operating point, or those that all operating points share."""

    title: str
    note: str
    thumbnails: list[Thumbnail] = field(default_factory=list)


@dataclass(frozen=True)
class SampleView:
    """One test image with everything that was made of it; `pair` is what the page compares at first.

    `left_out` are the operating points whose pictures would have made the page too large.
    """

    key: str
    strips: list[Strip]
    pair: tuple[Thumbnail, Thumbnail]
    scores: Scores
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Characters that it takes in the page, about."""
        pictures = sum(len(one.picture.uri) + MARKUP for strip in self.strips for one in strip.thumbnails)
        return pictures + MARKUP + len(compact(self.scores))


@dataclass(frozen=True)
class Tile:
    """A test image of the gallery, small."""

    key: str
    psnr: Optional[float]
    picture: Picture
    scores: Scores


def sample_views(results: Results, room: int) -> list[SampleView]:
    """The sample images by key: an image that several operating points share (original, labels, OO) is embedded once.

    Samples that would take more than `room` characters are left out. The first is not: where it alone takes more, its
    easiest operating points are.
    """
    by_key: dict[str, dict[str, SampleImages]] = {}
    for sample in results.samples:
        by_key.setdefault(sample.key, {})[sample.point] = sample
    views: list[SampleView] = []
    for number, (key, by_point) in enumerate(by_key.items()):
        view = _sample_view(results, f"sample-{number}", key, by_point)
        easiest = [point.point for point in reversed(tables.hardest_first(results)) if point.point in by_point]
        for gone in range(1, len(easiest)):
            if views or view.size <= room:
                break
            kept = {point: sample for point, sample in by_point.items() if point not in easiest[:gone]}
            view = _sample_view(results, f"sample-{number}", key, kept)
            view = dataclasses.replace(view, left_out=tuple(easiest[:gone]))
        room -= view.size
        if views and room < 0:
            break
        views.append(view)
    return views


def gallery(results: Results) -> list[Tile]:
    """The test images that compression changed most, as `dsr.experiments.collecting` chose them, in that order."""
    points = tables.hardest_first(results)
    return [
        Tile(
            image.key,
            image.psnr.get(points[0].point) if points else None,
            thumbnail(image.picture),
            {PSNR: {point: {"": value} for point, value in image.psnr.items() if value is not None}},
        )
        for image in results.gallery
    ]


def image_ious(predicted: np.ndarray, label: np.ndarray, classes: Sequence[ClassFacts]) -> dict[str, float]:
    """IoU of each class within one image, and under "" their mean; a class that neither has is left out.

    Args:
        predicted, label: uint8 of shape (height, width), train ids; where `label` is IGNORE, nothing counts, and where
            `predicted` is, it is of no class.
        classes: of the train ids.
    """
    counted = label != IGNORE
    number = len(classes)
    wide = number + 1  # the last column is of no class
    pairs = label[counted].astype(np.int64) * wide + np.minimum(predicted[counted], number)
    confusion = np.bincount(pairs, minlength=number * wide).reshape(number, wide)
    hit = np.diag(confusion)
    union = confusion[:, :number].sum(0) + confusion.sum(1) - hit
    ious = {one.name: float(hit[i] / union[i]) for i, one in enumerate(classes) if union[i]}
    return {"": float(np.mean(list(ious.values()))), **ious} if ious else {}


def _sample_view(results: Results, prefix: str, key: str, by_point: Mapping[str, SampleImages]) -> SampleView:
    """A test image with what each operating point in `by_point` {point: sample} made of it."""
    classes = results.dataset.classes
    first = next(iter(by_point.values()))
    shared = Strip("Every operating point", "")
    for role in ("original", "label", "OO"):
        _add(shared, f"{prefix}-0", role, first.images.get(role), classes)
    strips, opening = [shared], (shared.thumbnails[0], shared.thumbnails[-1])
    hardest = next((point.point for point in tables.hardest_first(results) if point.point in by_point), None)
    for point in tables.operating_points(results):
        sample = by_point.get(point.point)
        if sample:
            strip = Strip(point.point, _sample_note(sample, shared.thumbnails[0].picture))
            here = f"{prefix}-{len(strips)}"
            _add(strip, here, "compressed", sample.images.get("compressed"), classes)
            for name, images in sample.restored.items():
                _add(strip, here, "restored", images.get("restored"), classes, _by(results, name))
            for variant in tables.variants(results)[1:]:
                images = sample.restored.get(variant.restorer, {}) if variant.restorer else sample.images
                role = variant.configuration
                _add(strip, here, role, images.get(role), classes, _by(results, variant.restorer))
            _add(strip, here, "information", sample.information, classes)
            strips.append(strip)
            if point.point == hardest:
                opening = _opening(shared, strip)
    return SampleView(key, strips, opening, _scores(results, by_point))


def _opening(shared: Strip, strip: Strip) -> tuple[Thumbnail, Thumbnail]:
    """Compressed beside restored; where nothing was restored, original beside compressed."""
    photographs = [thumbnail for thumbnail in strip.thumbnails if not thumbnail.drawn]
    return (photographs[0], photographs[1]) if len(photographs) > 1 else (shared.thumbnails[0], strip.thumbnails[0])


def _scores(results: Results, by_point: Mapping[str, SampleImages]) -> Scores:
    classes = results.dataset.classes
    scores: Scores = {PSNR: {point: {"": one.psnr} for point, one in by_point.items() if one.psnr is not None}}
    for point, sample in by_point.items():
        if "label" not in sample.images:
            continue
        label = read_ids(sample.images["label"], classes)
        for variant in tables.variants(results):
            images = sample.restored.get(variant.restorer, {}) if variant.restorer else sample.images
            path = images.get(variant.configuration)
            if path:
                predicted = read_ids(path, classes)
                refuse_other_size(predicted, label, path)
                ious = image_ious(predicted, label, classes)
                scores.setdefault(variant.label, {})[point] = {name: round(iou, 4) for name, iou in ious.items()}
    return scores


def _by(results: Results, restorer: str | None) -> str:
    """The restorer, where there are several to tell apart."""
    return restorer if restorer and len(tables.restorers(results)) > 1 else ""


def _add(
    strip: Strip, prefix: str, role: str, path: str | None, classes: Sequence[ClassFacts], restorer: str = ""
) -> None:
    """Append the picture that plays `role`, if there is one, to `strip`; `restorer` is named if given."""
    if not path:
        return
    drawn = role not in ("original", "compressed", "restored")
    draw = information_map if role == "information" else partial(label_map, classes=classes) if drawn else photograph
    shared = role in ("original", "label", "OO")
    caption = " ".join(filter(None, (CAPTIONS.get(role, role), restorer)))
    name, detail = caption, ""
    if role in CONFIGURATIONS:
        name = f"{caption} prediction"
        detail = f"train {figures.DOMAIN_NAMES[role[0]]}, test {figures.DOMAIN_NAMES[role[1]]}"
    strip.thumbnails.append(
        Thumbnail(
            id="-".join(filter(None, (prefix, role, restorer))),
            name=name if shared else f"{name}, {strip.title}",
            caption=caption,
            detail=detail,
            picture=draw(path),
            drawn=drawn,
        )
    )


def _sample_note(sample: SampleImages, original: Picture) -> str:
    psnr = "" if sample.psnr is None else f", {sample.psnr:.1f} dB"
    crop = ", central crop shown" if original.cropped else ""
    bitstream = "" if sample.bytes is None else filesize(sample.bytes)
    return f"{bitstream}{psnr}{crop}".removeprefix(", ")
