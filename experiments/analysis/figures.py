"""Charts as inline SVG: axes, ticks, marked lines and their labels; colours come from the page's style sheet.

A chart draws in its own units and scales with the page; text sizes and colours are CSS (report.css), so that a dark
scheme and a phone need no second drawing. All text goes through `Markup.format`, which escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from markupsafe import Markup

from experiments.analysis.headline import Effect
from experiments.analysis.seeds import BySeed
from experiments.analysis.tables import Results, Variant, miou, operating_points, restorers, variants

LOG_RANGE = 4.0  # rates that differ by more than this factor go on a logarithmic axis
DODGE = 7.0  # units between series with error bars, which would hide each other where they share their rates
CURVE_POINTS = 240  # a training curve is thinned to about one point a pixel
DOMAIN_NAMES = {"O": "original", "C": "compressed", "R": "restored"}
TEST_MARKERS = {"O": "circle", "C": "square", "R": "triangle"}
CODEC_MARKERS = ("circle", "square", "triangle", "diamond")
TESTS = {"tested on originals": "O", "tested on compressed or restored images": "CR"}
RESTORER_MARKERS = ("triangle", "diamond", "cross")  # of several restorers; the style sheet gives each its dash


# Name of a curve -> (step, value) pairs; a value that was not finite is None.
Curves = Mapping[str, Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class Dot:
    """A point of a series in data units with the text of its tooltip; `span` is the lowest and highest of what `y` is the mean of."""

    x: float
    y: float
    tip: str = ""
    span: Optional[tuple[float, float]] = None


@dataclass(frozen=True)
class Series:
    """A line through dots, or the dots alone if they are not `joined`. `style` is a list of CSS classes, `marker` '' draws none,
    `label` stands at the line's end."""

    label: str
    style: str
    dots: Sequence[Dot]
    marker: str = ""
    joined: bool = True


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
    barred = [one for one in series if any(dot.span for dot in one.dots)]
    for one in series:
        aside = DODGE * (barred.index(one) - (len(barred) - 1) / 2) if one in barred else 0.0
        places = [(px(dot.x) + aside, py(dot.y)) for dot in one.dots]
        parts.append(Markup('<g class="series {}">').format(one.style))
        if len(places) > 1:
            path = ("L" if one.joined else "h0M").join(f"{across:.1f} {down:.1f}" for across, down in places)
            path = f"M{path}" if one.joined else f"M{path}h0"
            parts.append(Markup('<path d="{}"/>').format(path))
        parts += [_bar(across, *map(py, dot.span)) for (across, _), dot in zip(places, one.dots) if dot.span]
        parts += [_marker(one.marker, *place, dot.tip) for place, dot in zip(places, one.dots) if one.marker]
        parts.append(Markup("</g>"))
    labelled = [one for one in series if one.label and one.dots]
    heights = _apart([py(one.dots[-1].y) for one in labelled], 15, top, height - bottom)
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


def variant_style(results: Results, variant: Variant) -> tuple[str, str]:
    """CSS classes and marker of a variant: colour says what it was trained on, marker and dash what it was tested on; where there are
    several restorers, the marker says which."""
    train, test = tuple(variant.configuration)
    if variant.configuration == "OO":
        return "train-O reference", ""
    style, marker = f"train-{train} test-{test}", TEST_MARKERS[test]
    names = restorers(results)
    if variant.restorer and len(names) > 1:
        rank = names.index(variant.restorer)
        return f"{style} restorer-{rank + 1}", RESTORER_MARKERS[rank % len(RESTORER_MARKERS)]
    return style, marker


def domain_style(results: Results, restorer: str | None) -> str:
    """CSS classes of compressed images, or of what a restorer makes of them, in charts of images rather than scores."""
    if restorer is None:
        return "train-C test-O"
    names = restorers(results)
    return "train-R test-O" + (f" restorer-{names.index(restorer) + 1}" if len(names) > 1 else "")


