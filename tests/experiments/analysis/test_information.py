"""The section on where the loss comes from: bars that add up, words that the intervals carry, maps and files."""

from __future__ import annotations

import base64
import copy
import csv
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from dsr.experiments.analysis import information, pictures
from dsr.experiments.analysis.domains import significant
from dsr.experiments.analysis.report import render, write_report
from dsr.experiments.loss_differences import SHIFT_OF_CO
from dsr.experiments.results import Estimate
from tests.experiments.analysis import example, measured
from tests.experiments.analysis.page import Page

HARDEST = "bpg-qp45"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def results(folder):
    small = str(folder / "small.png")
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(small)
    study = example.study(folder, restorers=("gan", "rdn-psnr"), seeds=(7, 8, 9))
    study = measured.lose(study, pictures={f"test/{n:02}": small for n in range(0, 60, 2)})
    for sample in study.samples:
        sample.information = str(folder / f"{sample.point}-information.png")
        bits = np.linspace(-6, 6, 24 * 32).reshape(24, 32)
        Image.fromarray(pictures.information_levels(bits)).save(sample.information)
    return study


@pytest.fixture(scope="module")
def written(results, folder):
    return write_report(results, folder / "page").read_text(encoding="utf-8")


def rows_of(folder, name):
    with open(folder / "page" / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def numbers(path):
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def test_every_difference_has_its_row_and_is_bold_where_it_is_clear(results, written):
    table = Page(written).table("What it is")
    first = [one for one in results.information.differences if one.point == HARDEST]
    labels = [row[0] for row in table[2 : 2 + len(first)]]
    assert labels[:4] == ["CC − OO", "OC − CC", "OC − OO", "CO − OO"] and "CC − RR, rdn-psnr" in labels
    assert len(labels) == 4 + 2 * 6
    found = first[0].bits
    assert table[2][1] == f"{significant(found.value, True)} {significant(found.low, True)} to " + significant(
        found.high, True
    )
    bold = written.split('id="information"')[1].split("</table>")[0].count('class="number best"')
    assert bold == sum(information.clear(one) for one in results.information.differences) > 0


def test_parts_of_a_bar_stand_end_to_end_and_reach_the_mark_of_the_whole(results):
    chart = ET.fromstring(information.information_view(results).chart)
    groups = [(group.get("class").split(), group) for group in chart.iter("g") if "series" in group.get("class")]
    bars = [(classes[2], numbers(group.find("path").get("d"))) for classes, group in groups if "bar" in classes]
    marks = [
        numbers(g.find("g/path").get("d"))[:2]
        for classes, g in groups
        if "total" in classes and g.find("g") is not None
    ]
    by_row: dict[float, list] = {}
    for kind, (x0, y0, x1, _) in bars:
        by_row.setdefault(y0, []).append((kind, x0, x1))
    assert len(by_row) == len(marks) == 3 * (2 * 1 + 2 * 2)
    for x, y in marks:
        pieces = by_row[y]
        assert [kind for kind, *_ in pieces] in (["lost-information", "lost-shift"], ["lost-whole"])
        for (_, _, end), (_, start, _) in zip(pieces, pieces[1:]):
            assert start == pytest.approx(end, abs=0.11)
        assert pieces[-1][2] == pytest.approx(x, abs=0.2)


def test_a_part_below_zero_stands_left_of_zero(results):
    changed = copy.deepcopy(results)
    for one in changed.information.differences:
        if (one.configuration, one.minus) == ("CC", "OO"):
            one.bits.value = -0.5
    chart = ET.fromstring(information.information_view(changed).chart)
    paths = [(group.get("class"), group.find("path")) for group in chart.iter("g")]
    groups: dict[str, list[float]] = {}
    for name, path in paths:
        if path is not None:
            groups.setdefault(name, numbers(path.get("d")))  # of the first bar
    x0, _, x1, _ = groups["series bar lost-information"]
    zero = groups["series reference"][0]
    shift = groups["series bar lost-shift"]
    assert x1 < x0 == zero == shift[0] < shift[2]


def test_co_comes_apart_where_it_was_recalibrated(results):
    changed = copy.deepcopy(results)
    whole = information.difference_of(changed, "CO", "OO", HARDEST)
    for pair, share in ((SHIFT_OF_CO, 0.25), (("CO recalibrated", "OO recalibrated"), 0.75)):
        part = copy.deepcopy(whole)
        part.configuration, part.minus = pair
        part.bits.value *= share
        changed.information.differences.append(part)
    chart = information.information_view(changed).chart
    assert chart.count("lost-learning") == 1 and information.information_view(results).chart.count("lost-learning") == 0
    assert chart.count("lost-whole") == information.information_view(results).chart.count("lost-whole") - 1
    said = re.search("CO: at most what was kept from being learned ([0-9.]+), shift .of CO at least. ([0-9.]+);", chart)
    assert float(said[1]) == pytest.approx(3 * float(said[2]), rel=0.02)


def test_words_say_what_intervals_carry_and_nothing_of_one_seed(results):
    said = information.findings(results)
    assert said[0].startswith(f"At {HARDEST}, compression takes usable information, ")
    assert "the shift costs a segmenter trained on originals another" in said[0]
    lost = information.difference_of(results, "CC", "OO", HARDEST)
    ends = f"{significant(lost.bits.value)} bits a labelled pixel (95 % interval {significant(lost.bits.low)}"
    assert ends in said[0] and information.lead(results) == said[0]

    unclear = copy.deepcopy(results)
    for one in unclear.information.differences:
        one.bits.low, one.bits.high = -1.0, 1.0
    for sentence in information.findings(unclear):
        assert "no clear amount of usable information" in sentence
        assert "shift" not in sentence and "restoring" not in sentence
    assert information.lead(unclear) == ""

    gained = copy.deepcopy(results)
    for one in gained.information.differences:
        one.bits.value, one.bits.low, one.bits.high = -0.2, -0.3, -0.1
    (first, *_) = information.findings(gained)
    assert "compressed images hold more usable information than originals" in first
    assert "restoring with gan takes more of it, 0.200 bits" in first and "the shift saves" in first
    assert first.count("0.200 bits a labelled pixel (95 % interval 0.100 to 0.300)") == 4 == first.count(" bits ")

    alone = measured.lose(example.study())
    assert information.findings(alone) == [] and information.lead(alone) == ""


def test_the_page_says_how_far_its_intervals_reach(results, written, tmp_path):
    assert "over the 60 test images and over seeds" in "".join(Page(written).text)
    alone = measured.lose(example.study())
    for one in alone.information.losses:
        one.temperature = None
    text = "".join(Page(write_report(alone, tmp_path).read_text(encoding="utf-8")).text)
    assert "of one seed, nothing here is said of other trainings" in text
    assert "no temperature was fitted" in text and "bold where several" in text


def test_without_intervals_values_stand_alone_and_nothing_is_claimed(results):
    bare = copy.deepcopy(results)
    for one in bare.information.differences:
        one.bits.low = one.bits.high = None
        one.per_class = {name: Estimate(bits.value, None, None) for name, bits in one.per_class.items()}
    text = " ".join("".join(Page(render(bare)).text).split())
    assert "too few images for an interval" in text and "Fewer than 10 images" in text
    assert not any(information.clear(one) for one in bare.information.differences)
    assert "compression takes usable information" not in text and information.lead(bare) == ""


def test_classes_add_up_to_the_whole(results):
    for point, rows in information.information_view(results).classes:
        assert sum(row.share for row in rows) == pytest.approx(1)
        whole = information.difference_of(results, "CC", "OO", point).bits.value
        assert sum(row.adds for row in rows) == pytest.approx(whole)


def test_the_images_that_lose_most_come_first_with_their_pictures(results, written):
    lost = dict(zip(results.information.keys, results.information.images[0].bits))
    expected = sorted(lost, key=lambda key: -lost[key])[: information.WORST]
    shown = dict(information.information_view(results).worst)[HARDEST]
    assert [image.key for image in shown] == expected and len(shown) == 24
    assert [image.picture is None for image in shown] == [int(image.key[-2:]) % 2 == 1 for image in shown]
    assert 'alt="test/' in written


def test_the_files_have_all_numbers(results, written, folder):
    rows = rows_of(folder, "information.csv")
    assert len(rows) == len(results.information.differences) * (1 + 4)
    assert [(row["class"], float(row["bits"])) for row in rows[:2]] == [
        ("", results.information.differences[0].bits.value),
        ("road", results.information.differences[0].per_class["road"].value),
    ]
    rows = rows_of(folder, "information_images.csv")
    assert len(rows) == 3 * 60 and float(rows[61]["bits"]) == results.information.images[1].bits[1]
    rows = rows_of(folder, "losses.csv")
    assert len(rows) == len(results.information.losses) and "RR" in {row["configuration"] for row in rows}
    assert float(rows[3]["bits"]) == results.information.losses[3].bits


def test_a_map_has_the_colour_of_each_pixel_s_bits_and_a_legend(results, written):
    full = pictures.MAP_BITS
    levels = pictures.information_levels(np.array([[-99, -full, 0, full / 2, full, 99, np.nan]]))
    assert levels.tolist() == [[0, 0, 127, 190, 254, 254, 255]]
    colors = pictures.information_colors()
    ends = (pictures.GAIN, pictures.NO_CHANGE, pictures.LOSS)
    assert [tuple(colors[level]) for level in (0, 127, 254)] == [(*color, 255) for color in ends]
    assert written.count("information lost, ") >= len(results.samples)
    assert "4 bits gained" in written and "rgb(213, 94, 0)" in written
    assert "bits gained" not in render(example.study())


def test_pixels_without_a_label_are_transparent_in_a_map(tmp_path):
    path = tmp_path / "map.png"
    Image.fromarray(pictures.information_levels(np.array([[np.nan, 0.0], [4.0, -4.0]]))).save(path)
    picture = pictures.information_map(path)
    shown = Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))).convert("RGBA")
    assert [shown.getpixel((x, y)) for y in (0, 1) for x in (0, 1)][1:] == [
        (*color, 255) for color in (pictures.NO_CHANGE, pictures.LOSS, pictures.GAIN)
    ]
    assert shown.getpixel((0, 0))[3] == 0


def test_what_was_not_measured_has_no_section(tmp_path):
    page = write_report(example.study(), tmp_path).read_text(encoding="utf-8")
    assert 'id="information"' not in page and "#information" not in page


def test_hostile_names_are_text(tmp_path):
    hostile = "</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
    results = measured.lose(example.study(seeds=(7, 8)))
    for entry in [*results.points, *results.evaluations, *results.information.differences, *results.information.images]:
        entry.point = entry.point and hostile + entry.point
    results.information.keys = [hostile + key for key in results.information.keys]
    page = Page(write_report(results, tmp_path).read_text(encoding="utf-8"))
    assert "x" not in page.attributes("src") and not page.attributes("onerror")
    assert "".join(page.text).count(hostile) > 50
