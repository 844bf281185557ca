"""Artefacts: folders that say what they are.

Everything dsr makes (shards, trained weights, evaluations) is a folder with a `manifest.json`: its configuration, the
fingerprints of its inputs, the versions that made it, and size and SHA-256 of each of its files. An artefact in the
making is `<folder>.partial`, locked by the process that makes it, and gets its name in one rename when it is whole. A
folder that has its name is therefore complete, and a killed process leaves something that the next one can go on from.
Several processes, on several hosts that share the folder, may each make a part of one artefact; who joins them locks
them out. Locks are flock's: they die with their process, also on NFS. An object store (see `tfrecords.files`) has neither
locks nor folders to rename: there the folder has its name from the start, and its manifest, written last, makes it whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from tfrecords import files
from tfrecords.errors import ArtefactError, cannot_write
from tfrecords.files import write_atomically
from tfrecords.schema import Record, canonical_json, read_shard

MANIFEST = "manifest.json"
# What only the making needs lives in here, and vanishes when the artefact is whole.
SCRATCH = ".building"
_LOCK, _IDENTITY, _CLOCK, _PART = "lock", "identity.json", "seconds", "part-"
FORMAT = 2  # raised when the same configuration would give other bytes than before, or a manifest reads differently
_MAX_MANIFEST_BYTES = 1 << 28
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
            if files.size(path) > _MAX_MANIFEST_BYTES:
                raise ArtefactError(f"{path} is too large for a manifest")
            with files.reading(path) as file:
                data = file.read()
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


def check(folder: Path) -> Manifest:
    """The manifest of a whole artefact, or ArtefactError naming what is missing, of another size, or does not add up.

    Cheap: it compares existence, sizes and counts. `tfrecords.verify` reads everything.
    """
    manifest = Manifest.load(folder)
    for sentence in (*miscounts(folder, manifest), *damages(folder, manifest.files).values()):
        remedy = "run dsr convert again, which repairs it" if manifest.shards else f"delete {folder} and make it anew"
        raise ArtefactError(f"{sentence}; {remedy}")
    return manifest


def miscounts(folder: Path, manifest: Manifest) -> Iterator[str]:
    """A sentence for each count of shards that does not add up."""
    if manifest.shards:
        entries = [manifest.files[name] for name in manifest.shards]
        counted = {
            "images": sum(entry["records"] for entry in entries),
            "errors": sum(entry["errors"] for entry in entries),
        }
        counted["inputs"] = counted["images"] + counted["errors"]
        for what, number in counted.items():
            told = manifest.summary.get(what)
            if number != told:
                yield f"{files.location(folder) / MANIFEST} counts {number} {what} in its shards and {told} in all"


def damages(folder: Path, entries: Mapping[str, Mapping[str, Any]], digests: bool = False) -> dict[str, str]:
    """For each of these files that is missing, of another size or, with `digests`, of another SHA-256: what it is.

    `entries` is as `files` in a manifest.
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
            return f"{path} is missing ({error.strerror})"
        return None

    with ThreadPoolExecutor(os.cpu_count() if digests else 1) as pool:  # hashing does not hold the interpreter
        return {name: sentence for name, sentence in zip(entries, pool.map(damage, entries)) if sentence}


def records(folder: Path) -> Iterator[Record]:
    """All records of an artefact of shards in order of keys, read without TensorFlow; ArtefactError on damage."""
    manifest = check(folder)
    for name in manifest.shards:
        yield from read_shard(files.location(folder) / name, manifest.files[name]["records"])


def finished(folder: Path, identity: Identity) -> Manifest | None:
    """The manifest if `folder` is this very artefact, whose files may be damaged; None if there is nothing.

    Raises ArtefactError if it is something else, with all that differs: nothing finished is ever overwritten.
    """
    folder = files.location(folder)
    if not _occupied(folder):
        return None
    manifest = Manifest.load(folder)
    if manifest.fingerprint != identity.fingerprint:
        raise ArtefactError(
            f"{folder} holds {manifest.name!r} made differently ({_difference(manifest.identity, identity)}); "
            "choose another folder, or delete it"
        )
    if files.exists(folder / SCRATCH):
        # Left if the process that finished or repaired it was killed before the removal.
        with suppress(ArtefactError), repairing(folder):
            pass
    return manifest


