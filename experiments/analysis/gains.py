"""What one way gains on another over a whole range of rates: BD-rate at equal mIoU and BD-mIoU at equal rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from dsr.experiments.analysis.bjontegaard import (
    LEAST_POINTS,
    RateCurve,
    bd_quality,
    bd_rate,
    why_no_quality,
    why_no_rate,
)
from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.analysis.tables import Table, Variant, miou, operating_points, variants
from dsr.experiments.results import PointResult, Results, ScoredOn

PAIRS = (("RO", "CO"), ("RO", "CC"), ("OR", "OC"))
"""A configuration, and the one that it is to gain on with the same codec; codecs are compared in each configuration."""


@dataclass(frozen=True)
class Gain:
    """An average over the rates or scores that two curves share; or, where that would say little, why there is none."""

    value: Optional[float] = None
    interval: Optional[tuple[float, float]] = None
    refused: str = ""

    @property
    def clear(self) -> bool:
        """Whether its interval excludes zero."""
        return self.interval is not None and self.interval[0] * self.interval[1] > 0


@dataclass(frozen=True)
class GainRow:
    """What `name` gains on `anchor`: bits in percent at equal mIoU, below 0 is better, and mIoU at equal rate."""

    name: str
    anchor: str
    rate: Gain
    miou: Gain


@dataclass(frozen=True)
class _Way:
    """A configuration with a codec, its options and what comes before it: what one curve is of."""

    variant: Variant
    curve: str

    def named(self, several: bool) -> str:
        return f"{self.variant.label} {self.curve}" if several else self.variant.label


def gains(results: Results) -> list[GainRow]:
    """Of every pair that was evaluated at `LEAST_POINTS` rates of each codec; then codec against codec.

    With one codec both stand on the points at which both were evaluated.
    """
    by_curve: dict[str, list[PointResult]] = {}
    for point in operating_points(results):
        if point.compressed.bpp is not None:
            by_curve.setdefault(point.curve, []).append(point)
    by_curve = {curve: points for curve, points in by_curve.items() if len(points) >= LEAST_POINTS}
    rows = []
    for way, anchor in _pairs(variants(results), list(by_curve)):
        scored = {one: _scored(results, one, by_curve[one.curve]) for one in (anchor, way)}
        if way.curve == anchor.curve:
            shared = [point for point in scored[anchor] if point in scored[way]]
            scored = dict.fromkeys(scored, shared)
        if all(len(points) >= LEAST_POINTS for points in scored.values()):
            rows.append(_row(*(_curves(results, one, points, len(by_curve) > 1) for one, points in scored.items())))
    return rows


def gains_table(results: Results) -> Table:
    """One row a pair: `bd_rate` in percent at equal mIoU, `bd_miou` as a fraction at equal rate, or why there is none.

    The intervals are 95 % t-intervals over the seeds.
    """
    rows: list[tuple[Any, ...]] = [
        (row.name, row.anchor, *(cell for gain in (row.rate, row.miou) for cell in _cells(gain)))
        for row in gains(results)
    ]
    columns = (f"{name}{end}" for name in ("bd_rate", "bd_miou") for end in ("", "_low", "_high", "_refused"))
    return Table(("name", "anchor", *columns), rows)


def _cells(gain: Gain) -> tuple[Any, ...]:
    return (gain.value, *(gain.interval or (None, None)), gain.refused or None)


def _pairs(found: Sequence[Variant], curves: Sequence[str]) -> Iterator[tuple[_Way, _Way]]:
    """(what is to gain, on what)."""
    for curve in curves:
        for first, second in PAIRS:
            for variant in found:
                for other in found:
                    same = "R" not in second or other.restorer == variant.restorer
                    if (variant.configuration, other.configuration) == (first, second) and same:
                        yield _Way(variant, curve), _Way(other, curve)
    for curve in curves[1:]:
        for variant in found:
            if variant.configuration != "OO":
                yield _Way(variant, curve), _Way(variant, curves[0])


def _score(results: Results, way: _Way, point: PointResult) -> Optional[BySeed]:
    return miou(results, way.variant.configuration, point.point, way.variant.restorer)


def _scored(results: Results, way: _Way, points: Sequence[PointResult]) -> list[PointResult]:
    return [point for point in points if _score(results, way, point) is not None]


@dataclass(frozen=True)
class _Curves:
    """mIoU against the rate, of each seed that was evaluated at all points.

    `scored` and `measured` are the test images of the score and of the rate of each point, as far as is known.
    """

    name: str
    scored: list[Optional[ScoredOn]]
    measured: list[Optional[ScoredOn]]
    by_seed: dict[int, RateCurve]


def _curves(results: Results, way: _Way, points: Sequence[PointResult], several: bool) -> _Curves:
    scores = [score for point in points if (score := _score(results, way, point))]
    known = [score.values for score in scores]
    rates = [point.compressed.bpp for point in points if point.compressed.bpp is not None]
    name = way.named(several)
    seeds = sorted(set.intersection(*map(set, known)))
    tested, measured = [score.tested for score in scores], [point.measured for point in points]
    return _Curves(
        name, tested, measured, {seed: RateCurve(name, rates, [values[seed] for values in known]) for seed in seeds}
    )


def _row(anchors: _Curves, curves: _Curves) -> GainRow:
    pairs = {seed: (anchors.by_seed[seed], curve) for seed, curve in curves.by_seed.items() if seed in anchors.by_seed}
    name, anchor = curves.name, anchors.name
    why = ""
    if not pairs:
        why = "no seed was evaluated at every rate of both"
    elif not _alike([*anchors.scored, *curves.scored]):
        why = "not all of their scores are of the same test images"
    elif not _alike([*anchors.measured, *curves.measured]):
        why = "not all of their rates are of the same test images"
    if why:
        nothing = Gain(refused=why)
        return GainRow(name, anchor, nothing, nothing)
    return GainRow(name, anchor, _gain(pairs, bd_rate, why_no_rate), _gain(pairs, bd_quality, why_no_quality))


def _alike(images: Sequence[Optional[ScoredOn]]) -> bool:
    """Whether all that are known are the same."""
    known = [one for one in images if one is not None]
    return all(one == known[0] for one in known)


def _gain(
    pairs: dict[int, tuple[RateCurve, RateCurve]],
    average: Callable[[RateCurve, RateCurve], float],
    why_not: Callable[[RateCurve, RateCurve], str],
) -> Gain:
    """Of the curves of mean scores; with the interval over the seeds, if each seed's own curves allow it."""
    means = [_mean([pair[place] for pair in pairs.values()]) for place in (0, 1)]
    refused = why_not(*means)
    if refused:
        return Gain(refused=refused)
    if any(why_not(*pair) for pair in pairs.values()):
        return Gain(average(*means))
    by_seed = BySeed({seed: average(*pair) for seed, pair in pairs.items()})
    return Gain(by_seed.mean, by_seed.interval)


def _mean(curves: Sequence[RateCurve]) -> RateCurve:
    first = curves[0]
    return RateCurve(first.name, first.bpp, np.mean([one.quality for one in curves], axis=0).tolist())
