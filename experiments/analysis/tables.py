"""The numbers of a study as flat tables: what the CSV files hold and what the page shows."""

from __future__ import annotations

import csv
import io
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.results import ClassFacts, EvaluationResult, PointResult, Results

PerClass = Mapping[str, Optional[float]]

# Train domain, then test domain; in the order of the argument: the goal, what compression costs, what restoring brings.
CONFIGURATIONS = ("OO", "CO", "RO", "CC", "OC", "OR")

# What one asks of them: a configuration minus another, and what the difference is the effect of.
DIFFERENCES = {
    ("CO", "OO"): "compressing the training images",
    ("RO", "CO"): "restoring the compressed training images",
    ("RO", "OO"): "compressing and restoring the training images",
    ("RO", "CC"): "restoring the training images instead of compressing the test images",
    ("CC", "OO"): "compressing training and test images",
    ("OC", "OO"): "compressing the test images",
    ("OR", "OC"): "restoring the compressed test images",
}

# What tells two evaluations of a study apart.
CASE = ("configuration", "point", "restorer", "seed")


@dataclass(frozen=True)
class Table:
    """Rows of plain values (str, int, float, bool or None) under named columns."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def to_csv(self) -> str:
        """RFC 4180 with full float precision; None is an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()


def fields_of(entry: Any, names: Sequence[str]) -> tuple[Any, ...]:
    """These fields of a result; None for what it, being None, does not have."""
    return tuple(getattr(entry, name, None) for name in names)


def operating_points(results: Results) -> list[PointResult]:
    """The operating points curve by curve, the hardest compression first."""
    return sorted(results.points, key=lambda point: (point.codec, point.curve, point.place))


def hardest_first(results: Results) -> list[PointResult]:
    """The operating points of all codecs and degradations: the headline speaks of the first."""
    return sorted(operating_points(results), key=lambda point: point.ease)


def images_used(results: Results) -> dict[str, int]:
    """How many images of each role a study used: its segmenters and restorers may be trained on some of them alone."""
    parts = {"restore": "restorer", "train": "segmenter"}
    chosen = {role: results.study.config.get(part, {}).get("images") for role, part in parts.items()}
    return {role: chosen.get(role) or images for role, images in results.dataset.images.items()}


def restorers(results: Results) -> list[str]:
    """What restored in this study, in its order."""
    restored = (name for point in results.points for name in point.restored)
    evaluated = (entry.restorer for entry in results.evaluations if entry.restorer)
    return list(dict.fromkeys((*restored, *evaluated)))


def label_of(results: Results, configuration: str, restorer: str | None) -> str:
    """The configuration; where there are several restorers and it has restored images, also which."""
    return f"{configuration} {restorer}" if "R" in configuration and len(restorers(results)) > 1 else configuration


@dataclass(frozen=True)
class Variant:
    """What is compared at an operating point: a configuration and, where it has restored images, what restored them."""

    configuration: str
    restorer: str | None
    label: str


def variants(results: Results) -> list[Variant]:
    """The configurations in their order, those with restored images once for each restorer.

    Of what was trained elsewhere, those that were scored, and OO.
    """
    names: Sequence[str | None] = restorers(results) or [None]
    scored = {"OO", *(entry.configuration for entry in results.evaluations)}
    return [
        Variant(configuration, name, label_of(results, configuration, name))
        for configuration in CONFIGURATIONS
        if configuration in scored or not results.over_images
        for name in (names if "R" in configuration else [None])
    ]


def evaluations(
    results: Results, configuration: str, point: str, restorer: str | None = None
) -> dict[int, EvaluationResult]:
    """What `configuration` scored at `point`, {seed: evaluation}; empty if the study did not evaluate it.

    OO is the same at every point; `restorer` matters where images are restored.
    """
    wanted = (
        configuration,
        None if configuration == "OO" else point,
        restorer if "R" in configuration else None,
    )
    return {
        entry.seed: entry
        for entry in results.evaluations
        if (entry.configuration, entry.point, entry.restorer) == wanted
    }


def miou(results: Results, configuration: str, point: str, restorer: str | None = None) -> BySeed | None:
    """The mean IoU, in [0, 1], of `configuration` at `point`, by seed; None if it was not evaluated."""
    return by_seed(evaluations(results, configuration, point, restorer), lambda entry: entry.miou)


def by_seed(
    found: Mapping[int, EvaluationResult], score: Callable[[EvaluationResult], Optional[float]]
) -> BySeed | None:
    """A score of a case's evaluations {seed: evaluation}, of the seeds that have it; None if none has."""
    scores = {seed: value for seed, entry in found.items() if (value := score(entry)) is not None}
    return BySeed(scores, next(iter(found.values())).tested) if scores else None


def per_class(results: Results, configuration: str, point: str, restorer: str | None = None) -> PerClass | None:
    """IoU of each class, the mean over the seeds in which the class has one.

    None if `configuration` was not evaluated.
    """
    found = [entry.per_class for entry in evaluations(results, configuration, point, restorer).values()]
    if not found:
        return None
    ious = {label.name: [one.get(label.name) for one in found] for label in results.dataset.classes}
    defined = {name: [iou for iou in values if iou is not None] for name, values in ious.items()}
    return {name: statistics.fmean(values) if values else None for name, values in defined.items()}


