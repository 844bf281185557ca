"""How far two sets of images are apart, judged by a network's features of them.

The size of a covariate shift (paper, section IV-B).

Both distances compare the same images in two domains (original and compressed, say): row i of `x` and row i of `y` are
of one image.

- The Frechet distance (Heusel et al. 2017) fits a Gaussian to each set: |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x
  S_y)^(1/2)). Its estimate is too large, more so the fewer images there are for the number of channels. Most of that
  excess is two sets' errors of mean and covariance, and vanishes where both show the same images. In a simulation of 40
  images of 112 channels, sets 0.03 and 0.09 apart came out as 0.04 and 0.24, and as 0.3 and 3.3 with other images in
  each. What is left of it does not show in an interval: compare values of the same images only.
- The kernel distance (Binkowski et al. 2018) is the squared maximum mean discrepancy under the kernel (x.y / channels +
  1)^3. Its estimate is unbiased, so it may fall below 0. Where both sets show the same images, one must not meet itself
  in the other set either, as that is no independent draw: the mean is over pairs of different images (Gretton et al.
  2012, lemma 6), and equal sets are 0 apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Protocol

import numpy as np
from numpy.typing import NDArray

Features = NDArray[Any]  # (images, channels), float
Counts = NDArray[np.int64]  # (images,): how often each image counts

DRAWS = 200  # gives a standard error that is itself off by 5 %
NORMAL_95 = 1.96

FEWEST_IMAGES = 10
"""Of fewer, a bootstrap over images gives no interval: draws of few images differ too little from each other.

Of ten normal numbers the middle 95 % of the draws hold the mean in 92 % of the cases, of five in 84 % and of two in
47 %; of skewed ones (exponential) in 86, 78 and 47 % (docs/decisions.md). 1.96 standard errors, by the t-distribution
60 % for two and 90 % for ten, are no better.
"""

SPLITS = 50
BASES = 8


class Distance(Protocol):
    """Of two sets of features of the same images, each taken as often as `counts` says, or once."""

    def __call__(self, x: Features, y: Features, counts: Optional[Counts] = None) -> float: ...


def frechet_distance(x: Features, y: Features, counts: Optional[Counts] = None) -> float:
    """The Frechet distance of Gaussians fitted to two sets, in squared units of the features.

    0 or more, up to rounding.

    Let S_x = A'A and S_y = B'B, with A and B the centred features over the root of n - 1. The trace of the root of S_x
    S_y is the sum of the singular values of A B', which needs neither a root of covariances that too few images leave
    singular, nor anything added to them.

    Args:
      x, y: (n, channels) of the same n images, of which 2 or more count.
      counts: (n,), see `Distance`.
    """
    (mean_x, a), (mean_y, b) = (_moments(*_drawn(features, counts)) for features in (x, y))
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(np.sum((mean_x - mean_y) ** 2) + np.sum(a * a) + np.sum(b * b) - 2 * shared)


def kernel_distance(x: Features, y: Features, counts: Optional[Counts] = None) -> float:
    """The unbiased squared maximum mean discrepancy of two sets under the cubic kernel.

    It has no unit that would mean something.

    It is the mean over pairs of different images i, j of k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i). An
    image that counts twice is no pair.

    Args:
      x, y: (n, channels) of the same n images, of which 2 or more count.
      counts: (n,), see `Distance`.
    """
    (x, weights), (y, _) = _drawn(x, counts), _drawn(y, counts)
    across = _cubic(x, y)
    terms = _cubic(x, x) + _cubic(y, y) - across - across.T
    np.fill_diagonal(terms, 0)
    return float(weights @ terms @ weights / (weights.sum() ** 2 - weights @ weights))


def sliced_distance(x: Features, y: Features, seed: int = 0) -> float:
    """The sliced Wasserstein distance of two sets of equally many images, in squared units of the features.

    On a line, the squared distance of two sets is the mean square of their differences in order of size (Berthet et al.
    2026 compare generated images so). Lines are the axes of BASES random orthonormal bases: squares are summed over a
    basis and averaged over bases, so that a mere shift by m is |m|^2 apart, as it is by the Frechet distance.

    Args:
      x, y: (n, channels) of n images each.
      seed: Of the bases.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    random = np.random.default_rng(seed)
    total = 0.0
    for _ in range(BASES):
        axes = np.linalg.qr(random.standard_normal((x.shape[1], x.shape[1])))[0]
        apart = np.sort(x @ axes, axis=0) - np.sort(y @ axes, axis=0)
        total += float(np.mean(np.sum(apart**2, axis=1)))
    return total / BASES


