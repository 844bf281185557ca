"""What a network that was trained elsewhere scores, with intervals over the test images: the answer, and the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from dsr.experiments.analysis.formats import on_common
from dsr.experiments.analysis.headline import Effect, Headline, rate_of, unlabelled
from dsr.experiments.analysis.tables import Table, fields_of, hardest_first, label_of, restorers
from dsr.experiments.results import Estimate, OverImages, PointResult, Results
from dsr.models.metrics.distances import FEWEST_IMAGES

MEAN = "mean"
"""What the table calls the mean over the classes, where others name a class."""

WAYS = {
    "C": ("OC", "OR", "compressing the test images", "restoring them before the network sees them"),
    "R": ("CO", "RO", "training on compressed images", "restoring them before training"),
}
"""What compression may be of: the configurations with and without a restorer, and what they are in words."""


def scores_table(results: Results) -> Table:
    """One row a score or difference and class, and one for their mean: a fraction, and its 95 % interval.

    `minus` is the configuration that was subtracted, at the same operating point and of the same seed; empty if none.
    """
    columns = ("configuration", "minus", "point", "restorer", "seed")
    rows: list[tuple[Any, ...]] = [
        (*fields_of(entry, columns), name, *_cells(found))
        for entry in results.over_images
        for name, found in ((MEAN, entry.miou), *entry.per_class.items())
    ]
    return Table((*columns, "class", "value", "low", "high"), rows)


def headline(results: Results) -> Headline:
    """The findings of one training at each operating point, the hardest compression first.

    They claim no more than the intervals do.
    """
    ranked = hardest_first(results)
    sentences = [sentence for point in ranked if (sentence := _at_point(results, point))] or [_alone(results)]
    return Headline(
        lead=sentences[0],
        others=sentences[1:],
        limit="",
        objects="",
        caveat=" ".join(
            filter(None, (_intervals(results), few_classes(results), not_scored(results), unlabelled(results)))
        ),
    )


def _intervals(results: Results) -> str:
    images = results.dataset.images["test"]
    if any(entry.miou is not None and entry.miou.low is None for entry in results.over_images):
        return f"mIoU has no interval: {why_no_interval(results)}. What is said of it is not shown of other images."
    return (
        f"Intervals are 95 % of the bootstrap over {images} test images: how far scores would move with other images "
        "like these, not with another training of the network."
    )


def why_no_interval(results: Results) -> str:
    """Why an mIoU that there is has none."""
    images, labelled = results.dataset.images["test"], results.dataset.labelled_images
    if labelled is not None and labelled < FEWEST_IMAGES:
        return f"{labelled} of {images} test images have a label, an interval takes {FEWEST_IMAGES}"
    return "most draws of test images lack a class"


def few_classes(results: Results) -> str:
    """Which classes have no interval where mIoU may have one; "" if there are none."""
    dataset = results.dataset
    few = [
        f"{name} ({images} image{'s' if images != 1 else ''})"
        for name, images in dataset.class_images.items()
        if 0 < images < FEWEST_IMAGES <= (dataset.labelled_images or 0)
    ]
    return f"How {', '.join(few)} would move with other images, so few do not say." if few else ""


def not_scored(results: Results) -> str:
    """Which test images no case is scored on, and why; "" if there are none."""
    return on_common("scored", results.dataset.images["test"], "test images", results.left_out)


def found(
    results: Results,
    configuration: str,
    minus: Optional[str],
    point: Optional[str] = None,
    restorer: Optional[str] = None,
) -> list[OverImages]:
    """The scores or differences of a configuration, one a seed; empty if there is none."""
    wanted = (
        configuration,
        minus,
        None if configuration == "OO" else point,
        restorer if "R" in configuration + (minus or "") else None,
    )
    return [e for e in results.over_images if (e.configuration, e.minus, e.point, e.restorer) == wanted]


def _cells(estimate: Optional[Estimate]) -> Sequence[Optional[float]]:
    return (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)


def _effect(entries: Sequence[OverImages]) -> Optional[Effect]:
    """In points, of the one seed."""
    estimate = entries[0].miou if entries else None
    if estimate is None:
        return None
    low, high = estimate.low, estimate.high
    points = round(100 * estimate.value, 1) + 0.0
    if low is None or high is None:
        return Effect(points, None)
    return Effect(points, (round(100 * low, 1) + 0.0, round(100 * high, 1) + 0.0))


def _at_point(results: Results, point: PointResult) -> str:
    parts = []
    for compressed, restored, compressing, restoring in WAYS.values():
        cost = _effect(found(results, compressed, "OO", point.point))
        if cost is not None:
            parts.append(_change(compressing, cost))
        for name in restorers(results):
            gain = _effect(found(results, restored, compressed, point.point, name))
            if gain is not None:
                which = f" by {name}" if len(restorers(results)) > 1 else ""
                parts.append(_change(restoring + which, gain))
    if not parts:
        parts = [
            f"{label_of(results, entry.configuration, entry.restorer)} scores {_percent(entry)}"
            for entry in results.over_images
            if entry.minus is None and entry.point == point.point
        ]
    return f"At {rate_of(results, point)}, {'; '.join(parts)}." if parts else ""


def _change(what: str, effect: Effect) -> str:
    if effect.interval is None:
        return f"{what} scored {effect.points:+.1f} points of mIoU"
    if not effect.clear:
        return f"{what} makes no clear difference ({effect.measured(' of mIoU')})"
    verb = "adds" if effect.points > 0 else "costs"
    shown = effect if effect.points > 0 else -effect
    return shown.said(f"{what} {verb} {abs(effect.points):.1f} points of mIoU")


def _alone(results: Results) -> str:
    scores = [_percent(entry) for entry in found(results, "OO", None)]
    return f"On originals, the network scores {scores[0]}." if scores else "Nothing has been scored yet."


def _percent(entry: OverImages) -> str:
    if entry.miou is None:
        return "no mIoU"
    low, high = entry.miou.low, entry.miou.high
    interval = "" if low is None or high is None else f" (95 % interval {100 * low:.1f} to {100 * high:.1f})"
    return f"{100 * entry.miou.value:.1f} % mIoU{interval}"
