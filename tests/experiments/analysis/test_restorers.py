from __future__ import annotations

import csv

import pytest

from dsr.experiments.analysis.report import render
from dsr.experiments.analysis.restorers import at_chance, blocks, restorers_table
from dsr.experiments.results import EvaluationResult, Fidelity, PointResult, Rated
from tests.experiments.analysis import example


def three(seeds=(7, 8, 9)):
    return example.study(None, tuple(example.RESTORERS), seeds)


def test_each_point_has_the_compressed_images_and_every_restorer_once():
    found = blocks(three())
    assert [block.point.point for block in found] == list(example.POINTS)
    for block in found:
        assert [row.restorer for row in block.rows] == [None, *example.RESTORERS]
        assert [row.configuration for row in block.rows] == ["CO", "RO", "RO", "RO"]


def test_a_row_is_that_restorers_score_and_its_difference_to_co_of_the_same_seeds():
    results = three()
    scores = {
        (entry.configuration, entry.point, entry.restorer, entry.seed): entry.miou for entry in results.evaluations
    }
    for block in blocks(results):
        point = block.point.point
        compressed = block.rows[0]
        assert compressed.miou is not None and compressed.gain is None
        assert compressed.miou.values == {seed: scores["CO", point, None, seed] for seed in (7, 8, 9)}
        for row in block.rows[1:]:
            assert row.miou is not None and row.gain is not None
            assert row.miou.values == {seed: scores["RO", point, row.restorer, seed] for seed in (7, 8, 9)}
            expected = [scores["RO", point, row.restorer, seed] - scores["CO", point, None, seed] for seed in (7, 8, 9)]
            assert list(row.gain.values.values()) == pytest.approx(expected)


def test_the_best_of_the_papers_table_3_are_those_it_names(shared):
    """Adversarial restoration has the best mIoU and the lowest fidelity; the dense networks share the best fidelity."""
    names = {"compressed": None, "RDN (PSNR)": "rdn-psnr", "RDN (MS-SSIM)": "rdn-msssim", "adversarial": "gan"}
    with open(shared / "reference" / "paper_table3_restorers.csv", encoding="utf-8", newline="") as file:
        rows = [{**row, "images": names[row["images"]]} for row in csv.DictReader(file)]
    assert len(rows) == 8
    results = three(seeds=(7,))
    example.update(results, points=[], evaluations=[])
    for row in rows:
        psnr, ms_ssim_db = float(row["PSNR_dB"]), float(row["MS_SSIM_dB"])
        if row["images"] is None:
            compressed = Rated(psnr, None, ms_ssim_db, bpp=float(row["bpp"]))
            results.points.append(PointResult(row["codec"], row["codec"], None, compressed, {}))
        else:
            results.points[-1].restored[row["images"]] = Fidelity(psnr, None, ms_ssim_db)
        configuration = "RO" if row["images"] else "CO"
        scores = (float(row["mIoU"]) / 100, None, {}, None, None)
        results.evaluations.append(EvaluationResult(configuration, row["codec"], row["images"], 7, *scores))
    best = {
        (block.point.point, column): [row.restorer for row in block.rows if block.best(row, column)]
        for block in blocks(results)
        for column in ("miou", "gain", "psnr", "ms_ssim_db")
    }
    assert best == {
        ("MSH", "miou"): ["gan"],
        ("MSH", "gain"): ["gan"],
        ("MSH", "psnr"): ["rdn-psnr"],
        ("MSH", "ms_ssim_db"): ["rdn-psnr", "rdn-msssim"],
        ("BPG", "miou"): ["gan"],
        ("BPG", "gain"): ["gan"],
        ("BPG", "psnr"): ["rdn-psnr"],
        ("BPG", "ms_ssim_db"): ["rdn-psnr"],
    }


def verdict(**by_restorer: list[float]) -> str:
    results = example.set_seeds(example.single_point(), CO=[0.5, 0.51, 0.52])
    for name, scores in by_restorer.items():
        example.set_seeds(results, restorer=name, RO=scores)
    (block,) = blocks(results)
    return block.verdict


def test_the_best_restorer_is_called_better_only_where_the_interval_says_so():
    clearly = verdict(gan=[0.55, 0.56, 0.57], rdn=[0.52, 0.53, 0.542])
    assert clearly.startswith("gan scores above rdn, the next (+2.9 points, 95 % interval 2.6 to 3.2)")
    assert verdict(gan=[0.55, 0.60, 0.56], rdn=[0.54, 0.55, 0.57]).startswith(
        "gan and rdn, the two best, are not told apart (+1.7 points, 95 % interval -5.9 to +9.3)"
    )


def test_one_seed_tells_nobody_apart():
    assert verdict(gan=[0.55], rdn=[0.53]) == "gan and rdn, the two best, are not told apart (+2.0 points)"
    assert verdict(gan=[0.55]) == ""


def test_what_was_not_measured_is_empty():
    results = three()
    results.evaluations = [entry for entry in results.evaluations if entry.restorer != "rdn-psnr"]
    del results.points[0].restored["gan"]
    table = restorers_table(results)
    rows = {(row[0], row[2]): dict(zip(table.columns, row)) for row in table.rows}
    assert [rows["bpg-qp45", "rdn-psnr"][column] for column in ("n", "miou", "gain", "gain_low")] == [None] * 4
    assert rows["bpg-qp45", "gan"]["psnr"] is None and rows["bpg-qp45", "gan"]["n"] == 3
    assert rows["bpg-qp45", None]["gain"] is None


@pytest.mark.parametrize(
    ("original", "restored", "sentences"),
    [
        ([0.5, 0.5, 0.5, 0.7], [0.5, 0.5, 0.5, 0.3], 0),
        ([0.9, 0.9, 0.9, 0.52], [0.1, 0.1, 0.1, 0.49], 1),  # the end counts, not the way
        ([0.5] * 6 + [0.6, 0.8], [0.5] * 8, 0),  # of the last quarter the mean
        ([0.5] * 6 + [0.5, 0.6], [0.5] * 8, 1),
        ([0.4], [0.6], 1),
        ([None, None], [0.5, 0.5], 0),
    ],
)
def test_a_discriminator_that_ends_at_chance_is_said_to(original, restored, sentences):
    (training, *_) = example.study().trainings
    curves = {"d_original_4": original, "d_restored_4": restored}
    training.curves = {name: [[step, value] for step, value in enumerate(ends)] for name, ends in curves.items()}
    found = at_chance(training)
    assert len(found) == sentences
    if original[-1] == 0.52:
        assert "1/4 resolution ended at chance" in found[0] and "0.52" in found[0] and "0.49" in found[0]
    training.curves = {"loss": [[1, 0.5]]}
    assert at_chance(training) == []


def test_the_page_says_that_a_discriminator_is_at_chance_where_it_shows_its_curves():
    results = example.study()
    assert "at chance" not in render(results)
    results.trainings[0].curves["d_original_1"] = [[100, 0.5], [200, 0.5]]
    results.trainings[0].curves["d_restored_1"] = [[100, 0.5], [200, 0.5]]
    assert render(results).count("The discriminator at full resolution ended at chance") == 1
