"""The numbers of a study as flat tables: what the CSV files hold and what the page shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Results = Mapping[str, Any]

# Train domain, then test domain; in the order of the argument: the goal, what compression costs, what restoring brings.
CONFIGURATIONS = ("OO", "CO", "RO", "CC", "OC", "OR")


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


def operating_points(results: Results) -> list[dict[str, Any]]:
    """The operating points codec by codec, the hardest compression first."""
    return sorted(results["points"], key=lambda point: (point["codec"], point["compressed"]["bpp"]))


def evaluation(results: Results, configuration: str, point: str) -> dict[str, Any] | None:
    """What `configuration` scored at `point`, or None if the study did not evaluate it. OO is the same at every point."""
    wanted = None if configuration == "OO" else point
    found = (e for e in results["evaluations"] if e["configuration"] == configuration and e["point"] == wanted)
    return next(found, None)


def miou(results: Results, configuration: str, point: str) -> float | None:
    """The mean IoU, in [0, 1], of `configuration` at `point`; None if it was not evaluated."""
    found = evaluation(results, configuration, point)
    return found["miou"] if found else None


def object_means(
    per_class: Mapping[str, float | None], classes: Iterable[Mapping[str, Any]]
) -> dict[str, float | None]:
    """Mean IoU of the classes with small and with big objects (paper, footnote 5 and Table II).

    Classes without an IoU (absent from both labels and predictions) do not count; the mean of no class is None.
    """
    groups: dict[str, list[float]] = {"small": [], "big": []}
    for label in classes:
        iou = per_class.get(label["name"])
        if iou is not None:
            groups["small" if label["small"] else "big"].append(iou)
    return {name: sum(ious) / len(ious) if ious else None for name, ious in groups.items()}


def miou_table(results: Results) -> Table:
    """One row an evaluation: mIoU, pixel accuracy, the means of small and big objects, the difference to OO."""
    rates = {point["point"]: point["compressed"]["bpp"] for point in results["points"]}
    reference = miou(results, "OO", "")
    rows: list[tuple[Any, ...]] = []
    for entry in results["evaluations"]:
        means = object_means(entry["per_class"], results["dataset"]["classes"])
        comparable = reference is not None and entry["miou"] is not None
        rows.append(
            (
                entry["configuration"],
                entry["point"],
                rates.get(entry["point"], results["original_bpp"]),
                entry["miou"],
                entry["miou"] - reference if comparable else None,
                entry["pixel_accuracy"],
                means["small"],
                means["big"],
            )
        )
    columns = (
        "configuration",
        "point",
        "bpp",
        "miou",
        "miou_minus_oo",
        "pixel_accuracy",
        "small_objects",
        "big_objects",
    )
    return Table(columns, rows)


def per_class_table(results: Results) -> Table:
    """One row an evaluation and class: the class's IoU, empty where it is undefined."""
    rows = [
        (entry["configuration"], entry["point"], label["name"], label["small"], entry["per_class"].get(label["name"]))
        for entry in results["evaluations"]
        for label in results["dataset"]["classes"]
    ]
    return Table(("configuration", "point", "class", "small", "iou"), rows)


def rate_distortion_table(results: Results) -> Table:
    """One row an operating point and image domain. A restored image has the rate of the bitstream it came from."""
    rows = [
        (
            point["point"],
            point["codec"],
            point["quality"],
            domain,
            *(point["compressed"].get(rate) for rate in ("bpp", "bpp_min", "bpp_max", "train_bpp")),
            *(point[domain].get(quality) for quality in ("psnr", "ms_ssim", "ms_ssim_db")),
        )
        for point in operating_points(results)
        for domain in ("compressed", "restored")
        if point[domain]
    ]
    columns = ("point", "codec", "quality", "images", "bpp", "bpp_min", "bpp_max", "train_bpp")
    return Table((*columns, "psnr", "ms_ssim", "ms_ssim_db"), rows)


def timings_table(results: Results) -> Table:
    """One row a stage of the study: images, seconds, milliseconds an image."""
    columns = ("stage", "images", "seconds", "per_image_ms")
    return Table(columns, [tuple(row[column] for column in columns) for row in results["timings"]])
