"""A folder of images becomes a folder of label maps, and of the images with them laid over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dsr.data_pipelines.datasets import images
from dsr.experiments.deploy.errors import DeployError
from dsr.experiments.deploy.segmenters import SavedSegmenter
from dsr.experiments.fleet.folders import Folder, Made
from dsr.experiments.fleet.items import IMAGE, Item, find, items_of, listing, others_of, readable
from dsr.tfrecords.manifest import Identity, Manifest, release
from dsr.tfrecords.png import encode_png

LABELS, OVERLAYS = "labels", "overlays"
"""Folders in what is made."""

TABLE = "predictions.csv"

COLUMNS = ("name", "image", "width", "height", "bytes")
"""The label map's and the image's name, pixels, and bytes of the label map."""

Ids = Literal["dataset", "train"]


@dataclass(frozen=True)
class Predict:
    """An image file becomes its label map, and a picture of both.

    Attributes:
        source: The folder that is read.
        segmenter: Loaded once a process.
        ids: What the label maps hold: the dataset's ids, or train ids.
    """

    source: Path
    segmenter: SavedSegmenter
    ids: Ids

    def __call__(self, item: Item) -> Made:
        pixels = images.read_rgb(self.source / item.name)
        train_ids = self.segmenter(pixels)
        table = self.segmenter.table
        written = train_ids
        if self.ids == "dataset":
            written = np.array([label.id for label in table.classes], np.uint8)[train_ids]
        name = f"{item.stem}.png"
        label = encode_png(written)
        overlay = ((pixels.astype(np.uint16) + table.colorize(train_ids)) // 2).astype(np.uint8)
        height, width = train_ids.shape
        row = {"name": name, "image": item.name, "width": width, "height": height, "bytes": len(label)}
        return Made({f"{LABELS}/{name}": label, f"{OVERLAYS}/{name}": encode_png(overlay)}, row)


def predicted_folder(source: Path, segmenter: Path, ids: Ids) -> Folder:
    """The folder of label maps of a folder of images.

    Raises:
        FleetError: there is no such folder, or no image in it. DeployError: no segmenter, or ids beyond 8 bits.
    """
    found = find(source, images.EXTENSIONS)
    items = items_of(found)
    saved = SavedSegmenter(segmenter)
    if ids == "dataset" and max(label.id for label in saved.table.classes) > 255:
        raise DeployError("the dataset's ids go beyond 255, and label maps have 8 bits: take --ids train")
    config = {
        "dsr": release(),
        "segmenter": Manifest.load(segmenter).fingerprint,
        "listing": listing(source, (item.name for item in items)),
        "ids": ids,
    }
    change = Predict(source, saved, ids)
    return Folder(
        Identity("predicted", f"predict {readable(source.name)}", config),
        {IMAGE: source},
        items,
        change,
        TABLE,
        COLUMNS,
        others=others_of(found),
        files_each=2,
    )