DISTANCES: dict[str, Distance] = {"frechet": frechet_distance, "kernel": kernel_distance}


def between_halves(distance: Distance, x: Features, seed: int = 0) -> float:
    """How far random halves of one set, 4 images or more, are apart on average: other images, the same domain."""
    random, half = np.random.default_rng(seed), len(x) // 2
    orders = (random.permutation(len(x)) for _ in range(SPLITS))
    return float(np.mean([distance(x[order[:half]], x[order[half : 2 * half]]) for order in orders]))


def resamples(images: int, seed: int = 0, draws: int = DRAWS) -> list[Counts]:
    """Bootstrap draws of 2 or more images with replacement, each with 2 different ones at least.

    The same seed gives the same draws.
    """
    random = np.random.default_rng(seed)
    drawn: list[Counts] = []
    while len(drawn) < draws:
        counts = np.bincount(random.integers(images, size=images), minlength=images)
        if np.count_nonzero(counts) > 1:
            drawn.append(counts)
    return drawn


@dataclass(frozen=True)
class Sampled:
    """A distance of n images, and what it is in bootstrap draws of them. Of the same draws, two can be subtracted."""

    value: float
    draws: NDArray[np.float64]

    @classmethod
    def of(cls, distance: Distance, x: Features, y: Features, counts: Sequence[Counts]) -> Sampled:
        """The distance of two sets and in each of the draws, see `resamples`."""
        return cls(distance(x, y), np.array([distance(x, y, drawn) for drawn in counts]))

    def __sub__(self, other: Sampled) -> Sampled:
        return Sampled(self.value - other.value, self.draws - other.draws)

    @property
    def interval(self) -> tuple[float, float]:
        """1.96 standard errors below and above the value: where it might be with other images, equally many.

        Not the quantiles of the draws: a draw has fewer different images, so its Frechet distance is larger.
        """
        reach = NORMAL_95 * float(np.std(self.draws, ddof=1))
        return self.value - reach, self.value + reach


@dataclass(frozen=True)
class Correlation:
    """How channels' mean activations in a domain go with those in originals.

    slope  of the least-squares line through them (with an intercept)
    r2     coefficient of determination of that line: 1 if they lie on it
    rms    root mean square of their difference, in the activations' units: 0 if they lie on the identity line
    """

    slope: float
    r2: float
    rms: float


def correlate(originals: NDArray[Any], activations: NDArray[Any]) -> Correlation:
    """Of mean activations (channels,), those of `originals` not all equal (paper, Fig. 10)."""
    across, up = originals - np.mean(originals), activations - np.mean(activations)
    slope = float(across @ up / (across @ across))
    spread = float(up @ up)
    unexplained = float(np.sum((up - slope * across) ** 2))
    return Correlation(
        slope=slope,
        r2=1 - unexplained / spread if spread else 0.0,
        rms=float(np.sqrt(np.mean((activations - originals) ** 2))),
    )


def _drawn(features: Features, counts: Optional[Counts]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The images that count, float64 (m, channels), and how often, float64 (m,)."""
    features = np.asarray(features, np.float64)
    if counts is None:
        return features, np.ones(len(features))
    return features[counts > 0], counts[counts > 0].astype(np.float64)


def _moments(features: Features, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean (channels,), and A (m, channels) or smaller with A'A the covariance."""
    mean = weights @ features / weights.sum()
    a = (features - mean) * np.sqrt(weights / (weights.sum() - 1))[:, None]
    if len(a) > a.shape[1]:
        a = np.asarray(np.linalg.qr(a, mode="r"))
    return mean, a


def _cubic(x: Features, y: Features) -> NDArray[np.float64]:
    return (x @ y.T / x.shape[1] + 1) ** 3
