"""The built-in dataset: street scenes that are drawn, not photographed, so that everything works without a download.

It is a teaching set: it shows what the tools do and lets a study run end to end in minutes. Its numbers say nothing
about real streets. What it shares with them is what matters to compression: its classes differ by fine texture as well
as by colour and shape. Foliage, hedges, grass and green boards share a green; asphalt, paving slabs and concrete
facades share a grey; poles, signs and people are a few pixels wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dsr.data_pipelines.datasets.base import DatasetError, Label, LabelTable, Sample, Source, at_least
from dsr.data_pipelines.datasets.streets.scene import Scene

# The ids of street_canvas; 0-10 are CamVid's classes with CamVid's colours.
TABLE = LabelTable(
    (
        Label(0, 0, "sky", (128, 128, 128)),
        Label(1, 1, "building", (128, 0, 0)),
        Label(2, 2, "pole", (192, 192, 128), small=True),
        Label(3, 3, "road", (128, 64, 128)),
        Label(4, 4, "pavement", (60, 40, 222)),
        Label(5, 5, "tree", (128, 128, 0)),
        Label(6, 6, "sign", (192, 128, 128), small=True),
        Label(7, 7, "fence", (64, 64, 128)),
        Label(8, 8, "car", (64, 0, 128)),
        Label(9, 9, "pedestrian", (64, 64, 0), small=True),
        Label(10, 10, "bicyclist", (0, 128, 192), small=True),
        Label(11, 11, "grass", (0, 192, 0)),
    )
)

MAX_IMAGES = 1_000_000
"""Of a split: as many as its keys have numbers."""


class Streets(Source):
    """Drawn street scenes with exact labels. An image depends on (seed, split, index, height, width, zoom) alone.

    height, width: size of the images. zoom: of the camera's lens; 2 shows half as much of the street, twice as large.
    seed: which world. train, test, restore: numbers of images in these splits.
    """

    name = "streets"
    about = "built-in teaching set: drawn street scenes with exact labels; nothing to download"
    teaching = True
    table = TABLE
    splits = ("train", "test", "restore")
    version = 1  # of the drawing: raise it when the same options give other pixels

    choosing = frozenset({"train", "test", "restore"})

    def __init__(
        self,
        root: None = None,
        *,
        height: int = 240,
        width: int = 320,
        zoom: float = 1.0,
        seed: int = 0,
        train: int = 200,
        test: int = 60,
        restore: int = 100,
    ) -> None:
        if root is not None:
            raise DatasetError(f"Dataset {self.name} is drawn, not read from files: leave its root ({root}) out.")
        self._options = {
            "height": at_least(self.name, 16, "height", height),
            "width": at_least(self.name, 16, "width", width),
            "seed": at_least(self.name, 0, "seed", seed),
            "train": at_least(self.name, 1, "train", train, MAX_IMAGES),
            "test": at_least(self.name, 1, "test", test, MAX_IMAGES),
            "restore": at_least(self.name, 1, "restore", restore, MAX_IMAGES),
        }
        self._zoom = self._checked(zoom)
        if height * width > 1 << 24:
            raise DatasetError(
                f"Dataset {self.name}: {width}x{height} is more than 16 megapixels; make the images smaller."
            )

    def options(self) -> dict[str, Any]:
        zoom = {} if self._zoom == 1 else {"zoom": self._zoom}  # it came later: scenes without it keep their names
        return {"version": self.version, **self._options, **zoom}

    def samples(self, split: str) -> list[Sample]:
        self._check_split(split)
        keys = [f"{split}{index:06d}" for index in range(self._options[split])]
        return [Sample(key, image=key, label=key) for key in keys]

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        split = sample.key.rstrip("0123456789")
        index = int(sample.key[len(split) :])
        rng = np.random.default_rng([self._options["seed"], self.splits.index(split), index])
        return Scene(self._options["height"], self._options["width"], rng, self._zoom).render()

    def _checked(self, zoom: float) -> float:
        if isinstance(zoom, bool) or not isinstance(zoom, (int, float)) or not 0.5 <= zoom <= 4:
            raise DatasetError(f"Dataset {self.name}: zoom is {zoom}: set it to a number from 0.5 to 4.")
        return float(zoom)
