"""An artefact in the making: under a temporary name until it is whole, resumable, repairable."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError, cannot_write, one_sentence
from dsr.tfrecords.files import write_atomically
from dsr.tfrecords.integrity import sha256
from dsr.tfrecords.layout import CLOCK, IDENTITY, LOCK, MANIFEST, PART, REACHED, SCRATCH, partial_of
from dsr.tfrecords.locks import lock_file, locked, occupied
from dsr.tfrecords.manifest import Identity, Manifest, installed_versions
from dsr.tfrecords.schema import canonical_json


def resolved(folder: Path) -> Path:
    """Where the artefact `folder` is or will be, links followed.

    Raises ArtefactError for a mount point without an artefact: nothing can be given its name when it is whole.
    """
    if files.is_url(folder):
        return files.location(folder)
    place = Path(os.path.realpath(folder))
    if os.path.ismount(place) and not files.exists(place / MANIFEST):
        raise ArtefactError(f"{folder} is a mount point, whose place no other folder can take; give a folder in it")
    return place


def finished(folder: Path, identity: Identity) -> Manifest | None:
    """The manifest if `folder` is this very artefact, whose files may be damaged; None if there is nothing.

    Raises ArtefactError if it is something else, with all that differs: nothing finished is ever overwritten.
    """
    folder = files.location(folder)
    if not occupied(folder):
        return None
    if not files.is_url(folder) and not folder.is_dir():
        raise ArtefactError(f"{folder} is no folder: choose another name")
    manifest = Manifest.load(folder)
    if manifest.fingerprint != identity.fingerprint:
        raise ArtefactError(
            f"{folder} holds {manifest.name!r} made differently ({_difference(manifest.identity, identity)}); "
            "choose another folder, or delete it"
        )
    tidy(folder)
    return manifest


def tidy(folder: Path) -> None:
    """Remove what the making of a finished artefact left if its process was killed before it could."""
    if files.exists(folder / SCRATCH):
        with suppress(ArtefactError), repairing(folder):
            pass


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
        self._clock = self.scratch / (CLOCK + part)
        clocks = {name: _read_clock(self.scratch / name) for name in self._bookkeeping(CLOCK)}
        self._earlier = clocks.pop(self._clock.name, 0.0)
        self._others = sum(clocks.values())
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return self._others + self._earlier + time.monotonic() - self._started

    def keep_time(self) -> None:
        """Let a process that goes on after this one count the time until now; call it where work is safe on disk."""
        write_atomically(self._clock, str(self.seconds - self._others).encode())

    def keep_reached(self, units: int) -> None:
        """Let a plan know how much of the work a process that goes on after this one need not do again."""
        write_atomically(self.scratch / REACHED, str(units).encode())

    @property
    def parts(self) -> list[str]:
        """The parts that were begun so far, as "3-of-16"."""
        return [name[len(PART) :] for name in self._bookkeeping(PART)]

    def _bookkeeping(self, prefix: str) -> list[str]:
        return [name for name in files.names(self.scratch) if name.startswith(prefix)]

    def _finish(self, folder: Path) -> None:
        for name in files.temporaries(self.path):  # nobody else writes here
            (self.path / name).unlink(missing_ok=True)
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
    `finished`); a mount point.
    """
    folder = resolved(folder)
    partial = partial_of(folder)
    with ExitStack() as locks:
        with one_sentence(folder):
            _check_ours(partial)
            locks.enter_context(locked(folder, partial, part))
            resumed = _resumable(partial, identity, part)
        build = Build(partial, identity, resumed, f"-{part}" if part else "")
        try:
            yield build
        except BaseException:
            if not part and not _has_work(partial):
                files.remove(partial)
            raise
        with one_sentence(folder):
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
                    lock = lock_file(scratch / LOCK, str(folder))
                locks.callback(os.close, lock)
        except OSError as error:
            raise cannot_write(folder, error) from error
        try:
            yield scratch
        finally:
            files.remove(scratch)


