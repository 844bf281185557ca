r"""The offline conversion: a dataset to original shards, originals to compressed, compressed to restored ones.

    source --to_originals--> originals --to_compressed--> compressed --to_restored--> restored
                                    \______________________________________________/ (only to measure)

Which image goes to which shard follows from the sorted keys and `images_per_shard` alone, and derived shards mirror
those they come from, so a shard is a unit of work that gives the same bytes whenever and wherever it is done. An engine
converts one shard at a time; a finished shard is on disk under its name before its result is, and a later run takes
every shard that has both. An image that cannot be converted is left out and written down, or ends the run: see
`How.max_errors`.

Memory: each worker holds one image with what becomes of it and the rows of one shard; the calling process the listing
of the dataset (some 0.5 kB an image) and an entry for each shard. Neither holds images or rows of the whole set.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from dsr.tfrecords import files
from dsr.tfrecords.building import Build, building, finished, repairing
from dsr.tfrecords.engine import (
    ConversionCounter,
    Done,
    How,
    ShardWriter,
    check_errors,
    sentence_of,
    sweep,
)
from dsr.tfrecords.errors import ArtefactError, one_sentence
from dsr.tfrecords.integrity import damages
from dsr.tfrecords.ledger import (
    ERRORS,
    MB,
    SOURCES,
    STATISTICS,
    Result,
    Row,
    Summary,
    joined_sources,
    row_of,
    told_others,
    write_errors,
    write_sources,
    write_statistics,
)
from dsr.tfrecords.manifest import Identity, Manifest
from dsr.tfrecords.plan import Part, Shard
from dsr.tfrecords.schema import read_shard
from dsr.tfrecords.stages import Stage
from dsr.tfrecords.workers import available_cores

KEEP_TIME_EVERY = 5.0  # seconds

HERE = How()
"""With as many processes of this machine as it has cores."""


@dataclass(frozen=True)
class Conversion:
    """What is to be made of what, see `dsr.tfrecords.conversions`."""

    identity: Identity
    stage: Stage
    shards: Callable[[Part | None], Sequence[Shard]]
    """All of them, or those of a part, planned when they are needed."""

    def write(self, folder: Path, how: How = HERE) -> Manifest:
        """Make the artefact, or what is missing of it; of one that exists, what is damaged.

        Raises:
          ArtefactError: `folder` is something else or is being made by another process, more images than
            `how.max_errors` cannot be converted, the disk is full or will be, or what is damaged cannot be made as it
            was.
        """
        with one_sentence(folder):
            existing = finished(folder, self.identity)
            if existing is not None:
                damaged = set(damages(folder, existing.files, digests=how.thorough))
                if damaged:
                    self._repair(files.location(folder), existing, damaged, how)
                return existing
            with building(folder, self.identity) as build:
                shards = self.shards(None)
                self._fill(build, shards, how)
                _join(build, shards, how.max_errors, self.stage)
        return Manifest.load(folder)

    def write_part(self, folder: Path, part: Part, how: How = HERE) -> None:
        """Make one part of the shards, while other processes and hosts make others; nothing if the artefact is whole.

        What it is made from needs no more than the same part. `how.max_errors` counts this part's alone. See `write`.
        """
        with one_sentence(folder):
            if finished(folder, self.identity) is None:
                with building(folder, self.identity, f"{part.number}-of-{part.of}") as build:
                    self._fill(build, self.shards(part), how)

    def finish(self, folder: Path, how: How = HERE) -> Manifest:
        """Join the parts to the artefact, having read and compared all their files.

        Raises ArtefactError also if parts are missing or damaged, which are named: run those again.
        """
        with one_sentence(folder):
            existing = finished(folder, self.identity)
            if existing is not None:
                return existing
            with building(folder, self.identity) as build:
                shards = self.shards(None)
                entries = {}
                for shard in shards:
                    result = Result.load(build.scratch, shard)
                    if result is not None:
                        entries[shard.name] = result.entry
                damaged = damages(build.path, entries, digests=True)
                missing = [shard for shard in shards if shard.name in damaged or shard.name not in entries]
                if missing:
                    for shard in missing:
                        Result.path(build.scratch, shard).unlink(missing_ok=True)
                    raise ArtefactError(f"{folder} cannot be joined yet: {_whose(missing, len(shards), build.parts)}")
                _join(build, shards, how.max_errors, self.stage)
        return Manifest.load(folder)

    def _fill(self, build: Build, shards: Sequence[Shard], how: How) -> None:
        """Make the shards that are not there."""
        sweep(build.scratch, shards)
        results, entries, sources = {}, {}, {}
        for shard in shards:
            result = Result.load(build.scratch, shard)
            if result is not None:
                results[shard.name], entries[shard.name] = Done.of(result), result.entry
                sources[shard.name] = result.sources
        lost = damages(build.path, entries) | self._changed(shards, sources)
        there = {name: done for name, done in results.items() if name not in lost}
        if sum(done.errors for done in there.values()) > how.max_errors:
            there = {name: done for name, done in there.items() if not done.errors}
        errors = sum(done.errors for done in there.values())
        todo = [shard for shard in shards if shard.name not in there]
        _check_room(build.path, self.stage.estimate(todo))
        meter = ConversionCounter(there, how.progress)
        kept = time.monotonic()
        try:
            with closing(how.run(ShardWriter(self.stage, build.path, build.scratch, how.max_errors), todo)) as items:
                for shard, row in items:
                    if row is not None:
                        meter.count(shard.name, row)
                        continue
                    if time.monotonic() - kept > KEEP_TIME_EVERY:
                        build.keep_time()
                        kept = time.monotonic()
                    result = Result.load(build.scratch, shard)
                    if result is not None:
                        meter.set(shard.name, Done.of(result))
                    if result and result.failures:
                        errors += len(result.failures)
                        check_errors(errors, how.max_errors, result.failures[-1])
        finally:
            build.keep_time()
            sweep(build.scratch, shards)

    def _changed(self, shards: Sequence[Shard], sources: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
        """The finished shards of an earlier run that the stage would now make from other files, and a word for each."""
        there = [shard for shard in shards if sources.get(shard.name)]
        with ThreadPoolExecutor(available_cores()) as pool:  # hashing does not hold the interpreter
            now = pool.map(self.stage.sources, there)
            return {shard.name: "changed" for shard, found in zip(there, now) if found != sources[shard.name]}

    def _repair(self, folder: Path, manifest: Manifest, damaged: set[str], how: How) -> None:
        """Make the damaged files anew, each as the manifest has it."""
        shards = self.shards(None)
        if [shard.name for shard in shards] != manifest.shards:
            raise ArtefactError(f"{folder} has other shards than its input gives; delete it and make it anew")
        flawed = [shard for shard in shards if manifest.files[shard.name]["errors"]]
        again = damaged | ({shard.name for shard in flawed} if ERRORS in damaged else set())
        todo = [shard for shard in shards if shard.name in again]
        expected = {shard.name: manifest.files[shard.name]["sha256"] for shard in todo}
        with repairing(folder) as scratch:
            writer = ShardWriter(self.stage, folder, scratch, manifest.summary["errors"], expected)
            meter = ConversionCounter({}, how.progress)
            with closing(how.run(writer, todo)) as items:
                for shard, row in items:
                    if row is not None:
                        meter.count(shard.name, row)
                    elif (result := Result.load(scratch, shard)) is not None:
                        meter.set(shard.name, Done.of(result))
            if STATISTICS in damaged:
                rows = (
                    row_of(record)
                    for name in manifest.shards
                    for record in read_shard(folder / name, manifest.files[name]["records"])
                )
                write_statistics(folder, scratch, rows)
            if SOURCES in damaged:
                write_sources(folder, scratch, joined_sources(map(self.stage.sources, shards)))
            if ERRORS in damaged:
                results = (Result.load(scratch, shard) for shard in flawed)
                write_errors(folder, scratch, (failure for result in results if result for failure in result.failures))
            for sentence in damages(folder, {name: manifest.files[name] for name in damaged}, digests=True).values():
                raise ArtefactError(f"{sentence} (it was, and came out differently)")


def _join(build: Build, shards: Sequence[Shard], max_errors: int, stage: Stage) -> None:
    """What the finished shards are together."""
    summary, failures = Summary(), []

    def rows() -> Iterator[Row]:
        for shard in shards:
            result = Result.load(build.scratch, shard)
            if result is None:
                raise ArtefactError(f"{Result.path(build.scratch, shard)} is missing; convert again")
            build.files[shard.name] = result.entry
            failures.extend(result.failures)
            for row in result.rows:
                summary.add(row)
                yield row

    write_statistics(build.path, build.scratch, rows())
    if failures:
        check_errors(len(failures), max_errors, failures[-1])
    if not summary.images:
        raise ArtefactError(f"none of {len(failures)} images can be converted; {sentence_of(failures[0])}")
    write_errors(build.path, build.scratch, failures)
    build.summary = summary.to_json(len(failures), build.seconds)
    results = (Result.load(build.scratch, shard) for shard in shards)
    sources = joined_sources(result.sources for result in results if result)
    first = next(sources, None)
    if first is not None:
        build.summary["source"] = {"files": 0, "bytes": 0, "pixels": 0}
        write_sources(build.path, build.scratch, _counted(chain([first], sources), build.summary["source"]))
    build.summary.update(told_others(stage.others()))


def _counted(sources: Iterable[dict[str, Any]], totals: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The same; adds up the number of files, and bytes and pixels of the images that can be decoded."""
    for source in sources:
        totals["files"] += 1
        if source["pixels"]:
            totals["bytes"] += source["bytes"]
            totals["pixels"] += source["pixels"]
        yield source


def _whose(missing: Sequence[Shard], total: int, parts: Sequence[str]) -> str:
    """Which shards are missing, by the parts that they belong to if there are any."""
    counted = f"{len(missing)} of {total} shards are missing or damaged"
    if not parts:
        return f"{counted}, such as {missing[0]}; convert again"
    of = int(parts[0].rpartition("-")[2])
    owners = sorted({Part.owning(shard, of).number for shard in missing})
    return f"{counted}, those of {', '.join(f'{number}/{of}' for number in owners)}; convert these parts again"


def _check_room(folder: Path, needed: float) -> None:
    if not files.is_url(folder):
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise ArtefactError(
                f"{folder} needs about {needed / MB:,.2f} MB more and its disk has {free / MB:,.2f} MB free; make "
                "room, or choose another disk"
            )
