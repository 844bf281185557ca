"""The list of classes that comes with one's own images: a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from dsr.data_pipelines.datasets.errors import DatasetError
from dsr.data_pipelines.datasets.files import read_bytes
from dsr.data_pipelines.datasets.labels import IGNORE, Label, LabelTable, voc_color

_COLUMNS = ("id", "name", "r", "g", "b", "small", "train_id")
_MAX_BYTES = 1 << 20
_VOID = {"void", "ignore", "ignored", "unlabeled", "unlabelled", "don't care", "dontcare", "dont care", "undefined"}


def read_classes(path: Path) -> LabelTable:
    """A class list: CSV with a header of id,name and, if wanted, r,g,b and small and train_id, in any order.

    Without train_id, classes are numbered in the order of the file. An empty train_id, or 255, ignores the label.
    Without r,g,b, colours are made up for display, and label files must hold ids. small is 1 or 0.

    Raises:
      DatasetError naming the line: what is written is no such list, two classes have one name or one colour, there are
        more classes than 255, a row of id 255 would become a class, as it does without train_id, or all
        rows but one are ignored by an empty one.
      ReadError: the file cannot be read now.
    """
    if not path.exists():
        raise DatasetError(
            f"{path}: the class list cannot be read (no such file); it is a CSV file with a header id,name."
        )
    try:
        text = read_bytes(path, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: the class list is not UTF-8 ({error}); save it as CSV in UTF-8.") from None
    rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    names: Sequence[str] = _COLUMNS
    lines: dict[int, Label] = {}
    seen: dict[object, tuple[int, Label]] = {}
    empty: list[int] = []
    try:
        columns = _columns(path, rows.fieldnames)
        names = rows.fieldnames or ()
        for cells in rows:
            label = lines[rows.line_num] = _label(cells, columns, len(lines))
            if "train_id" in columns and not cells["train_id"].strip():
                empty.append(rows.line_num)
            _compare(rows.line_num, label, seen, columns)
    except (ValueError, csv.Error) as error:
        raise DatasetError(f"{path}, line {rows.line_num}: {error} (columns: {','.join(names)}).") from None
    if "train_id" not in columns:
        _refuse_void(path, lines)
    elif sum(label.train_id != IGNORE for label in lines.values()) < 2 and empty:
        raise DatasetError(
            f"{path}, line {empty[0]}: has no train_id, which ignores it, and so do all rows but one; number the "
            "classes 0, 1, 2, ... in the column train_id, and write 255 in rows to ignore."
        )
    try:
        return LabelTable(tuple(lines.values()), coloured="r" in columns)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None


def write_classes(table: LabelTable) -> bytes:
    """A class list that `read_classes` reads as this table.

    A colour stands for one class there: of labels that share one without being one class, the others get made up ones.
    """
    meaning: dict[tuple[int, int, int], int] = {}
    for label in (*table.classes, *table.labels):
        meaning.setdefault(label.color, label.train_id)
    free = (color for color in map(voc_color, range(1 << 24)) if color not in meaning)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for label in table.labels:
        color = label.color if meaning[label.color] == label.train_id else next(free)
        rows.writerow([label.id, label.name, *color, int(label.small), label.train_id])
    return text.getvalue().encode()


def _columns(path: Path, names: Sequence[str] | None) -> set[str]:
    columns = set(names or ())
    if (
        not {"id", "name"} <= columns
        or columns - set(_COLUMNS)
        or len(columns & {"r", "g", "b"}) not in (0, 3)
        or len(columns) < len(names or ())
    ):
        raise DatasetError(
            f"{path}: the first line must name columns id,name[,r,g,b][,small][,train_id], each once, not {names}."
        )
    return columns


def _label(cells: dict[str, str], columns: set[str], number: int) -> Label:
    """The label of a row; ValueError says what is wrong with it."""
    if None in cells or None in cells.values():
        raise ValueError("has more or fewer cells than there are columns; a name with a comma needs quotes around it")
    name = cells["name"].strip()
    if not name:
        raise ValueError("has no name; give each class one")
    if len(name.splitlines()) > 1:
        raise ValueError("has a line break in its name; a quote may not be closed")
    color = (_byte(cells, "r"), _byte(cells, "g"), _byte(cells, "b")) if "r" in columns else voc_color(number + 1)
    train_id = number
    if "train_id" in columns:
        train_id = _byte(cells, "train_id") if cells["train_id"].strip() else IGNORE
    small = cells.get("small", "0").strip()
    if small not in ("0", "1", ""):
        raise ValueError(f"small must be 1 or 0, not '{small}'")
    return Label(_whole(cells, "id", 65535), train_id, name, color, small == "1")


def _byte(cells: dict[str, str], column: str) -> int:
    return _whole(cells, column, 255)


def _whole(cells: dict[str, str], column: str, maximum: int) -> int:
    text = cells[column].strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= maximum):
        raise ValueError(f"{column} must be a whole number from 0 to {maximum}, not '{text}'")
    return int(text)


def _compare(line: int, label: Label, seen: dict[object, tuple[int, Label]], columns: set[str]) -> None:
    """ValueError if a label does not go with those before it.

    `seen` has the line of each id, name and colour so far.
    """
    marks: dict[str, object] = {"id": label.id, "name": label.name}
    if "r" in columns:
        marks["colour"] = label.color
    for mark, value in marks.items():
        earlier, other = seen.setdefault((mark, value), (line, label))
        if other is not label and (mark == "id" or other.train_id != label.train_id):
            raise ValueError(f"has the {mark} {value} as line {earlier} has, '{other.name}'; give each class its own")
    if "train_id" not in columns and label.train_id >= IGNORE:
        raise ValueError(f"is one more than {IGNORE} classes; leave some out, or join some by a column train_id")


def _refuse_void(path: Path, lines: dict[int, Label]) -> None:
    """DatasetError if a row of a list without train_id becomes a class that is not meant to be one."""
    ids = {label.id for label in lines.values()}
    for line, label in lines.items():
        void = label.name.casefold() in _VOID
        if void or (label.id == IGNORE and ids != {0, IGNORE}):  # 0 and 255 alone: a mask
            raise DatasetError(
                f"{path}, line {line}: '{label.name}' (id {label.id}) would be a class that is learned and counted; "
                "add a column train_id with 255 in this row to ignore it, and 0, 1, 2, ... in the others."
            )
