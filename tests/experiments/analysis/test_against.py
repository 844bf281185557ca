from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dsr.experiments.analysis.against import against_view
from dsr.experiments.analysis.report import write_report
from tests.experiments.analysis import example
from tests.experiments.analysis.page import Page


def pair():
    """A study of three seeds, and another that scores lower, with a restorer more and other settings."""
    ours, theirs = example.study(seeds=(7, 8, 9)), example.study(None, ("gan", "rdn-psnr"), (7, 8, 9))
    for entry in theirs.evaluations:
        entry.miou -= 0.02 + 0.003 * entry.seed * (entry.configuration == "CO")
    theirs.study.name = "second"
    theirs.study.config = {"segmenter": {"steps": 600, "crop": [9, 9]}}
    return ours, theirs


def test_differences_are_ours_minus_theirs_paired_by_seed():
    ours, theirs = pair()
    view = against_view(ours, theirs)
    assert view.comparable and view.name == "second"
    rows = {(row.label, row.point): row for row in view.rows}
    assert rows["OO", ""].apart.points == 2.0
    row = rows["CO", "bpg-qp45"]
    by_seed = [100 * (row.ours.values[seed] - row.theirs.values[seed]) for seed in (7, 8, 9)]
    low, high = stats.t.interval(0.95, 2, np.mean(by_seed), stats.sem(by_seed))
    assert row.apart.points == pytest.approx(np.mean(by_seed), abs=0.05)
    assert row.apart.interval == pytest.approx((low, high), abs=0.05)


def test_cases_of_one_study_alone_are_counted_and_left_out():
    ours, theirs = pair()
    view = against_view(ours, theirs)
    assert len(view.rows) == 1 + 3 * 5 and view.alone == (0, 3 * 2)
    assert {row.label for row in view.rows} == {"OO", "CO", "RO gan", "CC", "OC", "OR gan"}


def test_settings_and_versions_that_differ_are_named_as_they_are_set():
    ours, theirs = pair()
    theirs.versions["dsr"] = "0.2.0"
    found = {(setting.key, str(setting.ours), str(setting.theirs)) for setting in against_view(ours, theirs).settings}
    assert found == {
        ("segmenter.steps", "300", "600"),
        ("segmenter.crop", "None", "[9, 9]"),
        ("dsr", "0.1.0", "0.2.0"),
    }


@pytest.mark.parametrize("field, value", [("name", "other"), ("height", 25), ("images", {"test": 61})])
def test_scores_on_other_images_are_not_subtracted(tmp_path, field, value):
    ours, theirs = pair()
    example.update(theirs.dataset, **{field: value})
    view = against_view(ours, theirs)
    assert not view.comparable and all(row.apart is None for row in view.rows)
    text = "".join(Page(write_report(ours, tmp_path, theirs).read_text(encoding="utf-8")).text)
    assert "not tested on the same images" in text


def test_the_page_has_a_section_only_where_there_is_another_study(tmp_path):
    ours, theirs = pair()
    page = Page(write_report(ours, tmp_path, theirs).read_text(encoding="utf-8"))
    table = page.table("Case")
    assert table[0] == ["Case", "Point", "streets-first", "second", "difference"]
    assert table[1][0] == "OO" and table[1][4].startswith("+2.0")
    assert "#against" in page.attributes("href")
    assert "#against" not in Page(write_report(ours, tmp_path).read_text(encoding="utf-8")).attributes("href")


def test_a_study_against_itself_differs_in_nothing():
    ours = example.study(seeds=(7, 8))
    view = against_view(ours, ours)
    assert not view.settings and all(row.apart.points == 0 and not row.apart.clear for row in view.rows)
