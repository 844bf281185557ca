"""Artefacts: folders that say what they are.

Everything dsr makes (shards, trained weights, evaluations) is a folder with a `manifest.json`: its configuration, the
fingerprints of its inputs, the versions that made it, and size and SHA-256 of each of its files. An artefact in the
making is `<folder>.partial`, locked by the process that makes it, and gets its name in one rename when it is whole. A
folder that has its name is therefore complete, and a killed process leaves something that the next one can go on from.
Several processes, on several hosts that share the folder, may each make a part of one artefact; who joins them locks
them out. Locks are flock's: they die with their process, also on NFS. An object store (see `dsr.tfrecords.files`) has
neither locks nor folders to rename: there the folder has its name from the start, and its manifest, written last, makes
it whole.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.files import write_atomically
from dsr.tfrecords.integrity import damages, miscounts
from dsr.tfrecords.layout import MANIFEST
from dsr.tfrecords.schema import Record, canonical_json, read_shard

FORMAT = 2  # raised when the same configuration would give other bytes than before, or a manifest reads differently
MAX_BYTES = 1 << 28
"""Of a manifest; a longer one is not read."""

_PACKAGES = ("dsr", "tensorflow", "numpy", "pillow", "isal", "protobuf")


def fingerprint(value: object) -> str:
    """SHA-256, in hex, of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True)
class Identity:
    """What makes an artefact this one and no other; it is known before the artefact is made.

    `kind` is "shards" or what else the caller makes; `name` is for people and not in the fingerprint; `config` is JSON
    and holds all that the content depends on; `inputs` gives the fingerprint of the artefact in each role.
    """

    kind: str
    name: str
    config: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over format, kind, configuration and the inputs' fingerprints."""
        return fingerprint({"format": FORMAT, "kind": self.kind, "config": self.config, "inputs": self.inputs})


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`, which also holds its own SHA-256 and the format.

    `files` has for each file, by its path inside the folder, its `bytes`, its `sha256`, and, if it is a shard,
    the number of its `records` and of the `errors`: images that belong there and could not be converted. `summary` is
    what the maker wants to be known. `seconds` is the wall time of all processes that worked on it (see
    `Build.seconds`); `created` is its end, UTC, ISO 8601.
    """

    kind: str
    name: str
    fingerprint: str
    config: dict[str, Any]
    inputs: dict[str, str]
    versions: dict[str, str]
    files: dict[str, dict[str, Any]]
    summary: dict[str, Any]
    created: str
    seconds: float

    @property
    def identity(self) -> Identity:
        return Identity(self.kind, self.name, self.config, self.inputs)

    @property
    def shards(self) -> list[str]:
        """File names of the shards, in order of their keys."""
        return sorted(name for name, entry in self.files.items() if "records" in entry)

    @property
    def shard_entries(self) -> list[dict[str, Any]]:
        """What `files` says of each shard, in that order."""
        return [self.files[name] for name in self.shards]

    def to_bytes(self) -> bytes:
        """The one text of this manifest."""
        content = {**asdict(self), "format": FORMAT}
        content["sha256"] = fingerprint(content)
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()

    def save(self, folder: Path) -> None:
        """Write `manifest.json` in `folder`, whole or not at all."""
        write_atomically(folder / MANIFEST, self.to_bytes())

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read it back; ArtefactError if there is none, it is damaged, or of another version's format."""
        path = files.location(folder) / MANIFEST
        try:
            data = files.read_bytes(path, MAX_BYTES)
            content = json.loads(data)
            made, _ = content.pop("format", 1), content.pop("sha256", None)
            if made != FORMAT:
                raise ArtefactError(
                    f"{folder} is of another version of dsr (format {made}, not {FORMAT}); make it anew"
                )
            manifest = cls(**content)
            _check_types(manifest)
            # All of it, so that any flipped bit shows, even one that JSON reads alike.
            if manifest.to_bytes() != data or manifest.fingerprint != manifest.identity.fingerprint:
                raise ValueError("its checksum is wrong")
        except FileNotFoundError:
            raise ArtefactError(f"{path} is missing: {folder} is no finished artefact of dsr") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ArtefactError(f"{path} is damaged ({error}); delete {folder} and make it anew") from error
        return manifest


def intact(folder: Path, name: str) -> Path:
    """A file of a finished artefact, read and found to be as it was written: how all that is not shards is opened.

    Raises ArtefactError if it is not, or is no file of this artefact.
    """
    entries = Manifest.load(folder).files
    if name not in entries:
        raise ArtefactError(f"{folder} has no file {name!r}: it is another artefact than it should be; make it anew")
    for sentence in damages(folder, {name: entries[name]}, digests=True).values():
        raise ArtefactError(
            f"{sentence}: dsr convert repairs shards, all else is made anew once its folder is removed; dsr verify "
            "says what else is damaged"
        )
    return files.location(folder) / name


def check_if_told(folder: Path) -> None:
    """ArtefactError if a folder that says what it holds, holds something else; for folders that a user names.

    Files in folders below it do not count: TensorBoard's events may be deleted.
    """
    path = files.location(folder) / MANIFEST
    if files.exists(path) and b'"fingerprint"' in files.read_bytes(path, MAX_BYTES):  # other programs' have none
        for name in Manifest.load(folder).files:
            if "/" not in name:
                intact(folder, name)


def check(folder: Path) -> Manifest:
    """The manifest of a whole artefact, or ArtefactError naming what is missing, of another size, or does not add up.

    Cheap: it compares existence, sizes and counts. `dsr.tfrecords.verify` reads everything.
    """
    manifest = Manifest.load(folder)
    for sentence in (
        *miscounts(folder, manifest.shard_entries, manifest.summary),
        *damages(folder, manifest.files).values(),
    ):
        remedy = "run dsr convert again, which repairs it" if manifest.shards else f"delete {folder} and make it anew"
        raise ArtefactError(f"{sentence}; {remedy}")
    return manifest


def records(folder: Path) -> Iterator[Record]:
    """All records of an artefact of shards in order of keys, read without TensorFlow; ArtefactError on damage."""
    manifest = check(folder)
    for name in manifest.shards:
        yield from read_shard(files.location(folder) / name, manifest.files[name]["records"])


def _check_types(manifest: Manifest) -> None:
    """TypeError or ValueError if a manifest is not what this program writes."""
    for item in fields(Manifest):
        value = getattr(manifest, item.name)
        expected: tuple[type, ...] = {"str": (str,), "float": (int, float)}.get(str(item.type), (dict,))
        if not isinstance(value, expected):
            raise TypeError(f"{item.name} is a {type(value).__name__}")
    for name, entry in manifest.files.items():
        path = PurePosixPath(name)
        if not path.parts or path.is_absolute() or ".." in path.parts or not name.isprintable():
            raise ValueError(f"{name!r} is no name of a file in it")
        if not isinstance(entry["bytes"], int) or not isinstance(entry["sha256"], str):
            raise TypeError(f"the entry of {name!r}")
        if not isinstance(entry.get("records", 0), int):
            raise TypeError(f"the records of {name!r}")
        if ("records" in entry) != isinstance(entry.get("errors"), int):
            raise TypeError(f"the errors of {name!r}")


def release() -> str:
    """The release of dsr, as "0.1": artefacts of another are made anew, those of one that only repairs are not."""
    try:
        return ".".join(metadata.version("dsr").split(".")[:2])
    except metadata.PackageNotFoundError:
        return "not installed"


def installed_versions() -> dict[str, str]:
    """Version of Python and of each installed package that results depend on; nothing of it is imported."""
    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed
