"""mIoU against the number of training images at several rates, and the law that was fitted to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Optional

import numpy as np
from markupsafe import Markup

from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.analysis.svg import Axis, Dot, Series, line_chart, linear_axis
from dsr.experiments.analysis.tables import Table
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.known import pooled
from dsr.experiments.planning.scaling import Law, Observation, fit_laws
from dsr.experiments.results import ScalingTrial

Trials = Sequence[ScalingTrial]

MARKERS = ("circle", "square", "triangle", "diamond")
DOTS = 24  # of a fitted line


@dataclass(frozen=True)
class ScalingView:
    """The chart and the laws, the best first."""

    chart: Markup
    laws: list[Law]
    trainings: int


def observations(trials: Trials) -> list[Observation]:
    """What a law is fitted to: the mean over seeds of each training."""
    return [Observation(trial.images, trial.bytes, 1 - fmean(trial.miou)) for trial in trials]


def laws(trials: Trials) -> list[Law]:
    """The fitted laws, the best first. Raises PlanningError where there are too few trainings."""
    spread = pooled([BySeed(dict(enumerate(trial.miou))) for trial in trials])
    seeds = min(len(trial.miou) for trial in trials)
    return fit_laws(observations(trials), spread[0] / seeds**0.5 if spread else None)


def scaling_view(trials: Optional[Trials]) -> Optional[ScalingView]:
    """What the report shows; None if nothing was tried, or too little."""
    if not trials:
        return None
    try:
        found = laws(trials)
    except PlanningError:
        return None
    return ScalingView(scaling_chart(trials, found[0]), found, sum(len(trial.miou) for trial in trials))


def scaling_table(trials: Trials) -> Table:
    """One row a segmenter."""
    rows: list[tuple[Any, ...]] = [
        ("RO" if trial.restorer else "CO", trial.point, trial.restorer, trial.images, trial.bytes, number, miou)
        for trial in trials
        for number, miou in enumerate(trial.miou)
    ]
    return Table(("configuration", "point", "restorer", "images", "bytes", "replicate", "miou"), rows)


def scaling_chart(trials: Trials, law: Law) -> Markup:
    """mIoU in percent against images on a logarithmic scale: trainings as dots, the law as lines."""
    counts = sorted({trial.images for trial in trials})
    points = {trial.point: trial.bytes for trial in sorted(trials, key=lambda trial: trial.bytes)}
    across = np.geomspace(counts[0], counts[-1], DOTS)
    lines = {point: 100 * (1 - law.error(across, size)) for point, size in points.items()}
    measured = [100 * fmean(trial.miou) for trial in trials]
    x = Axis("training images (log scale)", counts[0] / 1.1, counts[-1] * 1.1, log=True, ticks=list(map(float, counts)))
    y = linear_axis("mIoU, %", [*measured, *(float(end) for line in lines.values() for end in (line[0], line[-1]))])
    series, said = [], []
    for number, point in enumerate(points):
        style = f"codec-{number % 6 + 1}"
        series.append(Series(point, style, [Dot(float(n), float(m)) for n, m in zip(across, lines[point])]))
        dots = [
            Dot(
                trial.images,
                100 * fmean(trial.miou),
                f"{point}, {trial.images} images: {100 * fmean(trial.miou):.1f} %",
            )
            for trial in trials
            if trial.point == point
        ]
        said += [dot.tip for dot in dots]
        series.append(Series("", style, dots, MARKERS[number % len(MARKERS)], joined=False))
    return line_chart("mIoU in percent against training images", "; ".join(said), series, x, y)
