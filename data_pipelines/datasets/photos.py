"""Photographs without labels: what a learned codec is trained on before it sees the dataset it is for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from dsr.data_pipelines.datasets import images as image_files
from dsr.data_pipelines.datasets.base import FileSource, Label, LabelTable, Sample

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
    ) -> None:
        super().__init__(root, max_pixels)
        self._short_side = self.at_least(0, "short_side", short_side)

    def options(self) -> dict[str, Any]:
        return {"short_side": self._short_side}

    def samples(self, split: str) -> list[Sample]:
        self._check_split(split)
        return self.pair(self.files_in(self.root, image_files.EXTENSIONS, recursive=True), None)

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
        width, height = image_files.read_size(self.image_path(sample.image), self.max_pixels)
        shorter = min(width, height)
        size = None
        if 0 < self._short_side < shorter:
            size = round(width * self._short_side / shorter), round(height * self._short_side / shorter)
        return self._load(sample, np.s_[:, :], size)
