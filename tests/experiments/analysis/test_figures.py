from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dsr.experiments.analysis import figures, svg, tables
from dsr.models.restorers.registry import RESTORERS
from tests.experiments.analysis import example

numbers = st.floats(-1e6, 1e6)
rates = st.floats(0.001, 100)


def parse(chart: str) -> ET.Element:
    return ET.fromstring(chart)


def tooltips(chart: str) -> list[str]:
    return [title.text or "" for title in parse(chart).iter("title")]


@given(st.lists(numbers, min_size=1, max_size=20))
def test_a_linear_axis_covers_its_values_with_few_evenly_spaced_ticks(values):
    axis = svg.linear_axis("", values)
    slack = 1e-6 * (axis.high - axis.low)
    assert axis.low - slack <= min(values) and max(values) <= axis.high + slack
    assert 2 <= len(axis.ticks) <= 8
    steps = {f"{(b - a) / (axis.high - axis.low):.6f}" for a, b in zip(axis.ticks, axis.ticks[1:])}
    assert len(steps) == 1


@given(st.lists(rates, min_size=1, max_size=8))
def test_a_rate_axis_maps_its_values_in_order_into_the_chart_and_is_logarithmic_for_wide_ranges(values):
    axis = svg.rate_axis(values)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert places[0] >= -1e-6 and places[-1] <= 1 + 1e-6
    assert axis.log == (max(values) / min(values) > svg.LOG_RANGE)
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks) or not axis.log
    assert len(axis.ticks) >= 2


def test_equal_ratios_are_equal_distances_on_a_logarithmic_axis():
    axis = svg.rate_axis([0.01, 1.0])
    assert axis.at(0.1) - axis.at(0.01) == pytest.approx(axis.at(1.0) - axis.at(0.1))


@given(st.lists(st.floats(20, 300), min_size=1, max_size=12))
def test_labels_keep_their_order_and_distance_and_stay_in_the_chart(places):
    gap, low, high = 15.0, 12.0, 320.0
    moved = svg.spread_apart(places, gap, low, high)
    by_place = [new for _, new in sorted(zip(places, moved))]
    assert all(b - a >= gap - 1e-6 for a, b in zip(sorted(by_place), sorted(by_place)[1:]))
    assert min(moved) >= low - 1e-6 and max(moved) <= high + 1e-6
    assert all(new_a <= new_b for (a, new_a) in zip(places, moved) for (b, new_b) in zip(places, moved) if a < b)


@given(st.lists(st.floats(20, 300), min_size=2, max_size=5))
def test_labels_that_do_not_collide_stay(places):
    places.sort()
    assume(all(b - a >= 15 for a, b in zip(places, places[1:])))
    assert svg.spread_apart(places, 15.0, 12.0, 320.0) == pytest.approx(places)


def test_the_miou_charts_show_each_score_once_under_its_codec():
    charts = figures.miou_charts(example.study())
    assert len(charts) == 2  # bpg, msh
    for (caption, chart), codec in zip(charts, ("bpg", "msh")):
        assert caption == f"mIoU, %: {codec}"
        expected = {
            (configuration, name, f"{100 * scores[column]:.1f} % mIoU")
            for configuration, scores in example.SCORES.items()
            for column, name in enumerate(example.POINTS)
            if name.startswith(codec)
        }
        tips = tooltips(chart)
        assert len(tips) == len(expected)
        for configuration, name, score in expected:
            assert any(tip.startswith(f"{configuration} at {name} ") and score in tip for tip in tips)


def test_markers_stand_where_their_axes_put_them():
    x, y = svg.linear_axis("x", [0, 10]), svg.linear_axis("y", [0, 100])
    dots = [svg.Dot(value, value**2, f"tip {value}") for value in (0, 5, 10)]
    chart = svg.line_chart("t", "d", [svg.Series("end", "s", dots, "circle")], x, y)
    (line,) = [path for path in parse(chart).iter("path") if path.get("class") is None]
    places = [tuple(map(float, pair.split())) for pair in line.attrib["d"][1:].split("L")]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.2)
    assert y1 == pytest.approx(y0 + (y2 - y0) / 4, abs=0.2) and y2 < y0  # up is less in SVG
    markers = [path.attrib["d"] for path in parse(chart).iter("path") if path.get("class") == "shape"]
    assert [tuple(map(float, re.findall(r"[\d.]+", d)[:2])) for d in markers] == places