class Build:
    """An artefact in the making.

    path      the temporary folder: what is here at the end is the artefact
    scratch   a folder inside it for what only the making needs (checkpoints, partial results); it vanishes at the end
    resumed   whether an earlier, interrupted process has begun this same artefact here
    summary   put here what the manifest shall tell
    files     entries of the manifest that are known already; all other files are read and hashed at the end
    manifest  None until the artefact is whole
    seconds   wall time so far: of this process, and of earlier and other ones up to their last `keep_time`
    """

    def __init__(self, path: Path, identity: Identity, resumed: bool, part: str = "") -> None:
        self.path = path
        self.scratch = path / SCRATCH
        self.identity = identity
        self.resumed = resumed
        self.summary: dict[str, Any] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.manifest: Manifest | None = None
        self._clock = self.scratch / (_CLOCK + part)
        clocks = {name: float(_read(self.scratch / name)) for name in self._bookkeeping(_CLOCK)}
        self._earlier = clocks.pop(self._clock.name, 0.0)
        self._others = sum(clocks.values())
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return self._others + self._earlier + time.monotonic() - self._started

    def keep_time(self) -> None:
        """Let a process that goes on after this one count the time until now; call it where work is safe on disk."""
        write_atomically(self._clock, str(self.seconds - self._others).encode())

    @property
    def parts(self) -> list[str]:
        """The parts that were begun so far, as "3-of-16"."""
        return [name[len(_PART) :] for name in self._bookkeeping(_PART)]

    def _bookkeeping(self, prefix: str) -> list[str]:
        names = files.names(self.scratch)
        return [name for name in names if name.startswith(prefix) and not name.endswith(".tmp")]

    def _finish(self, folder: Path) -> None:
        for name in files.names(self.path):
            if name != MANIFEST and not name.startswith(f"{SCRATCH}/") and name not in self.files:
                path = self.path / name
                files.sync(path)
                self.files[name] = {"bytes": files.size(path), "sha256": sha256(path)}
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
        if self.path != folder:
            os.rename(self.path, folder)
            files.sync(folder.parent)
        files.remove(folder / SCRATCH)
        self.manifest = manifest


@contextmanager
def building(folder: Path, identity: Identity, part: str = "") -> Iterator[Build]:
    """Make the artefact `folder`: everything is written in `<folder>.partial`, which becomes `folder` on leaving.

    With `part` ("3-of-16") the partial folder stays on leaving, and others may make other parts at the same time; the
    next without `part` has it for itself, and finishes.

    An exception or a kill leaves the partial folder, and the next `building` of the same identity goes on in it
    (`resumed`). Refused with an ArtefactError: a partial folder of another identity, which is not discarded because it
    may hold days of training; a second builder of a folder or part at the same time; a folder that exists (see
    `finished`).
    """
    folder = files.location(folder if files.is_url(folder) else os.path.abspath(folder))
    partial = partial_of(folder)
    with ExitStack() as locks:
        try:
            locks.enter_context(_locked(folder, partial, part))
            resumed = _resumable(partial, identity, part)
        except OSError as error:
            raise ArtefactError(f"{folder} cannot be made: {error.strerror}: {error.filename}") from error
        build = Build(partial, identity, resumed, f"-{part}" if part else "")
        try:
            yield build
        except BaseException:
            if not part and not _has_work(partial):
                files.remove(partial)
            raise
        if part:
            build.keep_time()
        else:
            build._finish(folder)


@contextmanager
def repairing(folder: Path) -> Iterator[Path]:
    """Have a finished artefact for oneself, to replace damaged files by what they were; gives a folder for scratch."""
    scratch = folder / SCRATCH
    with ExitStack() as locks:
        try:
            if not files.is_url(folder):
                lock = None
                while lock is None:
                    scratch.mkdir(exist_ok=True)
                    lock = _lock(scratch / _LOCK, str(folder))
                locks.callback(os.close, lock)
        except OSError as error:
            raise cannot_write(folder, error) from error
        try:
            yield scratch
        finally:
            files.remove(scratch)


