"""On the server: received bitstreams become restored images, with their label maps beside them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from dsr.data_pipelines import received
from dsr.data_pipelines.datasets import images
from dsr.experiments.fleet.errors import FleetError
from dsr.experiments.fleet.folders import Folder, Made
from dsr.experiments.fleet.items import IMAGE, LABEL, Item, find, items_of, listing, others_of, readable
from dsr.experiments.fleet.pictures import Format
from dsr.models.restorers.saved import SavedRestorer
from dsr.tfrecords.manifest import Identity, release

RECEIVED = "received.csv"

COLUMNS = ("name", "received", "codec", "quality", "chroma", "width", "height", "bytes", "bpp", "sha256")
"""The restored image's name; the received file's, what its header says, pixels of the upright image, bytes, SHA-256."""

IMAGES, LABELS = "images", "labels"
"""Folders in what is made: what the dataset `folder` reads once a list of classes stands beside them."""

LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class Restore:
    """A bitstream becomes a restored image; its label map is copied, or turned upright as the image is.

    Attributes:
        source: The folder of bitstreams.
        labels: The folder of label maps; None without.
        restorer: Loaded once a process.
        format: Of the restored images.
    """

    source: Path
    labels: Optional[Path]
    restorer: SavedRestorer
    format: Format

    def __call__(self, item: Item) -> Made:
        bitstream = received.read_bitstream(self.source / item.name)
        header = received.read_header(item.name, bitstream)
        pixels = received.decode(header, bitstream)
        height, width = pixels.shape[:2]
        target = item.stem + self.format.suffixes[0]
        made = {}
        if self.labels is not None and item.label is not None:
            turned = received.orientation(header.codec, bitstream)
            suffix, label = self._label(item, self.labels / item.label, (width, height), turned)
            made[f"{LABELS}/{item.stem}{suffix}"] = label
        restored = self.restorer(pixels)
        made[f"{IMAGES}/{target}"] = self.format.encode(restored)
        row = {
            "name": target,
            "received": item.name,
            "codec": header.codec,
            "quality": header.quality,
            "chroma": header.chroma,
            "width": width,
            "height": height,
            "bytes": len(bitstream),
            "bpp": round(8 * len(bitstream) / (width * height), 6),
            "sha256": hashlib.sha256(bitstream).hexdigest(),
        }
        return Made(made, row)

    def _label(self, item: Item, path: Path, size: tuple[int, int], turned: int) -> tuple[str, bytes]:
        """Suffix and content of the label map of an image of this (width, height), turned from this orientation."""
        label_size, own = images.read_size_and_orientation(path)
        if own not in (1, turned):
            raise FleetError(
                f"the EXIF orientation of the label {item.label} is {own}, that of its image {item.name} {turned}; "
                "turn both upright, or give both the same"
            )
        if label_size != size:
            raise FleetError(
                f"label {item.label} has {label_size[0]}x{label_size[1]} pixels, but {item.name} {size[0]}x{size[1]}"
            )
        if own == 1:
            return path.suffix, received.read_bitstream(path)
        return ".png", images.read_picture(path).upright_png()


def restored_folder(source: Path, restorer: Path, labels: Optional[Path], format: Format) -> Folder:
    """The folder of restored images of a folder of bitstreams.

    Raises:
        FleetError: there is no such folder, or nothing in it. RestorerError: the restorer's folder holds none.
    """
    partners = None if labels is None else find(labels, LABEL_SUFFIXES)
    found = find(source, received.all_suffixes())
    items, others = items_of(found, partners), others_of(found)
    change = Restore(source, labels, SavedRestorer(restorer), format)
    roots = {IMAGE: source}
    config: dict[str, Any] = {
        "dsr": release(),
        "restorer": change.restorer.describe(),
        "listing": listing(source, (name for name in (item.name for item in items) if (source / name).is_file())),
        "format": str(format),
        "labels": None,
    }
    if labels is not None and partners is not None:
        roots[LABEL] = labels
        config["labels"] = listing(labels, sorted(name for names in partners.files.values() for name in names))
        others += others_of(partners, "label ")
    return Folder(
        Identity("restored", f"restore {readable(source.name)}", config),
        roots,
        items,
        change,
        RECEIVED,
        COLUMNS,
        others=others,
        files_each=1 if labels is None else 2,
    )
