"""Where the loss comes from: differences of cross-entropies, as usable information and as shift, in bits a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from markupsafe import Markup

from dsr.experiments.analysis.domains import ROW, significant
from dsr.experiments.analysis.pictures import Picture, thumbnail
from dsr.experiments.analysis.svg import Axis, Dot, Series, line_chart, linear_axis
from dsr.experiments.analysis.tables import CASE, Table, fields_of, hardest_first, label_of, operating_points, restorers
from dsr.experiments.loss_differences import DIFFERENCES, SHIFT_OF_CO, SUMS
from dsr.experiments.results import Estimate, ImageLosses, Information, LossDifference, Results

SPLITS: dict[str, Sequence[Sequence[tuple[str, tuple[str, str]]]]] = {
    "OC": [[("information", ("CC", "OO")), ("shift", ("OC", "CC"))]],
    "OR": [[("information", ("RR", "OO")), ("shift", ("OR", "RR"))]],
    "CO": [
        [("learning", ("CO recalibrated", "OO recalibrated")), ("shift", SHIFT_OF_CO)],
        [("whole", ("CO", "OO"))],
    ],
    "RO": [[("whole", ("RO", "OO"))]],
}
"""The parts of what a configuration loses against OO, which add up exactly; of several ways the first measured one.

CO comes apart where it and OO were recalibrated, RO never.
"""

PARTS = {
    "information": "usable information",
    "shift": "shift (of CO at least)",
    "learning": "at most what was kept from being learned",
    "whole": "not told apart",
}

WORST = 24
"""So many of the images that lose most are shown."""

SPAN = ("value", "low", "high")


@dataclass(frozen=True)
class ClassRow:
    """What a class loses: its share of the labelled pixels, bits a pixel of its own, and what it adds to the total."""

    name: str
    share: float
    parts: list[Optional[Estimate]]  # information (CC - OO) and shift (OC - CC)
    adds: Optional[float]


@dataclass(frozen=True)
class WorstImage:
    """An image that loses much: CC minus OO in bits a labelled pixel, and a small picture of it if one was made."""

    key: str
    bits: float
    picture: Optional[Picture]


@dataclass(frozen=True)
class InformationView:
    """What the page shows.

    findings  sentences that the intervals carry
    chart     the split of what is lost, by rate
    blocks    (point, [(label, what it is, difference)])
    classes   (point, rows)
    worst     (point, images)
    fitted    whether the segmenters' temperatures could be fitted
    """

    findings: list[str]
    chart: Markup
    blocks: list[tuple[str, list[tuple[str, str, LossDifference]]]]
    classes: list[tuple[str, list[ClassRow]]]
    worst: list[tuple[str, list[WorstImage]]]
    fitted: bool


def information_view(results: Results) -> Optional[InformationView]:
    """Of `results.information`; None if no two cases were measured that can be compared."""
    information = results.information
    if information is None or not information.differences:
        return None
    points = [point.point for point in operating_points(results)]
    return InformationView(
        findings=findings(results),
        chart=_chart(results, points),
        blocks=[(point, rows) for point in points if (rows := _rows(results, point))],
        classes=[(point, classes) for point in points if (classes := _classes(results, point))],
        worst=[
            (one.point, [WorstImage(key, bits, _picture(one, key)) for key, bits in worst(information, one)])
            for point in points
            for one in information.images
            if one.point == point
        ],
        fitted=all(one.temperature is not None for one in information.losses),
    )


def findings(results: Results) -> list[str]:
    """A sentence for each operating point, the hardest first; none of one seed, which shows nothing of others."""
    ranked = hardest_first(results)
    return [sentence for point in ranked if (sentence := _finding(results, point.point))]


def lead(results: Results) -> str:
    """What the answer says of it: the finding at the hardest operating point, if what compression takes there is clear.

    Otherwise "".
    """
    ranked = hardest_first(results)
    if not ranked or not clear(difference_of(results, "CC", "OO", ranked[0].point)):
        return ""
    return _finding(results, ranked[0].point)


def difference_of(
    results: Results, configuration: str, minus: str, point: str, restorer: Optional[str] = None
) -> Optional[LossDifference]:
    """The difference of two configurations' cross-entropies at an operating point; None if it was not measured."""
    wanted = (configuration, minus, point, restorer if "R" in configuration + minus else None)
    found = results.information.differences if results.information else []
    return next((one for one in found if (one.configuration, one.minus, one.point, one.restorer) == wanted), None)


