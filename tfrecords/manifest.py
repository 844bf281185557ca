"""Artefacts: folders that say what they are.

Everything dsr makes (shards, trained weights, evaluations) is a folder with a `manifest.json`: its configuration, the
fingerprints of its inputs, the versions that made it, and size and SHA-256 of each of its files. An artefact in the
making is `<folder>.partial`, locked by the process that makes it, and gets its name in one rename when it is whole. A
folder that has its name is therefore complete, and a killed process leaves something that the next one can go on from.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from tfrecords.errors import ArtefactError
from tfrecords.schema import Record, canonical_json, read_shard
from tfrecords.workers import run

MANIFEST = "manifest.json"
# What only the making needs lives in here, and vanishes when the artefact is whole.
SCRATCH = ".building"
_LOCK, _IDENTITY, _CLOCK = "lock", "identity.json", "seconds"
FORMAT = 1  # raised when the same configuration would give other bytes than before
_MAX_MANIFEST_BYTES = 1 << 28
_PACKAGES = ("dsr", "tensorflow", "numpy", "pillow", "protobuf")


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
    """The content of `manifest.json`.

    `files` has for each file, by its path inside the folder, its `bytes`, its `sha256`, and, if it is a shard,
    the number of its `records`. `summary` is what the maker wants to be known. `seconds` is the wall time of all
    processes that worked on it (see `Build.seconds`); `created` is its end, UTC, ISO 8601.
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

    def save(self, folder: Path) -> None:
        """Write `manifest.json` in `folder`, whole or not at all."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        write_atomically(folder / MANIFEST, text.encode())

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read it back; ArtefactError if there is none or it is damaged."""
        path = Path(folder) / MANIFEST
        try:
            if path.stat().st_size > _MAX_MANIFEST_BYTES:
                raise ArtefactError(f"{path} is too large for a manifest")
            manifest = cls(**json.loads(path.read_bytes()))
            _check_types(manifest)
        except FileNotFoundError:
            raise ArtefactError(f"{path} is missing: {folder} is no finished artefact of dsr") from None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise ArtefactError(f"{path} is damaged ({error}); {_remedy(folder)}") from error
        return manifest


def check(folder: Path, deep: bool = False, codec: Decoder | None = None) -> Manifest:
    """The manifest of a whole artefact, or ArtefactError naming the file that is missing or damaged.

    Cheap, this compares existence, sizes and counts. `deep` reads everything, in processes on all cores: SHA-256 of
    each file, and of each shard the checksum and fields of every record, that its PNGs decode, and how many records
    there are. With `codec` too, the one that made a compressed artefact, each bitstream must decode to the pixels
    stored beside it.
    """
    folder = Path(folder)
    manifest = Manifest.load(folder)
    if codec is not None and canonical_json(manifest.config.get("codec")) != canonical_json(codec.describe()):
        made, given = manifest.config.get("codec"), canonical_json(codec.describe())
        raise ArtefactError(
            f"{folder} was made with the codec {canonical_json(made)}, not {given}; check with that one"
        )
    for name, entry in manifest.files.items():
        path = folder / name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise ArtefactError(f"{path} is missing ({error.strerror}); {_remedy(folder)}") from None
        if size != entry["bytes"]:
            raise ArtefactError(f"{path} has {size} bytes, not {entry['bytes']}; {_remedy(folder)}")
    if manifest.shards:
        counted = sum(manifest.files[name]["records"] for name in manifest.shards)
        images = manifest.summary.get("images")
        if counted != images:
            raise ArtefactError(f"{folder / MANIFEST} counts {counted} records of {images} images; {_remedy(folder)}")
    if deep:
        for _ in run(_ContentCheck(folder, manifest.files, codec), list(manifest.files)):
            pass
    return manifest


def records(folder: Path) -> Iterator[Record]:
    """All records of an artefact of shards in order of keys, read without TensorFlow; ArtefactError on damage."""
    manifest = check(folder)
    for name in manifest.shards:
        yield from read_shard(Path(folder) / name, manifest.files[name]["records"])


def finished(folder: Path, identity: Identity) -> Manifest | None:
    """The manifest if `folder` is this very artefact, checked cheaply; None if there is nothing.

    Raises ArtefactError if it is damaged or something else: nothing finished is ever overwritten.
    """
    folder = Path(folder)
    if not _occupied(folder):
        return None
    manifest = check(folder)
    if manifest.fingerprint != identity.fingerprint:
        raise ArtefactError(
            f"{folder} holds {manifest.name!r} made differently ({_difference(manifest.identity, identity)}); "
            "choose another folder, or delete it"
        )
    # Left if the process that finished it was killed between the rename and the removal.
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    return manifest


class Build:
    """An artefact in the making.

    path      the temporary folder: what is here at the end is the artefact
    scratch   a folder inside it for what only the making needs (checkpoints, partial results); it vanishes at the end
    resumed   whether an earlier, interrupted process has begun this same artefact here
    summary   put here what the manifest shall tell
    files     entries of the manifest that are known already; all other files are read and hashed at the end
    manifest  None until the artefact is whole
    seconds   wall time so far: of this process, and of earlier ones up to their last `keep_time`
    """

    def __init__(self, path: Path, identity: Identity, resumed: bool) -> None:
        self.path = path
        self.scratch = path / SCRATCH
        self.identity = identity
        self.resumed = resumed
        self.summary: dict[str, Any] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.manifest: Manifest | None = None
        clock = self.scratch / _CLOCK
        self._earlier = float(clock.read_text()) if resumed and clock.exists() else 0.0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return self._earlier + time.monotonic() - self._started

    def keep_time(self) -> None:
        """Let a process that goes on after this one count the time until now; call it where work is safe on disk."""
        write_atomically(self.scratch / _CLOCK, str(self.seconds).encode())

    def _finish(self, folder: Path) -> None:
        for path in sorted(self.path.rglob("*")):
            relative = path.relative_to(self.path)
            name = relative.as_posix()
            if path.is_file() and name != MANIFEST and relative.parts[0] != SCRATCH and name not in self.files:
                _sync(path)
                self.files[name] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        manifest = Manifest(
            kind=self.identity.kind,
            name=self.identity.name,
            fingerprint=self.identity.fingerprint,
            config=self.identity.config,
            inputs=self.identity.inputs,
            versions=installed_versions(),
            files=self.files,
            summary=self.summary,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            seconds=round(self.seconds, 3),
        )
        manifest.save(self.path)
        os.rename(self.path, folder)
        _sync(folder.parent)
        shutil.rmtree(folder / SCRATCH)
        self.manifest = manifest


