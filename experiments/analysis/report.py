"""The report of a study: one self-contained HTML page, its numbers as CSV and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsr.experiments.analysis import figures, perceptual, restorers, shift, svg, tables
from dsr.experiments.analysis.domains import significant
from dsr.experiments.analysis.headline import Effect, headline, points_apart
from dsr.experiments.analysis.inference_times import STAGES, costs
from dsr.experiments.analysis.page import environment, inlined
from dsr.experiments.analysis.pictures import Picture, label_map, photograph
from dsr.experiments.analysis.restorer_images import restorer_images_charts
from dsr.experiments.analysis.tables import CONFIGURATIONS
from dsr.experiments.results import ClassFacts, Results, SampleImages, TrainingResult, from_json, to_json
from dsr.tfrecords.errors import one_sentence
from dsr.tfrecords.files import write_atomically

EMBEDDED = 6_000_000  # characters of pictures in a page, after which further samples are left out
HEAT_FULL = 20.0  # points of IoU at which a cell of the per-class table has its full colour

MEANINGS = {
    "OO": "no compression: the goal",
    "CO": "training images compressed",
    "RO": "training images restored (dataset restoration)",
    "CC": "training and test images compressed",
    "OC": "test images compressed",
    "OR": "test images restored (image restoration)",
}


@dataclass(frozen=True)
class Thumbnail:
    """One picture of a sample. `name` is unique within the sample; `drawn` is true for label maps."""

    id: str
    name: str
    caption: str
    detail: str
    picture: Picture
    drawn: bool


@dataclass
class Strip:
    """The pictures of a sample at one operating point, or those that all operating points share."""

    title: str
    note: str
    thumbnails: list[Thumbnail] = field(default_factory=list)


@dataclass(frozen=True)
class SampleView:
    """One test image with everything that was made of it; `pair` is what the page compares at first."""

    key: str
    strips: list[Strip]
    pair: tuple[Thumbnail, Thumbnail]

    @property
    def size(self) -> int:
        """Characters that its pictures take in the page."""
        return sum(len(thumbnail.picture.uri) for strip in self.strips for thumbnail in strip.thumbnails)


def write_report(results: Results, folder: str | Path) -> Path:
    """Write report.html, results.json and the CSV tables into `folder` and return the page's path.

    Args:
        results: what the study found, whose numbers must be finite or None. Paths of sample images must exist.
        folder: made if missing; files of an earlier report are replaced one by one, each at once.

    Raises:
        ReportError: a sample image is missing or damaged.
        ArtefactError: the folder cannot be written.
    """
    folder = Path(folder)
    # On the page as in the file: what is not finite becomes None.
    results = from_json(Results, to_json(results))
    page = render(results)
    texts = {
        "results.json": json.dumps(to_json(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "miou.csv": tables.miou_table(results).to_csv(),
        "differences.csv": tables.differences_table(results).to_csv(),
        "restorers.csv": restorers.restorers_table(results).to_csv(),
        "per_class.csv": tables.per_class_table(results).to_csv(),
        "rate_distortion.csv": tables.rate_distortion_table(results).to_csv(),
        "timings.csv": tables.timings_table(results).to_csv(),
        "perceptual.csv": perceptual.perceptual_table(results).to_csv(),
        "shift.csv": shift.shift_table(results).to_csv(),
        "activations.csv": shift.activations_table(results).to_csv(),
        "report.html": page,
    }
    with one_sentence(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_atomically(folder / name, text.encode("utf-8"))
    return folder / "report.html"


def render(results: Results) -> str:
    """The page as HTML text with images, styles and script inside; the numbers of `results` are finite."""
    templates = environment()
    templates.filters.update(
        percent=percent,
        signed=signed,
        duration=duration,
        decimal=decimal,
        count=count,
        pretty=pretty,
        significant=significant,
    )
    views = sample_views(results)
    return templates.get_template("report.html.jinja").render(
        {field.name: getattr(results, field.name) for field in dataclasses.fields(results)},
        style=inlined("report.css"),
        script=inlined("report.js"),
        answer=headline(results),
        ranked=tables.operating_points(results),
        variants=tables.variants(results),
        restorer_names=tables.restorers(results),
        methods=restorers.METHODS,
        restorer_blocks=restorers.blocks(results),
        seeds=sorted({entry.seed for entry in results.evaluations}),
        seed_counts=tables.seed_counts(results),
        meanings=MEANINGS,
        miou=lambda variant, point: tables.miou(results, variant.configuration, point, variant.restorer),
        per_class=lambda variant, point: tables.per_class(results, variant.configuration, point, variant.restorer),
        differences=tables.DIFFERENCES,
        difference=lambda *case: tables.difference(results, *case),
        effect=Effect.of,
        object_means=tables.object_means,
        heat=heat,
        swatch=lambda variant: svg.swatch(*figures.variant_style(results, variant)),
        domain_names=figures.DOMAIN_NAMES,
        miou_charts=figures.miou_charts(results),
        rate_distortion_charts=figures.rate_distortion_charts(results),
        rate_distortion=tables.rate_distortion_table(results),
        domain_swatch=lambda restorer: svg.swatch(figures.domain_style(results, restorer), ""),
        restorer_images_charts=restorer_images_charts(results.restorer_images) if results.restorer_images else [],
        inference_costs=costs(results.inference_times) if results.inference_times else [],
        stages=STAGES,
        at_chance=restorers.at_chance,
        curve_charts=figures.curve_charts,
        curve_ranges=curve_ranges(results.trainings),
        perceptual_view=perceptual.perceptual_view(results),
        shift_view=shift.shift_view(results),
        sample_views=views,
        left_out=len({sample.key for sample in results.samples}) - len(views),
        anchors={artefact.fingerprint: f"artefact-{i}" for i, artefact in enumerate(results.artefacts)},
    )


def sample_views(results: Results) -> list[SampleView]:
    """The sample images by key: an image that several operating points share (original, labels, OO) is embedded once.

    Samples that would take the page beyond EMBEDDED are left out, but for the first.
    """
    by_key: dict[str, dict[str, SampleImages]] = {}
    for sample in results.samples:
        by_key.setdefault(sample.key, {})[sample.point] = sample
    views: list[SampleView] = []
    room = EMBEDDED
    for number, (key, by_point) in enumerate(by_key.items()):
        view = _sample_view(results, f"sample-{number}", key, by_point)
        room -= view.size
        if views and room < 0:
            break
        views.append(view)
    return views


def curve_ranges(trainings: Sequence[TrainingResult]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each curve over all segmenters, so that their charts can be compared by eye."""
    values: dict[str, list[float]] = {}
    for training in trainings:
        if training.kind == "segmenter":
            for name, curve in training.curves.items():
                values.setdefault(name, []).extend(value for _, value in curve if value is not None)
    return {name: (min(found), max(found)) for name, found in values.items() if found}


