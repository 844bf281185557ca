"""Charts as inline SVG: axes, ticks, marked lines and their labels; colours come from the page's style sheet.

A chart draws in its own units and scales with the page; text sizes and colours are CSS (report.css), so that a dark
scheme and a phone need no second drawing. All text goes through `Markup.format`, which escapes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dsr.experiments.analysis.formats import left_out
from dsr.experiments.analysis.headline import Effect
from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.analysis.svg import Dot, Series, line_chart, linear_axis, rate_axis
from dsr.experiments.analysis.tables import Variant, miou, operating_points, restorers, variants
from dsr.experiments.results import PointResult, Results

CURVE_POINTS = 240  # a training curve is thinned to about one point a pixel
CLASS_CURVE = "iou/"  # what stands before a class in the name of its curve
FLAT = 0.01  # of IoU; a class that moves less during a training has learnt nothing, or knew it all
DOMAIN_NAMES = {"O": "original", "C": "compressed", "R": "restored"}
TEST_MARKERS = {"O": "circle", "C": "square", "R": "triangle"}
CODEC_MARKERS = ("circle", "square", "triangle", "diamond")
TESTS = {"tested on originals": "O", "tested on compressed or restored images": "CR"}
RESTORER_MARKERS = (
    "triangle",
    "diamond",
    "cross",
    "square",
)  # of several restorers; the style sheet gives each its dash


# Name of a curve -> (step, value) pairs; a value that was not finite is None.
Curves = Mapping[str, Sequence[Sequence[Any]]]


def variant_style(results: Results, variant: Variant) -> tuple[str, str]:
    """CSS classes and marker of a variant: colour says what it was trained on, marker and dash what it was tested on.

    Where there are several restorers, the marker says which.
    """
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

    One chart a codec (with its options, and what comes before it); where there are several restorers one for tests on
    originals and one for the other tests. Of several seeds, a dot is the mean and its bar goes from the lowest to the
    highest score.
    """
    placed = [p for p in operating_points(results) if p.compressed.bpp is not None or p.quality is not None]
    points, reference = placed, miou(results, "OO", "")
    scored = [
        (variant, point, score)
        for variant in variants(results)[1:]
        for point in points
        if (score := miou(results, variant.configuration, point.point, variant.restorer))
    ]
    scores = [score for _, _, score in scored] + ([reference] if reference else [])
    if not points or not scores:
        return []
    rated = [point.place for point in points if point.compressed.bpp is not None]
    y = linear_axis("mIoU", [100 * value for score in scores for value in score.values.values()])
    curves = _curves(points)
    charts = []
    for curve in curves:
        levels = [point.place for point in points if point.curve == curve and point.compressed.bpp is None]
        x = linear_axis(f"level of {curve}", levels) if levels else rate_axis(rated)
        against = x.label if levels else "bits per pixel"
        goal = []
        if reference:
            level = [Dot(end, 100 * reference.mean) for end in (x.low, x.high)]
            goal = [Series("OO", "train-O reference", level)]
        for test, domains in TESTS.items() if len(restorers(results)) > 1 else [("", "OCR")]:
            series = list(goal)
            for variant in variants(results)[1:]:
                dots = [
                    _miou_dot(variant, point, score, reference)
                    for other, point, score in scored
                    if other == variant and point.curve == curve and variant.configuration[1] in domains
                ]
                if dots:
                    style, marker = variant_style(results, variant)
                    series.append(Series(variant.label, style, dots, marker))
            if results.over_images and len(series) == len(goal):
                continue  # not scored, and could not be
            said = "; ".join(dot.tip for one in series for dot in one.dots if dot.tip)
            caption = ", ".join(filter(None, (curve if len(curves) > 1 else "", test)))
            title = ", ".join(filter(None, (f"mIoU in percent against {against}", curve, test)))
            charts.append((": ".join(filter(None, ("mIoU, %", caption))), line_chart(title, said, series, x, y)))
    return charts


def rate_distortion_charts(results: Results) -> list[tuple[str, Markup]]:
    """PSNR and MS-SSIM in dB against the rate (paper, Fig. 6), with and without restoration; (caption, chart) pairs."""
    points = operating_points(results)
    curves = _curves(points)
    names = restorers(results)
    charts = []
    for measure, caption in (("psnr", "PSNR, dB"), ("ms_ssim_db", "MS-SSIM, dB")):
        series = []
        for curve, marker in zip(curves, CODEC_MARKERS * len(curves)):
            for restorer in (None, *names):
                domain = "compressed" if restorer is None else "restored"
                which = restorer if restorer and len(names) > 1 else ""
                dots = []
                for point in points:
                    fidelity = point.compressed if restorer is None else point.restored.get(restorer)
                    value = getattr(fidelity, measure, None)
                    if point.curve == curve and value is not None and point.compressed.bpp is not None:
                        bpp = point.compressed.bpp
                        counted = left_out(fidelity.identical) if fidelity and measure == "psnr" else ""
                        said = ", ".join(filter(None, (caption, counted)))
                        tip = f"{point.point}, {f'{domain} {which}'.strip()}: {value:.2f} ({said}) at {bpp:.3g} bpp"
                        dots.append(Dot(bpp, value, tip))
                if dots:
                    label = f"{curve} {which}".strip() if len(curves) > 1 else which or domain
                    series.append(Series(label, domain_style(results, restorer), dots, marker))
        dots = [dot for one in series for dot in one.dots]
        if dots:
            x, y = rate_axis(dot.x for dot in dots), linear_axis(caption, [dot.y for dot in dots])
            said = "; ".join(dot.tip for dot in dots)
            charts.append((caption, line_chart(f"{caption} against bits per pixel", said, series, x, y)))
    return charts


def curve_groups(curves: Curves) -> list[list[str]]:
    """Names of curves chart by chart: what a discriminator says of original and of restored images belongs together."""
    groups: dict[str, list[str]] = {}
    for name in curves:
        groups.setdefault(re.sub("^d_(original|restored)_", "d_*_", name), []).append(name)
    return list(groups.values())


def flat_classes(curves: Curves) -> list[str]:
    """The classes whose IoU moved by less than FLAT during a training."""
    values = {
        name[len(CLASS_CURVE) :]: [value for _, value in curve if value is not None]
        for name, curve in curves.items()
        if name.startswith(CLASS_CURVE)
    }
    return [name for name, ious in values.items() if ious and max(ious) - min(ious) < FLAT]


def curve_charts(
    curves: Curves, ranges: dict[str, tuple[float, float]] | None = None
) -> list[tuple[list[str], Markup]]:
    """Small multiples of a training: (names, chart) pairs; `ranges` fixes the values that a chart must at least show.

    Flat classes have none.

    Values that are not finite are left out of the line, and the description and the last name say how many.
    """
    charts = []
    flat = {f"{CLASS_CURVE}{name}" for name in flat_classes(curves)}
    for names in curve_groups({name: curve for name, curve in curves.items() if name not in flat}):
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


def _miou_dot(variant: Variant, point: PointResult, score: BySeed, reference: BySeed | None) -> Dot:
    tip = score_tip(variant, point, score, reference)
    return Dot(point.place, 100 * score.mean, tip, _span(score), (variant.label, point.point))


def score_tip(variant: Variant, point: PointResult, score: BySeed, reference: BySeed | None) -> str:
    """The mean score in words: over how many seeds, and how far it is from OO."""
    place = "" if point.compressed.bpp is None else f" ({point.compressed.bpp:.3g} bpp)"
    seeds = "" if score.n == 1 else f" (mean of {score.n} seeds)"
    apart = Effect.of(score.minus(reference))
    against = f", {apart.points:+.1f} points against OO" if apart else ""
    return f"{variant.label} at {point.point}{place}: {100 * score.mean:.1f} % mIoU{seeds}{against}"


def _span(score: BySeed) -> tuple[float, float] | None:
    """Lowest and highest score in percent; None for one seed."""
    values = score.values.values()
    return (100 * min(values), 100 * max(values)) if score.n > 1 else None


def _curves(points: list[PointResult]) -> list[str]:
    return list(dict.fromkeys(point.curve for point in points))


def _thin(dots: list[Dot]) -> list[Dot]:
    stride = max(1, math.ceil(len(dots) / CURVE_POINTS))
    return [*dots[:-1:stride], dots[-1]]
