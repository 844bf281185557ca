"""Semantic Drone Dataset: 400 images of 6000x4000 pixels from a drone 5 to 30 m above houses and gardens; 20 classes.

C. Mostegel, M. Maurer, N. Heran, J. Pestana Puerta, F. Fraundorfer (2019), http://dronedataset.icg.tugraz.at.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from dsr.data_pipelines.datasets import images, tiles
from dsr.data_pipelines.datasets.base import (
    IGNORE,
    MAX_PARTS,
    DatasetError,
    Label,
    LabelTable,
    Listing,
    Sample,
    permuted,
)
from dsr.data_pipelines.datasets.file_source import FileSource
from dsr.data_pipelines.datasets.labels import built_in

# The paper has 20 classes and does not list them; these are the 20 that the dataset's authors name as its classes.
# A bald tree is a tree; markers and conflicting pixels are ignored. Small: the paper marks small objects for
# Cityscapes alone (footnote 5); these are ours, after its kind.
TABLE = LabelTable(
    (
        Label(0, IGNORE, "unlabeled", (0, 0, 0)),
        Label(1, 0, "paved-area", (128, 64, 128)),
        Label(2, 1, "dirt", (130, 76, 0)),
        Label(3, 2, "grass", (0, 102, 0)),
        Label(4, 3, "gravel", (112, 103, 87)),
        Label(5, 4, "water", (28, 42, 168)),
        Label(6, 5, "rocks", (48, 41, 30)),
        Label(7, 6, "pool", (0, 50, 89)),
        Label(8, 7, "vegetation", (107, 142, 35)),
        Label(9, 8, "roof", (70, 70, 70)),
        Label(10, 9, "wall", (102, 102, 156)),
        Label(11, 10, "window", (254, 228, 12)),
        Label(12, 11, "door", (254, 148, 12)),
        Label(13, 12, "fence", (190, 153, 153)),
        Label(14, 13, "fence-pole", (153, 153, 153), small=True),
        Label(15, 14, "person", (255, 22, 96), small=True),
        Label(16, 15, "dog", (102, 51, 0), small=True),
        Label(17, 16, "car", (9, 143, 150)),
        Label(18, 17, "bicycle", (119, 11, 32), small=True),
        Label(19, 18, "tree", (51, 51, 0)),
        Label(20, 18, "bald-tree", (190, 250, 190)),
        Label(21, IGNORE, "ar-marker", (112, 150, 146)),
        Label(22, 19, "obstacle", (2, 135, 115)),
        Label(23, IGNORE, "conflicting", (255, 0, 0)),
    ),
    remedy=built_in("semantic_drone", "take the published label files, which hold the colours or the ids 0 to 23"),
)
LAYOUTS = (
    ("training_set/images", "training_set/gt/semantic/label_images"),
    ("original_images", "label_images_semantic"),
    ("images", "masks"),
)


class SemanticDrone(FileSource):
    """`root` holds training_set/images/*.jpg and training_set/gt/semantic/label_images/*.png, as published.

    The layouts of redistributions, original_images/ + label_images_semantic/ and images/ + masks/, are read as well.
    Label files hold colours (as published) or ids 0-23.

    After the paper (section V-A), images are resized to 3000x2000 and each is read as 12 patches of 1200x800. Those
    do not tile 3000x2000, and the paper does not say how it cut them: here they are 4 columns and 3 rows, evenly spaced
    from edge to edge (offsets 0, 600, 1200, 1800 and 0, 600, 1200), neighbours sharing 600 columns or 200 rows. Of the
    images, 70 are `test`, 65 `restore` and the others (265) `train`.

    width, height: size to resize to. patch_width, patch_height, columns, rows: the patches.
    test, restore: numbers of images in these splits. seed: the paper leaves open which images are in which split;
        here a permutation of the sorted names, drawn with this seed, decides.
    """

    name = "semantic_drone"
    about = "Semantic Drone Dataset: 400 drone images, 20 classes"
    table = TABLE
    splits = ("train", "test", "restore")
    choosing = frozenset({"test", "restore", "seed"})
    layout = "training_set/images/ and training_set/gt/semantic/label_images/, or images/ and masks/"

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        *,
        width: int = 3000,
        height: int = 2000,
        patch_width: int = 1200,
        patch_height: int = 800,
        columns: int = 4,
        rows: int = 3,
        test: int = 70,
        restore: int = 65,
        seed: int = 0,
        max_pixels: int = images.MAX_PIXELS,
        skip_others: bool = False,
    ) -> None:
        super().__init__(root, max_pixels, skip_others)
        sizes = {"width": width, "height": height, "patch_width": patch_width, "patch_height": patch_height}
        counts = {"columns": columns, "rows": rows, "test": test, "restore": restore}
        self._options = {option: self.at_least(1, option, value) for option, value in {**sizes, **counts}.items()}
        self._options["seed"] = self.at_least(0, "seed", seed)
        if patch_width > width or patch_height > height:
            raise DatasetError(
                f"Dataset {self.name}: a patch of {patch_width}x{patch_height} does not fit into {width}x{height}; "
                "make the patch smaller."
            )
        if width * height > self.max_pixels or columns * rows > MAX_PARTS:
            raise DatasetError(
                f"Dataset {self.name}: {width}x{height} cut into {columns * rows} patches is more than "
                f"{self.max_pixels} pixels or {MAX_PARTS} patches; make width, height, columns or rows smaller."
            )
        self._size = (width, height)
        self._windows = tiles.windows(
            tiles.spaced(height, patch_height, rows),
            tiles.spaced(width, patch_width, columns),
            patch_height,
            patch_width,
        )

    def options(self) -> dict[str, Any]:
        return dict(self._options)

    def listing(self, split: str) -> Listing:
        images_folder, labels_folder = next((pair for pair in LAYOUTS if (self.root / pair[0]).is_dir()), LAYOUTS[0])
        found = self.files_in(self.root / images_folder, (".jpg", ".png"))
        pairs = self.pair(found, self.files_in(self.root / labels_folder, (".png",)))
        whole = {s.key: s for s in pairs.samples}
        test, restore = self._options["test"], self._options["restore"]
        if test + restore >= len(whole):
            raise DatasetError(
                f"{self.root / images_folder}: {len(whole)} images leave none for training after {test} for test and "
                f"{restore} for restore; set the options test and restore to fewer."
            )
        order = permuted(whole, self._options["seed"])
        chosen = {"test": order[:test], "restore": order[test : test + restore], "train": order[test + restore :]}[
            split
        ]
        return pairs.only(tiles.parts((whole[key] for key in chosen), lambda sample: len(self._windows)))

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
        return self._cut(sample, self._decoded(sample, self._resized), self._windows[sample.part])

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        return self._size
