"""Perceptual indexes: how natural, or how degraded, an image looks by itself, without the original beside it.

`load_index("niqe").score(pixels)` gives a number, smaller for a better image. What the numbers mean, what the models
were fitted to and how well they do: docs/perceptual.md. Importing this package imports neither TensorFlow nor SciPy.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dsr.models.metrics.perceptual.stored import PerceptualError

INDEXES: tuple[str, ...] = ("niqe", "hosa")

__all__ = ["INDEXES", "PerceptualError", "PerceptualIndex", "load_index"]


class PerceptualIndex(Protocol):
    """A no-reference measure of quality.

    Equal pixels give the equal score in every process that has one thread of linear algebra, as workers have; with
    more, sums are added up in another order, and the last digits differ.
    """

    def score(self, pixels: NDArray[np.uint8]) -> float | None:
        """Smaller is better; None for an image that is too small (or too flat) for the index.

        Args:
          pixels: uint8 (H, W, 3), RGB. Raises ValueError for anything else.
        """


def load_index(name: str) -> PerceptualIndex:
    """The index called `name`, one of `INDEXES`, with the model that comes with dsr.

    NIQE needs two patches of 96x96 with texture in them, so 192x96 pixels; HOSA needs 64x64.
    Raises PerceptualError for another name or a damaged file.
    """
    if name == "niqe":
        from dsr.models.metrics.perceptual.niqe import Niqe

        return Niqe.shipped()
    if name == "hosa":
        from dsr.models.metrics.perceptual.hosa import Hosa

        return Hosa.shipped()
    raise PerceptualError(f"no perceptual index is called {name!r}; there are {', '.join(INDEXES)}")
