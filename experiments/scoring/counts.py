"""What each image adds to the scores of a segmentation, and how far the scores would move with other images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from dsr.data_pipelines.datasets import IGNORE
from dsr.experiments.results import Estimate

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
    labelled: All.
    """

    intersection: NDArray[np.int64]
    union: NDArray[np.int64]
    labelled: int

    @classmethod
    def of(cls, truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> ImageCounts:
        """Compare train ids of equal shape: 255 in the truth is not looked at, 255 in the prediction is no class."""
        labelled = truth != IGNORE
        truth, predicted = truth[labelled], predicted[labelled]
        right = np.bincount(truth[truth == predicted], minlength=classes)
        said = np.bincount(predicted[predicted != IGNORE], minlength=classes)
        return cls(right, np.bincount(truth, minlength=classes) + said - right, len(truth))


@dataclass(frozen=True)
class Counts:
    """The counts of all images of a case, in one order for all cases.

    intersection, union: int64 (images, classes).
    labelled: int64 (images,).
    """

    intersection: NDArray[np.int64]
    union: NDArray[np.int64]
    labelled: NDArray[np.int64]

    @classmethod
    def joined(cls, images: Sequence[ImageCounts]) -> Counts:
        """Of one image or more."""
        return cls(
            np.stack([image.intersection for image in images]),
            np.stack([image.union for image in images]),
            np.array([image.labelled for image in images], np.int64),
        )

    @property
    def iou(self) -> NDArray[np.float64]:
        """Of each class over all images, (classes,); nan for one that is neither labelled nor predicted."""
        return _iou(self.intersection.sum(0), self.union.sum(0))

    @property
    def miou(self) -> float:
        """The mean over the classes that have an IoU; nan if no pixel is labelled."""
        return float(_mean(self.iou))

    @property
    def pixel_accuracy(self) -> float:
        """The share of labelled pixels that are right; nan if there are none."""
        labelled = int(self.labelled.sum())
        return int(self.intersection.sum()) / labelled if labelled else math.nan

    @cached_property
    def replicates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """mIoU (REPLICATES,) and IoU of each class (REPLICATES, classes) with images drawn again."""
        drawn = [_iou(d @ self.intersection, d @ self.union) for d in _draws(len(self.labelled))]
        iou = np.concatenate(drawn)
        return _mean(iou), iou


def estimate(of: Counts, minus: Optional[Counts] = None) -> tuple[Optional[Estimate], list[Optional[Estimate]]]:
    """mIoU and the IoU of each class, or how far they are above those of another case, with intervals over images.

    Intervals are percentiles of the bootstrap at LEVEL; differences are of the same drawn images. A class, or a
    difference, is None where it is undefined; one image alone has an interval of one point.
    """
    miou, iou = of.miou, of.iou
    mious, ious = of.replicates
    if minus is not None:
        miou, iou = miou - minus.miou, iou - minus.iou
        mious, ious = mious - minus.replicates[0], ious - minus.replicates[1]
    return _estimate(miou, mious), [_estimate(float(value), ious[:, n]) for n, value in enumerate(iou)]


def _estimate(value: float, replicates: NDArray[np.float64]) -> Optional[Estimate]:
    defined = replicates[~np.isnan(replicates)]
    if math.isnan(value) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _draws(images: int) -> Iterator[NDArray[np.float64]]:
    """How often each image is drawn, (some replicates, images): REPLICATES in all, a bounded number at a time."""
    random = np.random.default_rng(SEED)
    for start in range(0, REPLICATES, step := max(1, _VALUES_AT_ONCE // images)):
        rows = min(step, REPLICATES - start)
        places = random.integers(0, images, (rows, images)) + images * np.arange(rows)[:, None]
        yield np.bincount(places.ravel(), minlength=rows * images).reshape(rows, images).astype(np.float64)


def _iou(intersection: NDArray, union: NDArray) -> NDArray[np.float64]:
    return np.divide(intersection, union, out=np.full(np.shape(union), np.nan), where=union > 0)


def _mean(iou: NDArray[np.float64]) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of no class at all the mean is nan, as it should be
        return np.nanmean(iou, axis=-1)
