"""How natural the images of each domain look by perceptual indexes (paper, Fig. 9).

These do not see the originals beside them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from markupsafe import Markup

from dsr.experiments.analysis.domains import DOMAIN, Span, by_point, name, span_chart, style
from dsr.experiments.analysis.seeds import t_interval
from dsr.experiments.analysis.svg import Axis, Dot, Series, line_chart, linear_axis, swatch
from dsr.experiments.analysis.tables import Table, fields_of
from dsr.experiments.results import ImageScores, Results

INDEXES = {"niqe": "NIQE", "hosa": "HOSA"}
GRID = 120  # places at which a distribution is drawn
LEAST_WIDTH = 0.1  # of its smoothing, where most images score alike or there is one


@dataclass(frozen=True)
class Score:
    """An index over the test images of a domain: its mean, and the mean difference to the same images' originals."""

    images: int
    mean: Span
    change: Optional[Span]


@dataclass(frozen=True)
class PerceptualView:
    """What the page shows.

    legend         (domain, swatch)
    means          (index, chart): Fig. 9a
    distributions  (point, [(index, chart)]): Fig. 9b
    blocks         (point, [(domain, [score or None of each index])]), that of the originals without a point
    """

    legend: list[tuple[str, Markup]]
    means: list[tuple[str, Markup]]
    distributions: list[tuple[str, list[tuple[str, Markup]]]]
    blocks: list[tuple[str, list[tuple[str, list[Optional[Score]]]]]]


def perceptual_view(results: Results) -> PerceptualView:
    """Of `results.perceptual`; empty if nothing was measured."""
    entries = results.perceptual
    originals = [entry for entry in entries if entry.domain == "original"]
    measured = [i for i in INDEXES if any(_scores(entry, i) for entry in entries if entry.domain != "original")]
    groups = [("", originals), *by_point(results, entries)]
    domains = {name(results, entry): style(results, entry) for _, group in groups for entry in group}
    return PerceptualView(
        legend=[(domain, swatch(drawn, "")) for domain, drawn in domains.items()],
        means=[(INDEXES[index], _means(results, index)) for index in measured],
        distributions=[
            (
                point,
                [
                    (INDEXES[index], _distributions(results, index, point, originals + group))
                    for index in measured
                    if any(_scores(entry, index) for entry in group)
                ],
            )
            for point, group in groups[1:]
        ],
        blocks=[
            (point, [(name(results, entry), [score(results, entry, index) for index in measured]) for entry in group])
            for point, group in groups
        ],
    )


def perceptual_table(results: Results) -> Table:
    """One row an index and domain.

    The mean over the images, the mean difference to their originals, both with 95 % t-intervals.
    """
    rows: list[tuple[Any, ...]] = []
    for index in INDEXES:
        for entry in results.perceptual:
            found = score(results, entry, index)
            if found:
                cells = (*_cells(found.mean), *_cells(found.change))
                rows.append((index, *fields_of(entry, DOMAIN), found.images, *cells))
    columns = ("mean", "low", "high", "minus_original", "minus_original_low", "minus_original_high")
    return Table(("index", *DOMAIN, "images", *columns), rows)


def score(results: Results, entry: ImageScores, index: str) -> Optional[Score]:
    """What an index says of a domain; None if it has no image that is large enough."""
    scores = _scores(entry, index)
    if not scores:
        return None
    originals = next((scores_of(other, index) for other in results.perceptual if other.domain == "original"), None)
    change = None
    if originals is not None and entry.domain != "original":
        pairs = [(a, b) for a, b in zip(scores_of(entry, index), originals) if a is not None and b is not None]
        change = mean([a - b for a, b in pairs]) if pairs else None
    return Score(len(scores), mean(scores), change)


def mean(values: Sequence[float]) -> Span:
    """The mean of one or more values with its 95 % t-interval, which a single value has not."""
    return Span(statistics.fmean(values), *(t_interval(values) or ()))


def density(values: Sequence[float], places: np.ndarray, width: float) -> np.ndarray:
    """A kernel estimate of the density of `values` at `places`: the mean of Gaussians of this standard deviation."""
    apart = (places[:, None] - np.asarray(values)) / width
    return np.exp(-0.5 * apart**2).mean(axis=1) / (width * math.sqrt(2 * math.pi))


def bandwidth(values: Sequence[float]) -> float:
    """Silverman's rule of thumb, 0.9 min(standard deviation, interquartile range / 1.34) n^(-1/5).

    0 if most values are equal.
    """
    low, high = np.quantile(values, (0.25, 0.75))
    return 0.9 * min(float(np.std(values)), float(high - low) / 1.34) * len(values) ** -0.2


def _means(results: Results, index: str) -> Markup:
    """Fig. 9a."""
    found = [(entry, one.mean) for entry in results.perceptual if (one := score(results, entry, index))]
    reference = next((span.value for entry, span in found if entry.domain == "original"), None)
    compared = [(entry, span) for entry, span in found if entry.domain != "original"]
    return span_chart(results, compared, f"{INDEXES[index]}, mean of the images", reference)


def _distributions(results: Results, index: str, point: str, entries: Sequence[ImageScores]) -> Markup:
    """Fig. 9b: all domains smoothed alike, so that widths of curves can be compared."""
    found = [(entry, scores) for entry in entries if (scores := _scores(entry, index))]
    values = [value for _, scores in found for value in scores]
    width = statistics.median(bandwidth(scores) for _, scores in found) or LEAST_WIDTH
    x = linear_axis(INDEXES[index], [min(values) - 2 * width, max(values) + 2 * width])
    places = np.linspace(x.low, x.high, GRID)
    curves = [(entry, density(scores, places, width)) for entry, scores in found]
    y = Axis("", 0, max(float(curve.max()) for _, curve in curves) * 1.05)
    series = [
        Series("", style(results, entry), [Dot(*pair) for pair in zip(places.tolist(), curve.tolist())])
        for entry, curve in curves
    ]
    medians = "; ".join(f"{name(results, entry)}: median {statistics.median(scores):.4g}" for entry, scores in found)
    title = f"Distribution of {INDEXES[index]} over the test images at {point}"
    return line_chart(title, medians, series, x, y, (480, 220))


def _scores(entry: ImageScores, index: str) -> list[float]:
    return [value for value in scores_of(entry, index) if value is not None]


def scores_of(entry: ImageScores, index: str) -> list[Optional[float]]:
    """The scores of an index by its name."""
    return getattr(entry, index)


def _cells(span: Optional[Span]) -> tuple[Optional[float], ...]:
    return (span.value, span.low, span.high) if span else (None, None, None)
