from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from dsr.experiments.analysis import first_screen
from dsr.experiments.analysis.first_screen import headline_chart, key_strip, most_changed
from tests.experiments.analysis import example
from tests.experiments.analysis.test_pictures import decoded


@given(arrays.arrays(np.uint8, (2, 7, 9, 3)), st.integers(1, 8), st.integers(1, 10))
def test_the_window_is_the_one_that_differs_most(pair, height, width):
    """Against looking at every window."""
    saved, first_screen.WINDOW = first_screen.WINDOW, (height, width)
    try:
        (top, left), found = most_changed(*pair)
    finally:
        first_screen.WINDOW = saved
    height, width = min(height, 7), min(width, 9)
    squared = (pair[0].astype(float) - pair[1]) ** 2
    means = [
        squared[down : down + height, across : across + width].mean()
        for down in range(8 - height)
        for across in range(10 - width)
    ]
    assert found == pytest.approx(max(means))
    assert squared[top : top + height, left : left + width].mean() == pytest.approx(found)


def test_the_strip_shows_the_same_pixels_of_original_compressed_and_restored(tmp_path, monkeypatch):
    monkeypatch.setattr(first_screen, "WINDOW", (10, 12))
    results = example.study(tmp_path)
    strip = key_strip(results)
    sample = results.samples[0]
    assert strip.key == "test/a" and "bpg-qp45" in strip.caption
    paths = {
        "original": sample.images["original"],
        "compressed": sample.images["compressed"],
        "restored": sample.restored["gan"]["restored"],
    }
    assert [name for name, _ in strip.crops] == list(paths)
    wholes = {name: first_screen.read_photograph(path) for name, path in paths.items()}
    (top, left), _ = most_changed(wholes["original"], wholes["compressed"])
    for name, picture in strip.crops:
        np.testing.assert_array_equal(
            np.asarray(decoded(picture).convert("RGB")), wholes[name][top : top + 10, left : left + 12]
        )


def test_without_a_kept_picture_there_is_no_strip_and_without_a_score_no_chart():
    results = example.study()
    assert key_strip(results) is None
    results.evaluations = []
    assert headline_chart(results) is None
    results.points = []
    assert headline_chart(results) is None


def scale(root: ET.Element):
    """From a height in the drawing to what the ticks beside it say."""
    ticks = [
        (float(text.attrib["y"]), float(text.text))
        for text in root.iter("text")
        if text.get("class") == "tick" and text.get("text-anchor") == "end"
    ]
    return np.polynomial.Polynomial.fit(*zip(*ticks), 1)


def test_bands_are_the_t_intervals_of_the_scores():
    seeds = (7, 8, 9)
    results = example.study(None, tuple(example.RESTORERS), seeds)
    root = ET.fromstring(headline_chart(results).chart)
    at = scale(root)
    bands = [
        [float(at(float(y))) for _, y in re.findall(r"([\d.]+) ([\d.]+)", path.attrib["d"])]
        for path in root.iter("path")
        if path.get("class") == "band"
    ]
    assert len(bands) == 3

    def interval(configuration, point, restorer=None):
        scores = [
            100 * e.miou
            for e in results.evaluations
            if (e.configuration, e.point, e.restorer) == (configuration, point, restorer)
        ]
        return stats.t.interval(0.95, 2, np.mean(scores), stats.sem(scores))

    oo = interval("OO", None)
    expected = [[oo[0], oo[0], oo[1], oo[1]]]
    for case in (("CO", None), ("RO", "gan")):
        hard, easy = (interval(case[0], point, case[1]) for point in ("bpg-qp45", "bpg-qp37"))
        expected.append([hard[0], easy[0], easy[1], hard[1]])
    np.testing.assert_allclose(bands, expected, atol=0.02)


def test_a_single_rate_has_bars_and_one_seed_neither_bars_nor_bands():
    results = example.set_seeds(example.single_point(), OO=[0.6, 0.61, 0.62], CO=[0.54, 0.55, 0.56])
    chart = headline_chart(results).chart
    assert chart.count('class="band"') == 1 and chart.count('class="error"') == 1  # OO, CO
    one = headline_chart(example.single_point())
    assert "band" not in one.chart and "error" not in one.chart
    assert one.caption.endswith("One seed has no intervals.")


def test_an_interval_wider_than_a_score_can_be_ends_where_scores_do():
    results = example.set_seeds(example.single_point(), OO=[0.5, 0.9], CO=[0.1, 0.9])
    ticks = [
        float(text.text)
        for text in ET.fromstring(headline_chart(results).chart).iter("text")
        if text.get("class") == "tick"
    ]
    assert max(ticks) == 100 and min(ticks) >= 0