def test_oo_is_the_same_level_line_on_every_chart():
    levels = set()
    for _, chart in figures.miou_charts(example.study()):
        (line,) = parse(chart).findall("./g[@class='series train-O reference']/path")
        levels |= set(re.findall(r"[ML][\d.]+ ([\d.]+)", line.attrib["d"]))
    assert len(levels) == 1


def test_a_single_operating_point_has_markers_but_no_lines_except_oo():
    ((caption, chart),) = figures.miou_charts(example.single_point())
    assert caption == "mIoU, %"
    assert len(tooltips(chart)) == 3  # CO, CC, OC
    lines = [path for path in parse(chart).iter("path") if path.get("class") is None]
    assert len(lines) == 1


def test_rate_distortion_shows_compressed_and_restored_and_skips_what_is_missing():
    results = example.study()
    results.points[0].restored = {}
    results.points[1].compressed.psnr = None
    charts = dict(figures.rate_distortion_charts(results))
    assert len(tooltips(charts["PSNR, dB"])) == 2 * 3 - 2
    assert len(tooltips(charts["MS-SSIM, dB"])) == 2 * 3 - 1


def series(chart: str) -> dict[str, tuple[str, str]]:
    """End label -> (style, marker) of the series of a chart; a label is drawn in the style of its series."""
    shapes = {shape: name for name, shape in svg.MARKERS.items()}
    markers = {
        group.attrib["class"]: shapes[re.sub(r"^M[\d.]+ [\d.]+", "", path.attrib["d"])]
        for group in parse(chart).iter("g")
        for path in group.iter("path")
        if path.get("class") == "shape" and group.get("class") != "marker"
    }
    labelled = {
        text.text or "": group.attrib["class"]
        for group in parse(chart).iter("g")
        for text in group.iter("text")
        if text.get("class") == "end"
    }
    return {label: (style, markers.get(style, "")) for label, style in labelled.items()}


def test_restorers_are_told_apart_by_label_style_and_marker_on_charts_of_their_own_tests():
    results = example.study(None, tuple(example.RESTORERS))
    charts = figures.miou_charts(results)
    assert [caption for caption, _ in charts] == [
        f"mIoU, %: {codec}, tested on {images}"
        for codec in ("bpg", "msh")
        for images in ("originals", "compressed or restored images")
    ]
    on_originals, on_others = (series(chart) for _, chart in charts[:2])
    assert set(on_originals) == {"OO", "CO", "RO gan", "RO rdn-psnr", "RO rdn-msssim"}
    assert set(on_others) == {"OO", "CC", "OC", "OR gan", "OR rdn-psnr", "OR rdn-msssim"}
    for found in (on_originals, on_others):
        assert len({style for style, _ in found.values()}) == len(found)
    for name in example.RESTORERS:
        assert on_originals[f"RO {name}"][1] == on_others[f"OR {name}"][1]
    assert len({on_originals[f"RO {name}"][1] for name in example.RESTORERS}) == 3


def test_every_registered_restorer_has_a_line_of_its_own():
    names = tuple(RESTORERS)
    results = example.study(None, names)
    found = series(figures.miou_charts(results)[0][1])
    lines = [found[f"RO {name}"] for name in names]
    assert len(set(lines)) == len({marker for _, marker in lines}) == len(names)
    styles = {style for style, _ in lines}
    sheet = (Path(figures.__file__).parent / "report.css").read_text()
    assert all(f".restorer-{rank} " in sheet for rank in range(2, len(styles) + 1))


