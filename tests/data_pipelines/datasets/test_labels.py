from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr.data_pipelines.datasets import IGNORE, DatasetError, Label, LabelTable
from dsr.data_pipelines.datasets.cityscapes import TABLE as CITYSCAPES

TABLE = LabelTable(
    (
        Label(0, IGNORE, "void", (0, 0, 0)),
        Label(7, 1, "wall", (1, 2, 3), small=True),
        Label(300, 0, "grass", (0, 255, 0)),
        Label(9, 0, "lawn", (0, 200, 0)),
    )
)


def test_classes_are_one_label_per_train_id_in_their_order():
    assert [label.name for label in TABLE.classes] == ["grass", "wall"]
    assert TABLE.num_classes == 2


@given(st.lists(st.sampled_from([0, 7, 9, 300]), min_size=1, max_size=40))
def test_ids_map_as_a_dictionary_would(values):
    expected = [{0: IGNORE, 7: 1, 9: 0, 300: 0}[value] for value in values]
    assert TABLE.to_train_ids(np.array([values], np.uint16), "a.png").tolist() == [expected]


@given(st.integers(-5, 70000))
def test_every_id_outside_the_table_is_refused_by_name(value):
    raw = np.array([[0, value]], np.int32)
    if value in (0, 7, 9, 300):
        assert TABLE.to_train_ids(raw, "a.png").dtype == np.uint8
    else:
        with pytest.raises(DatasetError, match=rf"dir/a\.png.* {value};"):
            TABLE.to_train_ids(raw, "dir/a.png")


def test_colours_map_like_the_ids_that_they_stand_for():
    index = np.random.default_rng(0).integers(0, 4, (5, 6))
    raw = np.array([label.id for label in TABLE.labels])[index]
    colors = np.array([label.color for label in TABLE.labels], np.uint8)[index]
    np.testing.assert_array_equal(TABLE.to_train_ids(colors, "a.png"), TABLE.to_train_ids(raw, "a.png"))
    colors[2, 3] = (9, 9, 9)
    with pytest.raises(DatasetError, match=r"1 pixels.*\[9, 9, 9\]"):
        TABLE.to_train_ids(colors, "a.png")


def test_colorize_shows_the_class_and_leaves_ignored_pixels_black():
    shown = TABLE.colorize(np.array([[0, 1, IGNORE]], np.uint8))
    assert shown.tolist() == [[[0, 255, 0], [1, 2, 3], [0, 0, 0]]]


@pytest.mark.parametrize(
    "labels",
    [
        (Label(0, 0, "a", (0, 0, 0)), Label(0, 1, "b", (0, 0, 0))),
        (Label(0, 0, "a", (0, 0, 0)), Label(1, 2, "b", (0, 0, 0))),
        (Label(0, IGNORE, "a", (0, 0, 0)),),
    ],
    ids=["id twice", "hole in the train ids", "no class"],
)
def test_a_table_that_cannot_be_trained_on_is_refused(labels):
    with pytest.raises(DatasetError):
        LabelTable(labels)


def test_cityscapes_classes_and_small_objects_are_those_of_the_papers_table_2(shared):
    lines = (shared / "reference" / "paper_table2_per_class_iou.csv").read_text().splitlines()
    columns = lines[0].split(",")
    published = {name.lower() for name in columns[3 : columns.index("SmallObj")]}
    assert {label.name.replace(" ", "") for label in CITYSCAPES.classes} == published
    # The paper's SmallObj column is the mean over the small classes: recompute it from its own numbers.
    small = {label.name.replace(" ", "") for label in CITYSCAPES.classes if label.small}
    for line in lines[1:]:
        row = dict(zip(columns, line.split(",")))
        mean = np.mean([float(value) for name, value in row.items() if name.lower() in small])
        assert mean == pytest.approx(float(row["SmallObj"]), abs=0.02)
