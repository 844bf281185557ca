from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from dsr.experiments.analysis import report, tables
from dsr.experiments.analysis.pictures import ReportError
from dsr.experiments.analysis.report import heat, write_report
from dsr.experiments.analysis.samples import sample_views
from dsr.experiments.results import ImagesTrial, InferenceTimes, Results, StageTimes
from dsr.experiments.stored_json import from_json, load
from dsr.models.errors import UserError
from tests.crashes import tree
from tests.experiments.analysis import example
from tests.experiments.analysis.page import Page


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tmp_path_factory.mktemp("samples")


@pytest.fixture(scope="module")
def written(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    results = example.study(images)
    path = write_report(results, folder)
    return results, folder, path.read_text(encoding="utf-8")


def write(results, folder) -> str:
    return write_report(results, folder).read_text(encoding="utf-8")


def test_the_folder_holds_page_numbers_and_tables_and_nothing_unfinished(written):
    _, folder, _ = written
    tables = {"miou", "differences", "restorers", "per_class", "class_differences", "rate_distortion", "timings"}
    tables |= {
        "perceptual",
        "rivals",
        "shift",
        "activations",
        "information",
        "losses",
        "information_images",
        "bjontegaard",
    }
    names = {"report.html", "results.json", *(f"{name}.csv" for name in tables)}
    assert {path.name for path in folder.iterdir()} == names


def test_the_page_is_well_formed_and_its_ids_and_anchors_fit(written):
    page = Page(written[2])
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.attributes("href") if link.startswith("#")} <= set(ids)
    shown = [name for key in ("data-show", "data-first", "data-second") for name in page.attributes(key)]
    assert shown and set(shown) <= set(ids)


def test_the_page_needs_nothing_from_outside(written):
    page = Page(written[2])
    assert all(source.startswith("data:") for source in page.attributes("src"))
    assert all(link.startswith("#") for link in page.attributes("href") if "/" in link or ":" in link)
    assert not re.search(r"(https?:)?//[a-z]|@import|url\(", re.sub(r'"data:[^"]*"|/\*.*?\*/|// .*', "", written[2]))
    assert "default-src 'none'" in written[2]


def test_the_same_results_make_the_same_bytes(written, tmp_path):
    results, folder, _ = written
    write_report(results, tmp_path)
    assert tree(tmp_path) == tree(folder)


def test_the_json_file_is_the_results(written):
    results, folder, _ = written
    assert from_json(Results, load(folder / "results.json")) == results


