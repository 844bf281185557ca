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
from dsr.experiments.results import PointResult, Results

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
    """A configuration with a codec."""

    variant: Variant
    codec: str

    def named(self, several: bool) -> str:
        return f"{self.variant.label} {self.codec}" if several else self.variant.label


def gains(results: Results) -> list[GainRow]:
    """Of every pair that was evaluated, with each codec that has `LEAST_POINTS` rates; then codec against codec."""
    by_codec: dict[str, list[PointResult]] = {}
    for point in operating_points(results):
        if point.compressed.bpp is not None:
            by_codec.setdefault(point.codec, []).append(point)
    by_codec = {codec: points for codec, points in by_codec.items() if len(points) >= LEAST_POINTS}
    rows = []
    for way, anchor in _pairs(variants(results), list(by_codec)):
        curves = [_curves(results, one, by_codec[one.codec], len(by_codec) > 1) for one in (anchor, way)]
        if all(curves):
            rows.append(_row(*curves))
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


def _pairs(found: Sequence[Variant], codecs: Sequence[str]) -> Iterator[tuple[_Way, _Way]]:
    """(what is to gain, on what)."""
    for codec in codecs:
        for first, second in PAIRS:
            for variant in found:
                for other in found:
                    same = "R" not in second or other.restorer == variant.restorer
                    if (variant.configuration, other.configuration) == (first, second) and same:
                        yield _Way(variant, codec), _Way(other, codec)
    for codec in codecs[1:]:
        for variant in found:
            if variant.configuration != "OO":
                yield _Way(variant, codec), _Way(variant, codecs[0])


def _curves(results: Results, way: _Way, points: Sequence[PointResult], several: bool) -> dict[int, RateCurve]:
    """mIoU against the rate, of each seed that was evaluated at all of these points."""
    scores = [miou(results, way.variant.configuration, point.point, way.variant.restorer) for point in points]
    known = [score.values for score in scores if score is not None]
    if len(known) < len(points):
        return {}
    seeds = set.intersection(*(set(values) for values in known))
    rates = [point.compressed.bpp for point in points]
    return {
        seed: RateCurve(way.named(several), [bpp for bpp in rates if bpp], [values[seed] for values in known])
        for seed in sorted(seeds)
    }


def _row(anchors: dict[int, RateCurve], curves: dict[int, RateCurve]) -> GainRow:
    pairs = {seed: (anchors[seed], curve) for seed, curve in curves.items() if seed in anchors}
    name, anchor = (next(iter(one.values())).name for one in (curves, anchors))
    if not pairs:
        nothing = Gain(refused="no seed was evaluated at every rate of both")
        return GainRow(name, anchor, nothing, nothing)
    return GainRow(name, anchor, _gain(pairs, bd_rate, why_no_rate), _gain(pairs, bd_quality, why_no_quality))


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