def clear(difference: Optional[LossDifference]) -> bool:
    """Whether it can be told from none: of two seeds or more, and its interval excludes zero."""
    return difference is not None and difference.seeds > 1 and difference.bits.clear


def worst(information: Information, images: ImageLosses) -> list[tuple[str, float]]:
    """The `WORST` images that lose most bits a labelled pixel to compression, the worst first."""
    lost = [(key, bits) for key, bits in zip(information.keys, images.bits) if bits is not None]
    return sorted(lost, key=lambda pair: (-pair[1], pair[0]))[:WORST]


def losses_table(results: Results) -> Table:
    """One row a segmenter and test domain, RR among them: its cross-entropy in bits a labelled pixel."""
    columns = (*CASE, "temperature", "bits", "miou")
    return Table(columns, [fields_of(one, columns) for one in _of(results, "losses")])


def differences_table(results: Results) -> Table:
    """One row a difference and class ("" for all): bits a pixel with the 95 % interval over images and seeds."""
    rows = [
        (*fields_of(one, ("configuration", "minus", "point", "restorer", "seeds")), name, *fields_of(bits, SPAN))
        for one in _of(results, "differences")
        for name, bits in (("", one.bits), *one.per_class.items())
    ]
    return Table(("configuration", "minus", "point", "restorer", "seeds", "class", "bits", "low", "high"), rows)


def images_table(results: Results) -> Table:
    """One row an operating point and image: what compression takes of it, CC minus OO in bits a labelled pixel."""
    keys = results.information.keys if results.information else []
    rows = [(one.point, key, bits) for one in _of(results, "images") for key, bits in zip(keys, one.bits)]
    return Table(("point", "key", "bits"), rows)


def _of(results: Results, name: str) -> list[Any]:
    return getattr(results.information, name) if results.information else []


def _finding(results: Results, point: str) -> str:
    lost, shift = (difference_of(results, *pair, point) for pair in (("CC", "OO"), ("OC", "CC")))
    parts = []
    if lost is not None and lost.seeds > 1:
        if not clear(lost):
            parts.append(f"compression takes no clear amount of usable information ({_said(lost)})")
        elif lost.bits.value > 0:
            parts.append(f"compression takes usable information, {_said(lost)}")
        else:
            parts.append(f"compressed images hold more usable information than originals, {_said(lost, away=True)}")
    if shift is not None and clear(shift):
        less = (
            "costs a segmenter trained on originals another"
            if shift.bits.value > 0
            else "saves a segmenter trained on originals"
        )
        parts.append(f"the shift {less} {_said(shift, away=True)}")
    for name in restorers(results):
        added = difference_of(results, "CC", "RR", point, name)
        if added is not None and clear(added):
            does = "adds usable information" if added.bits.value > 0 else "takes more of it"
            parts.append(f"restoring with {name} {does}, {_said(added, away=True)}")
    return f"At {point}, {'; '.join(parts)}." if parts else ""


def _said(difference: LossDifference, away: bool = False) -> str:
    """The bits with their interval; `away` from 0 where the words around it say in which direction."""
    bits = difference.bits
    ends = _ends(bits)
    value = bits.value
    if away and value < 0:
        value, ends = -value, [-end for end in reversed(ends)]
    said = f"95 % interval {' to '.join(map(significant, ends))}" if ends else "too few images for an interval"
    return f"{significant(value)} bits a labelled pixel ({said})"


def _ends(estimate: Estimate) -> list[float]:
    """Of its interval; none if it has none."""
    return [end for end in (estimate.low, estimate.high) if end is not None]