def test_the_csv_files_say_what_the_json_file_says(written):
    _, folder, _ = written
    results = from_json(Results, load(folder / "results.json"))

    def rows(name):
        with open(folder / name, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    case = ("configuration", "point", "restorer", "seed")
    found = {tuple(row[key] for key in case): float(row["miou"]) for row in rows("miou.csv")}
    assert found == {
        tuple("" if getattr(e, key) is None else str(getattr(e, key)) for key in case): e.miou
        for e in results.evaluations
    }
    ious = {(row["configuration"], row["point"], row["class"]): float(row["iou"]) for row in rows("per_class.csv")}
    assert ious == {
        (e.configuration, e.point or "", name): iou for e in results.evaluations for name, iou in e.per_class.items()
    }
    psnr = {(row["point"], row["images"]): float(row["psnr"]) for row in rows("rate_distortion.csv")}
    assert psnr == {
        (p.point, domain): fidelity.psnr
        for p in results.points
        for domain, fidelity in (("compressed", p.compressed), ("restored", p.restored["gan"]))
    }
    assert [float(row["per_image_ms"]) for row in rows("timings.csv")] == [208.333, 50.0]


def test_the_score_table_shows_each_score_and_its_difference_to_oo(written):
    table = Page(written[2]).table("OC")
    assert table[0] == ["Point", "bpp, test", *tables.CONFIGURATIONS]
    for row, (name, (_, _, bpp)) in zip(table[1:], example.POINTS.items()):
        column = list(example.POINTS).index(name)
        assert row[0].startswith(name)
        assert row[1] == f"{bpp:.3f}"
        expected = ["63.2"]
        for configuration in tables.CONFIGURATIONS[1:]:
            score = example.SCORES[configuration][column]
            expected.append(f"{100 * score:.1f} {100 * (score - example.OO):+.1f}".replace("-", "−"))
        assert row[2:] == expected


def test_the_class_table_has_a_block_per_point_with_ious_and_object_means(written):
    table = Page(written[2]).table("traffic sign")
    blocks = [index for index, row in enumerate(table) if len(row) == 1]
    assert [table[index][0].split(" ")[0] for index in blocks] == list(example.POINTS)
    assert table[1][1:] == ["road", "sky", "person", "traffic sign", "big", "small", "mIoU"]
    for block, column in zip(blocks, range(3)):
        for offset, (configuration, scores) in enumerate(example.SCORES.items(), 1):
            miou = scores[column]
            values = (miou + 0.25, miou + 0.15, miou - 0.12, miou - 0.28, miou + 0.2, miou - 0.2, miou)
            assert table[block + offset] == [configuration, *(f"{100 * value:.1f}" for value in values)]


def test_undefined_ious_are_dashes_and_do_not_count_in_the_means(tmp_path):
    results = example.single_point()
    co = next(e for e in results.evaluations if e.configuration == "CO")
    co.per_class["sky"] = None
    table = Page(write(results, tmp_path)).table("traffic sign")
    row = next(row for row in table if row[0] == "CO")
    assert row[2] == "–"
    assert row[5] == row[1]  # the mean of the big objects is the road's IoU


def test_a_teaching_set_is_called_one(written, tmp_path):
    assert "streets is a teaching set" in written[2]
    results = example.study()
    results.dataset.teaching = False
    assert "teaching" not in write(results, tmp_path)


def test_a_study_without_restorer_samples_and_trainings_has_a_page(tmp_path):
    results = example.single_point()
    example.update(results, trainings=[], timings=[], artefacts=[], samples=[])
    page = Page(write(results, tmp_path))
    assert "restored" not in {cell for row in page.table("PSNR, dB") for cell in row}
    assert "#images" not in page.attributes("href")


def test_a_study_that_has_only_evaluated_oo_has_a_page(tmp_path, images):
    results = example.study(images)
    example.update(results, points=[], evaluations=results.evaluations[:1], samples=results.samples[:1])
    page = Page(write(results, tmp_path))
    assert "No operating point has been measured yet." in "".join(page.text)
    assert page.table("traffic sign")[2][0] == "OO"


def test_what_restoring_did_stands_in_the_heading(tmp_path):
    text = write(example.set_miou(example.single_point(), RO=0.5), tmp_path)
    (heading,) = re.findall(r"<h1>(.*?)</h1>", text, re.DOTALL)
    assert "restoring them first scored -6.1 points against that" in heading


def test_hostile_names_are_text(tmp_path, images):
    hostile = "</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
    scripts = [tag for tag, _ in Page(write(example.study(images), tmp_path)).tags].count("script")
    results = example.study(images)
    example.update(results.study, name=hostile, command=hostile, config={hostile: [hostile]})
    results.versions = {hostile: hostile}
    results.dataset.name = hostile
    results.dataset.classes[0].name = hostile
    for entry in results.evaluations:
        entry.per_class[hostile] = entry.per_class.pop("road")
    for entry in [*results.points, *results.evaluations, *results.samples]:
        entry.point = entry.point and hostile + entry.point
    for point in results.points:
        point.codec += hostile
    for sample in results.samples:
        sample.key = hostile
    for training in results.trainings:
        example.update(training, name=hostile, curves={hostile: [[0, 1.0], [1, 0.5]]})
    results.timings[0].stage = hostile
    example.update(results.artefacts[0], name=hostile, kind=hostile, folder=hostile, inputs={hostile: hostile})
    page = Page(write(results, tmp_path))
    assert "x" not in page.attributes("src") and not page.attributes("onerror")
    assert [tag for tag, _ in page.tags].count("script") == scripts
    text = "".join(page.text)
    assert text.count(hostile) > 20 and "49" not in re.findall(r"alert\(1\)>\"'&(\S*)", text)
    for name in ("miou.csv", "per_class.csv"):
        with open(tmp_path / name, encoding="utf-8", newline="") as file:
            assert any(hostile in (row["point"] or "") for row in csv.DictReader(file))


def test_numbers_that_json_cannot_say_become_null_and_dashes(tmp_path):
    results = example.single_point()
    example.update(results.points[0].compressed, psnr=math.inf, ms_ssim_db=math.inf)
    results.trainings[1].curves["loss"][1][1] = math.nan
    page = Page(write(results, tmp_path))
    stored = json.loads((tmp_path / "results.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert stored["points"][0]["compressed"]["psnr"] is None
    assert page.table("PSNR, dB")[1][-3:] == ["–", "0.9512", "–"]
    assert "loss (1 values not finite)" in "".join(page.text)


def test_the_page_says_how_many_images_its_networks_saw_and_whose_rates_it_has(tmp_path):
    results = example.study()
    results.study.config = {"segmenter": {"images": 20}}
    page = Page(write(results, tmp_path))
    assert "40 restore, 20 of 120 train, 60 test" in " ".join("".join(page.text).split())
    assert "bpp, test" in page.table("OO")[0]


def test_identical_images_stand_beside_the_mean_psnr_that_leaves_them_out(tmp_path):
    results = example.study(None, ("gan", "rdn-psnr"))
    before = Page(write(results, tmp_path / "none"))
    assert "identical" not in "".join(before.text)
    results.points[0].compressed.identical, results.points[0].restored["gan"].identical = 59, 1
    page = Page(write(results, tmp_path))
    fidelity = {tuple(row[:2]): row[-3] for row in page.table("bpp, train")}
    point = results.points[0].point
    assert fidelity[point, "compressed"] == "31.25 without 59 identical"
    assert fidelity[point, "restored by gan"] == "30.50 without 1 identical"
    assert sum("identical" in cell for row in page.table("Trained on") for cell in row) == 2
    assert f"{point}, compressed: 31.25 (PSNR, dB, without 59 identical) at" in "".join(page.text)


def test_each_picture_is_embedded_once_and_shared_ones_serve_every_point(written):
    page = Page(written[2])
    pictures = [a for tag, a in page.tags if tag == "img" and a.get("id")]
    assert len(pictures) == 3 + 3 * 7  # original, labels, OO; at each point compressed, restored and five predictions
    assert len({a["src"] for a in pictures}) == len(pictures)
    assert all(a["alt"] for a in pictures)


def test_a_sample_without_restoration_shows_what_there_is(tmp_path, images):
    results = example.single_point()
    sample = example.study(images).samples[0]
    sample.restored = {}
    results.samples = [sample]
    page = Page(write(results, tmp_path))
    pictures = [a["id"] or "" for tag, a in page.tags if tag == "img" and "id" in a]
    assert [name.rsplit("-", 1)[-1] for name in pictures] == ["original", "label", "OO", "compressed", "CO", "CC", "OC"]


def test_a_page_of_one_restorer_and_one_seed_speaks_of_neither_several_nor_intervals(written):
    text = "".join(Page(written[2]).text).replace("restorers.csv", "")
    assert not re.search(r"95 %|\\d seeds|±|restorers|\bgan\b|rdn|best", text)
    assert "#restorers" not in Page(written[2]).attributes("href")


@pytest.fixture(scope="module")
def several(images, tmp_path_factory):
    """The page of a study with three restorers and three seeds."""
    folder = tmp_path_factory.mktemp("several")
    results = example.study(images, tuple(example.RESTORERS), (7, 8, 9))
    return results, folder, write(results, folder)


def test_the_page_of_several_restorers_and_seeds_is_well_formed(several):
    page = Page(several[2])
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.attributes("href") if link.startswith("#")} <= set(ids)
    assert set(page.attributes("data-show")) <= set(ids)


def test_scores_are_means_with_their_spread_over_the_seeds(several):
    results, _, text = several
    header, *rows = Page(text).table("OR rdn-msssim")
    assert header == ["Point", "bpp, test", *(variant.label for variant in tables.variants(results))]
    for row, point in zip(rows, example.POINTS):
        for cell, variant in zip(row[2:], tables.variants(results)):
            evaluations = tables.evaluations(results, variant.configuration, point, variant.restorer)
            scores = [100 * entry.miou for entry in evaluations.values()]
            assert cell.startswith(f"{np.mean(scores):.1f} ± {np.std(scores, ddof=1):.1f}")


def test_the_restorers_table_says_what_its_csv_says(several):
    _, folder, text = several
    cells = [row for row in Page(text).table("minus CO")[1:] if len(row) > 1]
    with open(folder / "restorers.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(cells) == len(rows) == 3 * 4
    for (name, score, gain, psnr, ms_ssim), row in zip(cells, rows):
        assert name.split()[0] == (row["restorer"] or "compressed")
        low, mean, high = (f"{100 * float(row[key]):.1f}" for key in ("miou_low", "miou", "miou_high"))
        assert score == f"{mean} {low} to {high}"
        if row["restorer"]:
            mean, low, high = (100 * float(row[key]) for key in ("gain", "gain_low", "gain_high"))
            assert gain == f"{mean:+.1f} {low:+.1f} to {high:+.1f}".replace("-", "−")
        else:
            assert gain == ""
        assert (psnr, ms_ssim) == (f"{float(row['psnr']):.2f}", f"{float(row['ms_ssim_db']):.2f}")


def test_differences_stand_bold_where_their_interval_excludes_zero(several):
    results, _, text = several
    bold = [
        "best" in (attributes.get("class") or "")
        for tag, attributes in Page(
            text[text.index('class="differences') - 7 : text.index('id="classes"')].partition("</table>")[0]
            + "</table>"
        ).tags
        if tag == "td" and "number" in (attributes.get("class") or "")
    ]
    expected = []
    for pair in tables.DIFFERENCES:
        for point in example.POINTS:
            for name in example.RESTORERS if "R" in "".join(pair) else [None]:
                low, high = tables.difference(results, *pair, point, name).interval
                expected.append(round(100 * low, 1) > 0 or round(100 * high, 1) < 0)
    assert bold == expected and True in bold and False in bold


def test_samples_show_what_each_restorer_made(several):
    page = Page(several[2])
    pictures = [a for tag, a in page.tags if tag == "img" and a.get("id")]
    assert len(pictures) == 3 + 3 * (4 + 3 * 3)
    assert len({a["src"] for a in pictures}) == len(pictures)
    assert "restored rdn-psnr, bpg-qp45, test/a" in {a["alt"] for a in pictures}
    assert "Predictions are those of seed 7." in "".join(page.text)


def test_samples_beyond_the_size_of_a_page_are_left_out_and_counted(images, tmp_path, monkeypatch):
    results = example.study(images)
    results.samples += [dataclasses.replace(sample, key=key) for key in ("b", "c") for sample in results.samples]
    views = sample_views(results, 10**9)
    assert len(views) == 3
    assert len(sample_views(results, views[0].size + views[1].size)) == 2
    whole = len(write(results, tmp_path).encode())
    monkeypatch.setattr(report, "LARGEST", whole - 1)
    page = Page(write(results, tmp_path))
    assert sum(a.get("class") == "sample" for tag, a in page.tags if tag == "article") == 2
    assert "1 more sample is left out" in "".join(page.text)


def test_the_first_sample_gives_up_its_easiest_points_and_says_so(images, tmp_path, monkeypatch):
    results = example.study(images)
    whole = len(write(results, tmp_path).encode())
    monkeypatch.setattr(report, "LARGEST", whole - 100)
    page = Page(write(results, tmp_path))
    assert "Left out of test/a for the same reason: bpg-qp37." in "".join(page.text)
    (view,) = sample_views(results, 0)
    assert [strip.title for strip in view.strips[1:]] == ["bpg-qp45"]
    assert view.left_out == ("bpg-qp37", "msh-quality3")


def test_an_unfinished_study_of_several_seeds_has_a_page(images, tmp_path):
    """Seed 9 has no RO yet, and rdn-psnr has not restored the test images of one point."""
    results = example.study(images, ("gan", "rdn-psnr"), (7, 8, 9))
    results.evaluations = [e for e in results.evaluations if (e.configuration, e.seed) != ("RO", 9)]
    results.evaluations = [e for e in results.evaluations if (e.configuration, e.restorer) != ("OR", "rdn-psnr")]
    del results.points[0].restored["rdn-psnr"]
    del results.samples[0].restored["rdn-psnr"]
    text = write(results, tmp_path)
    assert Page(text).table("OR rdn-psnr")[1][-1] == "– –"
    assert text.count("2 to 3 seeds") == 4  # caveat, chart, scores, classes


def test_inference_times_and_images_of_the_restorer_have_a_section_each_once_measured(written, tmp_path):
    assert not {"inference-times", "restorer-images"} & {tag.get("id") for _, tag in Page(written[2]).tags}
    results = example.study()
    stages = [("encode", "bpg-qp45", 0.1), ("decode", "bpg-qp45", 0.02), ("segment", None, 0.08)]
    results.inference_times = InferenceTimes(
        "a stone tablet", 24, 32, [StageTimes(s, p, None, [seconds]) for s, p, seconds in stages]
    )
    results.restorer_images = [
        ImagesTrial("bpg-qp45", None, 0, [0.31]),
        ImagesTrial("bpg-qp45", "gan", 40, [0.36]),
    ]
    page = Page(write(results, tmp_path))
    assert {"inference-times", "restorer-images"} <= {tag.get("id") for _, tag in page.tags}
    rows = [row[:-1] for table in page.tables for row in table if row[0] in ("OO, CO and RO", "OC and CC")]
    assert rows == [
        ["OO, CO and RO", "–", "–", "–", "80.0", "80.0", "0.40"],
        ["OC and CC", "100.0", "20.0", "–", "80.0", "200.0", "1.00"],
    ]
    assert any("from 40 images: 36.0 % mIoU" in text for text in page.text)


def test_a_missing_sample_image_is_named_and_leaves_the_earlier_report(tmp_path, images):
    before = write(example.study(images), tmp_path)
    results = example.study(images)
    results.samples[0].images["compressed"] = str(tmp_path / "gone.png")
    with pytest.raises(ReportError, match=r"gone\.png"):
        write_report(results, tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == before


def test_artefacts_link_to_the_artefacts_they_were_made_from(written):
    page = Page(written[2])
    targets = {a["id"] for tag, a in page.tags if tag == "tr" and a.get("id")}
    links = [link[1:] for link in page.attributes("href") if link.startswith("#artefact")]
    assert links == ["artefact-0"] and set(links) <= targets
    assert "c" * 12 in "".join(page.text)  # an input that is no artefact of this study stands without a link


def test_scores_on_fewer_images_have_no_colour_and_no_difference_to_oo(tmp_path):
    results = example.lack(example.single_point(), "bpg-qp45", "test/a")
    text = " ".join(write_report(results, tmp_path).read_text().split())
    rows = {name: text[text.index(f'<th scope="row">{name}</th> <td class="number') :] for name in ("CO", "CC", "OC")}
    colours = {name: row[: row.index("</tr>")].count("--heat: 0.") for name, row in rows.items()}
    assert colours["CO"] > 0 and colours["CC"] == colours["OC"] == 0


def test_heat_says_direction_and_strength():
    assert heat(0.5, 0.6) == ("loss", "0.50")
    assert heat(0.7, 0.6) == ("gain", "0.50")
    assert heat(0.1, 0.9) == ("loss", "1.00")
    assert heat(0.6, 0.6) == heat(None, 0.6) == heat(0.6, None) == ("", "0")


def test_the_report_does_not_import_tensorflow():
    code = "import sys, dsr.experiments.analysis.report; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_disk_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "report").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"report cannot be written"):
        write_report(example.study(), tmp_path / "report")


def test_a_degradation_without_a_rate_is_drawn_against_its_level(tmp_path):
    results = example.study(None, tuple(example.RESTORERS), (7, 8))
    for point in results.points:
        if point.codec == "bpg":
            point.codec = "blur-gaussian"
            example.update(point.compressed, bpp=None, bpp_min=None, bpp_max=None, train_bpp=None)
    text = write(results, tmp_path)
    assert "level of blur-gaussian" in text and "None" not in "".join(Page(text).text)
    assert "bits per pixel" in text  # of the other codec
    with open(tmp_path / "miou.csv", encoding="utf-8", newline="") as file:
        assert {row["bpp"] for row in csv.DictReader(file) if row["point"] == "bpg-qp45"} == {""}
