from __future__ import annotations

import copy
import csv
import re
import xml.etree.ElementTree as ET

import pytest

from dsr.experiments.analysis import shift
from dsr.experiments.analysis.formats import significant
from dsr.experiments.analysis.report import write_report
from tests.experiments.analysis import example, measured
from tests.experiments.analysis.page import Page


@pytest.fixture(scope="module")
def results():
    return measured.measure(example.study(restorers=("gan", "rdn-psnr")))


@pytest.fixture(scope="module")
def written(results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, write_report(results, folder).read_text(encoding="utf-8")


def rows_of(folder, name):
    with open(folder / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_domain_has_its_row_with_distance_interval_and_change(results, written):
    table = Page(written[1]).table("Fréchet distance")
    assert table[0] == ["Images", "Fréchet distance", "minus compressed", "Kernel distance", "minus compressed"]
    assert [row[0] for row in table[1:]] == [
        cell for point in ("bpg-qp45", "bpg-qp37", "msh-quality3") for cell in
        (point, "compressed", "restored, gan", "restored, rdn-psnr")
    ]  # fmt: skip
    found = results.shift.domains[1]
    distance = found.frechet
    assert table[3][1] == " ".join(
        (significant(distance.value), significant(distance.low), "to", significant(distance.high))
    )
    assert table[3][2].startswith(significant(found.change.frechet.value, signed=True))
    assert table[2][2] == "–"


def test_a_scatter_has_a_dot_for_each_channel_and_the_identity_line_from_corner_to_corner(results):
    scatters = shift.shift_view(results).scatters
    assert len(scatters) == len(results.shift.domains)
    for scatter in scatters:
        chart = ET.fromstring(scatter.chart)
        identity, channels = (group.find("path").get("d") for group in chart.iter("g"))
        assert channels.count("M") == channels.count("h0") == len(results.shift.original)
        grid = [path.get("d") for path in chart.iter("path") if path.get("class") == "grid"]
        numbers = [[float(n) for n in re.findall(r"[\d.]+", path)] for path in grid]
        across, down = (
            [n[0] for n in numbers] + [n[2] for n in numbers],
            [n[1] for n in numbers] + [n[3] for n in numbers],
        )
        x0, y0, x1, y1 = (float(n) for n in re.findall(r"[\d.]+", identity))
        assert (x0, x1, y0, y1) == (min(across), max(across), max(down), min(down))


def test_unchanged_activations_lie_on_the_identity_line(results):
    same = copy.deepcopy(results)
    same.shift.domains[0].correlation.activations = list(same.shift.original)
    chart = ET.fromstring(shift.shift_view(same).scatters[0].chart)
    identity, channels = (re.findall(r"M?([\d.]+) ([\d.]+)", g.find("path").get("d")) for g in chart.iter("g"))
    (x0, y0), (x1, y1) = ((float(x), float(y)) for x, y in identity)
    for x, y in channels:
        assert float(y) == pytest.approx(y0 + (float(x) - x0) * (y1 - y0) / (x1 - x0), abs=0.15)


def test_the_files_have_all_numbers(results, written):
    rows = rows_of(written[0], "shift.csv")
    assert len(rows) == 9
    for row, entry in zip(rows, results.shift.domains):
        assert float(row["frechet"]) == entry.frechet.value
        assert float(row["kernel_high"]) == entry.kernel.high
        assert (row["frechet_minus_compressed"] == "") == (row["restorer"] == "")
        assert float(row["r2"]) == entry.correlation.r2
    channels = rows_of(written[0], "activations.csv")
    assert len(channels) == 9 * len(results.shift.original)
    assert float(channels[5]["original"]) == results.shift.original[5]
    assert float(channels[5]["activation"]) == results.shift.domains[0].correlation.activations[5]


def test_every_mark_of_a_distance_stands_between_the_ends_of_its_bar(results):
    for _, chart in shift.shift_view(results).charts:
        spans = [g for g in ET.fromstring(chart).iter("g") if "span" in (g.get("class") or "").split()]
        bars = [g.find("path").get("d") for g in spans if g.find("path") is not None]
        marks = [path.get("d") for g in spans for path in g.iter("path") if path.get("class") == "shape"]
        assert len(bars) == len(marks) == 9
        for bar, mark in zip(bars, marks):
            low, y, high, _ = (float(n) for n in re.findall(r"[\d.]+", bar))
            x, level = (float(n) for n in re.findall(r"[\d.]+", mark)[:2])
            assert low <= x <= high and level == y


def test_numbers_have_three_digits_and_a_true_minus():
    assert [significant(value) for value in (1.0, 0.05, -12.34, 1234.5, 0.0, None)] == [
        "1.00",
        "0.0500",
        "−12.3",
        "1.23e+03",
        "0",
        "–",
    ]
    assert significant(0.5, signed=True) == "+0.500"


def test_hostile_names_are_text(tmp_path):
    hostile = "</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
    results = measured.measure(example.study())
    for entry in [*results.points, *results.perceptual, *results.shift.domains, *results.evaluations]:
        entry.point = entry.point and hostile + entry.point
    results.shift.features = hostile
    page = Page(write_report(results, tmp_path).read_text(encoding="utf-8"))
    assert "x" not in page.attributes("src") and not page.attributes("onerror")
    assert "".join(page.text).count(hostile) > 20
