"""Usable information from the cross-entropies of segmenters: temperatures, and differences with their intervals.

The mean cross-entropy of a model on images that it was not trained on bounds from above how uncertain labels are for
its family of models once it has seen the image. A difference of two of them estimates how much usable information (Xu
et al., "A Theory of Usable Information Under Computational Constraints", 2020) one kind of images holds more than the
other, about the labels and for this family. It is a difference of two upper bounds, so it may have either sign; and it
is not Shannon's information, which no processing of an image can add to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from dsr.models.metrics.distances import FEWEST_IMAGES, NORMAL_95, Counts

TEMPERATURES = (1 / 32, 32.0)
"""Between these one is looked for; networks that are trained at all have one near 1."""

NATS_TO_BITS = 1 / math.log(2)


def fit_temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """The T in `TEMPERATURES` at which softmax(logits / T) has the least mean cross-entropy (Guo et al. 2017).

    In 1 / T it is convex, so there is one, found where the derivative changes its sign.

    Args:
      logits: (pixels, classes), float, one pixel or more.
      labels: (pixels,), the class of each.
    """
    from scipy.optimize import brentq  # a tenth of a second, for which no --help should wait
    from scipy.special import softmax

    logits = np.asarray(logits, np.float64)
    wanted = logits[np.arange(len(logits)), labels].mean()

    def slope(log_temperature: float) -> float:
        """The derivative by 1 / T: how far the expected logit is above that of the label."""
        p = softmax(logits * math.exp(-log_temperature), axis=1)
        return float(np.einsum("pc,pc->", p, logits) / len(logits) - wanted)

    low, high = (math.log(bound) for bound in TEMPERATURES)
    if slope(low) <= 0:  # even so cold a model is not sure enough
        return TEMPERATURES[0]
    if slope(high) >= 0:
        return TEMPERATURES[1]
    return math.exp(brentq(slope, low, high, xtol=1e-10))


@dataclass(frozen=True)
class Losses:
    """What a segmenter loses on test images, image by image and class by class of the label.

    nats    float64 (images, classes): sums of -ln p(label) over the pixels of the class
    pixels  int64 (images, classes): how many those are
    """

    nats: NDArray[np.float64]
    pixels: NDArray[np.int64]

    @property
    def bits(self) -> float:
        """The cross-entropy in bits a labelled pixel; nan without one."""
        return _ratio(NATS_TO_BITS * self.nats.sum(), self.pixels.sum())

    @property
    def by_class(self) -> NDArray[np.float64]:
        """The same over the pixels of each class, (classes,)."""
        return _ratios(NATS_TO_BITS * self.nats.sum(axis=0), self.pixels.sum(axis=0))

    @property
    def by_image(self) -> NDArray[np.float64]:
        """The same over the pixels of each image, (images,)."""
        return _ratios(NATS_TO_BITS * self.nats.sum(axis=1), self.pixels.sum(axis=1))


@dataclass(frozen=True)
class Difference:
    """A mean over seeds, bits a pixel, with its 95 % interval, if there are images enough for one; see `differ`."""

    value: float
    low: Optional[float]
    high: Optional[float]


def differ(
    pairs: Sequence[tuple[Losses, Losses]], draws: Sequence[Counts]
) -> tuple[Difference, list[Optional[Difference]]]:
    """How many bits a labelled pixel the first of each pair loses more than the second, and the same for each class.

    A class's is by its own pixels; weighed with the classes' shares of the pixels they add up to the first. It is None
    where no pixel has the class.

    The interval is for other test images, equally many, and, with two seeds or more, other seeds: half its length is
    the root of the sum of two squares. One is 1.96 times the standard error over images, from `draws` of them that all
    seeds share; the other is the half length of the t-interval over seeds. Drawing seeds like images would not do: it
    takes a few for all that there are, and an interval from three of them covers far less than it says (docs/
    information.md has a measurement). There is none where fewer than `FEWEST_IMAGES` images have a pixel of the class.

    Args:
      pairs: of each seed, one or more; all of the same images and labels in the same order.
      draws: see `dsr.models.metrics.distances.resamples`.
    """
    apart = NATS_TO_BITS * np.stack([first.nats - second.nats for first, second in pairs])  # (seeds, images, classes)
    pixels = pairs[0][0].pixels.astype(np.float64)
    drawn = np.stack(draws).astype(np.float64)
    # The class "all" is one more column.
    apart = np.concatenate([apart.sum(axis=2, keepdims=True), apart], axis=2)
    pixels = np.concatenate([pixels.sum(axis=1, keepdims=True), pixels], axis=1)
    by_seed = _ratios(apart.sum(axis=1), np.broadcast_to(pixels.sum(axis=0), apart[:, 0].shape))
    resampled = _ratios(drawn @ apart.mean(axis=0), drawn @ pixels)
    images = np.count_nonzero(pixels, axis=0)
    found: list[Optional[Difference]] = []
    for column in range(apart.shape[2]):
        if not images[column]:
            found.append(None)
            continue
        value = float(by_seed[:, column].mean())
        if images[column] < FEWEST_IMAGES:
            found.append(Difference(value, None, None))
            continue
        reach = math.hypot(_over_images(resampled[:, column]), _over_seeds(by_seed[:, column]))
        found.append(Difference(value, value - reach, value + reach))
    total, *classes = found
    assert total is not None, "there is a labelled pixel"
    return total, classes


def _over_images(resampled: NDArray[np.float64]) -> float:
    """Half the interval; draws without a pixel of the class say nothing."""
    said = resampled[np.isfinite(resampled)]
    return NORMAL_95 * float(np.std(said, ddof=1))


def _over_seeds(by_seed: NDArray[np.float64]) -> float:
    """Half the t-interval of their mean; 0 of one, which says nothing of others."""
    from scipy.special import stdtrit

    n = len(by_seed)
    return float(stdtrit(n - 1, 0.975) * np.std(by_seed, ddof=1) / math.sqrt(n)) if n > 1 else 0.0


def _ratio(part: float, of: float) -> float:
    return float(part / of) if of else float("nan")


def _ratios(parts: NDArray[np.float64], of: NDArray[Any]) -> NDArray[np.float64]:
    return np.divide(parts, of, out=np.full(np.shape(parts), np.nan), where=np.asarray(of) > 0)
