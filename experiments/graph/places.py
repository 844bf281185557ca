"""Where artefacts lie in a work folder, and which folders hold one that should not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Optional

from dsr.models.errors import ReadError
from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.layout import MANIFEST, SCRATCH
from dsr.tfrecords.manifest import Manifest

GROUPS = (
    "shards",
    "codecs",
    "restorers",
    "segmenters",
    "evaluations",
    "perceptual",
    "features",
    "temperatures",
    "losses",
)
"""The folders of a work folder, each for one kind of artefact."""

NAMED = re.compile(r"-([0-9a-f]{8})$")
"""What the name of every artefact's folder ends in: the start of its fingerprint."""


def below(path: Path) -> list[Path]:
    """The artefacts in a folder, or it itself.

    Of those that lost their manifest or all they had, what is named like one.

    Links are followed. Raises ReadError if a folder cannot be listed.
    """
    if files.is_url(path):
        return sorted(_in_store(path))
    return sorted(_in_folder(path, frozenset()))


def misplaced(folder: Path, roots: Iterable[Path]) -> Optional[str]:
    """What is wrong with the place of an artefact, as a sentence.

    That is its name, or where it is in one of these work folders.
    """
    try:
        manifest = Manifest.load(folder)
    except ArtefactError:
        return None
    named, own = NAMED.search(folder.name), f"{manifest.name}-{manifest.fingerprint[:8]}"
    if named and not manifest.fingerprint.startswith(named[1]):
        return f"{folder} holds another artefact than its name says"
    for root in () if files.is_url(folder) else roots:
        group, _, place = os.path.relpath(folder, root).partition(os.sep)
        if group in GROUPS and place and Path(place) != Path(own):
            return f"{folder} is where no command looks for it: name it {root / group / own} again"
    return None


def _in_folder(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    if os.path.lexists(folder / MANIFEST):
        yield folder
        return
    real = os.path.realpath(folder)
    if real in above:  # a link to where it lies
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        entries = []
    except OSError as error:
        raise ReadError(f"{folder} cannot be listed: {error.strerror}; see to that and verify it again") from error
    there = False
    for entry in entries:
        path = folder / entry.name
        if entry.name == SCRATCH or entry.name.endswith(".partial"):
            continue
        if path.is_dir():
            for found in _in_folder(path, above | {real}):
                there = True
                yield found
        elif entry.is_symlink() and not path.exists() and NAMED.search(entry.name):
            there = True
            yield path
    if not there and NAMED.search(folder.name) and os.path.lexists(folder):
        yield folder


def _in_store(path: Path) -> set[Path]:
    if files.exists(path / MANIFEST):
        return {path}
    found = set()
    for name in files.names(path):
        folders = PurePosixPath(name).parts[:-1]
        if SCRATCH not in folders:
            ends = [n for n, folder in enumerate(folders, start=1) if NAMED.search(folder)]
            end = len(folders) if PurePosixPath(name).name == MANIFEST else ends[0] if ends else None
            if end is not None:
                found.add(path.joinpath(*folders[:end]))
    return found