@contextmanager
def building(folder: Path, identity: Identity) -> Iterator[Build]:
    """Make the artefact `folder`: everything is written in `<folder>.partial`, which becomes `folder` on leaving.

    An exception or a kill leaves the partial folder, and the next `building` of the same identity goes on in it
    (`resumed`). Refused with an ArtefactError: a partial folder of another identity, which is not discarded because it
    may hold days of training; a second builder of a folder at the same time; a folder that exists (see `finished`).
    """
    folder = Path(os.path.abspath(folder))
    partial = folder.with_name(folder.name + ".partial")
    try:
        lock = _lock(partial, folder)
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be made: {error.strerror}: {error.filename}") from error
    try:
        build = Build(partial, identity, resumed=_resumable(partial, identity))
        try:
            yield build
        except BaseException:
            if not _has_work(partial):
                shutil.rmtree(partial)
            raise
        build._finish(folder)
    finally:
        os.close(lock)


class Decoder(Protocol):
    """The part of a codec that checking needs."""

    def describe(self) -> dict[str, Any]: ...

    def decode(self, bitstream: bytes) -> NDArray[np.uint8]: ...


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that after a crash is either as before or as now; for one writer at a time."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync(path.parent)


def _lock(partial: Path, folder: Path) -> int:
    """The descriptor that locks the partial folder, made if need be, until it is closed or the process dies."""
    path = partial / SCRATCH / _LOCK
    while not _occupied(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # its builder has finished just now
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The lock of a folder that was finished or discarded meanwhile keeps nobody out.
            if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(lock)):
                os.ftruncate(lock, 0)
                os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return lock
        except BlockingIOError:
            holder = os.pread(lock, 256, 0).decode(errors="replace") or "another process"
            os.close(lock)
            raise ArtefactError(f"{folder} is being made by {holder}; wait for it or stop it") from None
        os.close(lock)
    raise ArtefactError(f"{folder} exists already; choose another folder, or delete it")


def _occupied(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _resumable(partial: Path, identity: Identity) -> bool:
    """Whether an earlier process left work of this identity; from now on the folder is marked as this identity's."""
    path = partial / SCRATCH / _IDENTITY
    if path.exists() and _has_work(partial):
        earlier = Identity(**json.loads(path.read_bytes()))
        if earlier.fingerprint != identity.fingerprint:
            raise ArtefactError(
                f"{partial} holds an unfinished {earlier.name!r} made differently ({_difference(earlier, identity)}); "
                "choose another folder, or delete it"
            )
        return True
    write_atomically(path, canonical_json(asdict(identity)).encode())
    return False


def _has_work(partial: Path) -> bool:
    ours = {partial / SCRATCH / name for name in (_LOCK, _IDENTITY, _CLOCK)}
    return any(path.is_file() and path not in ours and path.suffix != ".tmp" for path in partial.rglob("*"))


def _difference(there: Identity, here: Identity) -> str:
    """The first thing in which two identities differ, for people: "config.codec.quality is 40 there and 38 here"."""

    def first(path: str, a: Any, b: Any) -> str | None:
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found = (first(f"{path}.{key}", a.get(key), b.get(key)) for key in sorted({*a, *b}))
            return next(filter(None, found), None)
        return None if a == b else f"{path[1:]} is {canonical_json(a)} there and {canonical_json(b)} here"

    return first("", _plain(there), _plain(here)) or "another version"


def _plain(identity: Identity) -> Any:
    # Through JSON, because what was loaded has lists where the other may have tuples.
    return json.loads(canonical_json({"kind": identity.kind, "config": identity.config, "inputs": identity.inputs}))


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


@dataclass(frozen=True)
class _ContentCheck:
    """What a worker does in a deep check: read one file and compare all that can be compared."""

    folder: Path
    files: dict[str, dict[str, Any]]
    codec: Decoder | None

    def __call__(self, name: str) -> Iterator[None]:
        path, entry = self.folder / name, self.files[name]
        # Records before the digest of the whole, because they tell where the damage is.
        if "records" in entry:
            for record in read_shard(path, entry["records"]):
                try:
                    self._check_record(record)
                except UserError as error:
                    raise ArtefactError(f"{path}: {error}") from error
        if _sha256(path) != entry["sha256"]:
            raise ArtefactError(f"{path} is not the file that was written (SHA-256); {_remedy(self.folder)}")
        yield

    def _check_record(self, record: Record) -> None:
        pixels = record.pixels()
        record.train_ids()
        if self.codec is not None and not np.array_equal(self.codec.decode(record.bitstream), pixels):
            raise ArtefactError(f"the bitstream of {record.key!r} decodes to other pixels than those stored")


def _remedy(folder: Path) -> str:
    return f"delete {folder} and make it anew"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def installed_versions() -> dict[str, str]:
    """Version of Python and of each installed package that results depend on; nothing of it is imported."""
    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed
