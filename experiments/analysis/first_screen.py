"""What a reader sees first beside the answer in words: one chart, and one image where compression shows most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
from markupsafe import Markup

from dsr.experiments.analysis.figures import score_tip, variant_style
from dsr.experiments.analysis.headline import ranked_restorers
from dsr.experiments.analysis.pictures import Picture, lossless, read_photograph, refuse_other_size
from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.analysis.svg import Dot, Series, line_chart, linear_axis, rate_axis
from dsr.experiments.analysis.tables import Variant, hardest_first, label_of, miou, restorers
from dsr.experiments.results import Results

WINDOW = (270, 230)
"""Height and width of what the strip shows of an image, pixels; three stand beside the chart, each at 1:1."""


@dataclass(frozen=True)
class HeadlineChart:
    """mIoU against the rate of one codec, and what its bands say."""

    chart: Markup
    caption: str


@dataclass(frozen=True)
class KeyStrip:
    """The same window of an image as it was, compressed and restored; the caption says how it was chosen."""

    key: str
    crops: list[tuple[str, Picture]]
    caption: str


def headline_chart(results: Results) -> Optional[HeadlineChart]:
    """OO, CO and RO with its best restorer, against the rate or level of what the headline speaks of.

    Lines are means over seeds, bands their 95 % t-intervals (bars where there is a single rate); one seed has none.
    None where nothing was scored.
    """
    ranked = hardest_first(results)
    if not ranked:
        return None
    lead = ranked[0]
    best = next(iter(ranked_restorers(results, lead.point)), None)
    points = [point for point in ranked if point.curve == lead.curve]
    reference = miou(results, "OO", "")
    shown = [("CO", None), *([("RO", best)] if best else [])]
    scored = {
        (configuration, name): [
            (point, score) for point in points if (score := miou(results, configuration, point.point, name))
        ]
        for configuration, name in shown
    }
    scores = [score for pairs in scored.values() for _, score in pairs] + ([reference] if reference else [])
    if not scores:
        return None
    leveled = any(point.compressed.bpp is None for point in points)
    places = [point.place for point in points]
    x = linear_axis(f"level of {lead.curve}", places) if leveled else rate_axis(places)
    y = linear_axis("mIoU, %", [end for score in scores for end in (100 * score.mean, *(_interval(score) or ()))])
    series = []
    if reference:
        tip = f"OO: {100 * reference.mean:.1f} % mIoU"
        ends = [Dot(end, 100 * reference.mean, tip, _interval(reference)) for end in (x.low, x.high)]
        series.append(Series("OO", "train-O reference", ends, banded=True))
    for (configuration, name), pairs in scored.items():
        variant = Variant(configuration, name, label_of(results, configuration, name))
        dots = [
            Dot(
                point.place,
                100 * score.mean,
                score_tip(variant, point, score, reference),
                _interval(score),
                (variant.label, point.point),
            )
            for point, score in pairs
        ]
        if dots:
            series.append(Series(configuration, *_style(results, variant, dots)))
    said = "; ".join(dict.fromkeys(dot.tip for one in series for dot in one.dots))
    title = f"mIoU in percent against {'level' if leveled else 'bits per pixel'}, {lead.curve}"
    chart = line_chart(title, said, series, x, y, (460, 330))
    axis = "the level" if leveled else "the rate"
    return HeadlineChart(chart, _chart_caption(results, f"{axis} of {lead.curve}", best, scores))


def key_strip(results: Results) -> Optional[KeyStrip]:
    """Of the samples at the headline's operating point, the window that compression changed most.

    None where no picture of a compressed image was kept. Any image may be larger than the page shows elsewhere.
    """
    ranked = hardest_first(results)
    if not ranked:
        return None
    point = ranked[0].point
    best = next(iter(ranked_restorers(results, point)), None)
    candidates = []
    for sample in results.samples:
        paths = {"original": sample.images.get("original"), "compressed": sample.images.get("compressed")}
        if sample.point == point and all(paths.values()):
            if best and best in sample.restored:
                paths["restored"] = sample.restored[best].get("restored")
            candidates.append((sample.key, {name: path for name, path in paths.items() if path}))
    if not candidates:
        return None
    key, pictures, (top, left), _ = max(
        ((key, paths, *_changed(paths["original"], paths["compressed"])) for key, paths in candidates),
        key=lambda found: found[-1],
    )
    height, width = WINDOW
    said = {"restored": f"restored by {best}"} if len(restorers(results)) > 1 else {}
    crops = [
        (said.get(name, name), lossless(read_photograph(path)[top : top + height, left : left + width]))
        for name, path in pictures.items()
    ]
    several = f"{len(candidates)} kept test images" if len(candidates) > 1 else "kept test image"
    return KeyStrip(
        key,
        crops,
        f"{key} at {point}, one image pixel a screen pixel: of the {several}, the window with the largest squared "
        "difference between original and compressed.",
    )


def _changed(original: str, compressed: str) -> tuple[tuple[int, int], float]:
    before, after = read_photograph(original), read_photograph(compressed)
    refuse_other_size(after, before, compressed)
    return most_changed(before, after)


def most_changed(original: np.ndarray, changed: np.ndarray) -> tuple[tuple[int, int], float]:
    """The window of size WINDOW, or less where the image is smaller, that differs most.

    Args:
        original, changed: uint8 of equal shape (height, width, 3).

    Returns:
        Its top left corner (row, column), and its mean squared difference.
    """
    squared = ((original.astype(np.float64) - changed) ** 2).mean(axis=-1)
    height, width = min(WINDOW[0], squared.shape[0]), min(WINDOW[1], squared.shape[1])
    total = np.pad(squared.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return (int(top), int(left)), float(sums[top, left]) / (height * width)


def _style(results: Results, variant: Variant, dots: list[Dot]) -> tuple[str, list[Dot], str, bool, bool]:
    style, marker = variant_style(results, variant)
    return style, dots, marker, True, True


def _interval(score: BySeed) -> Optional[tuple[float, float]]:
    """In percent, and within what a score can be."""
    if score.interval is None:
        return None
    low, high = score.interval
    return max(0.0, 100 * low), min(100.0, 100 * high)


def _chart_caption(results: Results, axis: str, best: Optional[str], scores: list[BySeed]) -> str:
    by = f" by {best}" if len(restorers(results)) > 1 else ""
    restored = f", restored{by} (RO)" if best else ""
    words = f"mIoU in % on originals against {axis}: trained on originals (OO), compressed (CO){restored}."
    if any(score.interval for score in scores):
        return (
            f"{words} Bands are 95 % intervals over the seeds of each score by itself; differences between scores are "
            "paired by seed, and known better."
        )
    return f"{words} One seed has no intervals."