def fewest_and_most_seeds(results: Results) -> tuple[int, int]:
    """How many seeds the scores are means over: the fewest of a score, and the most."""
    counts = Counter(fields_of(entry, CASE[:-1]) for entry in results.evaluations).values()
    return min(counts, default=0), max(counts, default=0)


def seed_counts(results: Results) -> str:
    """The same in words.

    "3", or "3 to 6" where some configurations were trained with more than others.
    """
    fewest, most = fewest_and_most_seeds(results)
    return f"{most}" if fewest == most else f"{fewest} to {most}"


def object_means(per_class: PerClass, classes: Iterable[ClassFacts]) -> dict[str, float | None]:
    """Mean IoU of the classes with small and with big objects (paper, footnote 5 and Table II).

    Classes without an IoU (absent from both labels and predictions) do not count; the mean of no class is None.
    """
    groups: dict[str, list[float]] = {"small": [], "big": []}
    for label in classes:
        iou = per_class.get(label.name)
        if iou is not None:
            groups["small" if label.small else "big"].append(iou)
    return {name: sum(ious) / len(ious) if ious else None for name, ious in groups.items()}


def miou_table(results: Results) -> Table:
    """One row an evaluation.

    The rate of the test images, mIoU, its difference to OO of the same seed and test images, pixel accuracy, the means
    of small and big objects.
    """
    rates = {point.point: point.compressed.bpp for point in results.points}
    reference = evaluations(results, "OO", "")
    rows: list[tuple[Any, ...]] = []
    for entry in results.evaluations:
        means = object_means(entry.per_class, results.dataset.classes)
        here, goal = (by_seed(one, lambda found: found.miou) for one in ({entry.seed: entry}, reference))
        apart = here.minus(goal) if here else None
        rows.append(
            (
                *fields_of(entry, CASE),
                results.original_bpp if entry.point is None else rates.get(entry.point),
                entry.miou,
                apart.mean if apart else None,
                entry.pixel_accuracy,
                means["small"],
                means["big"],
            )
        )
    scores = ("miou", "miou_minus_oo", "pixel_accuracy", "small_objects", "big_objects")
    return Table((*CASE, "bpp", *scores), rows)


def differences_table(results: Results) -> Table:
    """One row a pair of configurations at an operating point: their difference in mIoU (a fraction), paired by seed.

    `low` and `high` bound its 95 % t-interval over `n` seeds; they are empty for one seed.
    """
    rows: list[tuple[Any, ...]] = []
    for point in operating_points(results):
        for pair in DIFFERENCES:
            for name in restorers(results) if "R" in "".join(pair) else [None]:
                found = difference(results, *pair, point.point, name)
                if found:
                    rows.append((*pair, point.point, name, found.n, found.mean, *(found.interval or (None, None))))
    return Table(("configuration", "minus", "point", "restorer", "n", "difference", "low", "high"), rows)


def difference(
    results: Results, configuration: str, minus: str, point: str, restorer: str | None = None
) -> BySeed | None:
    """mIoU of one configuration minus that of another at an operating point, by seed.

    None if they share none, or were tested on different images.
    """
    first = miou(results, configuration, point, restorer)
    return first.minus(miou(results, minus, point, restorer)) if first else None


def per_class_table(results: Results) -> Table:
    """One row an evaluation and class: the class's IoU, empty where it is undefined."""
    rows = [
        (*fields_of(entry, CASE), label.name, label.small, entry.per_class.get(label.name))
        for entry in results.evaluations
        for label in results.dataset.classes
    ]
    return Table((*CASE, "class", "small", "iou"), rows)


def rate_distortion_table(results: Results) -> Table:
    """One row an operating point and image domain, the restored one once for each restorer.

    A restored image has the rate of the bitstream it came from. `psnr` leaves out the `identical` images.
    """
    rows = [
        (
            point.point,
            point.codec,
            point.quality,
            domain,
            restorer,
            *fields_of(point.compressed, ("bpp", "bpp_min", "bpp_max", "train_bpp")),
            *fields_of(fidelity, ("psnr", "ms_ssim", "ms_ssim_db", "identical")),
        )
        for point in operating_points(results)
        for domain, restorer, fidelity in (
            ("compressed", None, point.compressed),
            *(("restored", name, fidelity) for name, fidelity in point.restored.items()),
        )
    ]
    columns = ("point", "codec", "quality", "images", "restorer", "bpp", "bpp_min", "bpp_max", "train_bpp")
    return Table((*columns, "psnr", "ms_ssim", "ms_ssim_db", "identical"), rows)


def timings_table(results: Results) -> Table:
    """One row a stage of the study: images, seconds, milliseconds an image."""
    columns = ("stage", "images", "seconds", "per_image_ms")
    return Table(columns, [fields_of(row, columns) for row in results.timings])
