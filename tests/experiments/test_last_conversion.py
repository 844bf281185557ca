"""The operating point that commands take when they are told none does not depend on clocks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.domain import Domain
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.last_conversion import LAST, converted, last_conversion, remember_conversion
from dsr.experiments.study import Study
from tests.experiments import studies
from tests.experiments.studies import HERE

SMALL = [
    f"dataset.options.{key}={value}"
    for key, value in {"height": 16, "width": 16, "restore": 1, "train": 1, "test": 1}.items()
]


def study(work: Path, points: str = "jpeg-quality7") -> Study:
    return Study(apply_overrides(studies.small(), [*SMALL, f"points={points}"]), work, HERE)


def convert(work: Path, point: str) -> Study:
    made = study(work, point)
    make([made.shards(Domain("C", made.degradations[0]), "test")], Progress())
    return made


def test_nothing_converted_is_the_studys_first_point(tmp_path: Path) -> None:
    assert last_conversion(study(tmp_path)) == OperatingPoint("jpeg", 7)


def test_the_last_is_the_one_that_was_written_down_whatever_the_clock_says(tmp_path: Path) -> None:
    for point in ("webp-quality20", "jpeg-quality10"):
        remember_conversion(convert(tmp_path, point))
    for path in tmp_path.rglob("*webp*"):
        os.utime(path, (2e9, 2e9))
    assert last_conversion(study(tmp_path)) == OperatingPoint("jpeg", 10)


def test_the_only_one_needs_no_note_and_of_several_one_must_be_named(tmp_path: Path) -> None:
    convert(tmp_path, "webp-quality20")
    assert last_conversion(study(tmp_path)).make().point == "webp-quality20"
    convert(tmp_path, "jpeg-quality10")
    with pytest.raises(ConfigError, match="jpeg-quality10, webp-quality20 of streets: say which with --codec"):
        last_conversion(study(tmp_path))


def test_points_have_the_same_order_in_whatever_order_a_file_system_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for point in ("webp-quality20", "jpeg-quality10", "jpeg-quality20"):
        convert(tmp_path, point)
    glob, orders = Path.glob, []
    for backwards in (False, True):
        monkeypatch.setattr(Path, "glob", lambda path, text, b=backwards: sorted(glob(path, text), reverse=b))
        orders.append(list(converted(study(tmp_path))))
    assert orders[0] == orders[1] and len(orders[0]) == 3


@pytest.mark.parametrize("text", ["{", "[]", '{"codec": 7}', '{"codec": "jpeg", "more": 1}'])
def test_a_damaged_note_is_named(tmp_path: Path, text: str) -> None:
    remember_conversion(study(tmp_path))
    (study(tmp_path).folder / LAST).write_text(text)
    with pytest.raises(ConfigError, match=f"{LAST} is damaged"):
        last_conversion(study(tmp_path))
