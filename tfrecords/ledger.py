"""What became of every image: its statistics, or why it could not be converted.

Each finished shard has a `Result` beside it while its artefact is made. Together they become files of the artefact, in
order of keys: `images.json`, a JSON array with one line an image, `errors.jsonl`, one line an image left out (empty
where none was), and, where images were read from files, `sources.jsonl`, one line a file. None is ever held whole in
memory.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dsr.models.errors import ReadError, UserError
from dsr.models.metrics.fidelity import to_db
from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import fingerprint
from dsr.tfrecords.plan import Shard
from dsr.tfrecords.schema import Record, canonical_json

STATISTICS = "images.json"
ERRORS = "errors.jsonl"
SOURCES = "sources.jsonl"
HEADER = ("codec", "quality", "chroma")
"""What the row of an image that came compressed also has."""

MB = 1e6

OTHERS_NAMED = 1000
"""Of what was left out, in a manifest."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """An image that cannot be converted; `file` is its name in the dataset."""

    key: str
    file: str
    reason: str

    @classmethod
    def of(cls, key: str, file: str, error: Exception, *roots: Path) -> Failure:
        """A failure as it is written down.

        Left out is what differs from machine to machine and run to run: the places of the folders that files are read
        from, and the addresses of objects. Raises a ReadError again: it says nothing about the image, which is then not
        left out.
        """
        if isinstance(error, ReadError):
            raise error
        reason = re.sub(r" at 0x[0-9a-f]+", "", str(error))
        for root in roots:
            reason = reason.replace(str(UserError(f"{root}/")), "")
        return cls(key, file, reason)


@dataclass(frozen=True)
class Result:
    """What a finished shard has.

    Its entry in the manifest, a row for each record, its failures, and what it was made from.
    """

    entry: dict[str, Any]
    rows: list[Row]
    failures: list[dict[str, str]]
    sources: list[dict[str, Any]] = field(default_factory=list)

    @staticmethod
    def path(scratch: Path, shard: Shard) -> Path:
        return scratch / f"{shard.name}.json"

    def save(self, scratch: Path, shard: Shard) -> None:
        """The last thing that is done for a shard."""
        with files.writing(self.path(scratch, shard), scratch) as file:
            file.write(canonical_json({**asdict(self), "sha256": fingerprint(asdict(self))}).encode())

    @classmethod
    def load(cls, scratch: Path, shard: Shard) -> Result | None:
        """None if the shard is not finished, or if the file is damaged: the shard is then made again."""
        try:
            content = json.loads(files.read_bytes(cls.path(scratch, shard)))
            digest = content.pop("sha256")
            return cls(**content) if fingerprint(content) == digest else None
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


def row_of(record: Record) -> Row:
    """A record's line in `images.json`; the record itself carries all of it, so that the file can be made anew."""
    return {"key": record.key, "height": record.height, "width": record.width, **record.provenance["measured"]}


def write_statistics(folder: Path, scratch: Path, rows: Iterable[Row]) -> None:
    """Make `images.json`."""
    with files.writing(folder / STATISTICS, scratch) as file:
        for number, row in enumerate(rows):
            file.write((",\n" if number else "[\n").encode() + canonical_json(row).encode())
        file.write(b"\n]\n")


def write_errors(folder: Path, scratch: Path, failures: Iterable[dict[str, str]]) -> None:
    """Make `errors.jsonl`."""
    with files.writing(folder / ERRORS, scratch) as file:
        for failure in failures:
            file.write(canonical_json(failure).encode() + b"\n")


def write_sources(folder: Path, scratch: Path, sources: Iterable[dict[str, Any]]) -> None:
    """Make `sources.jsonl`."""
    with files.writing(folder / SOURCES, scratch) as file:
        for source in sources:
            file.write(canonical_json(source).encode() + b"\n")


def told_others(others: Sequence[str]) -> dict[str, Any]:
    """What the summary of a manifest says of things that lay beside what was read; nothing if there were none."""
    return {"others": {"number": len(others), "names": list(others[:OTHERS_NAMED])}} if others else {}


def joined_sources(shards: Iterable[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The source files of shards that follow each other, each once: the parts of an image may lie in two of them.

    Raises ArtefactError if such a file was another when the second was made.
    """
    before: dict[tuple[str, str], dict[str, Any]] = {}
    for sources in shards:
        now = {(source["kind"], source["name"]): source for source in sources}
        for key, source in now.items():
            if before.get(key, source) != source:
                raise ArtefactError(f"{source['kind']} {source['name']} changed while it was converted; convert again")
            if key not in before:
                yield source
        before = now


class Summary:
    """The statistics of all images, from their rows one after another."""

    def __init__(self) -> None:
        self.images = self.pixels = self.bytes = self.height = self.width = self._rated = self._compared = (
            self._finite
        ) = 0
        self._rates = self._decibels = self._similarities = 0.0
        self._lowest, self._highest = math.inf, 0.0
        self._headers: Counter[tuple[Any, ...]] = Counter()

    def add(self, row: Row) -> None:
        pixels = row["height"] * row["width"]
        self.images += 1
        self.pixels += pixels
        self.height, self.width = max(self.height, row["height"]), max(self.width, row["width"])
        if row["bytes"] is not None:
            rate = 8 * row["bytes"] / pixels
            self._rated += 1
            self.bytes += row["bytes"]
            self._rates += rate
            self._lowest, self._highest = min(self._lowest, rate), max(self._highest, rate)
        if "codec" in row:
            self._headers[tuple(row[fact] for fact in HEADER)] += 1
        if "ms_ssim" in row:
            self._compared += 1
            self._similarities += row["ms_ssim"]
            if row["psnr"] is not None:
                self._finite += 1
                self._decibels += row["psnr"]

    def to_json(self, errors: int, seconds: float) -> dict[str, Any]:
        """At least one image given, the `summary` of the manifest.

        inputs (images and errors), images, errors, pixels; height and width (the largest); bpp (all bits / all pixels),
        bpp_mean, bpp_min, bpp_max (over images), all None where images have no bitstream; psnr (mean of the images' dB,
        without those that are identical to their original, None if all are) and how many are `identical`; ms_ssim
        (mean), ms_ssim_db (of the mean, None if it is 1); seconds, images_per_s, mb_per_s (10^6 bytes of raw RGB). For
        originals psnr, ms_ssim and ms_ssim_db are None. Where images came compressed, also headers: codec, quality and
        chroma that files tell, and how many do, the most frequent first.
        """
        frequent = sorted(self._headers.items(), key=lambda item: (-item[1], str(item[0])))
        headers = [{**dict(zip(HEADER, facts)), "files": count} for facts, count in frequent]
        similarity = self._similarities / self._compared if self._compared else None
        return {
            **({"headers": headers} if headers else {}),
            "inputs": self.images + errors,
            "images": self.images,
            "errors": errors,
            "pixels": self.pixels,
            "height": self.height,
            "width": self.width,
            "bpp": 8 * self.bytes / self.pixels if self._rated else None,
            "bpp_mean": self._rates / self.images if self._rated else None,
            "bpp_min": self._lowest if self._rated else None,
            "bpp_max": self._highest if self._rated else None,
            "psnr": self._decibels / self._finite if self._finite else None,
            "identical": self._compared - self._finite,
            "ms_ssim": similarity,
            "ms_ssim_db": to_db(similarity) if similarity is not None and similarity < 1 else None,
            "seconds": seconds,
            "images_per_s": self.images / seconds,
            "mb_per_s": 3 * self.pixels / MB / seconds,
        }
