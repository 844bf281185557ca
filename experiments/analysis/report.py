"""The report of a study: one self-contained HTML page, its numbers as CSV and as JSON."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from dsr.experiments.analysis import (
    classes,
    figures,
    gains,
    information,
    over_images,
    perceptual,
    restorers,
    rivals,
    shift,
    svg,
    tables,
)
from dsr.experiments.analysis.against import against_view
from dsr.experiments.analysis.first_screen import headline_chart, key_strip
from dsr.experiments.analysis.formats import FILTERS
from dsr.experiments.analysis.headline import Effect, headline, points_apart
from dsr.experiments.analysis.inference_times import STAGES, costs
from dsr.experiments.analysis.page import environment, inlined
from dsr.experiments.analysis.pictures import GAIN, LOSS, MAP_BITS, NO_CHANGE
from dsr.experiments.analysis.plan import changes, plan_view
from dsr.experiments.analysis.restorer_images import restorer_images_charts
from dsr.experiments.analysis.samples import PSNR, gallery, sample_views
from dsr.experiments.analysis.scaling import scaling_view
from dsr.experiments.results import Results, TrainingResult
from dsr.experiments.stored_json import from_json, to_json
from dsr.models.metrics.distances import FEWEST_IMAGES
from dsr.tfrecords.errors import one_sentence
from dsr.tfrecords.files import write_atomically

LARGEST = 8_000_000  # bytes of a page, which samples must not make larger
HEAT_FULL = 20.0  # points of IoU at which a cell of the per-class table has its full colour

MEANINGS = {
    "OO": "no compression: the goal",
    "CO": "training images compressed",
    "RO": "training images restored (dataset restoration)",
    "CC": "training and test images compressed",
    "OC": "test images compressed",
    "OR": "test images restored (image restoration)",
}


TABLES = {
    "miou.csv": tables.miou_table,
    "differences.csv": tables.differences_table,
    "bjontegaard.csv": gains.gains_table,
    "restorers.csv": restorers.restorers_table,
    "rivals.csv": rivals.rivals_table,
    "per_class.csv": tables.per_class_table,
    "class_differences.csv": classes.differences_table,
    "rate_distortion.csv": tables.rate_distortion_table,
    "timings.csv": tables.timings_table,
    "perceptual.csv": perceptual.perceptual_table,
    "shift.csv": shift.shift_table,
    "activations.csv": shift.activations_table,
    "information.csv": information.differences_table,
    "losses.csv": information.losses_table,
    "information_images.csv": information.images_table,
}
"""The files beside the page that hold its numbers, and what is in them."""

RESULTS = "results.json"


def write_report(results: Results, folder: str | Path, against: Optional[Results] = None) -> Path:
    """Write report.html, results.json and the CSV tables into `folder` and return the page's path.

    Args:
        results: what the study found, whose numbers must be finite or None. Paths of sample images must exist.
        folder: made if missing; files of an earlier report are replaced one by one, each at once.
        against: what another study found, to be set beside it on the page.

    Raises:
        ReportError: a sample image is missing or damaged.
        ArtefactError: the folder cannot be written.
    """
    folder = Path(folder)
    # On the page as in the file: what is not finite becomes None.
    results = from_json(Results, to_json(results))
    page = render(results, against)
    texts = {
        RESULTS: json.dumps(to_json(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        **{name: table(results).to_csv() for name, table in TABLES.items()},
        "report.html": page,
    }
    if results.over_images:
        texts["scores.csv"] = over_images.scores_table(results).to_csv()
    with one_sentence(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_atomically(folder / name, text.encode("utf-8"))
    return folder / "report.html"


def render(results: Results, against: Optional[Results] = None) -> str:
    """The page as HTML text with images, styles and script inside; the numbers of `results` are finite."""
    templates = environment()
    templates.filters.update(FILTERS)
    ranked = tables.hardest_first(results)
    seeds = sorted({entry.seed for entry in results.evaluations})
    once = results.over_images and len(seeds) == 1  # of several trainings, what they say together is surer
    page = functools.partial(
        templates.get_template("report.html.jinja").render,
        {field.name: getattr(results, field.name) for field in dataclasses.fields(results)},
        style=inlined("report.css"),
        script=inlined("report.js"),
        answer=over_images.headline(results) if once else headline(results),
        headline_chart=None if results.over_images else headline_chart(results),  # its lines are of trainings
        key_strip=key_strip(results),
        files=[RESULTS, *TABLES, *(["scores.csv"] if results.over_images else [])],
        against=against_view(results, against) if against else None,
        ranked=tables.operating_points(results),
        variants=tables.variants(results),
        restorer_names=tables.restorers(results),
        methods=restorers.METHODS,
        restorer_blocks=restorers.blocks(results),
        contests=rivals.contests(results),
        seeds=seeds,
        seed_counts=tables.seed_counts(results),
        images_used=tables.images_used(results),
        meanings=MEANINGS,
        miou=lambda variant, point: tables.miou(results, variant.configuration, point, variant.restorer),
        per_class=lambda variant, point: tables.per_class(results, variant.configuration, point, variant.restorer),
        class_comparisons=classes.by_point(results),
        classes_lead=classes.lead(results),
        differences=tables.DIFFERENCES,
        difference=lambda *case: tables.difference(results, *case),
        gains=gains.gains(results),
        effect=Effect.of,
        object_means=tables.object_means,
        heat=heat,
        swatch=lambda variant: svg.swatch(*figures.variant_style(results, variant)),
        domain_names=figures.DOMAIN_NAMES,
        miou_charts=figures.miou_charts(results),
        rate_distortion_charts=figures.rate_distortion_charts(results),
        rate_distortion=tables.rate_distortion_table(results),
        measured=any(point.compressed.psnr is not None or point.compressed.bpp is not None for point in results.points),
        domain_swatch=lambda restorer: svg.swatch(figures.domain_style(results, restorer), ""),
        restorer_images_charts=restorer_images_charts(results.restorer_images) if results.restorer_images else [],
        inference_costs=costs(results.inference_times) if results.inference_times else [],
        stages=STAGES,
        at_chance=restorers.at_chance,
        scaling_view=scaling_view(results.scaling),
        plan=plan_view(results),
        changes=lambda measurement: changes(results, measurement),
        curve_charts=figures.curve_charts,
        flat_classes=figures.flat_classes,
        curve_ranges=curve_ranges(results.trainings),
        perceptual_view=perceptual.perceptual_view(results),
        shift_view=shift.shift_view(results),
        information_view=information.information_view(results),
        information_lead=information.lead(results),
        information_parts=information.PARTS,
        information_legend=information_legend(results),
        is_clear=information.clear,
        fewest_images=FEWEST_IMAGES,
        measures=[PSNR, *(variant.label for variant in tables.variants(results))],
        gallery=[] if results.information else gallery(results),  # what loses most says more
        gallery_point=ranked[0].point if ranked else "",
        anchors={artefact.fingerprint: f"artefact-{i}" for i, artefact in enumerate(results.artefacts)},
    )
    views = sample_views(results, LARGEST - len(page(sample_views=[], left_out=0).encode()))
    return page(sample_views=views, left_out=len({sample.key for sample in results.samples}) - len(views))


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


def information_legend(results: Results) -> Optional[dict[str, str]]:
    """The ends and the middle of the maps of lost information as CSS colours; None if there is no such map."""
    if not any(sample.information for sample in results.samples):
        return None
    colors = {"gained": GAIN, "same": NO_CHANGE, "lost": LOSS}
    return {"bits": f"{MAP_BITS:g}", **{name: f"rgb{color}" for name, color in colors.items()}}