def partial_of(folder: Path) -> Path:
    """Where an artefact is while it is made."""
    return folder if files.is_url(folder) else folder.with_name(folder.name + ".partial")


@contextmanager
def _locked(folder: Path, partial: Path, part: str) -> Iterator[None]:
    """Have the partial folder, made if need be, for oneself, or with `part` only that part of it."""
    path = partial / SCRATCH / _LOCK
    lock = own = None
    while lock is None and not _occupied(folder):
        if files.is_url(folder):
            yield
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(path, str(folder), shared=bool(part))
    if lock is None:
        raise ArtefactError(f"{folder} exists already; choose another folder, or delete it")
    try:
        if part:
            others = {name.rpartition("-")[2] for name in files.names(path.parent) if name.startswith(_PART)}
            if others - {part.rpartition("-")[2]}:
                raise ArtefactError(
                    f"{folder} is being made in {', '.join(others)} parts; go on with those, or convert it whole"
                )
            own = _lock(path.with_name(_PART + part), f"part {part} of {folder}")
        yield
    finally:
        for descriptor in filter(None, (own, lock)):
            os.close(descriptor)


def _lock(path: Path, what: str, shared: bool = False) -> int | None:
    """The descriptor of a locked file; None if its folder was finished or discarded meanwhile: it keeps nobody out."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(lock)):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            return lock
    except BlockingIOError:
        holder = os.pread(lock, 256, 0).decode(errors="replace") or "another process"
        os.close(lock)
        raise ArtefactError(f"{what} is being made by {holder}; wait for it or stop it") from None
    except OSError:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _occupied(folder: Path) -> bool:
    if files.is_url(folder):
        return files.exists(folder / MANIFEST)
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _resumable(partial: Path, identity: Identity, part: str) -> bool:
    """Whether an earlier process left work of this identity; from now on the folder is marked as this identity's."""
    path = partial / SCRATCH / _IDENTITY
    if not part and not _has_work(partial):
        write_atomically(path, canonical_json(asdict(identity)).encode())
        return False
    if part and not files.exists(path):
        # Whoever makes another part may do the same just now; one of them comes first.
        own = path if files.is_url(path) else path.with_name(f"{_IDENTITY}.{part}")
        write_atomically(own, canonical_json(asdict(identity)).encode())
        if own != path:
            with suppress(FileExistsError):
                os.link(own, path)
            own.unlink()
    earlier = begun(partial)
    if earlier.fingerprint != identity.fingerprint:
        raise ArtefactError(
            f"{partial} holds an unfinished {earlier.name!r} made differently ({_difference(earlier, identity)}); "
            "choose another folder, or delete it"
        )
    return True


def begun(partial: Path) -> Identity:
    """Whose artefact a partial folder is; ArtefactError if it does not say."""
    path = partial / SCRATCH / _IDENTITY
    try:
        return Identity(**json.loads(_read(path)))
    except (OSError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path} cannot be read ({error}); delete {partial} and make it anew") from error


def _has_work(partial: Path) -> bool:
    ours = tuple(f"{SCRATCH}/{name}" for name in (_LOCK, _IDENTITY, _CLOCK, _PART))
    return any(not name.startswith(ours) and not name.endswith(".tmp") for name in files.names(partial))


def _read(path: Path) -> bytes:
    with files.reading(path) as file:
        return file.read()


def _difference(there: Identity, here: Identity) -> str:
    """All in which two identities differ, for people: "config.codec.quality is 40 there and 38 here"."""

    def differences(path: str, a: Any, b: Any) -> Iterator[str]:
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            for key in sorted({*a, *b}):
                yield from differences(f"{path}.{key}", a.get(key), b.get(key))
        elif a != b:
            yield f"{path[1:]} is {canonical_json(a)} there and {canonical_json(b)} here"

    return "; ".join(differences("", _plain(there), _plain(here)))


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
        if ("records" in entry) != isinstance(entry.get("errors"), int):
            raise TypeError(f"the errors of {name!r}")


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    digest = hashlib.sha256()
    with files.reading(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


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
