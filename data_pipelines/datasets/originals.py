"""Photographs without labels, of which a few are held out: what a restorer is trained on, and judged by."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from dsr.data_pipelines.datasets import images as image_files
from dsr.data_pipelines.datasets.base import DatasetError, Listing, permuted
from dsr.data_pipelines.datasets.photos import Photos

HELD = "held"


class Originals(Photos):
    """All images below a folder, of which a permutation of the sorted names, drawn with `seed`, holds out `held_share`.

    short_side: as for `Photos`.
    """

    name = "originals"
    about = "your own photographs without labels, a tenth held out, to train a restorer on"
    roles: ClassVar[Mapping[str, str]] = {"restore": "train", "train": HELD, "test": HELD}
    splits = ("train", HELD)
    choosing = frozenset({"held_share", "seed"})

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        *,
        held_share: float = 0.1,
        seed: int = 0,
        short_side: int = 0,
        max_pixels: int = image_files.MAX_PIXELS,
        skip_others: bool = False,
    ) -> None:
        super().__init__(root, short_side=short_side, max_pixels=max_pixels, skip_others=skip_others)
        if not isinstance(held_share, (int, float)) or not 0 < held_share < 1:
            raise DatasetError(f"Dataset {self.name}: held_share must be a number between 0 and 1, not {held_share!r}.")
        self._chosen: dict[str, Any] = {"held_share": held_share, "seed": self.at_least(0, "seed", seed)}

    def options(self) -> dict[str, Any]:
        return {**super().options(), **self._chosen}

    def listing(self, split: str) -> Listing:
        listing = super().listing(split)
        order = permuted({sample.key for sample in listing.samples}, self._chosen["seed"])
        if len(order) < 2:
            raise DatasetError(f"{self.root}: one image cannot be trained on and held out; add more.")
        held = set(order[: max(1, round(self._chosen["held_share"] * len(order)))])
        return listing.only(sample for sample in listing.samples if (sample.key in held) == (split == HELD))
