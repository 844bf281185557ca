"""A folder of files becomes another one: each file by itself, on all cores, resumably, and nothing is lost unseen.

The folder that is made is an artefact (see `dsr.tfrecords.manifest`): `<folder>.partial` while it is made, locked, gone
on with after a kill, renamed when it is whole, with the SHA-256 of each file in `manifest.json`. A table says what each
file cost, `errors.jsonl` which ones could not be changed and why, and `sources.jsonl` what they were made of, so that
files that are others by now are noticed though they have the size that they had.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from dsr.data_pipelines.datasets import images
from dsr.data_pipelines.datasets.files import unreadable
from dsr.experiments.fleet.errors import FleetError
from dsr.experiments.fleet.items import Item, readable
from dsr.experiments.fleet.tars import writing_tar
from dsr.experiments.graph.progress import Progress
from dsr.models.errors import UserError
from dsr.tfrecords import files
from dsr.tfrecords.building import Build, building, check_begun, finished, repairing, resolved
from dsr.tfrecords.engine import Engine, How
from dsr.tfrecords.errors import ArtefactError, one_sentence
from dsr.tfrecords.integrity import damages, sha256
from dsr.tfrecords.layout import SCRATCH, partial_of
from dsr.tfrecords.ledger import ERRORS, SOURCES, Failure, told_others, write_errors, write_sources
from dsr.tfrecords.manifest import MAX_BYTES, Identity, Manifest, intact
from dsr.tfrecords.schema import canonical_json
from dsr.tfrecords.workers import available_cores

FILES_PER_BATCH = 8
"""At most so many files of each process are done again after a kill."""

KEEP_TIME_EVERY = 5.0  # seconds

MOST_BYTES = images.max_bytes(images.MAX_PIXELS)
"""More than any file has that can be changed."""

ENTRY_BYTES = 140
"""What the manifest says of a file takes no more, beside the name without folder and suffix that its item gives it."""

NAME_BYTES = 255
"""File systems have no longer names of files."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """What a file became: the content of new files by their names, and its row in the table."""

    files: dict[str, bytes]
    row: Row


Change = Callable[[Any], Made]
"""Of an item; picklable; raises a UserError for a file that cannot be changed."""


@dataclass(frozen=True)
class Batch:
    """Some files that one process changes one after the other.

    Attributes:
        index: From 0.
        items: The files.
        tar: Name of the tar file that all of the batch is put into; None for files of their own.
    """

    index: int
    items: tuple[Item, ...]
    tar: Optional[str] = None

    def __str__(self) -> str:
        return f"{self.items[0].name} to {self.items[-1].name}"


@dataclass(frozen=True)
class Result:
    """What a finished batch has.

    Entries of its files for the manifest, rows of the table, failures, and what it was made of (see `sources_of`).
    """

    files: dict[str, dict[str, Any]]
    rows: list[Row]
    failures: list[dict[str, str]]
    sources: list[dict[str, Any]]

    @staticmethod
    def path(scratch: Path, batch: Batch) -> Path:
        return scratch / f"batch-{batch.index:07d}.json"

    def save(self, scratch: Path, batch: Batch) -> None:
        """The last thing that is done for a batch."""
        with files.writing(self.path(scratch, batch), scratch) as file:
            file.write(canonical_json(asdict(self)).encode())

    @classmethod
    def load(cls, scratch: Path, batch: Batch) -> Optional[Result]:
        """None if the batch is not finished, or its result damaged or of an earlier version: it is then done again."""
        try:
            return cls(**json.loads(files.read_bytes(cls.path(scratch, batch))))
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            return None


@dataclass(frozen=True)
class BatchWriter:
    """What a worker does: change the files of a batch, yielding a row or failure of each, and None when all is done.

    roots: As of `Folder`; failures name files relative to them.
    folders: Those that files are put into, by what follows the folder of their kind.
    """

    roots: Mapping[str, Path]
    change: Change
    path: Path
    scratch: Path
    folders: frozenset[str] = frozenset()

    def __call__(self, batch: Batch) -> Iterator[Optional[Row]]:
        # Before they are read: of a file that changes meanwhile, the next run then sees that it is another.
        result = Result({}, [], [], sources_of(self.roots, batch))
        with self._target(batch, result) as put:
            for item in batch.items:
                try:
                    if item.flaw:
                        raise FleetError(item.flaw)
                    made = self.change(item)
                    if batch.tar is None:
                        check_names(made.files)
                        self._check_folders(item, made)
                except UserError as error:
                    failure = Failure.of(readable(item.stem), readable(item.name), error, *self.roots.values())
                    reason = failure.reason.removeprefix(f"{failure.file}: ")  # which is said already
                    result.failures.append(asdict(replace(failure, reason=reason)))
                    yield result.failures[-1]
                    continue
                for name, content in made.files.items():
                    put(name, content)
                result.rows.append(made.row if batch.tar is None else {"tar": batch.tar, **made.row})
                yield made.row
        with one_sentence(self.path):
            result.save(self.scratch, batch)
        yield None

    def _check_folders(self, item: Item, made: Made) -> None:
        """Raise FleetError if a file would be called as a folder is that others are put into."""
        for name in made.files:
            if item.stem + PurePosixPath(name).suffix in self.folders:
                raise FleetError(f"{name} would be called as the folder that other files go into; rename one of them")

    @contextmanager
    def _target(self, batch: Batch, result: Result) -> Iterator[Callable[[str, bytes], None]]:
        """What takes the new files of a batch, by name and content; `result` then knows them, or their tar."""

        def put(name: str, content: bytes) -> None:
            path = self.path / name
            with one_sentence(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with files.writing(path, self.scratch) as file:
                    file.write(content)
            result.files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

        if batch.tar is None:
            yield put
            return
        path = self.path / batch.tar
        with one_sentence(path), files.writing(path, self.scratch) as file, writing_tar(file) as tar:
            yield tar.add
        result.files[batch.tar] = {"bytes": tar.size, "sha256": tar.sha256}


def check_names(names: Iterable[str]) -> None:
    """Raise FleetError if a file cannot be called so."""
    for name in (PurePosixPath(name).name for name in names):
        if len(os.fsencode(name)) > NAME_BYTES:
            raise FleetError(f"{name} would be longer than {NAME_BYTES} bytes; rename the file")


def sources_of(roots: Mapping[str, Path], batch: Batch) -> list[dict[str, Any]]:
    """The files that a batch is made of, as they are now: kind, name, bytes and SHA-256.

    The SHA-256 is None of a file that is too long to be read. Raises ReadError for one that cannot be read now.
    """
    found = []
    for kind, name in (source for item in batch.items for source in item.sources()):
        path = roots[kind] / name
        try:
            size = files.size(path)
            digest = sha256(path) if size <= MOST_BYTES else None
        except OSError as error:
            raise unreadable(path, error) from error
        found.append({"kind": kind, "name": name, "bytes": size, "sha256": digest})
    return found


def check_apart(source: Path, target: Path) -> None:
    """Raise FleetError if what is made would be found among what it is made of, or the other way round.

    Before anything is read or made; ArtefactError for a mount point, where nothing can be made.
    """
    place, theirs = resolved(target), source.resolve()
    for ours in (place, partial_of(place)):
        if ours == theirs or theirs in ours.parents or ours in theirs.parents:
            raise FleetError(
                f"{target} (until it is whole {partial_of(place).name}) and {source} lie in each other; "
                "choose another folder for what is made"
            )


@dataclass(frozen=True)
class Folder:
    """A folder that is to be made: what of, how, and what its table is called.

    Attributes:
        identity: All that the files depend on, but for the contents of the files that items are changed by.
        roots: The folders that these lie in: of every IMAGE, and of every LABEL.
        items: What is changed, in order.
        change: What becomes of each.
        table: File name of the table of rows.
        columns: Of the table.
        beside: Content of files that stand beside all others, by their names.
        packed: Which items go into which tar file; empty where files are by themselves.
        others: What lies in the folders that are read and is not read itself: its name there, and why.
        files_each: How many files become of an item at most, where they are by themselves.
    """

    identity: Identity
    roots: Mapping[str, Path]
    items: Sequence[Item]
    change: Change
    table: str
    columns: Sequence[str]
    beside: dict[str, bytes] = field(default_factory=dict)
    packed: Sequence[Batch] = ()
    others: Sequence[str] = ()
    files_each: int = 1

    @property
    def batches(self) -> Sequence[Batch]:
        """All items in order."""
        if self.packed:
            return self.packed
        bounds = range(0, len(self.items), FILES_PER_BATCH)
        return [Batch(n, tuple(self.items[i : i + FILES_PER_BATCH])) for n, i in enumerate(bounds)]

    @property
    def _folders(self) -> frozenset[str]:
        """The folders that items are in, and those above them."""
        found: set[str] = set()
        for folder in {item.stem.rpartition("/")[0] for item in self.items}:
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    def left(self, folder: Path) -> int:
        """How many files are still to be changed to make it; makes nothing.

        Raises ArtefactError if the folder holds something else, begun or finished, or was made of files that changed,
        FleetError for more files than a manifest can list.
        """
        manifest = finished(folder, self.identity)
        if manifest is not None:
            self._check_sources(folder, manifest)
            return 0
        self._check_number()
        partial = partial_of(resolved(folder))
        check_begun(partial, self.identity)
        return sum(len(batch.items) for batch in self._todo(partial))

    def make(
        self, folder: Path, workers: Optional[int], progress: Progress, engine: Optional[Engine] = None
    ) -> Manifest:
        """Make it, go on making it, or compare what exists with its SHA-256 and make damaged files anew.

        Args:
            folder: Where; must be new, unless it is this very folder.
            workers: Number of processes, one a core if None. The files do not depend on it.
            progress: Told after every file.
            engine: What does the work instead of processes of this machine.

        Returns:
            The manifest; `summary` has `inputs`, `files_made`, `errors`, `pixels`, `bytes`, `seconds` and, if there are
            any, `others`.

        Raises:
            ArtefactError: the folder holds something else or was made of files that changed since, another process
                makes it, it cannot be written, or nothing could be made.
            FleetError: there are more files than a manifest can list.
        """
        how = How(workers, engine)
        manifest = finished(folder, self.identity)
        if manifest is not None:
            self._check_sources(folder, manifest)
            self._repair(folder, manifest, how, progress)
            return manifest
        self._check_number()
        with building(folder, self.identity) as build:
            writer = BatchWriter(self.roots, self.change, build.path, build.scratch, self._folders)
            self._run(writer, self._todo(build.path), how, progress, build)
            self._join(build)
        assert build.manifest is not None
        return build.manifest

    def _check_number(self) -> None:
        """Raise FleetError, before any work, if the manifest that lists all files would be too long to be read."""
        if self.packed:
            return  # it lists the tar files
        stems = sum(len(item.stem.encode(errors="replace")) for item in self.items)
        if self.files_each * (ENTRY_BYTES * len(self.items) + stems) > MAX_BYTES:
            raise FleetError(
                f"{self.identity.name}: {len(self.items)} files are more than the manifest of one folder can list; "
                "give parts of them, each with a folder of its own, or export them as tar files (--layout webdataset)"
            )

    def _todo(self, partial: Path) -> list[Batch]:
        """The batches that are not done, whose files are damaged, or that were made of files that changed since."""

        def done(batch: Batch) -> bool:
            result = Result.load(partial / SCRATCH, batch)
            if result is None or damages(partial, result.files):
                return False
            return result.sources == sources_of(self.roots, batch)

        batches = self.batches
        with ThreadPoolExecutor(available_cores()) as pool:  # hashing does not hold the interpreter
            return [batch for batch, is_done in zip(batches, pool.map(done, batches)) if not is_done]

    def _check_sources(self, folder: Path, manifest: Manifest) -> None:
        """Raise ArtefactError if a finished folder was made of files that changed since, where it says of which."""
        if SOURCES not in manifest.files:
            return
        lines = files.read_bytes(intact(folder, SOURCES)).splitlines()
        before = {(source["kind"], source["name"]): source for source in map(json.loads, lines)}
        with ThreadPoolExecutor(available_cores()) as pool:
            now = [
                source
                for found in pool.map(lambda batch: sources_of(self.roots, batch), self.batches)
                for source in found
            ]
        changed = [
            self.roots[source["kind"]] / source["name"]
            for source in now
            if source != before.get((source["kind"], source["name"]))
        ]
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise ArtefactError(
                f"{folder} was made before {changed[0]}{more} changed; choose another folder, or delete it"
            )

    def _run(
        self,
        writer: BatchWriter,
        todo: Sequence[Batch],
        how: How,
        progress: Progress,
        build: Optional[Build] = None,
    ) -> None:
        kept = time.monotonic()
        done = len(self.items) - sum(len(batch.items) for batch in todo)
        with (
            progress.meter(self.identity.name, len(self.items)) as meter,
            closing(how.run(writer, todo)) as rows,
        ):
            meter.update(done)
            for _, row in rows:
                if row is not None:
                    done += 1
                    meter.update(done)
                elif build is not None and time.monotonic() - kept > KEEP_TIME_EVERY:
                    build.keep_time()
                    kept = time.monotonic()

    def _join(self, build: Build) -> None:
        results = [Result.load(build.scratch, batch) for batch in self.batches]
        rows: list[Row] = []
        failures: list[dict[str, str]] = []
        sources: list[dict[str, Any]] = []
        for batch, result in zip(self.batches, results):
            if result is None:
                raise ArtefactError(f"{Result.path(build.scratch, batch)} is missing; run the same again")
            build.files.update(result.files)
            rows += result.rows
            failures += result.failures
            sources += result.sources
        if not rows:
            for path in (
                *map(build.path.joinpath, build.files),
                *(Result.path(build.scratch, b) for b in self.batches),
            ):
                path.unlink()  # nothing of it is worth going on with: another try has the place, whatever it is given
            raise ArtefactError(
                f"none of {len(failures)} files can be taken; {failures[0]['file']}: {failures[0]['reason']}"
            )
        for name in files.names(build.path):  # what an earlier, killed process made of a file that fails now
            if not name.startswith(f"{SCRATCH}/") and name not in build.files:
                (build.path / name).unlink()
        text = io.StringIO()
        table = csv.DictWriter(text, self.columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        for name, content in {**self.beside, self.table: text.getvalue().encode()}.items():
            with files.writing(build.path / name, build.scratch) as file:
                file.write(content)
        write_errors(build.path, build.scratch, failures)
        if sources:
            write_sources(build.path, build.scratch, sources)
        build.summary.update(
            inputs=len(self.items),
            files_made=len(rows),
            errors=len(failures),
            pixels=sum(row["width"] * row["height"] for row in rows),
            bytes=sum(row["bytes"] for row in rows),
            seconds=round(build.seconds, 3),
            **told_others(self.others),
        )

    def _repair(self, folder: Path, manifest: Manifest, how: How, progress: Progress) -> None:
        damaged = damages(folder, manifest.files, digests=True)
        if not damaged:
            return
        for name in {self.table, ERRORS} & damaged.keys():
            raise ArtefactError(f"{damaged[name]}; delete {folder} and make it anew")
        stems = {PurePosixPath(name).with_suffix("").as_posix() for name in damaged}
        stems |= {stem.partition("/")[2] for stem in stems}  # files of a kind may lie in a folder of their own
        todo = [
            batch for batch in self.batches if batch.tar in damaged or any(item.stem in stems for item in batch.items)
        ]
        progress.say(f"{len(damaged)} files of {folder} are damaged or missing and are made anew")
        with repairing(folder) as scratch:
            self._run(BatchWriter(self.roots, self.change, folder, scratch, self._folders), todo, how, progress)
            for name in self.beside.keys() & damaged.keys():
                with files.writing(folder / name, scratch) as file:
                    file.write(self.beside[name])
            for sentence in damages(folder, {name: manifest.files[name] for name in damaged}, digests=True).values():
                raise ArtefactError(f"{sentence} (it was, and came out differently)")
