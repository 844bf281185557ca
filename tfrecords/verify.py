"""Reading artefacts again, all of them, to see whether they still are what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dsr.models.errors import ReadError, UserError
from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.integrity import damages, miscounts
from dsr.tfrecords.manifest import Manifest
from dsr.tfrecords.schema import Record, read_shard
from dsr.tfrecords.workers import run


class Decoder(Protocol):
    """The part of a codec that verifying needs."""

    def decode(self, bitstream: bytes) -> NDArray[np.uint8]: ...


def findings(
    folders: Iterable[Path],
    *,
    decoder_of: Callable[[Manifest], Decoder | None] = lambda _: None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[str]:
    """A sentence for each file of these artefacts that is missing or damaged, and each count that does not add up.

    Of each file size and SHA-256 are compared, and of each shard the checksum and fields of every record, that its PNGs
    decode, and how many records there are. Nothing is changed.

    Args:
      decoder_of: gives the codec that made compressed shards, whose every bitstream then must decode to the pixels that
        are stored beside it; None for other artefacts, or to leave that out.
      workers: number of processes, by default one a core.
      progress: called with the number of files that are done, and of all.
    """
    tasks = []
    for folder in map(files.location, folders):
        try:
            manifest = Manifest.load(folder)
            decoder = decoder_of(manifest)
        except UserError as error:
            yield f"{error}" if str(folder) in str(error) else f"{folder}: {error}"
            continue
        yield from miscounts(folder, manifest.shard_entries, manifest.summary)
        tasks += [_File(folder, name, entry, decoder) for name, entry in manifest.files.items()]
    with closing(run(_read, tasks, workers)) as items:
        for done, (_, finding) in enumerate(items, start=1):
            progress(done, len(tasks))
            if finding:
                yield finding


@dataclass(frozen=True)
class _File:
    folder: Path
    name: str
    entry: dict[str, Any]
    decoder: Decoder | None

    def __str__(self) -> str:
        return str(self.folder / self.name)


def _read(file: _File) -> Iterator[str | None]:
    """What a worker does: yields what is wrong with a file, or None."""
    try:
        yield next(iter(_damages(file).values()), None)
    except ReadError as error:
        yield str(error)


def _damages(file: _File) -> dict[str, str]:
    there = damages(file.folder, {file.name: file.entry})
    if not there and "records" in file.entry:
        # Records before the digest of the whole, because they tell where the damage is.
        path = file.folder / file.name
        try:
            for record in read_shard(path, file.entry["records"]):
                _check_record(record, path, file.decoder)
        except UserError as error:
            there = {file.name: str(error)}
    return there or damages(file.folder, {file.name: file.entry}, digests=True)


def _check_record(record: Record, path: Path, decoder: Decoder | None) -> None:
    try:
        pixels = record.pixels()
        record.train_ids()
        if decoder is not None and not np.array_equal(decoder.decode(record.bitstream), pixels):
            raise ArtefactError(f"the bitstream of {record.key!r} decodes to other pixels than those stored")
    except UserError as error:
        raise ArtefactError(f"{path}: {error}") from error
