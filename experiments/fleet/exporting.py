"""Shards of a work folder become files that any trainer reads: folders of images and label maps, or WebDataset tars."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional
from urllib.parse import unquote

import numpy as np
from PIL import Image

from dsr.data_pipelines import received
from dsr.data_pipelines.codecs import identify
from dsr.data_pipelines.datasets.classes import write_classes
from dsr.data_pipelines.datasets.labels import LabelTable
from dsr.experiments.fleet.errors import FleetError
from dsr.experiments.fleet.folders import Batch, Folder, Made
from dsr.experiments.fleet.items import Item
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.graph.places import below
from dsr.models.errors import ReadError
from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import find_records
from dsr.tfrecords.layout import MANIFEST
from dsr.tfrecords.ledger import MB, STATISTICS
from dsr.tfrecords.manifest import Identity, Manifest, check, fingerprint, intact, release
from dsr.tfrecords.png import encode_png
from dsr.tfrecords.schema import Record, canonical_json, read_record

EXPORTED = "images.csv"

COLUMNS = ("tar", "name", "key", "source", "width", "height", "bytes")
"""The tar file that the image is in, empty without; its name, the key of its record, its name in the dataset, pixels,
bytes of its file."""

IMAGES, LABELS, CLASSES = "images", "labels", "classes.csv"
"""What the dataset `folder` reads."""

BITSTREAM = "bitstream"
"""As a format: the files that codecs made, as they are."""

BLOCK = 512
"""A tar file has each member in whole blocks, behind one that names it."""


@dataclass(frozen=True)
class Stored(Item):
    """A record that becomes files.

    Attributes:
        shard: The file that it is in.
        start: The byte there.
        length: Bytes of its data.
    """

    shard: Path = Path()
    start: int = 0
    length: int = 0

    def sources(self) -> list[tuple[str, str]]:
        return []  # what shards hold is in the identity


@dataclass(frozen=True)
class Export:
    """A record becomes an image file and, if it has a label, a label map.

    Attributes:
        tarred: Whether the files are named as WebDataset has them: by what follows the first dot.
        format: Of images; None for bitstreams as they are.
        table: The dataset's classes, whose ids label maps are to hold; None for train ids.
        labelled: Whether there are to be label maps.
    """

    tarred: bool
    format: Optional[Format]
    table: Optional[LabelTable]
    labelled: bool

    def __call__(self, item: Stored) -> Made:
        try:
            record = read_record(item.shard, item.start)
            if record.key != item.name:
                raise ArtefactError(f"{item.shard} holds {record.key!r} where {STATISTICS} has {item.name!r}")
            image, suffix, size = self._image(record)
            label = self._label(record)
        except ArtefactError as error:  # of what dsr wrote, nothing may be left out
            raise ReadError(f"{error}; run dsr convert again, which repairs shards") from error
        if label is not None and size != (record.width, record.height):
            raise FleetError(
                f"its bitstream is a picture of {size[0]}x{size[1]} pixels, and its label map has "
                f"{record.width}x{record.height}: give --labels none, or another format"
            )
        if self.tarred:
            stem = member(item.stem.partition("/")[2])
            names = stem + suffix, f"{stem}.label.png"
            facts = {f"{stem}.json": canonical_json({"key": record.key, **record.provenance}).encode()}
        else:
            names, facts = (f"{IMAGES}/{item.stem}{suffix}", f"{LABELS}/{item.stem}.png"), {}
        made = {names[0]: image, **facts, **({} if label is None else {names[1]: label})}
        row = {
            "name": names[0],
            "key": record.key,
            "source": record.provenance.get("image"),
            "width": size[0],
            "height": size[1],
            "bytes": len(image),
        }
        return Made(made, row)

    def _image(self, record: Record) -> tuple[bytes, str, tuple[int, int]]:
        """The file, its suffix, and (width, height) of the upright picture that it shows."""
        size = record.width, record.height
        if self.format is None:
            codec = identify(record.bitstream)
            if codec is None:
                raise FleetError(f"{record.key!r} has no bitstream of a known codec; give another format")
            suffix = received.suffixes(codec.name)[0]
            header = received.read_header(f"{record.key}{suffix}", record.bitstream)
            own = header.width, header.height  # as stored: turned by a quarter, it is the record's the other way round
            return record.bitstream, suffix, size if own in (size, size[::-1]) else own  # smaller behind a downsample
        pixels = record.pixels()  # also tells whether the PNG is whole
        image = record.image if self.format.quality is None else self.format.encode(pixels)
        return image, self.format.suffixes[0], size

    def _label(self, record: Record) -> Optional[bytes]:
        train_ids = record.train_ids() if self.labelled else None
        if train_ids is None:
            return None
        if self.table is None:
            return record.label
        ids = self.table.to_ids(train_ids)
        if ids.dtype == np.uint8:
            return encode_png(ids)
        file = io.BytesIO()
        Image.fromarray(ids).save(file, "PNG")
        return file.getvalue()


@dataclass(frozen=True)
class Set:
    """Shards that are to be exported.

    Attributes:
        folder: Theirs.
        manifest: Theirs.
        dataset: Name of the dataset.
        split: Of it.
    """

    folder: Path
    manifest: Manifest
    dataset: str
    split: str

    @classmethod
    def open(cls, folder: Path) -> Set:
        """Raises ArtefactError if there are none, or they are not whole."""
        manifest = check(folder)
        filled = next((name for name in manifest.shards if manifest.files[name]["records"]), None)
        if filled is None:
            raise ArtefactError(f"{folder} is {manifest.name!r} and holds no images; give a folder of shards")
        provenance = read_record(folder / filled, 0).provenance
        dataset, split = (str(provenance.get(fact, "")) for fact in ("dataset", "split"))
        if "/" in split or not _is_name(split):
            raise ArtefactError(f"{folder} is of a split {split!r}, which is no name of a folder")
        return cls(folder, manifest, dataset, split)

    def items(self) -> list[Stored]:
        """Its records, in order of their keys."""
        path = intact(self.folder, STATISTICS)
        try:
            keys = [row["key"] for row in json.loads(files.read_bytes(path))]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtefactError(f"{path} cannot be read ({error}); make the folder anew") from error
        places = [
            (self.folder / name, *place) for name in self.manifest.shards for place in find_records(self.folder / name)
        ]
        if len(places) != len(keys):
            raise ArtefactError(f"{self.folder} holds {len(places)} records, not {len(keys)}; make it anew")
        return [
            Stored(key, f"{self.split}/{file_stem(key)}", shard=path, start=start, length=length)
            for key, (path, start, length) in zip(keys, places)
        ]

    def table(self) -> LabelTable:
        """The classes of the dataset, as the shards that were read from it tell; they must be beside these."""
        manifest = self.manifest
        while "dataset" not in manifest.config:
            parent = manifest.inputs.get("original") or manifest.inputs.get("compressed") or ""
            places = (path for path in self.folder.parent.iterdir() if path.name.endswith(f"-{parent[:8]}"))
            beside = (Manifest.load(path) for path in places if files.exists(path / MANIFEST))
            found = next((other for other in beside if other.fingerprint == parent), None)
            if found is None:
                raise FleetError(
                    f"{self.folder} was made of shards that are not beside it any more, and they tell the classes: "
                    "run dsr convert again, which makes them, or leave labels out with --labels none"
                )
            manifest = found
        return LabelTable.from_json(manifest.config["dataset"].get("labels"))


def find_shards(what: str, work: Path) -> Path:
    """The folder of shards that is meant: itself, or by its place or name among the shards of a work folder.

    Raises:
        FleetError: there is none, or there are several of that name.
    """
    shards = work / "shards"
    for place in (files.location(what), shards / what):
        if files.exists(place / MANIFEST):
            return place
    found = []
    for folder in below(shards):
        with suppress(ArtefactError):  # damaged, or of another version of dsr
            found += [folder] if Manifest.load(folder).name == what else []
    if len(found) != 1:
        many = f"is the name of {', '.join(folder.name for folder in found)}" if found else "is no folder of shards"
        raise FleetError(f"{what} {many}: give one that dsr status lists, of the work folder {work} or by its path")
    return found[0]


def exported_folder(shards: Sequence[Path], layout: str, ids: str, format: Optional[Format], tar_size: float) -> Folder:
    """The folder of files of shards.

    Args:
        shards: Folders; each of another split of one dataset.
        layout: `folder` or `webdataset`.
        ids: Of label maps: `original` (the dataset's), `train`, or `none` for no label maps.
        format: Of images; None for bitstreams as they are.
        tar_size: Of one tar file at most, in MB, as long as that holds one image; by the bytes of the records.

    Raises:
        FleetError: they do not go together, or lack what is asked for. ArtefactError: they are not whole.
    """
    sets = [Set.open(folder) for folder in shards]
    splits = [one.split for one in sets]
    for one in sets:
        if one.dataset != sets[0].dataset or splits.count(one.split) > 1:
            raise FleetError(
                f"{one.folder} is split {one.split} of {one.dataset}: export together what is of several splits of "
                "one dataset, and anything else apart"
            )
        if format is None and (
            one.manifest.config.get("domain") != "compressed" or not one.manifest.summary.get("bpp")
        ):
            raise FleetError(f"{one.folder} holds no bitstreams; only compressed shards do")
    items = [item for one in sets for item in one.items()]
    tarred = layout == "webdataset"
    names: dict[str, Stored] = {}
    for item in items:
        first = names.setdefault(member(item.stem) if tarred else item.stem, item)
        if first is not item:
            raise FleetError(
                f"{item.shard.parent}: {first.name!r} and {item.name!r} would be one {'sample' if tarred else 'file'}; "
                "rename one of them in the dataset and run dsr convert again"
            )
    tables = [] if ids == "none" else [one.table() for one in sets]
    if any(table != tables[0] for table in tables):
        raise FleetError(
            f"the class lists of {' and '.join(str(one.folder) for one in sets)} differ; export them apart"
        )
    beside = {}
    if tables:
        beside[CLASSES] = write_classes(tables[0] if ids == "original" else tables[0].of_train_ids())
    config: dict[str, Any] = {
        "dsr": release(),
        "contents": fingerprint([[one.manifest.files[name]["sha256"] for name in one.manifest.shards] for one in sets]),
        "layout": layout,
        "labels": ids,
        "format": BITSTREAM if format is None else str(format),
    }
    if tarred:
        config["tar_size"] = tar_size
    return Folder(
        Identity(
            "exported",
            f"export {' '.join(one.manifest.name for one in sets)}",
            config,
            {one.split: one.manifest.fingerprint for one in sets},
        ),
        {},
        items,
        Export(tarred, format, tables[0] if ids == "original" else None, ids != "none"),
        EXPORTED,
        COLUMNS if tarred else COLUMNS[1:],
        beside,
        list(_tars(items, tar_size)) if tarred else [],
        files_each=1 if ids == "none" else 2,
    )


def file_stem(key: str) -> str:
    """The name that an image has in its dataset, without suffix: keys are that, as URLs have it.

    What cannot be printed stays as in the key. Raises ArtefactError if it is no name of a file below a folder.
    """
    name = unquote(key)
    if not name.isprintable():
        name = key
    if not _is_name(name):
        raise ArtefactError(f"the key {key!r} is no name of a file: the shards were not written by dsr")
    return name


def _is_name(name: str) -> bool:
    """Whether it is one of a file below a folder."""
    return name.isprintable() and not any(part in ("", ".", "..") for part in name.split("/"))


def member(stem: str) -> str:
    """The same where all that follows the first dot of a name is its suffix."""
    folder, slash, name = stem.rpartition("/")
    return folder + slash + name.replace(".", "%2E")


def _tars(items: Sequence[Stored], tar_size: float) -> Iterator[Batch]:
    """Items of one split that follow each other, as many as go into a tar file."""
    number = 0
    for split, own in itertools.groupby(items, lambda item: item.stem.partition("/")[0]):
        for index, part in enumerate(_parts(list(own), tar_size * MB)):
            yield Batch(number, tuple(part), f"{split}-{index:06d}.tar")
            number += 1


def _parts(items: Sequence[Stored], limit: float) -> Iterator[list[Stored]]:
    part: list[Stored] = []
    size = 0
    for item in items:
        cost = item.length + 3 * 2 * BLOCK  # three members, each with its head and what fills its last block
        if part and size + cost > limit:
            yield part
            part, size = [], 0
        part.append(item)
        size += cost
    yield part
