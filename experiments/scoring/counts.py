"""What each image adds to the scores of a segmentation, and how far the scores would move with other images."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Optional, TypeVar

import numpy as np
from numpy.typing import NDArray

from dsr.data_pipelines.datasets import IGNORE
from dsr.experiments.common_images import common_keys
from dsr.experiments.results import Estimate
from dsr.experiments.scoring.errors import ScoreError
from dsr.models.metrics.distances import FEWEST_IMAGES

Name = TypeVar("Name", bound=Hashable)

REPLICATES = 2000
"""Draws of as many images, with replacement, as there are."""

LEVEL = 0.95

SEED = 0
"""Of the draws. They are the same for everything that is scored on as many images, so that differences are paired."""

_VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class ImageCounts:
    """Pixels of one image, of those that are labelled.

    intersection: Right ones, int64 (classes,).
    union: Those that are of the class, or are said to be, int64 (classes,).
    labelled: Those of the class, int64 (classes,).
    """

    intersection: NDArray[np.int64]
    union: NDArray[np.int64]
    labelled: NDArray[np.int64]

    @classmethod
    def of(cls, truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> ImageCounts:
        """Compare train ids of equal shape: 255 in the truth is not looked at, 255 in the prediction is no class."""
        looked_at = truth != IGNORE
        truth, predicted = truth[looked_at], predicted[looked_at]
        right = np.bincount(truth[truth == predicted], minlength=classes)
        said = np.bincount(predicted[predicted != IGNORE], minlength=classes)
        labelled = np.bincount(truth, minlength=classes)
        return cls(right, labelled + said - right, labelled)


@dataclass(frozen=True)
class Counts:
    """The counts of all images of a case, in one order for all cases.

    keys: Of the images.
    intersection, union, labelled: int64 (images, classes).
    """

    keys: tuple[str, ...]
    intersection: NDArray[np.int64]
    union: NDArray[np.int64]
    labelled: NDArray[np.int64]

    @classmethod
    def joined(cls, images: Mapping[str, ImageCounts]) -> Counts:
        """Of one image or more, by key."""
        return cls(
            tuple(images),
            np.stack([image.intersection for image in images.values()]),
            np.stack([image.union for image in images.values()]),
            np.stack([image.labelled for image in images.values()]),
        )

    def only(self, keys: tuple[str, ...]) -> Counts:
        """Those of these images, in this order."""
        if keys == self.keys:
            return self
        places = {key: place for place, key in enumerate(self.keys)}
        rows = [places[key] for key in keys]
        return Counts(keys, self.intersection[rows], self.union[rows], self.labelled[rows])

    @property
    def classes(self) -> NDArray[np.bool_]:
        """Whether any label has it, of each class, (classes,)."""
        return self.labelled.any(axis=0)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Of each class over all images, (classes,); nan for one that no label has, predicted or not."""
        return _iou(self.intersection.sum(0), self.union.sum(0), self.labelled.sum(0))

    @property
    def miou(self) -> float:
        """The mean over the classes that labels have, which are the same for all cases; nan if no pixel is labelled."""
        return float(_mean(self.iou, self.classes))

    @property
    def pixel_accuracy(self) -> float:
        """The share of labelled pixels that are right; nan if there are none."""
        labelled = int(self.labelled.sum())
        return int(self.intersection.sum()) / labelled if labelled else math.nan

    @cached_property
    def replicates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """mIoU (REPLICATES,) and IoU of each class (REPLICATES, classes) with images drawn again.

        A draw in which no label has a class has no IoU of it, and no mIoU if all images together have it: nan.
        """
        drawn = [_iou(d @ self.intersection, d @ self.union, d @ self.labelled) for d in _draws(len(self.keys))]
        iou = np.concatenate(drawn)
        return _mean(iou, self.classes), iou


def over_common(counts: Mapping[Name, Counts]) -> dict[Name, Counts]:
    """The counts of each case, of the images that all have: scores of unlike images cannot be compared.

    Raises UserError if there is no such image, or if no pixel of them has a class.
    """
    keys = common_keys(one.keys for one in counts.values())
    found = {name: one.only(keys) for name, one in counts.items()}
    if not next(iter(found.values())).classes.any():
        raise ScoreError(
            f"no pixel of the {len(keys)} test images to be scored has a class: give labels that are not void"
        )
    return found


def estimate(of: Counts, minus: Optional[Counts] = None) -> tuple[Optional[Estimate], list[Optional[Estimate]]]:
    """mIoU and the IoU of each class, or how far they are above those of another case, with intervals over images.

    Intervals are percentiles of the bootstrap at LEVEL over the draws that have all that is scored; differences are of
    the same drawn images. There is none of fewer than `FEWEST_IMAGES` images with a label, and of a class, images that
    are labelled with it; nor of mIoU if most draws lack a class. A class, or a difference, is None where it is
    undefined.
    """
    miou, iou = of.miou, of.iou
    mious, ious = of.replicates
    if minus is not None:
        miou, iou = miou - minus.miou, iou - minus.iou
        mious, ious = mious - minus.replicates[0], ious - minus.replicates[1]
    images = np.count_nonzero(of.labelled, axis=0)
    return _estimate(miou, mious, np.count_nonzero(of.labelled.any(axis=1))), [
        _estimate(float(value), ious[:, n], images[n]) for n, value in enumerate(iou)
    ]


def _estimate(value: float, replicates: NDArray[np.float64], images: int) -> Optional[Estimate]:
    if math.isnan(value):
        return None
    defined = replicates[~np.isnan(replicates)]
    if images < FEWEST_IMAGES or 2 * defined.size < replicates.size:
        return Estimate(value, None, None)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _draws(images: int) -> Iterator[NDArray[np.float64]]:
    """How often each image is drawn, (some replicates, images): REPLICATES in all, a bounded number at a time."""
    random = np.random.default_rng(SEED)
    for start in range(0, REPLICATES, step := max(1, _VALUES_AT_ONCE // images)):
        rows = min(step, REPLICATES - start)
        places = random.integers(0, images, (rows, images)) + images * np.arange(rows)[:, None]
        yield np.bincount(places.ravel(), minlength=rows * images).reshape(rows, images).astype(np.float64)


def _iou(intersection: NDArray, union: NDArray, labelled: NDArray) -> NDArray[np.float64]:
    return np.divide(intersection, union, out=np.full(np.shape(union), np.nan), where=labelled > 0)


def _mean(iou: NDArray[np.float64], classes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Over the last axis, of these classes; nan if one of them has none, or if there is no class at all."""
    return iou[..., classes].sum(axis=-1) / (classes.sum() or math.nan)
