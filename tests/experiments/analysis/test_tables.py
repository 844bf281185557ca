from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dsr.experiments.analysis import tables
from dsr.experiments.results import ClassFacts, ScoredOn
from tests.experiments.analysis import example

ious = st.lists(st.tuples(st.booleans(), st.one_of(st.none(), st.floats(0, 1))), max_size=30)


@given(ious)
def test_object_means_agree_with_numpy_and_skip_absent_classes(drawn):
    classes = [ClassFacts(f"class {i}", [], small) for i, (small, _) in enumerate(drawn)]
    per_class = {f"class {i}": iou for i, (_, iou) in enumerate(drawn)}
    means = tables.object_means(per_class, classes)
    values = np.array([np.nan if iou is None else iou for _, iou in drawn])
    small = np.array([small for small, _ in drawn], bool)
    for name, chosen in (("small", values[small]), ("big", values[~small])):
        if np.isnan(chosen).all():
            assert means[name] is None
        else:
            assert means[name] == pytest.approx(np.nanmean(chosen))


def test_object_means_reproduce_the_papers_table_2(shared):
    """The published small and big means follow from the published per-class values, within their rounding."""
    small = {"Person", "Rider", "Motorcycle", "Bicycle", "Pole", "TrafficLight", "TrafficSign"}
    with open(shared / "reference" / "paper_table2_per_class_iou.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name[0].isupper() and name not in ("SmallObj", "BigObj", "MeanIoU")]
    assert len(names) == 19
    classes = [ClassFacts(name, [], name in small) for name in names]
    for row in rows:
        means = tables.object_means({name: float(row[name]) for name in names}, classes)
        assert means["small"] == pytest.approx(float(row["SmallObj"]), abs=0.011)
        assert means["big"] == pytest.approx(float(row["BigObj"]), abs=0.011)


@pytest.mark.parametrize("make", [tables.miou_table, tables.differences_table, tables.rate_distortion_table])
def test_csv_gives_back_every_number_exactly(make):
    table = make(example.study(None, tuple(example.RESTORERS), (7, 8, 9)))
    header, *rows = csv.reader(io.StringIO(table.to_csv(), newline=""))
    assert tuple(header) == table.columns
    for read, written in zip(rows, table.rows):
        for cell, value in zip(read, written):
            assert (type(value)(cell) if isinstance(value, (int, float)) else cell or None) == value


def test_csv_keeps_names_with_commas_quotes_and_line_breaks():
    results = example.study()
    hostile = 'a,"b"\n<c>'
    results.dataset.classes[0].name = hostile
    rows = list(csv.DictReader(io.StringIO(tables.per_class_table(results).to_csv(), newline="")))
    assert {row["class"] for row in rows} == {hostile, "sky", "person", "traffic sign"}


def test_every_evaluation_has_one_miou_row_and_its_difference_to_oo():
    results = example.study()
    rows = tables.miou_table(results).rows
    assert len(rows) == len(results.evaluations) == 1 + 5 * 3
    for row, entry in zip(rows, results.evaluations):
        assert row[:4] == (entry.configuration, entry.point, entry.restorer, entry.seed)
        assert row[5] == entry.miou
        assert row[6] == pytest.approx(entry.miou - example.OO)


def test_several_restorers_and_seeds_have_a_row_for_each_evaluation_against_oo_of_its_seed():
    results = example.study(None, tuple(example.RESTORERS), (7, 8, 9))
    rows = tables.miou_table(results).rows
    assert len(rows) == len({row[:4] for row in rows}) == 3 * (1 + 3 * (3 + 2 * 3))
    goal = {row[3]: row[5] for row in rows if row[0] == "OO"}
    assert len(set(goal.values())) == 3
    assert all(row[6] == pytest.approx(row[5] - goal[row[3]]) for row in rows)


def test_variants_are_the_configurations_with_restored_ones_once_for_each_restorer():
    assert [v.label for v in tables.variants(example.study())] == list(tables.CONFIGURATIONS)
    assert [v.label for v in tables.variants(example.single_point())] == list(tables.CONFIGURATIONS)
    several = example.study(None, ("gan", "rdn-psnr"))
    assert [v.label for v in tables.variants(several)] == [
        *("OO", "CO", "RO gan", "RO rdn-psnr", "CC", "OC", "OR gan", "OR rdn-psnr")
    ]


def test_differences_are_those_of_the_configurations_of_equal_seed_with_their_interval():
    results = example.study(None, ("gan", "rdn-psnr"), (7, 8, 9))
    rows = tables.differences_table(results).rows
    assert len(rows) == len({row[:4] for row in rows}) == 3 * (3 + 4 * 2)
    for configuration, minus, point, restorer, n, mean, low, high in rows:
        first, second = (tables.miou(results, c, point, restorer) for c in (configuration, minus))
        apart = [first.values[seed] - second.values[seed] for seed in (7, 8, 9)]
        expected = stats.t.interval(0.95, 2, loc=np.mean(apart), scale=stats.sem(apart))
        assert (n, mean, low, high) == (3, *(pytest.approx(value) for value in (np.mean(apart), *expected)))


def test_one_seed_has_differences_without_an_interval():
    for row in tables.differences_table(example.study()).rows:
        assert row[4] == 1 and row[5] is not None and row[6:] == (None, None)


def test_a_seed_that_one_side_lacks_is_left_out_of_their_difference():
    results = example.study(None, seeds=(7, 8, 9))
    results.evaluations = [e for e in results.evaluations if (e.configuration, e.seed) != ("RO", 8)]
    found = tables.difference(results, "RO", "CO", "bpg-qp45", "gan")
    assert found is not None and set(found.values) == {7, 9}


def test_the_number_of_seeds_is_the_range_over_the_configurations():
    results = example.study(None, tuple(example.RESTORERS), (7, 8, 9))
    assert tables.seed_counts(results) == "3"
    lacking = [e for e in results.evaluations if (e.configuration, e.restorer, e.seed) != ("RO", "gan", 8)]
    assert tables.seed_counts(dataclasses.replace(results, evaluations=lacking)) == "2 to 3"
    assert tables.seed_counts(dataclasses.replace(results, evaluations=[])) == "0"


def test_the_iou_of_a_class_is_its_mean_over_the_seeds_that_have_one():
    results = example.study(None, seeds=(7, 8, 9))
    found = [e for e in results.evaluations if (e.configuration, e.point) == ("CO", "bpg-qp45")]
    found[1].per_class["sky"] = None
    ious = tables.per_class(results, "CO", "bpg-qp45")
    assert ious is not None
    assert ious["sky"] == pytest.approx((found[0].per_class["sky"] + found[2].per_class["sky"]) / 2)
    assert ious["road"] == pytest.approx(np.mean([e.per_class["road"] for e in found]))
    for entry in found:
        entry.per_class["sky"] = None
    assert tables.per_class(results, "CO", "bpg-qp45")["sky"] is None


def test_oo_has_the_rate_of_the_lossless_originals():
    rows = {row[0]: row for row in tables.miou_table(example.study()).rows}
    assert rows["OO"][4] == 9.02


def test_a_point_of_which_no_test_images_are_left_has_no_rate():
    results = example.study()
    lost, *results.points = results.points
    rates = {row[1]: row[4] for row in tables.miou_table(results).rows}
    assert rates.pop(lost.point) is None and rates.pop(None) == results.original_bpp
    assert rates == {point.point: point.compressed.bpp for point in results.points}


def test_per_class_rows_are_evaluations_times_classes_with_undefined_ious_empty():
    results = example.study()
    results.evaluations[1].per_class["sky"] = None
    table = tables.per_class_table(results)
    assert len(table.rows) == len(results.evaluations) * 4
    assert sum(row[-1] is None for row in table.rows) == 1
    assert table.to_csv().count(",sky,False,\r\n") == 1


def test_a_point_without_restorer_has_one_rate_distortion_row():
    results = example.study()
    results.points[1].restored = {}
    rows = tables.rate_distortion_table(results).rows
    assert [row[3] for row in rows if row[0] == "bpg-qp37"] == ["compressed"]
    assert [row[3] for row in rows if row[0] == "bpg-qp45"] == ["compressed", "restored"]


@pytest.mark.parametrize(
    ("settings", "used"),
    [
        ({}, {"restore": 40, "train": 120, "test": 60}),
        ({"segmenter": {"images": 20}}, {"restore": 40, "train": 20, "test": 60}),
        ({"segmenter": {"images": None}, "restorer": {"images": 5}}, {"restore": 5, "train": 120, "test": 60}),
    ],
)
def test_networks_may_be_trained_on_fewer_images_than_there_are(settings, used):
    results = example.study()
    results.study.config = settings
    assert tables.images_used(results) == used


def test_images_that_the_mean_psnr_leaves_out_are_counted_beside_it():
    results = example.study()
    results.points[0].compressed.identical, results.points[0].restored["gan"].identical = 99, 3
    table = tables.rate_distortion_table(results)
    assert [row[table.columns.index("identical")] for row in table.rows] == [99, 3, 0, 0, 0, 0]


def test_operating_points_are_ordered_by_rate_within_their_codec():
    assert [point.point for point in tables.operating_points(example.study())] == list(example.POINTS)
    reversed_points = dataclasses.replace(example.study(), points=example.study().points[::-1])
    assert [point.point for point in tables.operating_points(reversed_points)] == list(example.POINTS)


def test_scores_on_unlike_images_are_not_subtracted():
    """OC, CC and OR at a point of which an image is missing; all others are tested on all."""
    results = example.lack(example.study(None, seeds=(7, 8, 9)), "bpg-qp45", "test/a")
    unlike = {("RO", "CC"), ("CC", "OO"), ("OC", "OO")}
    for pair in tables.DIFFERENCES:
        for point in example.POINTS:
            found = tables.difference(results, *pair, point, "gan")
            assert (found is None) == (point == "bpg-qp45" and pair in unlike), (pair, point)
    table = tables.miou_table(results)
    for row, entry in zip(table.rows, results.evaluations):
        apart = row[table.columns.index("miou_minus_oo")]
        assert (apart is None) == (entry.point == "bpg-qp45" and entry.configuration in ("CC", "OC", "OR"))


def test_images_that_are_missing_are_told_apart_by_their_keys():
    """As many are missing at both points, and they are others."""
    results = example.study()
    example.lack(results, "bpg-qp45", "test/a")
    for entry in results.evaluations:
        if entry.tested and entry.configuration == "OR" and entry.point == "bpg-qp45":
            entry.tested = ScoredOn(entry.tested.images, ["test/b"])
    assert tables.difference(results, "OR", "OC", "bpg-qp45", "gan") is None
    assert tables.difference(results, "OR", "OC", "bpg-qp37", "gan") is not None
