"""What a fleet's files are by sizes and headers alone, and whether they still are what a plan was made for.

Three things are compared by the two-sample Kolmogorov-Smirnov test: bits a pixel (a coarser or finer quality, other
scenes, another season), the quality that headers tell (a rate control that gives way), and pixels an image. Files of a
codec, or with a chroma resolution, that the reference has none of are counted by Fisher's exact test, as are those that
cannot be read (a broken encoder, or a transfer that cuts them). All are exact or conservative, whatever the
distributions are, for images that are drawn independently; together they raise an alarm by chance in at most ALPHA of
all looks (Bonferroni).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Optional

from dsr.data_pipelines import received
from dsr.data_pipelines.codecs import CODECS, CodecError
from dsr.experiments.fleet.items import find_items
from dsr.experiments.planning.errors import PlanningError
from dsr.tfrecords import files
from dsr.tfrecords.layout import MANIFEST
from dsr.tfrecords.ledger import HEADER, STATISTICS
from dsr.tfrecords.manifest import Manifest, intact
from dsr.tfrecords.plan import evenly

ALPHA = 0.01
"""How often images that have not changed may raise an alarm."""

LEAST = 20
"""Fewer images say nothing."""


@dataclass(frozen=True)
class Arrival:
    """An image as it arrived; None is what its bitstream does not tell."""

    pixels: int
    bytes: int
    codec: Optional[str] = None
    chroma: Optional[str] = None
    quality: Optional[float] = None

    @property
    def bpp(self) -> float:
        return 8 * self.bytes / self.pixels


@dataclass(frozen=True)
class Arrivals:
    """Images of a folder, evenly spread over it in the order of their names.

    Attributes:
      images: Those that were looked at.
      there: How many there are.
      unreadable: How many of those looked at are no image of a known codec, or damaged.
    """

    images: list[Arrival]
    there: int
    unreadable: int = 0


@dataclass(frozen=True)
class Comparison:
    """One thing that is compared: medians, or what is most frequent, as text; the p-value; whether it is an alarm."""

    what: str
    before: str
    now: str
    p: float
    alarm: bool


def read_arrivals(path: Path, most: int) -> Arrivals:
    """At most so many images of an artefact (shards, or what `dsr encode` made) or of a folder of bitstreams.

    Args:
      path: The folder, or the `manifest.json` in it.
      most: 1 or more.

    Raises:
      PlanningError: fewer than LEAST can be read, or the artefact has no bitstreams.
      FleetError, ArtefactError: there is no such folder, or it is damaged.
    """
    folder = path.parent if path.name == MANIFEST else path
    manifest = Manifest.load(folder) if files.exists(folder / MANIFEST) else None
    found = _in_files(folder, most) if manifest is None or not manifest.shards else _in_shards(folder, manifest, most)
    if len(found.images) < LEAST:
        raise PlanningError(
            f"{folder} has {len(found.images)} images that can be read, and fewer than {LEAST} say nothing: "
            "give a folder with more"
        )
    return found


def compare(reference: Arrivals, arrived: Arrivals) -> list[Comparison]:
    """All that can be compared; what a side does not tell is left out. Each has an image."""
    tests = []
    if reference.unreadable or arrived.unreadable:
        tests.append(("unreadable", *_spoilt(reference, arrived)))
    for what in ("codec", "chroma"):
        before, now = (_told(side.images, what) for side in (reference, arrived))
        if before and now:
            tests.append((what, *_kinds(before, now)))
    for what in ("bpp", "pixels", "quality"):
        before, now = (_told(side.images, what) for side in (reference, arrived))
        if before and now:
            tests.append((what, *_medians(before, now), ks_test(before, now)))
    return [Comparison(what, before, now, p, p < ALPHA / len(tests)) for what, before, now, p in tests]


def _told(side: Sequence[Arrival], what: str) -> list[Any]:
    values = (getattr(image, what) for image in side)
    return [value for value in values if value is not None]


def ks_test(first: Sequence[float], second: Sequence[float]) -> float:
    """p-value of the two-sample Kolmogorov-Smirnov test; conservative where there are ties."""
    from scipy.stats import ks_2samp  # half a second, for which no --help should wait

    return float(ks_2samp(first, second).pvalue)


def _spoilt(reference: Arrivals, arrived: Arrivals) -> tuple[str, str, float]:
    """By Fisher's exact test, that a larger share cannot be read than before."""
    from scipy.stats import fisher_exact  # half a second, for which no --help should wait

    sides = (arrived, reference)
    table = [[side.unreadable, len(side.images)] for side in sides]
    said = (f"{side.unreadable} of {side.unreadable + len(side.images)}" for side in reversed(sides))
    return (*said, float(fisher_exact(table, alternative="greater").pvalue))  # type: ignore[return-value]


def _kinds(before: Sequence[str], now: Sequence[str]) -> tuple[str, str, float]:
    new = sum(kind not in set(before) for kind in now)
    # Fisher's exact test where the reference has none: that all of the new ones are among the later of both.
    p = math.exp(_log_choose(len(now), new) - _log_choose(len(before) + len(now), new))
    commonest = [Counter(side).most_common(1)[0][0] for side in (before, now)]
    return commonest[0], commonest[1] if not new else f"{commonest[1]}, {new} that the reference has none of", p


def _log_choose(of: int, count: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)


def _medians(before: Sequence[float], now: Sequence[float]) -> tuple[str, str]:
    middles = [median(side) for side in (before, now)]
    ratio = f" (x {middles[1] / middles[0]:.2f})" if middles[0] and middles[0] != middles[1] else ""
    return f"{middles[0]:.4g}", f"{middles[1]:.4g}{ratio}"


def _in_shards(folder: Path, manifest: Manifest, most: int) -> Arrivals:
    codec = manifest.config.get("codec")  # as it is described: a model that a study trained may be anywhere by now
    if codec is not None and codec["name"] not in CODECS:
        raise PlanningError(
            f"{folder} was made by several degradations, whose sizes are not those that a device sends: "
            "give a folder of its files"
        )
    told: dict[str, Any] = {}
    if codec is not None:
        told = {"codec": codec["name"], "chroma": codec["options"].get("chroma"), "quality": codec["quality"]}
    there = sum(entry["records"] for entry in manifest.shard_entries)
    images = []
    for row in _chosen_rows(intact(folder, STATISTICS), there, most):
        if manifest.config.get("domain") != "compressed" or not row["bytes"]:
            raise PlanningError(f"{folder} holds no bitstreams: give compressed shards, or a folder of received files")
        header = {name: row[name] for name in HEADER if name in row}  # of a file that came compressed
        images.append(Arrival(row["height"] * row["width"], row["bytes"], **{**told, **header}))
    return Arrivals(images, there)


def _chosen_rows(path: Path, there: int, most: int) -> Iterator[dict]:
    """Rows of the statistics, one a line, without holding all of them."""
    chosen = set(evenly(most, there))
    number = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("{"):
                if number in chosen:
                    yield json.loads(line.rstrip().rstrip(","))
                number += 1


def _in_files(folder: Path, most: int) -> Arrivals:
    items = find_items(folder, received.all_suffixes())
    images: list[Arrival] = []
    chosen = evenly(most, len(items))
    for number in chosen:
        name = items[number].name
        with suppress(CodecError):
            bitstream = received.read_bitstream(folder / name)
            header = received.read_header(name, bitstream)
            pixels = header.width * header.height
            images.append(Arrival(pixels, len(bitstream), header.codec, header.chroma, header.quality))
    return Arrivals(images, len(items), len(chosen) - len(images))