def test_error_bars_go_from_the_lowest_to_the_highest_seed_and_stand_beside_each_other():
    seeds = (7, 8, 9)
    results = example.study(None, seeds=seeds)
    ((_, chart), _) = figures.miou_charts(results)
    root = parse(chart)
    bars = [re.findall(r"[\d.]+", path.attrib["d"])[:3] for path in root.iter("path") if path.get("class") == "error"]
    assert len(bars) == len(tooltips(chart)) == 2 * 5
    assert len({across for across, _, _ in bars}) == 2 * 5
    level = {
        float(text.text): float(text.attrib["y"])
        for text in root.iter("text")
        if text.get("class") == "tick" and text.get("text-anchor") == "end"
    }
    (bottom, top) = min(level), max(level)
    scale = (level[bottom] - level[top]) / (top - bottom)
    spans = []
    for configuration in example.SCORES:
        for point in ("bpg-qp45", "bpg-qp37"):
            score = tables.miou(results, configuration, point, "gan")
            spans.append(100 * (max(score.values.values()) - min(score.values.values())) * scale)
    assert sorted(float(low) - float(high) for _, low, high in bars) == pytest.approx(sorted(spans), abs=0.11)


def test_one_seed_has_no_error_bars():
    assert not any('class="error"' in chart for _, chart in figures.miou_charts(example.study()))


def test_rate_distortion_has_a_line_for_each_restorer():
    results = example.study(None, tuple(example.RESTORERS))
    results.points = results.points[:2]
    chart = dict(figures.rate_distortion_charts(results))["PSNR, dB"]
    found = series(chart)
    assert set(found) == {"compressed", *example.RESTORERS}
    assert len({style for style, _ in found.values()}) == 4


def test_original_and_restored_share_a_chart():
    curves = {name: [[0, 0.5]] for name in ("l1", "d_original_1", "d_restored_1", "d_original_4", "d_restored_4")}
    assert figures.curve_groups(curves) == [
        ["l1"],
        ["d_original_1", "d_restored_1"],
        ["d_original_4", "d_restored_4"],
    ]


@pytest.mark.tensorflow
def test_what_a_discriminator_really_says_of_both_shares_a_chart():
    """By the names that the adversarial training writes down, not by made-up ones."""
    from dsr.models.restorers.gan import AdversarialRestorer
    from dsr.models.restorers.gan_config import AdversarialConfig

    config = AdversarialConfig.tiny()
    names = [metric.name for metric in AdversarialRestorer(config).metrics]
    pairs = [group for group in figures.curve_groups({name: [[0, 0.5]] for name in names}) if len(group) > 1]
    assert sorted(name for pair in pairs for name in pair) == sorted(n for n in names if n.startswith("d_"))
    assert len(pairs) == len(config.discriminator.scales) and all(len(pair) == 2 for pair in pairs)


def test_a_diverged_curve_says_how_many_values_are_missing():
    ((names, _),) = figures.curve_charts({"loss": [[0, 2.0], [1, None], [2, None]]})
    assert names == ["loss (2 values not finite)"]


def test_a_curve_that_was_never_finite_still_has_its_name():
    ((names, chart),) = figures.curve_charts({"loss": [[0, None]]})
    assert names == ["loss (1 values not finite)"]
    assert parse(chart).tag == "svg"


def test_a_long_curve_is_thinned_and_keeps_both_ends():
    steps = 10_001
    ((_, chart),) = figures.curve_charts({"loss": [[step, float(step)] for step in range(steps)]})
    (line,) = [path for path in parse(chart).iter("path") if path.get("class") is None]
    assert line.attrib["d"].count("L") <= figures.CURVE_POINTS + 1
    assert f"from 0 to {steps - 1:.4g}" in chart


def test_text_in_charts_is_escaped():
    hostile = "<script>&\"'"
    x = y = svg.linear_axis(hostile, [0, 1])
    dots = [svg.Dot(0, 0, hostile), svg.Dot(1, 1, hostile)]
    chart = svg.line_chart(hostile, hostile, [svg.Series(hostile, hostile, dots, "square")], x, y)
    root = parse(chart)
    assert root.get("aria-label") == hostile
    assert not list(root.iter("script"))
    assert tooltips(chart) == [hostile, hostile]


def test_classes_that_move_by_less_than_a_point_have_no_chart_and_are_named():
    curves = {
        "loss": [[0, 0.5], [9, 0.5]],
        "iou/road": [[0, 0.2], [9, 0.22]],
        "iou/pole": [[0, 0.0], [5, None], [9, 0.009]],
        "iou/sign": [[0, None]],
    }
    assert figures.flat_classes(curves) == ["pole"]
    shown = [name.partition(" (")[0] for names, _ in figures.curve_charts(curves) for name in names]
    assert shown == ["loss", "iou/road", "iou/sign"]