def heat(score: float | None, reference: float | None) -> tuple[str, str]:
    """Colour of a cell that is `score` against `reference`: CSS class ('loss', 'gain' or '') and strength in [0, 1]."""
    apart = points_apart(score, reference)
    if not apart:
        return "", "0"
    return ("gain" if apart > 0 else "loss"), f"{min(1.0, abs(apart) / HEAT_FULL):.2f}"


def percent(score: float | None) -> str:
    """A fraction in percent; a dash for None."""
    return "–" if score is None else f"{100 * score:.1f}"


def signed(points: float | None) -> str:
    """Points with their sign; a dash for None."""
    return "–" if points is None else f"{points:+.1f}".replace("-", "−")


def decimal(value: float | None, digits: int) -> str:
    """A number with so many digits behind the point; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def count(value: float | None) -> str:
    """A whole number in groups of three digits; a dash for None."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def filesize(size: int) -> str:
    """A size in bytes as kB or MB (powers of ten)."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def pretty(value: Any) -> str:
    """JSON to read."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _sample_view(results: Results, prefix: str, key: str, by_point: Mapping[str, SampleImages]) -> SampleView:
    """A test image with what each operating point in `by_point` {point: sample} made of it."""
    classes = results.dataset.classes
    first = next(iter(by_point.values()))
    shared = Strip("Every operating point", "")
    for role in ("original", "label", "OO"):
        _add(shared, f"{prefix}-0", role, first.images.get(role), classes)
    strips = [shared]
    for point in tables.operating_points(results):
        sample = by_point.get(point.point)
        if sample:
            strip = Strip(point.point, _sample_note(sample, shared.thumbnails[0].picture))
            here = f"{prefix}-{len(strips)}"
            _add(strip, here, "compressed", sample.images.get("compressed"), classes)
            for name, images in sample.restored.items():
                _add(strip, here, "restored", images.get("restored"), classes, _by(results, name))
            for variant in tables.variants(results)[1:]:
                images = sample.restored.get(variant.restorer, {}) if variant.restorer else sample.images
                role = variant.configuration
                _add(strip, here, role, images.get(role), classes, _by(results, variant.restorer))
            strips.append(strip)
    beside = strips[1].thumbnails[0] if len(strips) > 1 else shared.thumbnails[1]
    return SampleView(key, strips, (shared.thumbnails[0], beside))


def _by(results: Results, restorer: str | None) -> str:
    """The restorer, where there are several to tell apart."""
    return restorer if restorer and len(tables.restorers(results)) > 1 else ""


def _add(
    strip: Strip, prefix: str, role: str, path: str | None, classes: Sequence[ClassFacts], restorer: str = ""
) -> None:
    """Append the picture that plays `role`, if there is one, to `strip`; `restorer` is named if given."""
    if not path:
        return
    drawn = role not in ("original", "compressed", "restored")
    shared = role in ("original", "label", "OO")
    caption = " ".join(filter(None, ({"label": "ground truth"}.get(role, role), restorer)))
    name, detail = caption, ""
    if role in CONFIGURATIONS:
        name = f"{caption} prediction"
        detail = f"train {figures.DOMAIN_NAMES[role[0]]}, test {figures.DOMAIN_NAMES[role[1]]}"
    strip.thumbnails.append(
        Thumbnail(
            id="-".join(filter(None, (prefix, role, restorer))),
            name=name if shared else f"{name}, {strip.title}",
            caption=caption,
            detail=detail,
            picture=label_map(path, classes) if drawn else photograph(path),
            drawn=drawn,
        )
    )


def _sample_note(sample: SampleImages, original: Picture) -> str:
    psnr = "" if sample.psnr is None else f", {sample.psnr:.1f} dB"
    crop = ", central crop shown" if original.cropped else ""
    bitstream = "" if sample.bytes is None else filesize(sample.bytes)
    return f"{bitstream}{psnr}{crop}".removeprefix(", ")
