from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr.data_pipelines.datasets import DATASETS, IGNORE, DatasetError, Label, LabelTable, dataset_class
from dsr.data_pipelines.datasets.cityscapes import TABLE as CITYSCAPES
from dsr.data_pipelines.datasets.classes import read_classes, write_classes
from dsr.data_pipelines.datasets.labels import ADD_TO_THE_LIST, voc_color

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


PALETTED = LabelTable(
    tuple(
        Label(i, i, name, color)
        for i, (name, color) in enumerate({"road": (9, 9, 9), "car": (200, 0, 0), "tree": (0, 99, 0)}.items())
    )
    + (Label(255, IGNORE, "void", (0, 0, 0)),)
)
ONE_OF_EACH = np.arange(3, dtype=np.uint8)[None]


def meant(shown: object, table: LabelTable = PALETTED, written: np.ndarray = ONE_OF_EACH) -> list[int]:
    """Train ids of a file that holds the numbers 0, 1, 2 and shows them so."""
    return table.to_train_ids(table.resolve(written, np.array(shown, np.uint8), "a.png"), "a.png")[0].tolist()


def test_a_palette_of_other_colours_says_nothing_and_the_index_is_the_id():
    assert meant([(1, 1, 2), (2, 2, 3), (3, 3, 4)]) == [0, 1, 2]
    voc = [voc_color(i) for i in range(256)]
    assert voc[:4] == [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)] and voc[255] == (224, 224, 192)
    assert meant(voc) == [0, 1, 2]  # although its black is the colour of "void" here
    uncoloured = LabelTable(PALETTED.labels, coloured=False)
    assert meant([(200, 0, 0), (9, 9, 9), (0, 99, 1)], uncoloured) == [0, 1, 2]


def test_a_palette_of_the_classes_colours_is_looked_through():
    assert meant([(0, 99, 0), (9, 9, 9), (200, 0, 0)]) == [2, 0, 1]
    assert meant([(0, 99, 0), (9, 9, 9), (200, 0, 0), (0, 0, 0), (0, 0, 0)]) == [2, 0, 1]  # filled up
    assert meant([(9, 9, 9), (200, 0, 0), (0, 99, 0), (77, 77, 78)]) == [0, 1, 2]


def test_a_palette_of_greys_holds_the_ids_that_are_shown():
    assert meant([(2, 2, 2), (0, 0, 0), (1, 1, 1)]) == [2, 0, 1]
    assert meant([(2, 2, 2), (0, 0, 0), (255, 255, 255)]) == [2, 0, IGNORE]
    with pytest.raises(DatasetError, match=r"ids that the class list does not have, such as 7, 8"):
        meant([(0, 0, 0), (7, 7, 7), (8, 8, 8)])


def test_what_can_be_read_in_two_ways_is_refused():
    with pytest.raises(DatasetError, match="palette index and palette colour disagree: 1 as an id is car.*is tree"):
        meant([(9, 9, 9), (0, 99, 0), (77, 77, 78)])
    mask = np.array([[0, 1]], np.uint8)
    with pytest.raises(
        DatasetError, match="two meanings: 1 as an id is car.*255, is ignored; save the ids as 8-bit grey"
    ):
        meant([0, 255], written=mask)
    assert meant([0, 255], LabelTable(PALETTED.labels[:3]), mask) == [0, 1]
    assert meant([0, 255], LabelTable((PALETTED.labels[0], PALETTED.labels[3])), mask) == [0, IGNORE]
    with pytest.raises(DatasetError, match="palette index 2, but its palette ends at 1"):
        meant([(1, 1, 2), (2, 2, 3)])


def test_colours_are_refused_where_the_list_gives_none_and_the_advice_can_be_followed():
    colours = np.array([[[128, 0, 0]]], np.uint8)
    with pytest.raises(
        DatasetError, match=r"holds colours, such as \[128, 0, 0\].*list gives none.*add the columns r,g,b"
    ):
        LabelTable(PALETTED.labels, coloured=False).to_train_ids(colours, "a.png")
    for name, source in DATASETS.items():
        table = getattr(source, "table", None)
        if table is None or name in ("streets", "photos", "originals"):
            continue
        for raw in (np.array([[[1, 2, 3]]], np.uint8), np.array([[200]], np.uint8)):
            with pytest.raises(DatasetError) as refused:
                table.to_train_ids(raw, "a.png")
            assert "add" not in str(refused.value).replace("--dataset", "") and ADD_TO_THE_LIST not in str(
                refused.value
            )


def test_no_built_in_list_has_two_classes_of_one_name_or_of_one_colour_that_is_read():
    for source in DATASETS.values():
        table = getattr(source, "table", None)
        classes = {} if table is None else {label.name: label.train_id for label in table.labels}
        assert table is None or len(classes) == len(table.labels)
        if table is not None and table.coloured:
            by_color = {}
            for label in table.labels:
                assert by_color.setdefault(label.color, label.train_id) == label.train_id, (source.name, label)


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


TABLES = {
    "own": TABLE,
    **{name: dataset_class(name).table for name in DATASETS if hasattr(dataset_class(name), "table")},
}


@pytest.mark.parametrize("name", TABLES)
def test_train_ids_become_ids_that_stand_for_them(name):
    table = TABLES[name]
    train_ids = np.array([sorted({label.train_id for label in table.labels})], np.uint8)
    ids = table.to_ids(train_ids)
    assert np.array_equal(table.to_train_ids(ids, "a.png"), train_ids)
    assert np.array_equal(table.of_train_ids().to_train_ids(train_ids, "a.png"), train_ids)
    first = {label.train_id: label.id for label in table.labels[::-1]}
    assert ids.tolist() == [[first[train_id] for train_id in train_ids[0]]]


def test_what_no_id_stands_for_is_not_written():
    table = LabelTable((Label(4, 0, "road", (0, 0, 0)), Label(5, 1, "ignored", (0, 0, 1))))
    assert table.to_ids(np.array([[1, 0]], np.uint8)).tolist() == [[5, 4]]
    for missing in (2, IGNORE):
        with pytest.raises(DatasetError, match=rf"1 pixels have a train id, {missing}"):
            table.to_ids(np.array([[1, missing]], np.uint8))
    assert table.of_train_ids().labels[2] == Label(IGNORE, IGNORE, "ignored_", voc_color(1))


@pytest.mark.parametrize("name", TABLES)
def test_a_class_list_is_read_as_it_was_written(name, tmp_path):
    table = TABLES[name]
    for written in (table, table.of_train_ids(), LabelTable.from_json(table.to_json())):
        (tmp_path / "classes.csv").write_bytes(write_classes(written))
        read = read_classes(tmp_path / "classes.csv")
        assert read.classes == written.classes
        assert [(label.id, label.train_id, label.name) for label in read.labels] == [
            (label.id, label.train_id, label.name) for label in written.labels
        ]


def test_a_colour_of_two_classes_is_that_of_the_first_where_the_list_is_read(tmp_path):
    nines = (9, 9, 9)
    table = LabelTable((Label(0, IGNORE, "d", nines), Label(1, 0, 'a, "b"', nines), Label(2, 1, "c", nines, True)))
    (tmp_path / "classes.csv").write_bytes(write_classes(table))
    read = read_classes(tmp_path / "classes.csv")
    assert [replace(label, color=nines) for label in read.labels] == list(table.labels)
    assert len({label.color for label in read.labels}) == 3 and read.labels[1].color == nines
