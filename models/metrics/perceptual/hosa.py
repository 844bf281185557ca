"""HOSA: a quality index learned from how an image's small patches differ from a codebook's.

They differ in mean, variance and skewness.

Xu, Ye, Li, Du, Liu, Doermann: "Blind image quality assessment based on high order statistics aggregation" (IEEE
Transactions on Image Processing, 2016). Constants are those of the software that the authors published with it.

    luminance -> patches of 7x7, each less its mean and over its deviation -> whitening -> its 5 nearest of 100 words
              -> for each word and dimension: mean, variance and skewness of its patches less those of the codebook
              -> signed power, unit length -> linear regression

Pure NumPy and SciPy: no TensorFlow. How it was trained, and what for: `dsr.experiments.tools.fit_perceptual`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from dsr.models.metrics.perceptual.scene_statistics import luminance
from dsr.models.metrics.perceptual.stored import read_weights

Matrix = NDArray[Any]

PATCH = 7
SIZE = PATCH * PATCH
WORDS = 100
FEATURES = 3 * WORDS * SIZE

PATCHES = 10_000
"""Patches lie on a grid with a step such that an image has about so many, four times as many at most: the time does not
grow with the image."""

NEAREST, KERNEL = 5, 0.05
"""A patch belongs to its 5 nearest words, with weights proportional to exp(-0.05 distance^2)."""

POWER = 0.2
"""Of the features' magnitudes: evens out a few large ones."""

STABILIZER = 10.0
"""Added to a patch's variance, so that flat patches do not become noise; for luminance from 0 to 255."""

MIN_SIDE = 64
"""Smaller images are not scored. Already a piece of 64x64 scores some 20 points more than the whole photograph, one of
192x192 about the same: images to be compared should be of one size."""

_SHAPES = {
    "center": (SIZE,),
    "whitening": (SIZE, SIZE),
    **dict.fromkeys(("mean", "variance", "skewness"), (WORDS, SIZE)),
    "slope": (FEATURES,),
    "offset": (1,),
}
_ALIKE = 1e-8  # of the variances' sum: patches that do not differ have no variance or skewness to compare
# Added to the eigenvalues, because the highest frequencies are mostly rounding. The paper is silent; this is the value
# of Coates, Ng, Lee: "An analysis of single-layer networks in unsupervised feature learning" (2011), where the
# whitening comes from.
_WHITENING_FLOOR = 0.1


@dataclass(frozen=True, eq=False)
class Codebook:
    """What patches are compared with.

    Attributes:
      center: float (49,), the mean of normalised patches.
      whitening: float (49, 49).
      mean, variance, skewness: float (100, 49), of the whitened patches of each word.
    """

    center: Matrix
    whitening: Matrix
    mean: Matrix
    variance: Matrix
    skewness: Matrix

    @classmethod
    def learned(cls, patches: Matrix, seed: int) -> Codebook:
        """By k-means (k-means++ start) from normalised patches, float (N, 49)."""
        center = patches.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
        whitening = (vectors / np.sqrt(values + _WHITENING_FLOOR)) @ vectors.T
        white = (patches - center) @ whitening
        _, word = kmeans2(white, WORDS, iter=30, minit="++", missing="raise", seed=seed)
        return cls(center, whitening, *_moments(white, np.eye(WORDS)[word])[1:])

    def features(self, pixels: NDArray[np.uint8]) -> Matrix:
        """float64 (14700,), of length 1: all differences of means, then of variances, then of skewnesses."""
        white = (normalized_patches(pixels) - self.center) @ self.whitening
        weights = self._assigned(white)
        total, *moments = _moments(white, weights)
        mean, variance, skewness = (own - ours for own, ours in zip(moments, (self.mean, self.variance, self.skewness)))
        mean[total == 0] = 0
        varied = moments[1].sum(axis=1, keepdims=True) > _ALIKE
        differences = np.concatenate([mean, variance * varied, skewness * varied]).ravel()
        powers = np.sign(differences) * np.abs(differences) ** POWER
        return powers / np.linalg.norm(powers)

    def _assigned(self, white: Matrix) -> Matrix:
        """Weights (N, 100) of each patch's words, of sum 1."""
        # Without the patch's own length, which is the same for all words.
        distances = (self.mean * self.mean).sum(axis=1) - 2 * white @ self.mean.T
        nearest = np.partition(distances, NEAREST - 1, axis=1)[:, :NEAREST]
        weights = np.exp(-KERNEL * (distances - nearest.min(axis=1, keepdims=True)))
        weights[distances > nearest.max(axis=1, keepdims=True)] = 0
        return weights / weights.sum(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Hosa:
    """The index: a linear function of the features.

    Attributes:
      codebook: what the features are relative to.
      slope: float (14700,).
      offset: float (1,).
    """

    codebook: Codebook
    slope: Matrix
    offset: Matrix

    @classmethod
    def shipped(cls) -> Hosa:
        """The model that comes with dsr. Raises PerceptualError if its file is damaged."""
        arrays = {name: array.astype(np.float64) for name, array in read_weights("hosa", _SHAPES, "<f4").items()}
        slope, offset = arrays.pop("slope"), arrays.pop("offset")
        return cls(Codebook(**arrays), slope, offset)

    def arrays(self) -> dict[str, Matrix]:
        """What its file holds, in float32."""
        arrays = {**asdict(self.codebook), "slope": self.slope, "offset": self.offset}
        return {name: array.astype("<f4") for name, array in arrays.items()}

    def score(self, pixels: NDArray[np.uint8]) -> float | None:
        """How degraded an image looks: about 0 for a pristine photograph, 100 for the worst (see docs/perceptual.md).

        Args:
          pixels: uint8 (H, W, 3).

        Returns:
          Smaller is better. Not cut to [0, 100], so that the order of images beyond stays; None for a side below 64.
        """
        if min(pixels.shape[:2]) < MIN_SIDE:
            return None
        return float(self.codebook.features(pixels) @ self.slope + self.offset[0])


def normalized_patches(pixels: NDArray[np.uint8]) -> Matrix:
    """Patches of 7x7 on the image's grid, each less its mean and over its deviation: float64 (N, 49)."""
    gray = luminance(pixels)
    step = max(1, math.isqrt(gray.size // PATCHES))
    patches = sliding_window_view(gray, (PATCH, PATCH))[::step, ::step].reshape(-1, SIZE).astype(np.float64)
    patches -= patches.mean(axis=1, keepdims=True)
    return patches / np.sqrt(patches.var(axis=1, ddof=1, keepdims=True) + STABILIZER)


def _moments(patches: Matrix, weights: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Total weight (K,), weighted mean, variance and skewness (K, D) of patches (N, D) under weights (N, K).

    From weighted sums of powers: whitened patches have values of a few units, so little is lost in the differences.
    """
    total = weights.sum(axis=0)
    share = weights / np.maximum(total, np.finfo(float).tiny)
    squares = patches * patches
    mean, square, cube = (share.T @ powers for powers in (patches, squares, squares * patches))
    variance = np.maximum(square - mean**2, 0)
    skewness = (cube - 3 * mean * square + 2 * mean**3) / (variance**1.5 + 1e-4)
    return total, mean, variance, skewness
