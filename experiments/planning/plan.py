"""Which codec, which rate, how many images and which repair, for what there is room for."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Optional

from dsr.data_pipelines.codecs import codec_class
from dsr.experiments.planning.candidates import Basis, Candidate, between, candidates
from dsr.experiments.planning.demand import Demand
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.known import Known, Score

POINTS_OF_A_LAW = 3
"""That `dsr scaling` takes at least."""


@dataclass(frozen=True)
class Row:
    """A plan: record at this point, keep so many images, repair them so, and train.

    Attributes:
      point, codec, quality: What the device encodes with.
      curve: What points have in common that differ in the quality alone.
      repair: What the server does to the images before it trains; None for nothing.
      kept: How many images fit.
      images: How many of them have labels, and train.
      bpp: Bits a pixel.
      bytes: Of an image.
      device_ms: Of encoding an image; None if it was not measured.
      server_core_hours: Of decoding and repairing an image, likewise.
      score: Expected mIoU on original images; None where nothing tells it.
      basis: Where that comes from.
      notes: What it leans on besides.
      seeds: How many segmenters the measured score is the mean of; 0 if none was.
      named: Arguments that name the point to a command that trains.
    """

    point: str
    codec: str
    curve: str
    quality: Optional[float]
    repair: Optional[str]
    kept: int
    images: int
    bpp: float
    bytes: float
    device_ms: Optional[float]
    server_core_hours: Optional[float]
    score: Optional[Score]
    basis: Basis
    notes: tuple[str, ...]
    seeds: int
    named: tuple[str, ...]

    @property
    def width(self) -> float:
        """Of the interval; infinite where there is none."""
        interval = self.score.interval if self.score else None
        return interval[1] - interval[0] if interval else math.inf

    @property
    def best_case(self) -> float:
        """The most that it may reach."""
        interval = self.score.interval if self.score else None
        return interval[1] if interval else 1.0


@dataclass(frozen=True)
class Next:
    """What would be measured next: the row, why it is, and the `dsr` arguments that do it."""

    row: int
    why: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Rows, best first.

    Attributes:
      demand: What they are for.
      trained_on: How many images the study's own segmenters saw.
      reference: mIoU of training on originals, with that many.
      rows: By expected mIoU; with a bound on the loss those within it, by the bytes of an image.
      left_out: How many rows the bound excludes, or their score is not known.
      following: What to measure next; None if the best row is certain.
    """

    demand: Demand
    trained_on: int
    reference: Optional[Score]
    rows: list[Row]
    left_out: int
    following: Optional[Next]


def make_plan(known: Known, demand: Demand) -> Plan:
    """Rank what can be done.

    Raises:
      PlanningError: not one image fits at any rate, or a bound on the loss has nothing to be a loss against.
    """
    if demand.max_loss is not None and known.reference is None:
        raise PlanningError(
            "how much a plan loses is not known, as no segmenter was trained on originals: run dsr train --config OO, "
            "or leave out --max-loss"
        )
    rows = [row for candidate in candidates(known) if (row := _row(known, demand, candidate))]
    if not rows:
        cheapest = min(known.rated, key=lambda rated: rated.bpp)
        raise PlanningError(
            f"not one image of {demand.size} fits: at {cheapest.point}, the coarsest that was measured, it takes "
            f"{demand.bytes_of(cheapest.bpp):.0f} bytes"
        )
    ranked = sorted(rows, key=lambda row: (-row.score.value if row.score else 1.0, row.bytes, row.point))
    chosen = ranked
    if demand.max_loss is not None:
        assert known.reference is not None
        least = known.reference.value - demand.max_loss / 100
        within = [row for row in ranked if row.score is not None and row.score.value >= least - 1e-12]
        # Not by those of all images: where as many are kept as fit, these take the whole budget at any rate.
        chosen = sorted(within, key=lambda row: row.bytes)
    return Plan(
        demand,
        known.images,
        known.reference,
        chosen,
        len(ranked) - len(chosen),
        _following(known, demand, chosen),
    )


def _row(known: Known, demand: Demand, candidate: Candidate) -> Optional[Row]:
    """None if not one image fits."""
    kept = demand.kept(candidate.bpp)
    images = demand.labelled(kept)
    if images < 1:
        return None
    score, basis, notes = _with_images(known, candidate, images)
    if not candidate.measured_rate:
        notes = (*notes, "rate interpolated")
    device, server = _times(known, demand, candidate)
    return Row(
        candidate.point,
        candidate.codec,
        candidate.curve,
        candidate.quality,
        candidate.repair,
        kept,
        images,
        candidate.bpp,
        demand.bytes_of(candidate.bpp),
        device,
        server,
        score,
        basis,
        notes,
        candidate.seeds,
        candidate.named,
    )