def miou_charts(results: Results) -> list[tuple[str, Markup]]:
    """mIoU in % against the rate (paper, Fig. 7), OO as a dashed line; (caption, chart) pairs on the same axes.

    One chart a codec; where there are several restorers one for tests on originals and one for the other tests. Of several seeds, a dot
    is the mean and its bar goes from the lowest to the highest score.
    """
    points, reference = operating_points(results), miou(results, "OO", "")
    scored = [
        (variant, point, score)
        for variant in variants(results)[1:]
        for point in points
        if (score := miou(results, variant.configuration, point["point"], variant.restorer))
    ]
    scores = [score for _, _, score in scored] + ([reference] if reference else [])
    if not points or not scores:
        return []
    x = rate_axis(point["compressed"]["bpp"] for point in points)
    y = linear_axis("mIoU", [100 * value for score in scores for value in score.values.values()])
    goal = []
    if reference:
        level = [Dot(end, 100 * reference.mean) for end in (x.low, x.high)]
        goal = [Series("OO", "train-O reference", level)]
    codecs = _codecs(points)
    charts = []
    for codec in codecs:
        for test, domains in TESTS.items() if len(restorers(results)) > 1 else [("", "OCR")]:
            series = list(goal)
            for variant in variants(results)[1:]:
                dots = [
                    _miou_dot(variant, point, score, reference)
                    for other, point, score in scored
                    if other == variant and point["codec"] == codec and variant.configuration[1] in domains
                ]
                if dots:
                    style, marker = variant_style(results, variant)
                    series.append(Series(variant.label, style, dots, marker))
            said = "; ".join(dot.tip for one in series for dot in one.dots if dot.tip)
            caption = ", ".join(filter(None, (codec if len(codecs) > 1 else "", test)))
            title = ", ".join(filter(None, ("mIoU in percent against bits per pixel", codec, test)))
            charts.append((": ".join(filter(None, ("mIoU, %", caption))), line_chart(title, said, series, x, y)))
    return charts


def rate_distortion_charts(results: Results) -> list[tuple[str, Markup]]:
    """PSNR and MS-SSIM in dB against the rate (paper, Fig. 6), with and without restoration; (caption, chart) pairs."""
    points = operating_points(results)
    codecs = _codecs(points)
    names = restorers(results)
    charts = []
    for measure, caption in (("psnr", "PSNR, dB"), ("ms_ssim_db", "MS-SSIM, dB")):
        series = []
        for codec, marker in zip(codecs, CODEC_MARKERS * len(codecs)):
            for restorer in (None, *names):
                domain = "compressed" if restorer is None else "restored"
                which = restorer if restorer and len(names) > 1 else ""
                dots = []
                for point in points:
                    fidelity = point["compressed"] if restorer is None else point["restored"].get(restorer)
                    if point["codec"] == codec and fidelity and fidelity[measure] is not None:
                        bpp, value = point["compressed"]["bpp"], fidelity[measure]
                        tip = (
                            f"{point['point']}, {f'{domain} {which}'.strip()}: {value:.2f} ({caption}) at {bpp:.3g} bpp"
                        )
                        dots.append(Dot(bpp, value, tip))
                if dots:
                    label = f"{codec} {which}".strip() if len(codecs) > 1 else which or domain
                    series.append(Series(label, domain_style(results, restorer), dots, marker))
        dots = [dot for one in series for dot in one.dots]
        if dots:
            x, y = rate_axis(dot.x for dot in dots), linear_axis(caption, [dot.y for dot in dots])
            said = "; ".join(dot.tip for dot in dots)
            charts.append((caption, line_chart(f"{caption} against bits per pixel", said, series, x, y)))
    return charts


