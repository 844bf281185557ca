"""mIoU of RO against the number of images that the restorer was trained on (paper, Fig. 8)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from markupsafe import Markup

from dsr.experiments.analysis.svg import Dot, Series, line_chart, linear_axis
from dsr.experiments.analysis.tables import Table
from dsr.experiments.results import ImagesTrial

Scores = Sequence[ImagesTrial]

MARKERS = ("circle", "square", "triangle")


def restorer_images_table(scores: Scores) -> Table:
    """One row a segmenter: of CO (no restorer, 0 images), and of RO for each number of images."""
    rows: list[tuple[Any, ...]] = [
        ("RO" if score.restorer else "CO", score.point, score.restorer, score.images, number, miou)
        for score in scores
        for number, miou in enumerate(score.miou)
    ]
    return Table(("configuration", "point", "restorer", "images", "replicate", "miou"), rows)


def restorer_images_charts(scores: Scores) -> list[tuple[str, Markup]]:
    """A chart for each operating point.

    MIoU in percent against images, a line for each restorer and a level one for CO.
    """
    charts = []
    x = linear_axis("images the restorer was trained on", [0, *(score.images for score in scores)])
    y = linear_axis("mIoU, %", [100 * mean(score.miou) for score in scores])
    for point in dict.fromkeys(score.point for score in scores):
        here = [score for score in scores if score.point == point]
        unrestored = next(100 * mean(score.miou) for score in here if not score.restorer)
        series = [Series("CO", "train-C test-O", [Dot(x.low, unrestored), Dot(x.high, unrestored)])]
        restorers = list(dict.fromkeys(score.restorer for score in here if score.restorer))
        for number, restorer in enumerate(restorers):
            dots = [
                Dot(
                    score.images,
                    100 * mean(score.miou),
                    f"RO with {restorer} from {score.images} images: {100 * mean(score.miou):.1f} % mIoU",
                )
                for score in here
                if score.restorer == restorer
            ]
            label = "RO" if len(restorers) == 1 else f"RO {restorer}"
            series.append(Series(label, "train-R test-O", dots, MARKERS[number % len(MARKERS)]))
        said = f"CO: {unrestored:.1f} % mIoU; " + "; ".join(dot.tip for one in series for dot in one.dots if dot.tip)
        charts.append((point, line_chart("mIoU in percent against images of the restorer", said, series, x, y)))
    return charts
