"""The report's section on budgets shows what the planner says, for each place of its slider."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from dsr.experiments.analysis.plan import BUDGETS, ROWS, ladder, plan_view
from dsr.experiments.analysis.report import write_report
from dsr.experiments.planning.demand import Demand
from dsr.experiments.planning.known import known
from dsr.experiments.planning.plan import make_plan
from tests.experiments.analysis import example
from tests.experiments.analysis.page import Page


def test_the_ladder_goes_from_all_images_at_the_coarsest_rate_to_all_at_the_finest() -> None:
    found = known(example.study())
    budgets = ladder(found)
    rates = [rated.bpp for rated in found.rated]
    assert len(budgets) == BUDGETS and budgets == sorted(budgets)
    assert budgets[0] == pytest.approx(120 * 24 * 32 / 8 * min(rates))
    assert budgets[-1] == pytest.approx(120 * 24 * 32 / 8 * max(rates))


def test_each_place_of_the_slider_holds_the_planner_s_rows(tmp_path: Path) -> None:
    results = example.study(seeds=(7, 8, 9))
    text = write_report(results, tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    (data,) = re.findall(r'<script type="application/json" id="plan-data">(.*?)</script>', text, re.DOTALL)
    places = json.loads(data)["rows"]
    found = known(results)
    for budget, rows in zip(ladder(found), places):
        best = make_plan(found, Demand(budget, found.size)).rows[:ROWS]
        assert [row[0] for row in rows] == [row.point for row in best]
        assert best[0].score and rows[0][5].startswith(f"{100 * best[0].score.value:.1f} (")
    shown = page.table("kB an image")
    assert shown[1:] == places[BUDGETS // 2]
    slider = next(attributes for tag, attributes in page.tags if attributes.get("id") == "plan-budget")
    assert (slider["max"], slider["value"]) == (str(BUDGETS - 1), str(BUDGETS // 2))


def test_a_study_of_originals_alone_has_no_such_section(tmp_path: Path) -> None:
    results = example.study()
    bare = dataclasses.replace(results, evaluations=[e for e in results.evaluations if e.configuration == "OO"])
    assert plan_view(bare) is None
    assert 'id="plan"' not in write_report(bare, tmp_path).read_text(encoding="utf-8")
