"""Charts of images, rather than of scores.

How a domain is called and drawn, and a measure of all domains below each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, TypeVar, Union

from markupsafe import Markup

from dsr.experiments.analysis.figures import domain_style
from dsr.experiments.analysis.formats import significant
from dsr.experiments.analysis.svg import Axis, Dot, Series, line_chart, linear_axis
from dsr.experiments.analysis.tables import operating_points, restorers
from dsr.experiments.results import DomainShift, Estimate, ImageScores, Results

Measured = Union[ImageScores, DomainShift]
"""Something measured of the test images in a domain."""

Entry = TypeVar("Entry", ImageScores, DomainShift)

DOMAIN = ("point", "domain", "restorer")
ROW = 23  # user units between two rows of a chart


@dataclass(frozen=True)
class Span:
    """A value with its interval, if it has one."""

    value: float
    low: Optional[float] = None
    high: Optional[float] = None

    def __str__(self) -> str:
        ends = "" if self.low is None else f", {significant(self.low)} to {significant(self.high)}"
        return significant(self.value) + ends

    @classmethod
    def of(cls, estimate: Estimate) -> Span:
        """Of a value, low and high of the results."""
        return cls(estimate.value, estimate.low, estimate.high)


def name(results: Results, entry: Measured) -> str:
    """Original, compressed or restored; of several restorers also which."""
    several = entry.restorer is not None and len(restorers(results)) > 1
    return f"{entry.domain}, {entry.restorer}" if several else entry.domain


def style(results: Results, entry: Measured) -> str:
    """CSS classes of what is drawn of a domain."""
    return "train-O reference" if entry.domain == "original" else domain_style(results, entry.restorer)


def by_point(results: Results, entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """(operating point, what was measured at it), the hardest compression of a codec first."""
    points = [point.point for point in operating_points(results)]
    groups = [(point, [entry for entry in entries if entry.point == point]) for point in points]
    return [(point, group) for point, group in groups if group]


def span_chart(
    results: Results, measured: Sequence[tuple[Measured, Span]], caption: str, reference: float | None
) -> Markup:
    """A row with dot and interval for each domain at an operating point, under the point's name.

    `reference`, the level of originals, is a dashed line beside the rows.
    """
    levels = [level for _, span in measured for level in (span.value, span.low, span.high) if level is not None]
    x = linear_axis(caption, levels if reference is None else [*levels, reference])
    series: list[Series] = []
    row = 0.0  # the lower edge of what is drawn so far; rows are 1 apart
    for point in (point.point for point in operating_points(results)):
        shown = [(entry, span) for entry, span in measured if entry.point == point]
        if not shown:
            continue
        series.append(Series(point, "heading", [Dot(x.low, row - 0.5)]))
        row -= 1
        if reference is not None:
            series.append(Series("", "train-O reference", [Dot(reference, row), Dot(reference, row - len(shown))]))
        for entry, span in shown:
            called, drawn = name(results, entry), f"{style(results, entry)} span"
            ends = (span.value,) if span.low is None or span.high is None else (span.low, span.high)
            series.append(Series(called.rpartition(", ")[2], drawn, [Dot(end, row - 0.5) for end in ends]))
            tip = f"{point}, {called}: {span} ({caption})"
            series.append(Series("", drawn, [Dot(span.value, row - 0.5, tip)], "circle"))
            row -= 1
    tips = "; ".join(dot.tip for one in series for dot in one.dots if dot.tip)
    height = 60 + round(-ROW * row)
    return line_chart(f"{caption}, domain by domain", tips, series, x, Axis("", row, 0), (480, height))
