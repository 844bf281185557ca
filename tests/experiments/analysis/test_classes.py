"""What is said of single classes is of pairs of equal seed, holds for all classes together, and hides none."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dsr.experiments.analysis.classes import comparisons, differences_table, lead
from dsr.experiments.analysis.report import render, write_report
from dsr.experiments.results import EvaluationResult, Results
from tests.experiments.analysis import example

HARDEST = "bpg-qp45"
SEEDS = (7, 8, 9)


def study(changes: dict[str, tuple[float, ...]], seeds: tuple[int, ...] = SEEDS) -> Results:
    """Every class has an IoU of 0.5, but for what restoring changes at the hardest point, by class and seed."""
    results = example.study(seeds=seeds)
    for entry in results.evaluations:
        entry.per_class = {label.name: 0.5 for label in results.dataset.classes}
        if case(entry) == ("RO", HARDEST, "gan"):
            for name, apart in changes.items():
                entry.per_class[name] += apart[seeds.index(entry.seed)]
    return results


def case(entry: EvaluationResult) -> tuple[str, str | None, str | None]:
    return entry.configuration, entry.point, entry.restorer


def interval(apart: Sequence[float], confidence: float) -> tuple[float, float]:
    """In points, by another implementation."""
    return tuple(stats.ttest_1samp(np.multiply(apart, 100), 0).confidence_interval(confidence))


def test_what_the_mean_of_classes_hides_is_said_with_an_interval_for_all_of_them() -> None:
    apart = {"person": (-0.060, -0.061, -0.059), "road": (0.070, 0.071, 0.069), "sky": (0.03, -0.03, 0.01)}
    low, high = interval(apart["person"], 1 - 0.05 / 4)
    assert lead(study(apart)) == (
        f"At {HARDEST}, of 4 classes, restoring changes the IoU of road by +7.0 (+{1 - high:.1f} to +{1 - low:.1f}), "
        f"of person by -6.0 ({low:.1f} to {high:.1f}). These intervals hold for all classes of a measure together."
    )


def test_how_many_seeds_a_comparison_has_is_said_once_and_of_a_class_where_it_has_fewer() -> None:
    results = study({"person": (-0.060, -0.061, -0.059), "road": (0.070, 0.071, 0.069)})
    results.evaluations = [e for e in results.evaluations if (e.configuration, e.seed) != ("RO", 9)]
    for entry in results.evaluations:
        if case(entry) == ("RO", HARDEST, "gan") and entry.seed == 8:
            entry.per_class["sky"] = None
    (restoring,) = (one for one in comparisons(results, HARDEST) if one.case.configuration == "RO")
    assert restoring.seeds == 2 and all(one.seeds is None for one in comparisons(results, HARDEST)[:1])
    assert {label.name: restoring.effect(label.name).seeds for label in results.dataset.classes} == {
        **dict.fromkeys(("road", "person", "traffic sign")),
        "sky": 1,
    }
    assert lead(results).endswith("hold for all classes of a measure together, over 2 seeds.")


def test_a_class_without_an_iou_in_a_seed_of_one_side_speaks_for_itself_alone() -> None:
    results = study({"person": (-0.060, -0.061, -0.059)})
    for entry in results.evaluations:
        if case(entry) == ("RO", HARDEST, "gan") and entry.seed == 9:
            entry.per_class["sky"] = None
    (restoring,) = (one for one in comparisons(results, HARDEST) if one.case.configuration == "RO")
    assert restoring.seeds is None and restoring.effect("sky").seeds == 2 and restoring.effect("person").seeds is None
    assert lead(results).endswith("hold for all classes of a measure together.")


def test_what_one_class_alone_would_show_is_not_claimed_of_one_in_four() -> None:
    apart = (-0.02, -0.03, -0.04)
    assert interval(apart, 0.95)[1] < 0 < interval(apart, 1 - 0.05 / 4)[1]
    assert "no single one is shown to change" in lead(study({"person": apart}))


def test_one_seed_says_nothing_of_classes() -> None:
    results = study({"person": (-0.5,)}, seeds=(7,))
    assert lead(results) == "" and not differences_table(results).rows
    assert "Differences by class" not in render(results)


def test_what_is_found_more_often_and_said_wrongly_more_often_is_told_apart() -> None:
    """Of 100 pixels of persons CO finds 80 and calls 20 of the road one; RO finds 90 and calls 90 one."""
    results = study({})
    for entry in results.evaluations:
        found, wrong = (90, 90) if case(entry) == ("RO", HARDEST, "gan") else (80, 20)
        found += entry.seed - 7  # the same in both
        entry.confusion = [[1000 - wrong, 0, wrong, 0], [0, 500, 0, 0], [100 - found, 0, found, 0], [0, 0, 0, 0]]
    made = {(one.case.configuration, one.measure): one.found for one in comparisons(results, HARDEST)}
    recall, precision = made["RO", "recall"], made["RO", "precision"]
    assert recall["person"].values == pytest.approx({7: 0.10, 8: 0.10, 9: 0.10})
    assert precision["person"].values == pytest.approx(
        {7 + n: (90 + n) / (180 + n) - (80 + n) / (100 + n) for n in range(3)}
    )
    assert "traffic sign" not in recall and "traffic sign" not in precision, "no pixel has it, or is said to"
    assert "restoring changes the recall of person by +10.0 (" in lead(results)
    assert "); the precision of person by -29" in lead(results)


def test_differences_of_classes_add_up_to_that_of_their_mean() -> None:
    rng = np.random.default_rng(5)
    results = study({})
    for entry in results.evaluations:
        entry.per_class = {name: float(rng.uniform()) for name in entry.per_class}
    for one in comparisons(results, HARDEST):
        means = [
            np.mean([list(entry.per_class.values()) for entry in results.evaluations if case(entry) == wanted])
            for wanted in sides(one.case.configuration, one.minus.configuration, HARDEST, one.case.restorer)
        ]
        assert np.mean([found.mean for found in one.found.values()]) == pytest.approx(means[0] - means[1])


def test_a_class_without_an_iou_in_a_seed_is_compared_in_the_others_and_one_without_any_is_left_out() -> None:
    results = study({"person": (0.1, 0.2, 0.4)})
    for entry in results.evaluations:
        entry.per_class["sky"] = None
        if entry.configuration == "CO" and entry.seed == 9:
            entry.per_class["person"] = None
    (restoring,) = (one for one in comparisons(results, HARDEST) if one.case.configuration == "RO")
    assert list(restoring.found) == ["road", "person", "traffic sign"] and restoring.confidence == 1 - 0.05 / 3
    assert restoring.found["person"].values == pytest.approx({7: 0.1, 8: 0.2})


def test_the_page_and_its_table_have_each_restorer_and_class(tmp_path: Path) -> None:
    results = example.study(restorers=("gan", "rdn-psnr"), seeds=SEEDS)
    page = write_report(results, tmp_path).read_text()
    compared = ("CO − OO", "RO gan − CO", "RO rdn-psnr − CO", "RO gan − RO rdn-psnr")
    assert all(name in page for name in (*compared, lead(results)))
    with open(tmp_path / "class_differences.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(example.POINTS) * len(compared) * len(example.CLASSES) and {
        row["measure"] for row in rows
    } == {"IoU"}
    for row in rows:
        scores = [
            {e.seed: e.per_class[row["class"]] for e in results.evaluations if case(e) == wanted}
            for wanted in sides(*(row[name] or None for name in SIDES))
        ]
        apart = [scores[0][seed] - scores[1][seed] for seed in SEEDS]
        low, high = interval(apart, float(row["confidence"]))
        assert float(row["difference"]) == pytest.approx(np.mean(apart))
        assert (100 * float(row["low"]), 100 * float(row["high"])) == pytest.approx((low, high))


def test_a_restorer_beside_another_is_compared_class_by_class_though_neither_differs_from_co() -> None:
    """CO and each restorer are some way apart by chance; the two restorers are not, by another implementation."""
    results = example.study(restorers=("gan", "rdn-psnr"), seeds=SEEDS)
    found = {7: 0.03, 8: -0.04, 9: 0.01}
    apart = (0.020, 0.021, 0.019)
    for entry in results.evaluations:
        entry.per_class = dict.fromkeys(entry.per_class, 0.5)
        if entry.configuration == "RO" and entry.point == HARDEST:
            more = apart[SEEDS.index(entry.seed)] if entry.restorer == "gan" else 0.0
            entry.per_class["person"] += found[entry.seed] + more
    shown = {(one.case.label, one.minus.label): one.shown for one in comparisons(results, HARDEST)}
    low, high = interval(apart, 1 - 0.05 / 4)
    assert shown == {
        ("CO", "OO"): [],
        ("RO gan", "CO"): [],
        ("RO rdn-psnr", "CO"): [],
        ("RO gan", "RO rdn-psnr"): [f"of person by +2.0 (+{low:.1f} to +{high:.1f})"],
    }
    assert "no single one is shown to change by restoring" in lead(results)


SIDES = ("configuration", "minus", "point", "restorer", "minus_restorer")


def sides(
    configuration: str, minus: str, point: str, restorer: str | None, other: str | None = None
) -> list[tuple[str, str | None, str | None]]:
    return [(configuration, point, restorer), (minus, None if minus == "OO" else point, other)]
