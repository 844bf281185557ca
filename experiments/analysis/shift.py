"""How far images are from originals for the segmenter trained on originals (paper, section IV-B and Fig. 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
from markupsafe import Markup

from dsr.experiments.analysis.domains import DOMAIN, Span, by_point, name, span_chart, style
from dsr.experiments.analysis.svg import Axis, Dot, Series, line_chart, linear_axis
from dsr.experiments.analysis.tables import Table, fields_of
from dsr.experiments.results import DomainShift, Results

SPAN = ("value", "low", "high")
CORRELATION = ("slope", "r2", "rms")
DISTANCES = {"frechet": "Fréchet distance", "kernel": "Kernel distance"}


@dataclass(frozen=True)
class Scatter:
    """Fig. 10 of one domain. `spread` is the standard deviation of the originals' activations over channels."""

    point: Optional[str]
    domain: str
    chart: Markup
    slope: float
    r2: float
    rms: float
    spread: float


@dataclass(frozen=True)
class ShiftView:
    """What the page shows.

    charts    (distance, chart)
    blocks    (point, [(domain, [(span, what restoring changed of it, or None) of each distance])])
    scatters  of each domain
    """

    charts: list[tuple[str, Markup]]
    blocks: list[tuple[str, list[tuple[str, list[tuple[Span, Optional[Span]]]]]]]
    scatters: list[Scatter]


def shift_view(results: Results) -> Optional[ShiftView]:
    """Of `results.shift`, None if it was not measured."""
    shift = results.shift
    if shift is None:
        return None
    ordered = [entry for _, group in by_point(results, shift.domains) for entry in group]
    everything = [*shift.original, *(value for e in ordered for value in e.correlation.activations)]
    axis = linear_axis("", everything, ticks=4)
    return ShiftView(
        charts=[
            (caption, span_chart(results, [(e, Span.of(getattr(e, distance))) for e in ordered], caption, 0.0))
            for distance, caption in DISTANCES.items()
        ],
        blocks=[
            (point, [(name(results, entry), _distances(entry)) for entry in group])
            for point, group in by_point(results, ordered)
        ],
        scatters=[_scatter(results, entry, shift.original, axis) for entry in ordered],
    )


def shift_table(results: Results) -> Table:
    """One row a domain.

    It has both distances to the originals with 95 % intervals, and how its channels correlate with theirs.
    """
    rows = [
        (
            *fields_of(entry, DOMAIN),
            *(cell for distance in DISTANCES for cell in fields_of(getattr(entry, distance), SPAN)),
            *(cell for distance in DISTANCES for cell in fields_of(getattr(entry.change, distance, None), SPAN)),
            *fields_of(entry.correlation, CORRELATION),
        )
        for entry in _domains(results)
    ]
    spans = [f"{distance}{end}" for distance in DISTANCES for end in ("", "_low", "_high")]
    changes = [f"{distance}_minus_compressed{end}" for distance in DISTANCES for end in ("", "_low", "_high")]
    return Table((*DOMAIN, *spans, *changes, *CORRELATION), rows)


def activations_table(results: Results) -> Table:
    """One row a domain and channel: the mean activation, in originals and in the domain (Fig. 10)."""
    rows = [
        (*fields_of(entry, DOMAIN), channel, original, activation)
        for shift in filter(None, [results.shift])
        for entry in shift.domains
        for channel, (original, activation) in enumerate(zip(shift.original, entry.correlation.activations))
    ]
    return Table((*DOMAIN, "channel", "original", "activation"), rows)


def _distances(entry: DomainShift) -> list[tuple[Span, Optional[Span]]]:
    return [
        (Span.of(getattr(entry, distance)), Span.of(getattr(entry.change, distance)) if entry.change else None)
        for distance in DISTANCES
    ]


def _scatter(results: Results, entry: DomainShift, originals: Sequence[float], axis: Axis) -> Scatter:
    """A dot a channel: its mean activation in originals across, in the domain up."""
    found = entry.correlation
    x = Axis("in originals", axis.low, axis.high, ticks=axis.ticks)
    identity = Series("", "train-O reference", [Dot(axis.low, axis.low), Dot(axis.high, axis.high)])
    dots = [Dot(across, up) for across, up in zip(originals, found.activations)]
    channels = Series("", f"{style(results, entry)} scatter", dots, joined=False)
    called = name(results, entry)
    return Scatter(
        point=entry.point,
        domain=called,
        chart=line_chart(
            f"Mean activation of each channel in {called} images at {entry.point} against originals",
            f"{len(dots)} channels, slope {found.slope:.3f}, R² {found.r2:.4f}",
            [identity, channels],
            x,
            axis,
            (280, 272),
            "chart small",
        ),
        spread=float(np.std(originals)),
        slope=found.slope,
        r2=found.r2,
        rms=found.rms,
    )


def _domains(results: Results) -> list[DomainShift]:
    return results.shift.domains if results.shift else []