def _with_images(known: Known, candidate: Candidate, images: int) -> tuple[Optional[Score], Basis, tuple[str, ...]]:
    """The score of training on another number of images than the study did."""
    score, basis = candidate.score, candidate.basis
    if score is None or images == known.images:
        return score, basis, ()
    if known.growth is None:
        if images < known.images:
            return None, Basis.UNKNOWN, (f"fewer than the study's {known.images} images",)
        return score, basis, (f"what more than {known.images} images add is not counted",)
    low, high = known.growth.images
    moved = score.moved(known.growth.change(known.images, images))
    if low <= images <= high:
        return moved, Basis.INTERPOLATED if basis is Basis.MEASURED else basis, ("images by the scaling law",)
    return moved, Basis.EXTRAPOLATED, (f"scaling law beyond its {low} to {high} images",)


def _times(known: Known, demand: Demand, candidate: Candidate) -> tuple[Optional[float], Optional[float]]:
    """Milliseconds on the device and core-hours on the server, of an image; of the nearest measured quality."""
    times = known.times
    if times is None:
        return None, None
    point = _nearest(known, candidate, times.encode.keys() & times.decode.keys())
    if point is None:
        return None, None
    server: Optional[float] = times.decode[point]
    if candidate.repair is not None:
        repairing = times.restore.get(candidate.repair)
        server = None if repairing is None else times.decode[point] + repairing
    pixels = demand.size.pixels
    return 1000 * times.encode[point] * pixels, None if server is None else server * pixels / 3600


def _nearest(known: Known, candidate: Candidate, timed: Collection[str]) -> Optional[str]:
    if candidate.point in timed:
        return candidate.point
    near = [
        (abs((rated.quality or 0.0) - candidate.quality), rated.point)
        for rated in known.rated
        if rated.curve == candidate.curve and rated.point in timed and candidate.quality is not None
    ]
    return min(near)[1] if near else None


def _following(known: Known, demand: Demand, rows: Sequence[Row]) -> Optional[Next]:
    """Of the rows that may be the best, the one whose score is known least, and what would tell it better."""
    scored = [row for row in rows if row.score is not None]
    if not scored:
        return _measure(known, 0, rows[0]) if rows else None
    best = scored[0]
    floor = best.score.interval[0] if best.score and best.score.interval else 0.0
    cheap_first = demand.max_loss is not None  # then a coarser quality is worth knowing, however fine a one fits
    rivals = [
        (n, row)
        for n, row in enumerate(rows)
        if row is best or (row.score and row.best_case > floor and (cheap_first or not _outdone(row, rows)))
    ]
    widest = max(row.width for _, row in rivals)
    # Neighbours tell of all qualities between them alike: the middle one halves the gap.
    alike = sorted((pair for pair in rivals if pair[1].width >= widest - 1e-12), key=lambda pair: pair[1].bpp)
    number, row = alike[(len(alike) - 1) // 2]
    if widest == math.inf:  # without seeds nothing is shown: first of the best that was trained
        number, row = next(((n, one) for n, one in rivals if one.seeds), (number, row))
    if row is best and len(rivals) == 1 and row.basis is Basis.MEASURED and row.width < math.inf:
        return None
    return _measure(known, number, row)


def _outdone(row: Row, rows: Sequence[Row]) -> bool:
    """Whether a finer quality fits with as many images, so that this one cannot be the best."""
    return any(
        (other.curve, other.repair) == (row.curve, row.repair)
        and other.bpp > row.bpp
        and other.images >= row.images
        and other.basis is not Basis.UNKNOWN
        for other in rows
    )


def _measure(known: Known, number: int, row: Row) -> Optional[Next]:
    """None if it is the number of images that is not known, and no law of it can be fitted."""
    if known.growth is None and row.images < known.images:
        points = _to_scale(known, row.curve)
        why = "what the number of images changes is not measured"
        return Next(number, why, ("scaling", "--points", ",".join(points))) if points else None
    config = "RO" if row.repair else "CO"
    restored = ("--restorer", row.repair) if row.repair else ()
    # Only a whole study takes points with options.
    command = ("run",) if row.named[:1] == ("--set",) else ("train", "--config", config)
    arguments = (*command, *row.named, *restored)
    if row.seeds:
        return Next(number, f"its score is of {_seeds(row.seeds)}", (*arguments, "--seeds", str(row.seeds + 2)))
    return Next(number, f"its score is {row.basis.value}", arguments)


def _to_scale(known: Known, curve: str) -> list[str]:
    """The finest, the coarsest and a middle point of a curve, measured ones first; empty if it has not three."""
    measured = [rated for rated in known.rated if rated.curve == curve]
    told = [rated for rated in between(known.rated) if rated.curve == curve]
    for found in (measured, [*measured, *told]):
        if len(found) >= POINTS_OF_A_LAW:
            found = sorted(found, key=lambda rated: rated.bpp)
            return [found[0].point, found[len(found) // 2].point, found[-1].point]
    family = next((rated.family for rated in measured if rated.family), None)
    qualities = codec_class(family.member.codec).ladder if family else ()
    if family is None or len(qualities) < POINTS_OF_A_LAW:
        return []
    return [family.at(quality).point for quality in (qualities[0], qualities[len(qualities) // 2], qualities[-1])]


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"
