"""Line charts as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Optional

from markupsafe import Markup

LOG_RANGE = 4.0  # rates that differ by more than this factor go on a logarithmic axis


DODGE = 7.0  # units between series with error bars, which would hide each other where they share their rates


@dataclass(frozen=True)
class Dot:
    """A point of a series in data units with the text of its tooltip.

    `span` is the lowest and highest of what `y` is the mean of. `sorts` are the measure and the operating point into
    whose order a click on it puts the page's images.
    """

    x: float
    y: float
    tip: str = ""
    span: Optional[tuple[float, float]] = None
    sorts: Optional[tuple[str, str]] = None


@dataclass(frozen=True)
class Series:
    """A line through dots, or the dots alone if they are not `joined`.

    `style` is a list of CSS classes, `marker` '' draws none, `label` stands at the line's end. The spans of its dots
    are bars, or one band if they are `banded` and there is more than one.
    """

    label: str
    style: str
    dots: Sequence[Dot]
    marker: str = ""
    joined: bool = True
    banded: bool = False

    @property
    def barred(self) -> bool:
        return any(dot.span for dot in self.dots) and not self.band

    @property
    def band(self) -> list[tuple[float, tuple[float, float]]]:
        """Place and span of each dot that has one, if they make a band."""
        spans = [(dot.x, dot.span) for dot in self.dots if dot.span]
        return spans if self.banded and len(spans) > 1 else []


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic scale from `low` to `high`, with the values to be marked."""

    label: str
    low: float
    high: float
    log: bool = False
    ticks: list[float] = field(default_factory=list)

    def at(self, value: float) -> float:
        """The place of `value` on the axis: 0 at `low`, 1 at `high`."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear_axis(label: str, values: Iterable[float], ticks: int = 5) -> Axis:
    """An axis around `values` whose ends are round numbers (1, 2 or 5 times a power of ten apart)."""
    values = list(values)
    low, high = min(values), max(values)
    if high - low < 1e-9 * max(abs(high), 1e-9):  # a single value: give it room
        low, high = low - max(abs(low) * 0.1, 1e-3), high + max(abs(high) * 0.1, 1e-3)
    rough = (high - low) / ticks
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(label, first * step, last * step, ticks=[number * step for number in range(first, last + 1)])


def rate_axis(values: Iterable[float]) -> Axis:
    """Bits per pixel: logarithmic where the rates span more than LOG_RANGE."""
    values = list(values)
    low, high = min(values), max(values)
    if high / low <= LOG_RANGE:
        return linear_axis("bits per pixel", values)
    low, high = low / 1.15, high * 1.15
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 3, 5, 7) if high / low < 20 else (1, 2, 5)
    ticks = [digit * 10.0**decade for decade in decades for digit in digits]
    inside = [tick for tick in ticks if low <= tick <= high]
    return Axis("bits per pixel (log scale)", low, high, log=True, ticks=inside)


def line_chart(
    title: str,
    description: str,
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    size: tuple[int, int] = (480, 330),
    style: str = "chart",
) -> Markup:
    """An SVG element of `size` user units; `title` and `description` are what a screen reader says.

    Series with error bars stand side by side, DODGE apart around their place.
    """
    width, height = size
    ends = [one.label for one in series if one.label]
    left, right = 50, 14 + (6 + 8 * max(map(len, ends)) if ends else 0)
    top, bottom = 12, 44 if x.label else 24

    def px(value: float) -> float:
        return left + x.at(value) * (width - left - right)

    def py(value: float) -> float:
        return height - bottom - y.at(value) * (height - top - bottom)

    parts = [
        Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(style, width, height, title),
        Markup("<desc>{}</desc>").format(description),
    ]
    for tick in y.ticks:
        parts.append(_line("grid", left, py(tick), width - right, py(tick)))
        parts.append(_text("tick", left - 7, py(tick), number(tick), "end", "middle"))
    for tick in x.ticks:
        parts.append(_line("grid", px(tick), top, px(tick), height - bottom))
        parts.append(_text("tick", px(tick), height - bottom + 17, number(tick), "middle"))
    parts.append(_line("axis", left, height - bottom, width - right, height - bottom))
    if x.label:
        parts.append(_text("label", left + (width - left - right) / 2, height - 6, x.label, "middle"))
    for one in series:
        if one.band:
            parts.append(_band(one.style, [(px(x), py(low), py(high)) for x, (low, high) in one.band]))
    barred = [one for one in series if one.barred]
    for one in series:
        aside = DODGE * (barred.index(one) - (len(barred) - 1) / 2) if one in barred else 0.0
        places = [(px(dot.x) + aside, py(dot.y)) for dot in one.dots]
        parts.append(Markup('<g class="series {}">').format(one.style))
        if len(places) > 1:
            path = ("L" if one.joined else "h0M").join(f"{across:.1f} {down:.1f}" for across, down in places)
            path = f"M{path}" if one.joined else f"M{path}h0"
            parts.append(Markup('<path d="{}"/>').format(path))
        if one.barred:
            parts += [_bar(across, *map(py, dot.span)) for (across, _), dot in zip(places, one.dots) if dot.span]
        parts += [_marker(one.marker, *place, dot.tip, dot.sorts) for place, dot in zip(places, one.dots) if one.marker]
        parts.append(Markup("</g>"))
    labelled = [one for one in series if one.label and one.dots]
    heights = spread_apart([py(one.dots[-1].y) for one in labelled], 15, top, height - bottom)
    for one, down in zip(labelled, heights):
        across = max(px(dot.x) for dot in one.dots) + 9 + (DODGE * (len(barred) - 1) / 2 if barred else 0.0)
        parts.append(Markup('<g class="series {}">').format(one.style))
        parts.append(_text("end", across, down, one.label, "start", "middle"))
        parts.append(Markup("</g>"))
    return Markup("").join([*parts, Markup("</svg>")])


def swatch(style: str, marker: str) -> Markup:
    """A short piece of a series for a legend."""
    line = Markup('<path d="M2 9H38"/>')
    body = line + (_marker(marker, 20, 9, "") if marker else "")
    picture = '<svg class="chart swatch" viewBox="0 0 40 18" aria-hidden="true"><g class="series {}">{}</g></svg>'
    return Markup(picture).format(style, body)


def number(value: float) -> str:
    """A tick's text: short, without a trailing zero, thousands as k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{round(value, 10):.6g}"


