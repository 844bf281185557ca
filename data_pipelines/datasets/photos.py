"""Photographs without labels: what a learned codec is trained on before it sees the dataset it is for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from dsr.data_pipelines.datasets import images as image_files
from dsr.data_pipelines.datasets.base import Label, LabelTable, Listing, Sample
from dsr.data_pipelines.datasets.file_source import FileSource

SPLIT = "all"


class Photos(FileSource):
    """All images below a folder, at any depth, as the one split `all`.

    short_side: larger images are reduced (Lanczos) to this many pixels on their shorter side, which also averages away
        what their own compression did; 0 leaves them as they are.
    """

    name = "photos"
    about = "your own photographs without labels, to train a learned codec on"
    roles: ClassVar[Mapping[str, str]] = {"restore": "all", "train": "all", "test": "all"}
    layout = "images, at any depth"
    splits: tuple[str, ...] = (SPLIT,)
    table = LabelTable((Label(0, 0, "unlabelled", (0, 0, 0)),))

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        *,
        short_side: int = 0,
        max_pixels: int = image_files.MAX_PIXELS,
        skip_others: bool = False,
    ) -> None:
        super().__init__(root, max_pixels, skip_others)
        self._short_side = self.at_least(0, "short_side", short_side)

    def options(self) -> dict[str, Any]:
        return {"short_side": self._short_side}

    def listing(self, split: str) -> Listing:
        return self.pair(self.files_in(self.root, image_files.EXTENSIONS, recursive=True), None)

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
        return self._cut(sample, self._decoded(sample, self._reduced), np.s_[:, :])

    def _reduced(self, width: int, height: int) -> tuple[int, int]:
        shorter = min(width, height)
        if not 0 < self._short_side < shorter:
            return width, height
        return round(width * self._short_side / shorter), round(height * self._short_side / shorter)
