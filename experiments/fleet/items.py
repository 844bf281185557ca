"""The files of a folder that are to be changed: found, paired with label maps, and listed for the identity."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Optional

from dsr.data_pipelines.datasets.listing import Found, composed, counted, list_files
from dsr.experiments.fleet.errors import FleetError
from dsr.tfrecords import files
from dsr.tfrecords.schema import canonical_json

IMAGE, LABEL = "image", "label"
"""What a file is that is read."""


@dataclass(frozen=True)
class Item:
    """A file that is to be changed.

    Attributes:
        name: In the folder that is read, with `/`.
        stem: The name without its suffix; what is made of the file is named by it.
        label: Name of its label map in the folder of those; None without one.
        flaw: Why it cannot be changed, where its name shows that already.
    """

    name: str
    stem: str
    label: Optional[str] = None
    flaw: Optional[str] = None

    def sources(self) -> list[tuple[str, str]]:
        """Kind and name of each file that it is changed by; none if it cannot be."""
        named = [(IMAGE, self.name)] if self.label is None else [(IMAGE, self.name), (LABEL, self.label)]
        return [] if self.flaw else named


def find(folder: Path, suffixes: Iterable[str]) -> Found:
    """What lies in a folder and below it: files with one of these suffixes (lower-case), and all that is not read.

    As in datasets, links to folders are followed, hidden files are not looked at, and files that can hold no image do
    not count. Its `files` have the names without suffix as the file system has them.

    Raises:
        FleetError: there is no such folder, or no such file in it. ReadError: it cannot be listed.
    """
    if not folder.is_dir():
        raise FleetError(f"{folder} is no folder; give the one that the files are in")
    found = list_files(folder, tuple(suffixes), recursive=True)
    if not found.files:
        there = f", but {counted(others_of(found))}" if found.others else ""
        raise FleetError(f"{folder} holds no {', '.join(suffixes)} file{there}; give the folder that the files are in")
    files: dict[str, list[str]] = {}
    for name in sorted(name for names in found.files.values() for name in names):
        files.setdefault(PurePosixPath(name).with_suffix("").as_posix(), []).append(name)
    return replace(found, files=files)


def others_of(found: Found, kind: str = "") -> list[str]:
    """What lies in a folder and is not read, by its name there, and why."""
    names = ((os.path.relpath(other.path, found.folder), other.why) for other in found.others)
    return sorted(readable(f"{kind}{name}: {why}") for name, why in names)


def find_items(folder: Path, suffixes: Iterable[str]) -> list[Item]:
    """See `find` and `items_of`."""
    return items_of(find(folder, suffixes))


def items_of(found: Found, labels: Optional[Found] = None) -> list[Item]:
    """The files of a folder, sorted by name; with `labels` each must have a label map there.

    A label map whose name writes an accent in another way than its image's (NFC or NFD) is its image's all the same.
    Two files of one stem would become the same file, and a name that is not printable UTF-8 cannot be written down:
    such items have a flaw, and so has a label map without an image.
    """
    items, label_files = [], _named_as(found.files, labels.files) if labels else {}
    for stem in sorted(found.files.keys() | label_files.keys()):
        names, partners = found.files.get(stem, []), label_files.get(stem, [])
        flaw = _flaw(stem, names, partners, labels is not None)
        items += [Item(name, stem, partners[0] if partners else None, flaw) for name in names or partners[:1]]
    return items


def _named_as(images: Mapping[str, list[str]], labels: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Label maps by their images' names, in the way in which those write accents."""
    written = {composed(stem): stem for stem in images}
    named: dict[str, list[str]] = {}
    for stem, names in labels.items():
        image = stem if stem in images else written.get(composed(stem), stem)
        named.setdefault(image, []).extend(names)
    return named


def _flaw(stem: str, names: list[str], labels: list[str], labelled: bool) -> Optional[str]:
    if not names:
        return f"label {readable(labels[0])} has no image of its name; add the image or remove this file"
    for kind, found in (("image", names), ("label", labels)):
        if len(found) > 1:
            return f"{' and '.join(map(readable, found))} are one {kind} by name; keep one of them"
    if labelled and not labels:
        return f"{readable(names[0])} has no label map of its name; add it or remove this file"
    if not stem.isprintable() or readable(stem) != stem:
        return f"{readable(names[0])!r}: its name is not printable UTF-8; rename the file"
    return None


def readable(name: str) -> str:
    """As UTF-8 can write it, which need not be as the file system has it."""
    return name.encode(errors="replace").decode()


def listing(folder: Path, names: Iterable[str]) -> str:
    """SHA-256 (hex) over the names and sizes of files."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(canonical_json([readable(name), files.size(folder / name)]).encode() + b"\n")
    return digest.hexdigest()
