"""Codecs side by side: fidelity against the rate of real bitstreams, as CSV and one page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Optional

from markupsafe import Markup

from dsr.experiments.analysis.bjontegaard import RateCurve, bd_rate, why_no_rate
from dsr.experiments.analysis.formats import left_out, on_common
from dsr.experiments.analysis.gains import Gain
from dsr.experiments.analysis.page import environment, inlined
from dsr.experiments.analysis.svg import Dot, Series, line_chart, linear_axis, rate_axis
from dsr.experiments.results import LeftOut
from dsr.tfrecords.files import write_atomically

MEASURES = {"psnr": "PSNR, dB", "ms_ssim_db": "MS-SSIM, dB"}
MARKERS = ("circle", "square", "triangle", "diamond")


@dataclass(frozen=True)
class RatePoint:
    """A codec at one quality over a set of images.

    Bits of all bitstreams / all pixels, means of the images' PSNR (dB) and MS-SSIM (0 to 1), and -10 log10(1 -
    MS-SSIM); None where nothing was lost. PSNR is of the images that are not identical to their originals.
    """

    codec: str
    point: str
    bpp: float
    psnr: Optional[float]
    ms_ssim: float
    ms_ssim_db: Optional[float]
    identical: int = 0


@dataclass(frozen=True)
class Comparison:
    """Points that are measured on the same images, so many; and which images some of them lack, so that none has."""

    images: int
    points: list[RatePoint]
    left_out: list[LeftOut] = field(default_factory=list)


def write_rate_distortion(name: str, found: Comparison, folder: Path) -> Path:
    """Write rate_distortion.csv and rate_distortion.html into `folder`, which is there, and return the page's path.

    The page calls the images by `name`. It has a chart for each measure and the table of points, with the BD-rate of
    every codec against the first, or why there is none.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [column.name for column in fields(RatePoint)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(point) for point in found.points)
    write_atomically(folder / "rate_distortion.csv", text.getvalue().encode())
    page = folder / "rate_distortion.html"
    write_atomically(page, render(name, found).encode())
    return page


def not_measured(found: Comparison) -> str:
    """On which images nothing is measured, and why; "" if there are none."""
    return on_common("measured", found.images, "images", found.left_out)


def render(name: str, found: Comparison) -> str:
    """The page as HTML text."""
    points = found.points
    codecs = list(dict.fromkeys(point.codec for point in points))
    return (
        environment()
        .get_template("rate_distortion.html.jinja")
        .render(
            name=name,
            images=found.images,
            not_measured=not_measured(found),
            points=points,
            codecs=codecs,
            measures=MEASURES,
            charts=[(caption, _chart(measure, caption, codecs, points)) for measure, caption in MEASURES.items()],
            bd_rates={
                codec: [_against(codecs[0], codec, measure, points) for measure in MEASURES] for codec in codecs[1:]
            },
            left_out=left_out,
            style=inlined("report.css"),
        )
    )


def _chart(measure: str, caption: str, codecs: Sequence[str], points: Sequence[RatePoint]) -> Markup:
    series = []
    for number, codec in enumerate(codecs):
        dots = []
        for point in sorted((point for point in points if point.codec == codec), key=lambda point: point.bpp):
            value = getattr(point, measure)
            if value is not None:
                said = ", ".join(filter(None, (caption, left_out(point.identical) if measure == "psnr" else "")))
                dots.append(Dot(point.bpp, value, f"{codec}: {value:.2f} ({said}) at {point.bpp:.3g} bpp"))
        series.append(Series(codec, f"codec-{number % 6 + 1}", dots, MARKERS[number % len(MARKERS)]))
    dots = [dot for one in series for dot in one.dots]
    said = "; ".join(dot.tip for dot in dots)
    axes = rate_axis(dot.x for dot in dots), linear_axis(caption, [dot.y for dot in dots])
    return line_chart(f"{caption} against bits per pixel", said, series, *axes)


def _curve(codec: str, measure: str, points: Sequence[RatePoint]) -> RateCurve:
    """A codec's by rising rate, without points that lost nothing."""
    pairs = sorted((p.bpp, getattr(p, measure)) for p in points if p.codec == codec and getattr(p, measure) is not None)
    return RateCurve(codec, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def _against(anchor: str, codec: str, measure: str, points: Sequence[RatePoint]) -> Gain:
    """BD-rate in percent, or why there is none."""
    curves = [_curve(one, measure, points) for one in (anchor, codec)]
    refused = why_no_rate(*curves)
    return Gain(refused=refused) if refused else Gain(bd_rate(*curves))
