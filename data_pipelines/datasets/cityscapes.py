"""Cityscapes: 2975 + 500 street images with fine labels, 20000 more without fine labels, 2048x1024.

M. Cordts et al.: "The Cityscapes dataset for semantic urban scene understanding" (2016),
https://www.cityscapes-dataset.com; packages leftImg8bit_trainvaltest, gtFine_trainvaltest, leftImg8bit_trainextra.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from dsr.data_pipelines.datasets import images
from dsr.data_pipelines.datasets.base import IGNORE, Label, LabelTable, Listing
from dsr.data_pipelines.datasets.file_source import FileSource
from dsr.data_pipelines.datasets.labels import built_in

# Small: the paper's footnote 5.
TABLE = LabelTable(
    (
        Label(0, IGNORE, "unlabeled", (0, 0, 0)),
        Label(1, IGNORE, "ego vehicle", (0, 0, 0)),
        Label(2, IGNORE, "rectification border", (0, 0, 0)),
        Label(3, IGNORE, "out of roi", (0, 0, 0)),
        Label(4, IGNORE, "static", (0, 0, 0)),
        Label(5, IGNORE, "dynamic", (111, 74, 0)),
        Label(6, IGNORE, "ground", (81, 0, 81)),
        Label(7, 0, "road", (128, 64, 128)),
        Label(8, 1, "sidewalk", (244, 35, 232)),
        Label(9, IGNORE, "parking", (250, 170, 160)),
        Label(10, IGNORE, "rail track", (230, 150, 140)),
        Label(11, 2, "building", (70, 70, 70)),
        Label(12, 3, "wall", (102, 102, 156)),
        Label(13, 4, "fence", (190, 153, 153)),
        Label(14, IGNORE, "guard rail", (180, 165, 180)),
        Label(15, IGNORE, "bridge", (150, 100, 100)),
        Label(16, IGNORE, "tunnel", (150, 120, 90)),
        Label(17, 5, "pole", (153, 153, 153), small=True),
        Label(18, IGNORE, "polegroup", (153, 153, 153)),
        Label(19, 6, "traffic light", (250, 170, 30), small=True),
        Label(20, 7, "traffic sign", (220, 220, 0), small=True),
        Label(21, 8, "vegetation", (107, 142, 35)),
        Label(22, 9, "terrain", (152, 251, 152)),
        Label(23, 10, "sky", (70, 130, 180)),
        Label(24, 11, "person", (220, 20, 60), small=True),
        Label(25, 12, "rider", (255, 0, 0), small=True),
        Label(26, 13, "car", (0, 0, 142)),
        Label(27, 14, "truck", (0, 0, 70)),
        Label(28, 15, "bus", (0, 60, 100)),
        Label(29, IGNORE, "caravan", (0, 0, 90)),
        Label(30, IGNORE, "trailer", (0, 0, 110)),
        Label(31, 16, "train", (0, 80, 100)),
        Label(32, 17, "motorcycle", (0, 0, 230), small=True),
        Label(33, 18, "bicycle", (119, 11, 32), small=True),
    ),
    coloured=False,  # pole and polegroup, of which one is ignored, have one colour
    remedy=built_in("cityscapes", "take the official _gtFine_labelIds.png files, which hold ids from 0 to 33"),
)
COMPANIONS = (
    *("_gtfine_color.png", "_gtfine_polygons.json", "_gtfine_instanceids.png"),
    *("_gtfine_labeltrainids.png", "_gtfine_instancetrainids.png"),
)
"""What else lies beside the label files, some of it made by cityscapesScripts."""


class Cityscapes(FileSource):
    """The official layout below `root`.

    Images are leftImg8bit/{train,val,train_extra}/CITY/NAME_leftImg8bit.png, and labels (ids 0-33)
    gtFine/{train,val}/CITY/NAME_gtFine_labelIds.png.

    Split `coarse` is the paper's set for codec and restorer: images of train_extra, their coarse labels unused.
    coarse_limit: how many of them, the first by sorted name. The paper takes 2000 and leaves open which.
    """

    name = "cityscapes"
    about = "Cityscapes: 2975 + 500 labelled street images, 19 classes"
    roles: ClassVar[Mapping[str, str]] = {"restore": "coarse", "test": "val"}
    table = TABLE
    splits = ("train", "val", "coarse")
    choosing = frozenset({"coarse_limit"})
    layout = "leftImg8bit/ and gtFine/"

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        *,
        coarse_limit: int = 2000,
        max_pixels: int = images.MAX_PIXELS,
        skip_others: bool = False,
    ) -> None:
        super().__init__(root, max_pixels, skip_others)
        self.coarse_limit = self.at_least(1, "coarse_limit", coarse_limit)

    def options(self) -> dict[str, Any]:
        return {"coarse_limit": self.coarse_limit}

    def listing(self, split: str) -> Listing:
        folder = self.root / "leftImg8bit" / ("train_extra" if split == "coarse" else split)
        found = self.files_in(folder, ("_leftimg8bit.png",), recursive=True)
        if split == "coarse":
            listing = self.pair(found, None)
            return listing.only(listing.samples[: self.coarse_limit])
        labels = self.files_in(self.root / "gtFine" / split, ("_gtfine_labelids.png",), True, COMPANIONS)
        return self.pair(found, labels)
