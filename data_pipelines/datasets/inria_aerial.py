"""INRIA Aerial Image Labeling: 10 cities x 36 GeoTIFF images of 5000x5000 pixels, 0.3 m a pixel; buildings or not.

E. Maggiori, Y. Tarabalka, G. Charpiat, P. Alliez: "Can semantic labeling methods generalize to any city?" (2017),
https://project.inria.fr/aerialimagelabeling.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np

from dsr.data_pipelines.datasets import images, tiles
from dsr.data_pipelines.datasets.base import MAX_PARTS, DatasetError, Label, LabelTable, Listing, Sample
from dsr.data_pipelines.datasets.file_source import FileSource
from dsr.data_pipelines.datasets.labels import built_in

TABLE = LabelTable(
    (Label(0, 0, "not building", (0, 0, 0)), Label(255, 1, "building", (255, 255, 255))),
    remedy=built_in("inria_aerial", "take the official masks, which hold 0 and 255"),
)
ANNOTATED_CITIES = ("austin", "chicago", "kitsap", "tyrol-w", "vienna")


class InriaAerial(FileSource):
    """`root` is AerialImageDataset, with train/images/austin1.tif, train/gt/austin1.tif and test/images/sfo1.tif.

    The paper's roles (section V-A): four of the annotated cities are `train`, one is `test`, and the five cities
    whose labels are not published are `restore`.

    test_city: which annotated city is `test`; the paper leaves it open.
    tile: an image is read as square tiles of this many pixels (`Sample.part`, row by row), evenly spaced from edge to
        edge; they overlap where `tile` does not divide the image. The paper does not say how it cut the images.
    """

    name = "inria_aerial"
    about = "INRIA Aerial Image Labeling: 360 aerial images of 10 cities, buildings or not"
    table = TABLE
    splits = ("train", "test", "restore")
    choosing = frozenset({"test_city"})
    layout = "train/images/, train/gt/ and test/images/"

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        *,
        test_city: str = "vienna",
        tile: int = 1000,
        max_pixels: int = images.MAX_PIXELS,
        skip_others: bool = False,
    ) -> None:
        super().__init__(root, max_pixels, skip_others)
        if test_city not in ANNOTATED_CITIES:
            cities = ", ".join(ANNOTATED_CITIES)
            raise DatasetError(f"Dataset {self.name}: test_city must be one of {cities}, not {test_city!r}.")
        self.test_city = test_city
        self.tile = self.at_least(1, "tile", tile)

    def options(self) -> dict[str, Any]:
        return {"test_city": self.test_city, "tile": self.tile}

    def listing(self, split: str) -> Listing:
        folder = self.root / ("test" if split == "restore" else "train")
        found = self.files_in(folder / "images", (".tif",))
        if split == "restore":
            whole = self.pair(found, None)
        else:
            pairs = self.pair(found, self.files_in(folder / "gt", (".tif",)))
            whole = pairs.only(s for s in pairs.samples if (_city(s) == self.test_city) == (split == "test"))
            if not whole.samples:
                raise DatasetError(
                    f"{folder / 'images'}: no image is in split '{split}' when test_city is {self.test_city}."
                )
        return whole.only(tiles.parts(whole.samples, self._tiles_in))

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
        decoded = self._decoded(sample)
        height, width, _ = decoded[0].shape
        return self._cut(sample, decoded, self._windows(sample, width, height)[sample.part])

    def _tiles_in(self, sample: Sample) -> int:
        if sample.flaw:
            raise DatasetError(sample.flaw)
        return len(self._windows(sample, *images.read_size(self.image_path(sample.image), self.max_pixels)))

    def _windows(self, sample: Sample, width: int, height: int) -> list[tuple[slice, slice]]:
        path = self.image_path(sample.image)
        if min(width, height) < self.tile:
            raise DatasetError(
                f"{path}: {width}x{height} is smaller than a tile; set tile to at most {min(width, height)}."
            )
        rows, columns = tiles.spaced(height, self.tile), tiles.spaced(width, self.tile)
        if len(rows) * len(columns) > MAX_PARTS:
            raise DatasetError(
                f"{path}: {width}x{height} makes more than {MAX_PARTS} tiles of {self.tile}; make tile larger."
            )
        return tiles.windows(rows, columns, self.tile, self.tile)


def _city(sample: Sample) -> str:
    return re.sub(r"\d+$", "", sample.key)
