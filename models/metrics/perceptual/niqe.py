"""NIQE: how far an image's local statistics lie from those of pristine photographs.

Mittal, Soundararajan, Bovik: "Making a completely blind image quality analyzer" (IEEE Signal Processing Letters, 2013).

    luminance -> (x - local mean) / (local deviation + 1) -> patches of 96x96 -> 18 features, at full and half
    resolution
              -> mean and covariance over the image's patches -> distance to those of pristine patches

Pure NumPy and SciPy: no TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma

from dsr.models.metrics.perceptual.scene_statistics import asymmetric_gaussian, halved, luminance, normalized
from dsr.models.metrics.perceptual.stored import read_weights

Plane = NDArray[Any]

PATCH = 96
"""Side of a patch, the paper's choice (section III)."""

FEATURES = 36
"""Eighteen at each of two scales."""

SHARP = 0.75
"""Pristine patches count if their mean local deviation is above this part of the image's largest (section II-B)."""

MIN_PATCHES = 2
"""A covariance needs two."""

MAX_PATCHES = 512
"""Of larger images (above 4.7 megapixels) some rows of patches at equal distances are measured, so that the time has a
bound; the paper has no such images."""

_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
# Rows around a strip of patches on which its features depend: 3 of the window at half resolution, which are 6, and 3
# more that the bicubic kernel takes; even, so that halving starts at the same rows as in the whole image.
_MARGIN = 10


@dataclass(frozen=True, eq=False)
class Niqe:
    """The index: distance to a Gaussian model of pristine patches' features.

    Attributes:
      mean: float64 (36,).
      covariance: float64 (36, 36), positive definite.
    """

    mean: Plane
    covariance: Plane

    @classmethod
    def shipped(cls) -> Niqe:
        """The model that comes with dsr. Raises PerceptualError if its file is damaged."""
        return cls(**read_weights("niqe", {"mean": (FEATURES,), "covariance": (FEATURES, FEATURES)}, "<f8"))

    @classmethod
    def fitted(cls, features: Plane) -> Niqe:
        """The model of pristine patches, float64 (N, 36), as `sharp_features` gives them."""
        return cls(features.mean(axis=0), np.cov(features, rowvar=False))

    def arrays(self) -> dict[str, Plane]:
        """What its file holds."""
        return {"mean": self.mean, "covariance": self.covariance}

    def score(self, pixels: NDArray[np.uint8]) -> float | None:
        """sqrt(d' ((S1 + S2) / 2)^-1 d) with the difference d of means and the two covariances (equation 10).

        Args:
          pixels: uint8 (H, W, 3).

        Returns:
          0 or more, smaller for a more natural image; None where there are fewer than two patches of 96x96 with any
          texture in them: an image below 192x96 or 96x192, or a flat one.
        """
        features, _ = patch_features(pixels)
        if len(features) < MIN_PATCHES:
            return None
        difference = self.mean - features.mean(axis=0)
        covariance = (self.covariance + np.cov(features, rowvar=False)) / 2
        return float(np.sqrt(difference @ np.linalg.solve(covariance, difference)))


def patch_features(pixels: NDArray[np.uint8]) -> tuple[Plane, Plane]:
    """Features (N, 36) and sharpness (N,) of an image's patches, without those too flat to have any.

    Patches lie side by side from the upper left corner; what is left over at the right and at the bottom does not
    count. A strip of them at a time, which keeps the memory small: the features are those of the whole image.
    """
    gray = luminance(pixels)
    rows, columns = (size // PATCH for size in gray.shape)
    gray = gray[: rows * PATCH, : columns * PATCH]
    if not gray.size:
        return np.empty((0, FEATURES)), np.empty(0)
    count = min(rows, max(1, MAX_PATCHES // columns))
    strips = [_strip_features(gray, row * PATCH) for row in (np.arange(count) * rows + rows // 2) // count]
    features, sharpness = (np.concatenate(parts) for parts in zip(*strips))
    textured = np.isfinite(features).all(axis=1)
    return features[textured], sharpness[textured]


def sharp_features(pixels: NDArray[np.uint8]) -> Plane:
    """Features (N, 36) of the patches that are in focus, for `Niqe.fitted`."""
    features, sharpness = patch_features(pixels)
    return features[sharpness > SHARP * sharpness.max(initial=0)]


def _strip_features(gray: NDArray[np.uint8], top: int) -> tuple[Plane, Plane]:
    first = max(0, top - _MARGIN)
    plane = gray[first : top + PATCH + _MARGIN].astype(np.float64)
    inner = top - first
    scales = []
    for side in (PATCH, PATCH // 2):
        coefficients, deviation = normalized(plane)
        scales.append(_features(_patches(coefficients[inner : inner + side])))
        if side == PATCH:
            sharpness = _patches(deviation[inner : inner + side]).mean(axis=(1, 2))
            plane, inner = halved(plane), inner // 2
    return np.hstack(scales), sharpness


def _patches(strip: Plane) -> Plane:
    """(side, N * side) to (N, side, side)."""
    side = len(strip)
    return np.ascontiguousarray(strip.reshape(side, -1, side).swapaxes(0, 1))


def _features(patches: Plane) -> Plane:
    """Section II-C: 2 of the coefficients' distribution, 4 of each product of neighbours'; (N, 18).

    Neighbours of the last row or column are those of the first, as in the software that the authors published.
    """
    rows = len(patches)
    shape, left, right = asymmetric_gaussian(patches.reshape(rows, -1))
    features = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        products = patches * np.roll(patches, shift, axis=(1, 2))
        shape, left, right = asymmetric_gaussian(products.reshape(rows, -1))
        features += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return np.stack(features, axis=1)