def _rows(results: Results, point: str) -> list[tuple[str, str, LossDifference]]:
    found = []
    for pair, meaning in DIFFERENCES.items():
        for name in restorers(results) if "R" in "".join(pair) else [None]:
            difference = difference_of(results, *pair, point, name)
            if difference is not None:
                label = " − ".join(f"({side})" if side in SUMS else side for side in pair) + (
                    f", {name}" if name and len(restorers(results)) > 1 else ""
                )
                found.append((label, meaning, difference))
    return found


def _classes(results: Results, point: str) -> list[ClassRow]:
    lost, shift = (difference_of(results, *pair, point) for pair in (("CC", "OO"), ("OC", "CC")))
    information = results.information
    if lost is None or information is None:
        return []
    pixels = sum(information.pixels.values())
    return [
        ClassRow(
            name,
            share := count / pixels,
            [one.per_class.get(name) if one else None for one in (lost, shift)],
            share * bits.value if (bits := lost.per_class.get(name)) else None,
        )
        for name, count in information.pixels.items()
        if count
    ]


def _picture(images: ImageLosses, key: str) -> Optional[Picture]:
    path = images.pictures.get(key)
    return thumbnail(path) if path else None


def _pieces(
    results: Results, way: Sequence[tuple[str, tuple[str, str]]], point: str, restorer: Optional[str]
) -> list[tuple[str, LossDifference]]:
    """The parts of a split; empty unless all were measured."""
    found = [(part, difference_of(results, *pair, point, restorer)) for part, pair in way]
    measured = [(part, one) for part, one in found if one is not None]
    return measured if len(measured) == len(way) else []


def _chart(results: Results, points: Sequence[str]) -> Markup:
    """A bar for each configuration at an operating point: its parts end to end, less than nothing to the left of 0."""
    bars: list[tuple[str, list[tuple[str, list[tuple[str, LossDifference]], LossDifference]]]] = []
    for point in points:
        rows = []
        for configuration, ways in SPLITS.items():
            for name in restorers(results) if "R" in configuration else [None]:
                total = difference_of(results, configuration, "OO", point, name)
                pieces = next(filter(None, (_pieces(results, way, point, name) for way in ways)), None)
                if total is not None and pieces:
                    rows.append((label_of(results, configuration, name), pieces, total))
        if rows:
            bars.append((point, rows))
    ends = [0.0]
    for _, rows in bars:
        for _, pieces, total in rows:
            values = [one.bits.value for _, one in pieces]
            ends += [sum(v for v in values if v > 0), sum(v for v in values if v < 0), *_ends(total.bits)]
    x = linear_axis("bits a labelled pixel more than OO", ends)
    series: list[Series] = []
    row = 0.0  # the lower edge of what is drawn so far; rows are 1 apart
    for point, rows in bars:
        series.append(Series(point, "heading", [Dot(x.low, row - 0.5)]))
        row -= 1
        for label, pieces, total in rows:
            above, below = 0.0, 0.0
            for part, one in pieces:
                value = one.bits.value
                start = above if value > 0 else below
                dots = [Dot(start, row - 0.5), Dot(start + value, row - 0.5)]
                series.append(Series("", f"bar lost-{part}", dots))
                above, below = (above + value, below) if value > 0 else (above, below + value)
            said = ", ".join(f"{PARTS[part]} {significant(one.bits.value)}" for part, one in pieces)
            tip = f"{point}, {label}: {said}; in all {_said(total)}"
            ends_of = [Dot(end, row - 0.5) for end in _ends(total.bits) or [total.bits.value]]
            series.append(Series(label, "total span", ends_of))
            series.append(Series("", "total span", [Dot(total.bits.value, row - 0.5, tip)], "diamond"))
            row -= 1
    tips = "; ".join(dot.tip for one in series for dot in one.dots if dot.tip)
    zero = Series("", "reference", [Dot(0.0, 0.0), Dot(0.0, row)])
    size = (560, 60 + round(-ROW * row))
    return line_chart("What configurations lose against OO", tips, [zero, *series], x, Axis("", row, 0), size)