def curve_groups(curves: Curves) -> list[list[str]]:
    """Names of curves chart by chart: what a discriminator says of real and of fake pairs belongs together."""
    groups: dict[str, list[str]] = {}
    for name in curves:
        groups.setdefault(name.replace("real", "*").replace("fake", "*"), []).append(name)
    return list(groups.values())


def curve_charts(
    curves: Curves, ranges: dict[str, tuple[float, float]] | None = None
) -> list[tuple[list[str], Markup]]:
    """Small multiples of a training: (names, chart) pairs; `ranges` fixes the values that a chart must at least show.

    Values that are not finite are left out of the line, and the description and the last name say how many.
    """
    charts = []
    for names in curve_groups(curves):
        series, notes = [], list(names)
        for name, style in zip(names, ("curve-1", "curve-2")):
            finite = [Dot(step, value) for step, value in curves[name] if value is not None]
            lost = len(curves[name]) - len(finite)
            if lost:
                notes[names.index(name)] = f"{name} ({lost} values not finite)"
            if finite:
                series.append(Series("", style, _thin(finite)))
        values = [*(dot.y for one in series for dot in one.dots), *(ranges or {}).get(names[0], ())]
        x = linear_axis("", [0.0, *(step for name in names for step, _ in curves[name])], ticks=3)
        y = linear_axis("", values or [0.0], ticks=3)
        said = "; ".join(f"from {one.dots[0].y:.4g} to {one.dots[-1].y:.4g}" for one in series)
        charts.append((notes, line_chart(", ".join(names), said, series, x, y, (260, 140), "chart small")))
    return charts


def number(value: float) -> str:
    """A tick's text: short, without a trailing zero, thousands as k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{round(value, 10):.6g}"


def _miou_dot(variant: Variant, point: Mapping[str, Any], score: BySeed, reference: BySeed | None) -> Dot:
    """The mean score in percent, and in words: over how many seeds, and how far it is from OO."""
    bpp = point["compressed"]["bpp"]
    seeds = "" if score.n == 1 else f" (mean of {score.n} seeds)"
    apart = Effect.of(score.minus(reference))
    against = f", {apart.points:+.1f} points against OO" if apart else ""
    tip = f"{variant.label} at {point['point']} ({bpp:.3g} bpp): {100 * score.mean:.1f} % mIoU{seeds}{against}"
    return Dot(bpp, 100 * score.mean, tip, _span(score))


def _span(score: BySeed) -> tuple[float, float] | None:
    """Lowest and highest score in percent; None for one seed."""
    values = score.values.values()
    return (100 * min(values), 100 * max(values)) if score.n > 1 else None


def _codecs(points: list[dict]) -> list[str]:
    return list(dict.fromkeys(point["codec"] for point in points))


def _thin(dots: list[Dot]) -> list[Dot]:
    stride = max(1, math.ceil(len(dots) / CURVE_POINTS))
    return [*dots[:-1:stride], dots[-1]]


def _apart(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Where labels wanted at `places` go: `gap` apart in their order, as near as can be, within [low, high] if they fit.

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


def _text(style: str, x: float, y: float, text: str, anchor: str, baseline: str = "auto") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}" dominant-baseline="{}">{}</text>').format(
        style, x, y, anchor, baseline, text
    )


_MARKERS = {
    "circle": "m-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0 -8.4 0z",
    "square": "m-3.8 -3.8h7.6v7.6h-7.6z",
    "triangle": "m0 -4.6l4.7 8.2h-9.4z",
    "diamond": "m0 -5l5 5l-5 5l-5 -5z",
    "cross": "m-4.6 -1.6h3v-3h3.2v3h3v3.2h-3v3h-3.2v-3h-3z",
}


def _marker(shape: str, x: float, y: float, tip: str) -> Markup:
    drawn = Markup('<path class="shape" d="M{:.1f} {:.1f}{}"/>').format(x, y, _MARKERS[shape])
    return Markup('<g class="marker">{}<title>{}</title></g>').format(drawn, tip) if tip else drawn
