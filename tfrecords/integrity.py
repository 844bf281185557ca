"""Whether files are what a manifest says."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dsr.models.errors import ReadError
from dsr.tfrecords import files
from dsr.tfrecords.layout import MANIFEST

_NO_FILE = (errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""Something else lies under its name: a folder, a device, a pipe, a link to nowhere."""


def miscounts(folder: Path, entries: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each count of shards that does not add up.

    `entries` are those of the shards in a manifest's `files`, `summary` is the manifest's.
    """
    if entries:
        counted = {
            "images": sum(entry["records"] for entry in entries),
            "errors": sum(entry["errors"] for entry in entries),
        }
        counted["inputs"] = counted["images"] + counted["errors"]
        for what, number in counted.items():
            told = summary.get(what)
            if number != told:
                yield f"{files.location(folder) / MANIFEST} counts {number} {what} in its shards and {told} in all"


def damages(folder: Path, entries: Mapping[str, Mapping[str, Any]], digests: bool = False) -> dict[str, str]:
    """For each of these files that is missing, of another size or, with `digests`, of another SHA-256: what it is.

    `entries` is as `files` in a manifest. Raises ReadError for a file that may be whole but cannot be read now.
    """

    def damage(name: str) -> str | None:
        path, entry = files.location(folder) / name, entries[name]
        try:
            size = files.size(path)
            if size != entry["bytes"]:
                return f"{path} has {size} bytes, not {entry['bytes']}"
            if digests and sha256(path) != entry["sha256"]:
                return f"{path} is not the file that was written (SHA-256)"
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return f"{path} is missing ({error.strerror})"
            if error.errno in _NO_FILE:
                return f"{path} is not the file that was written ({error.strerror})"
            raise ReadError(f"{path} cannot be read: {error.strerror}; see to that, for it may be whole") from error
        return None

    with ThreadPoolExecutor(os.cpu_count() if digests else 1) as pool:  # hashing does not hold the interpreter
        return {name: sentence for name, sentence in zip(entries, pool.map(damage, entries)) if sentence}


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    digest = hashlib.sha256()
    with files.reading(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
