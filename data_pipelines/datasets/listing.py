"""What lies in the folders of a dataset: the files that are read, and, by name, all that is not.

Links to folders are followed, each folder is listed once. Hidden files and folders (.name) are not looked at, and files
that can hold no image (texts, tables, world files) do not count; anything else that is not read is one of the `others`.
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dsr.data_pipelines.datasets.files import kind_of, unreadable

_NAMED = 4  # of the others in a sentence

_NO_IMAGES = (
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yml", ".yaml", ".toml", ".ini", ".log"),
    *(".html", ".htm", ".db", ".xmp", ".aae", ".py", ".sh", ".md5", ".sha256"),
    *(".tfw", ".tifw", ".pgw", ".jgw", ".bpw", ".wld", ".prj", ".geojson"),
)
_NO_IMAGE_NAMES = ("license", "licence", "copying", "notice", "readme", "authors", "changelog", "sha256sums", "md5sums")


@dataclass(frozen=True)
class Other:
    """Something in a dataset's folders that is not read; `why` in words that follow its name."""

    path: Path
    why: str


@dataclass
class Found:
    """What a folder holds.

    files: name without suffix, in Unicode's composed form (NFC) -> names of files, all below `folder` and with "/".
    More
        than one is several files of one name, which differ in their suffix, or in how they write an accent.
    """

    folder: Path
    files: dict[str, list[str]] = field(default_factory=dict)
    others: list[Other] = field(default_factory=list)


def list_files(folder: Path, suffixes: Sequence[str], recursive: bool, companions: Sequence[str] = ()) -> Found:
    """The files below `folder`, at any depth or not, whose names end in one of the (lower-case) suffixes.

    `companions` are endings of files that belong there and are not read. Raises ReadError if `folder` cannot be listed.
    """
    found = Found(folder)
    for name, why in _walk(folder, recursive):
        lower = name.lower()
        suffix = next((s for s in suffixes if lower.endswith(s)), None)
        if why is not None:
            found.others.append(Other(folder / name, why))
        elif suffix is not None:
            found.files.setdefault(composed(name[: -len(suffix)]), []).append(name)
        elif not (lower.endswith(tuple(companions)) or can_hold_no_image(lower)):
            found.others.append(Other(folder / name, "its suffix is not read"))
    return found


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC), in which an accent written in two ways is one name."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def counted(others: Sequence[str]) -> str:
    """How many others there are and the first of them: "5 files or folders (b.heic: its suffix is not read, ...)"."""
    more = ", ..." if len(others) > _NAMED else ""
    return (
        f"{len(others)} file{'s or folders' if len(others) > 1 else ' or folder'} ({', '.join(others[:_NAMED])}{more})"
    )


def beside(folder: Path) -> list[Other]:
    """All that lies directly in a folder and may hold images, as others. Raises ReadError if it cannot be listed."""
    try:
        with os.scandir(folder) as scan:
            names = sorted(entry.name for entry in scan if not entry.name.startswith("."))
    except OSError as error:
        raise unreadable(folder, error) from None
    return [Other(folder / name, "beside the split folders") for name in names if not can_hold_no_image(name.lower())]


def can_hold_no_image(name: str) -> bool:
    """Whether a file of this lower-case name is a text, a table or the like."""
    return name.endswith(_NO_IMAGES) or name.rpartition("/")[2] in _NO_IMAGE_NAMES


def _walk(folder: Path, recursive: bool) -> Iterator[tuple[str, str | None]]:
    """Of each entry its name below the folder and, if that shows already, why it is not read.

    Each folder is entered once, by links only when all others are done, so that a web of links has an end too.
    """
    entered: set[str] = set()
    folders = [("", str(folder), os.path.realpath(folder))]  # name, path, path without links
    links: list[tuple[str, str, str]] = []
    while folders or links:
        name, path, real = folders.pop() if folders else heapq.heappop(links)
        if real in entered:
            yield name, "a link to a folder that is listed already"
            continue
        entered.add(real)
        try:
            with os.scandir(path) as scan:
                entries = sorted((entry for entry in scan if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            if not name:
                raise unreadable(folder, error) from None
            yield name, _why(error)
            continue
        if name and not recursive:
            if entries:
                yield name, "a folder that is not looked into"
            continue
        for entry in entries:
            inner = f"{name}/{entry.name}" if name else entry.name
            try:
                kind = _kind(entry)
            except OSError as error:
                if not can_hold_no_image(inner.lower()):
                    yield inner, _why(error)
                continue
            if kind == stat.S_IFREG:
                yield inner, None
            elif kind != stat.S_IFDIR:
                yield inner, f"a {kind_of(kind)}"
            elif not entry.is_symlink():
                folders.append((inner, entry.path, os.path.join(real, entry.name)))
            elif f"{real}/".startswith((target := os.path.realpath(entry.path)).rstrip("/") + "/"):
                yield inner, "a link to a folder that it lies in"
            else:
                heapq.heappush(links, (inner, entry.path, target))


def _kind(entry: os.DirEntry[str]) -> int:
    """The type of what an entry is or leads to, as in `stat`; files and folders that are no links cost nothing."""
    if entry.is_file(follow_symlinks=False):
        return stat.S_IFREG
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFMT(entry.stat().st_mode)


def _why(error: OSError) -> str:
    return "a dangling link" if error.errno == errno.ENOENT else (error.strerror or str(error)).lower()
