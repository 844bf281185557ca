from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dsr.experiments.analysis import perceptual
from dsr.experiments.analysis.report import write_report
from tests.experiments.analysis import example, measured
from tests.experiments.analysis.page import Page

scores = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@pytest.fixture(scope="module")
def results():
    return measured.measure(example.study(restorers=("gan", "rdn-psnr")))


@given(scores)
def test_the_interval_of_a_mean_is_that_of_scipys_t_test(values):
    found = perceptual.mean(values)
    if np.std(values) > 1e-6:
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)
    assert found.value == pytest.approx(np.mean(values), abs=1e-9)


def test_one_image_has_a_mean_without_an_interval():
    assert perceptual.mean([3.0]) == perceptual.Span(3.0, None, None)


@given(scores, st.floats(0.1, 10))
def test_a_density_is_scipys_kernel_estimate_and_has_area_one(values, width):
    places = np.linspace(min(values) - 8 * width, max(values) + 8 * width, 2001)
    found = perceptual.density(values, places, width)
    assert np.trapz(found, places) == pytest.approx(1, rel=1e-3)
    if np.std(values, ddof=1) > 1e-3:
        estimate = stats.gaussian_kde(values, bw_method=width / np.std(values, ddof=1))
        np.testing.assert_allclose(found, estimate(places), rtol=1e-6, atol=1e-12)


def test_changes_are_against_the_same_images_originals(results):
    for index in perceptual.INDEXES:
        originals = results.perceptual[0]
        assert perceptual.score(results, originals, index).change is None
        for entry in results.perceptual[1:]:
            change = perceptual.score(results, entry, index).change
            paired = np.subtract(getattr(entry, index), getattr(originals, index))
            assert change.value == pytest.approx(paired.mean())
            assert change.high - change.low < 2 * 2.1 * np.std(getattr(entry, index)) / np.sqrt(measured.IMAGES)


def test_images_too_small_for_an_index_do_not_count_and_an_index_without_any_is_not_shown(tmp_path):
    results = measured.measure(example.study())
    originals, compressed = results.perceptual[:2]
    for entry in results.perceptual:
        entry.niqe = [None] * measured.IMAGES
    compressed.hosa[:10] = [None] * 10
    found = perceptual.score(results, compressed, "hosa")
    assert found.images == measured.IMAGES - 10
    assert found.change.value == pytest.approx(np.mean(np.subtract(compressed.hosa[10:], originals.hosa[10:])))
    page = Page(write_report(results, tmp_path).read_text(encoding="utf-8"))
    assert page.table("HOSA")[0] == ["Images", "HOSA"]
    assert "NIQE, lower is better" not in page.text


def test_the_page_has_a_chart_of_means_and_one_of_distributions_for_each_index_and_point(results, tmp_path):
    text = write_report(results, tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    (section,) = re.findall(r'(?s)<section id="perceptual">.*?</section>', text)
    assert section.count("<svg") == 4 + 2 + 2 * len(example.POINTS)  # the legend's swatches, means, distributions
    table = page.table("HOSA")
    assert [row[0] for row in table[1:5]] == ["original", "bpg-qp45", "compressed", "restored, gan"]
    mean = np.mean(results.perceptual[1].niqe)
    assert table[3][1].startswith(f"{mean:.2f} +")
    assert f"bpg-qp45, restored, rdn-psnr: {np.mean(results.perceptual[3].hosa):.1f}" in section


def test_the_table_file_has_a_row_for_each_index_and_domain(results, tmp_path):
    write_report(results, tmp_path)
    with open(tmp_path / "perceptual.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (1 + 3 * 3)
    for row in rows:
        assert float(row["low"]) < float(row["mean"]) < float(row["high"])
        assert (row["minus_original"] == "") == (row["domain"] == "original")


def test_equal_scores_of_all_images_are_drawn(tmp_path):
    results = measured.measure(example.study())
    for entry in results.perceptual:
        entry.niqe = [4.0] * measured.IMAGES
        entry.hosa = [20.0]
    text = write_report(results, tmp_path).read_text(encoding="utf-8")
    assert not re.search(r"\b(nan|inf)\b", text)
    assert Page(text).table("HOSA")[3] == ["compressed", "4.00 +0.00 +0.00 to +0.00", "20.00 +0.00"]


def test_a_study_without_measurements_has_neither_section_nor_rows(tmp_path):
    page = Page(write_report(example.study(), tmp_path).read_text(encoding="utf-8"))
    assert not {"perceptual", "shift"} & set(page.attributes("id"))
    for name in ("perceptual.csv", "shift.csv", "activations.csv"):
        assert len((tmp_path / name).read_text().splitlines()) == 1
