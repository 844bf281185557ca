"""How work on shards is done and followed: what an engine is given, what it gives back, and how far it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError, one_sentence
from dsr.tfrecords.framing import frame
from dsr.tfrecords.ledger import Failure, Result, Row, row_of
from dsr.tfrecords.plan import Shard
from dsr.tfrecords.schema import encode_record
from dsr.tfrecords.stages import Stage
from dsr.tfrecords.workers import run


class Work(Protocol):
    """What writes a shard, or does another task (see `Engine`); `scratch` is a folder that is there for all calls."""

    @property
    def scratch(self) -> Path: ...

    def __call__(self, task: Any, /) -> Iterator[Row | None]: ...


class Engine(Protocol):
    """What does the work: `workers.run` (processes of this machine) or another, such as a Beam pipeline.

    `work` is picklable; `work(shard)` writes the shard and, beside it, a file with its result, and yields each image's
    row on the way and None at the end. An engine calls it for every one of `tasks`, anywhere and in any order, as often
    as it must (a second time writes the same bytes), and yields (shard, item) for what comes back. Only the
    (shard, None) that says a shard is on disk is needed; the other items make progress visible. A UserError of `work`
    is raised as it is.
    """

    def __call__(self, work: Work, tasks: Sequence[Any]) -> Generator[tuple[Any, Row | None], None, None]: ...


@dataclass(frozen=True)
class ConversionState:
    """How far a conversion is, told after every image, or every shard of an engine that does not tell of images.

    `images` are in finished shards, of earlier runs too, or done in those under way; `pixels` and `bytes` (of
    bitstreams; PNGs for originals) sum over those of them that could be converted.
    """

    images: int
    pixels: int
    bytes: int


ProgressCallback = Callable[[ConversionState], None]


@dataclass(frozen=True)
class How:
    """How a conversion is done; what it makes does not depend on it.

    Attributes:
        workers: Number of processes; one a core if None.
        engine: What does the work instead of processes of this machine.
        max_errors: How many images may be left out because they cannot be converted. After a run that had to stop
            because there were more, the next tries those images again.
        thorough: Whether to read all files of what exists, and to make anew those with another digest, not only those
            that are missing or of another size.
        progress: Called in this process; see `ConversionState`.
    """

    workers: int | None = None
    engine: Engine | None = None
    max_errors: int = 0
    thorough: bool = False
    progress: ProgressCallback = lambda _: None

    def run(self, work: Work, tasks: Sequence[Any]) -> Generator[tuple[Any, Row | None], None, None]:
        """Have the work done; see `Engine`. No engine has to do with no tasks: Spark cannot."""
        return self.engine(work, tasks) if self.engine and tasks else run(work, tasks, self.workers)


@dataclass(frozen=True)
class ShardWriter:
    """What a worker does: fill a shard, yielding each image's row, then None when shard and result are on disk."""

    stage: Stage
    path: Path
    scratch: Path
    max_errors: int
    expected: dict[str, str] = field(default_factory=dict)  # SHA-256 of a shard that was there before

    def __call__(self, shard: Shard) -> Iterator[Row | None]:
        with one_sentence(self.path / shard.name):
            # Before they are read: of a file that changes meanwhile, the next run then sees that it is another.
            sources = self.stage.sources(shard)
            digest, size = hashlib.sha256(), 0
            rows: list[Row] = []
            failures: list[dict[str, str]] = []
            with files.writing(self.path / shard.name, self.scratch) as file:
                for outcome in self.stage.outcomes(shard):
                    if isinstance(outcome, Failure):
                        failures.append(asdict(outcome))
                        check_errors(len(failures), self.max_errors, failures[-1])
                        yield failures[-1]
                        continue
                    data = frame(encode_record(outcome))
                    file.write(data)
                    digest.update(data)
                    size += len(data)
                    rows.append(row_of(outcome))
                    yield rows[-1]
                if self.expected.get(shard.name) not in (None, digest.hexdigest()):
                    raise ArtefactError(
                        f"{self.path / shard.name} comes out differently from what its manifest has: its input or a "
                        f"library is another now; delete {self.path} and make it anew"
                    )
            entry = {"bytes": size, "sha256": digest.hexdigest(), "records": len(rows), "errors": len(failures)}
            Result(entry, rows, failures, sources).save(self.scratch, shard)
        yield None


@dataclass(frozen=True)
class Done:
    """How much of a shard is done."""

    images: int = 0
    pixels: int = 0
    bytes: int = 0
    errors: int = 0

    @classmethod
    def of(cls, result: Result) -> Done:
        pixels = sum(row["height"] * row["width"] for row in result.rows)
        errors = len(result.failures)
        return cls(len(result.rows) + errors, pixels, sum(row["bytes"] or 0 for row in result.rows), errors)

    def and_row(self, row: Row) -> Done:
        """With one more image."""
        pixels, size = row.get("height", 0) * row.get("width", 0), row.get("bytes") or 0
        return Done(self.images + 1, self.pixels + pixels, self.bytes + size, self.errors)


class ConversionCounter:
    """Counts images, of earlier runs and of this one, and tells.

    Not every engine says how far a shard is, and one that tries a shard again says it again: what counts in the end is
    what the finished shard has.
    """

    def __init__(self, earlier: Mapping[str, Done], progress: ProgressCallback) -> None:
        self.shards = dict(earlier)
        self.progress = progress
        self.images, self.pixels, self.bytes = (
            sum(getattr(done, name) for done in earlier.values()) for name in ("images", "pixels", "bytes")
        )

    def count(self, shard: str, row: Row) -> None:
        """An image of a shard that is under way."""
        self.set(shard, self.shards.get(shard, Done()).and_row(row))

    def set(self, shard: str, done: Done) -> None:
        """What there is of a shard."""
        before = self.shards.get(shard, Done())
        self.shards[shard] = done
        self.images += done.images - before.images
        self.pixels += done.pixels - before.pixels
        self.bytes += done.bytes - before.bytes
        if done.images != before.images:
            self.progress(ConversionState(self.images, self.pixels, self.bytes))


def check_errors(errors: int, max_errors: int, last: dict[str, str]) -> None:
    """Raise ArtefactError if more images than allowed cannot be converted; `last` is one of their failures."""
    if errors > max_errors:
        many = f"{errors} images cannot be converted, more than {max_errors}; the last is " if max_errors else ""
        raise ArtefactError(f"{many}{sentence_of(last)} (--max-errors leaves out up to so many images)")


def sentence_of(failure: dict[str, str]) -> str:
    """A failure in words, without a full stop."""
    return f"image {failure['key']!r}: {failure['reason'].rstrip('.')}"


def sweep(scratch: Path, shards: Sequence[Shard]) -> None:
    """Remove what killed workers left of these shards."""
    own = {shard.name for shard in shards}
    for name in files.temporaries(scratch):
        if name.partition(".tfrecord")[0] + ".tfrecord" in own:
            (scratch / name).unlink(missing_ok=True)