def spread_apart(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Where labels wanted at `places` go.

    `gap` apart in their order, as near as can be, within [low, high] if they fit.

    Without the gaps this is isotonic regression (pool adjacent violators): labels that collide share their mean place.
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    pools: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        pool = (places[index] - rank * gap, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, size = pools.pop()
            pool = ((mean * size + pool[0] * pool[1]) / (size + pool[1]), size + pool[1])
        pools.append(pool)
    free = [mean for mean, size in pools for _ in range(size)]
    most = high - gap * (len(places) - 1)
    moved = {index: max(min(free[rank], most), low) + rank * gap for rank, index in enumerate(order)}
    return [moved[index] for index in range(len(places))]


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<path class="{}" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(style, x1, y1, x2, y2)


def _bar(x: float, low: float, high: float) -> Markup:
    """An error bar with its ends marked."""
    return Markup('<path class="error" d="M{0:.1f} {1:.1f}V{2:.1f}m-3 0h6M{3:.1f} {1:.1f}h6"/>').format(
        x, low, high, x - 3
    )


def _band(style: str, spans: Sequence[tuple[float, float, float]]) -> Markup:
    """The area between the ends of spans, each with its place across."""
    edge = [*((x, low) for x, low, _ in spans), *((x, high) for x, _, high in reversed(spans))]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in edge)
    return Markup('<g class="series {}"><path class="band" d="M{}z"/></g>').format(style, path)


def _text(style: str, x: float, y: float, text: str, anchor: str, baseline: str = "auto") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}" dominant-baseline="{}">{}</text>').format(
        style, x, y, anchor, baseline, text
    )


MARKERS = {
    "circle": "m-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0 -8.4 0z",
    "square": "m-3.8 -3.8h7.6v7.6h-7.6z",
    "triangle": "m0 -4.6l4.7 8.2h-9.4z",
    "diamond": "m0 -5l5 5l-5 5l-5 -5z",
    "cross": "m-4.6 -1.6h3v-3h3.2v3h3v3.2h-3v3h-3.2v-3h-3z",
}


def _marker(shape: str, x: float, y: float, tip: str, sorts: Optional[tuple[str, str]] = None) -> Markup:
    drawn = Markup('<path class="shape" d="M{:.1f} {:.1f}{}"/>').format(x, y, MARKERS[shape])
    if not tip:
        return drawn
    order = Markup(' data-sort-measure="{}" data-sort-point="{}"').format(*sorts) if sorts else ""
    return Markup('<g class="marker"{}>{}<title>{}</title></g>').format(order, drawn, tip)