def _resumable(partial: Path, identity: Identity, part: str) -> bool:
    """Whether an earlier process left work of this identity; from now on the folder is marked as this identity's."""
    path = partial / SCRATCH / IDENTITY
    if not part and not _has_work(partial):
        write_atomically(path, canonical_json(asdict(identity)).encode())
        return False
    if part and not files.exists(path):
        # Whoever makes another part may do the same just now; one of them comes first.
        own = path if files.is_url(path) else path.with_name(f"{IDENTITY}.{part}")
        write_atomically(own, canonical_json(asdict(identity)).encode())
        if own != path:
            with suppress(FileExistsError):
                files.link(own, path)
            own.unlink(missing_ok=True)
    _check_same(partial, identity)
    return True


def check_begun(partial: Path, identity: Identity) -> None:
    """Raise ArtefactError if a partial folder holds work, and that of another identity; nothing is written."""
    _check_ours(partial)
    if _has_work(partial):
        _check_same(partial, identity)


def _check_ours(partial: Path) -> None:
    """Raise ArtefactError if a folder of this name is a user's: whatever dsr writes, the identity comes first."""
    if not files.is_url(partial) and not files.exists(partial / SCRATCH / IDENTITY) and _has_work(partial):
        raise ArtefactError(
            f"{partial} holds files that dsr did not write, and is needed until what is made is whole: move it away, "
            "or choose another folder"
        )


def _check_same(partial: Path, identity: Identity) -> None:
    earlier = begun(partial)
    if earlier.fingerprint != identity.fingerprint:
        raise ArtefactError(
            f"{partial} holds an unfinished {earlier.name!r} made differently ({_difference(earlier, identity)}); "
            "choose another folder, or delete it"
        )


def begun(partial: Path) -> Identity:
    """Whose artefact a partial folder is; ArtefactError if it does not say."""
    path = partial / SCRATCH / IDENTITY
    try:
        return Identity(**json.loads(files.read_bytes(path)))
    except (OSError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path} cannot be read ({error}); delete {partial} and make it anew") from error


def reached(partial: Path) -> int:
    """What was last told by `keep_reached`; 0 if nothing that can be read: only an estimate rests on it."""
    try:
        return max(0, int(files.read_bytes(partial / SCRATCH / REACHED, 64)))
    except (OSError, ValueError):
        return 0


def _read_clock(path: Path) -> float:
    try:
        seconds = float(files.read_bytes(path, 64))
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"{path} cannot be read ({error}); delete it, and the time until now is not counted"
        ) from error
    if not 0 <= seconds < math.inf:
        raise ArtefactError(f"{path} holds {seconds} seconds; delete it, and the time until now is not counted")
    return seconds


def _has_work(partial: Path) -> bool:
    ours = tuple(f"{SCRATCH}/{name}" for name in (LOCK, IDENTITY, CLOCK, PART))
    return any(not name.startswith(ours) for name in files.names(partial))


def _difference(there: Identity, here: Identity) -> str:
    """All in which two identities differ, for people: "config.codec.quality is 40 there and 38 here"."""

    def differences(path: str, a: Any, b: Any) -> Iterator[str]:
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            for key in sorted({*a, *b}):
                yield from differences(f"{path}.{key}", a.get(key), b.get(key))
        elif a != b and path.endswith(".listing"):  # a digest, which tells nobody anything
            yield "its input has other files or classes now"
        elif a != b:
            yield f"{path[1:]} is {canonical_json(a)} there and {canonical_json(b)} here"

    return "; ".join(differences("", _plain(there), _plain(here)))


def _plain(identity: Identity) -> Any:
    # Through JSON, because what was loaded has lists where the other may have tuples.
    return json.loads(canonical_json({"kind": identity.kind, "config": identity.config, "inputs": identity.inputs}))
