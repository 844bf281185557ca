"""Averages over the rates of a study: between configurations and codecs, over seeds, or the reason why not."""

from __future__ import annotations

import csv

import pytest

from dsr.experiments.analysis import gains
from dsr.experiments.analysis.bjontegaard import RateCurve, bd_quality, bd_rate
from dsr.experiments.analysis.report import write_report
from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.results import EvaluationResult, PointResult, Rated, Results, ScoredOn
from tests.experiments.analysis import example
from tests.experiments.analysis.page import Page

BPP = (0.1, 0.18, 0.3, 0.44)
CO = (0.40, 0.47, 0.52, 0.55)
RO = (0.44, 0.49, 0.53, 0.555)


def study(codecs=("bpg",), seeds=(7, 8, 9), points=4, **changed) -> Results:
    """`changed` are the scores of configurations; seeds differ by a tenth of a point each, and codecs by the rate."""
    results = example.study()
    scores = {"CO": CO, "RO": RO, "CC": tuple(v - 0.01 for v in CO), **changed}
    results.points, results.evaluations = [], []
    for rank, codec in enumerate(codecs):
        for column, bpp in enumerate(BPP[:points]):
            rate = bpp * 0.9**rank
            rated = Rated(psnr=30.0, ms_ssim=0.9, ms_ssim_db=10.0, bpp=rate, bpp_min=rate, bpp_max=rate, train_bpp=rate)
            results.points.append(PointResult(f"{codec}-{column}", codec, float(column), rated, {}))
            for configuration, values in scores.items():
                for seed in seeds:
                    by, miou = ("gan" if "R" in configuration else None), values[column] + (seed - 7) / 1000
                    miou += (seed == 8) * (configuration == "RO") / 500
                    point = f"{codec}-{column}"
                    results.evaluations.append(
                        EvaluationResult(configuration, point, by, seed, miou, 0.9, {}, None, None)
                    )
    return results


def curve(values, seed=7):
    return RateCurve("", BPP, [value + (seed - 7) / 1000 for value in values])


def test_a_configuration_gains_what_its_curves_say_seed_by_seed():
    row, *_ = gains.gains(study())
    assert (row.name, row.anchor) == ("RO", "CO")
    better = {seed: curve([v + (seed == 8) / 500 for v in RO], seed) for seed in (7, 8, 9)}
    expected = BySeed({seed: bd_quality(curve(CO, seed), one) for seed, one in better.items()})
    assert row.miou.value == pytest.approx(expected.mean)
    assert row.miou.interval == pytest.approx(expected.interval) and row.miou.clear
    rates = BySeed({seed: bd_rate(curve(CO, seed), one) for seed, one in better.items()})
    assert row.rate.value == pytest.approx(rates.mean) and row.rate.value < 0 and row.rate.clear


def test_codecs_are_compared_in_each_configuration():
    rows = {(row.name, row.anchor): row for row in gains.gains(study(("bpg", "msh")))}
    assert set(rows) == {
        *((f"RO {codec}", f"{other} {codec}") for codec in ("bpg", "msh") for other in ("CO", "CC")),
        *((f"{name} msh", f"{name} bpg") for name in ("CO", "RO", "CC")),
    }
    for name in ("CO", "RO", "CC"):  # the same scores at nine tenths of the rates
        assert rows[f"{name} msh", f"{name} bpg"].rate.value == pytest.approx(-10)


def test_one_seed_has_no_interval_and_is_not_clear():
    row, *_ = gains.gains(study(seeds=(7,)))
    assert row.miou.value and row.miou.interval is None and not row.miou.clear


def test_a_curve_that_falls_has_no_rate_at_equal_score_but_a_score_at_equal_rate():
    row, *_ = gains.gains(study(RO=(0.44, 0.43, 0.53, 0.555)))
    assert row.rate.refused == "RO does not rise from each rate to the next" and row.rate.value is None
    assert row.miou.value is not None and not row.miou.refused


def test_where_only_the_mean_curves_rise_there_is_no_interval():
    results = study()
    (one,) = [e for e in results.evaluations if (e.configuration, e.point, e.seed) == ("RO", "bpg-1", 7)]
    one.miou = 0.4399  # below its neighbour for this seed alone
    row, *_ = gains.gains(results)
    assert row.rate.value is not None and row.rate.interval is None
    assert row.miou.interval is not None


def test_fewer_points_than_four_or_a_missing_score_are_no_curve():
    assert gains.gains(study(points=3)) == []
    results = study()
    results.evaluations = [e for e in results.evaluations if (e.configuration, e.point) != ("RO", "bpg-2")]
    assert not any("RO" in (row.name, row.anchor) for row in gains.gains(results))
    results = study()
    results.evaluations = [e for e in results.evaluations if (e.configuration, e.seed) not in (("RO", 7), ("RO", 8))]
    results.evaluations = [e for e in results.evaluations if (e.configuration, e.seed) != ("CO", 9)]
    row, *_ = gains.gains(results)
    assert row.rate.refused == row.miou.refused == "no seed was evaluated at every rate of both"


def test_of_five_points_those_at_which_both_were_evaluated_count(monkeypatch):
    monkeypatch.setattr(f"{__name__}.BPP", (*BPP, 0.6))
    five = study(points=5, CO=(*CO, 0.1), RO=(*RO, 0.9), CC=(*CO, 0.6))
    five.evaluations = [e for e in five.evaluations if (e.configuration, e.point) != ("RO", "bpg-4")]
    monkeypatch.undo()
    assert gains.gains(five) == gains.gains(study(CC=CO))


def test_two_points_of_one_rate_are_a_reason_not_the_end_of_the_page(monkeypatch, tmp_path):
    """AVIF's qualities 40 and 41 may be the same files."""
    monkeypatch.setattr(f"{__name__}.BPP", (*BPP, BPP[-1]))
    results = study(points=5, CO=(*CO, 0.56), RO=(*RO, 0.56), CC=(*CO, 0.56))
    row, *_ = gains.gains(results)
    assert row.rate.refused == row.miou.refused == "CO has two points of one rate"
    assert row.miou.refused in write_report(results, tmp_path).read_text(encoding="utf-8")


def test_points_that_differ_in_more_than_the_level_are_on_no_curve_together():
    results = study()
    for point, family in zip(results.points, ("bpg", "bpg", "bpg+chroma=4:4:4", "bpg+chroma=4:4:4")):
        point.family = family
    assert gains.gains(results) == []


def test_the_page_and_the_file_have_the_numbers_or_the_reason(tmp_path):
    results = study(CC=(0.30, 0.31, 0.32, 0.33))
    results.evaluations += [
        EvaluationResult("OR", f"bpg-{n}", "gan", 7, 0.5 - n / 10, 0.9, {}, None, None) for n in range(4)
    ] + [EvaluationResult("OC", f"bpg-{n}", None, 7, 0.5 + n / 10, 0.9, {}, None, None) for n in range(4)]
    table = Page(write_report(results, tmp_path).read_text(encoding="utf-8")).table("BD-rate at equal mIoU")
    rows = gains.gains(results)
    assert [row[:2] for row in table[1:]] == [[row.name, row.anchor] for row in rows]
    assert table[1][2].startswith(f"{rows[0].rate.value:+.1f}".replace("-", "−"))
    assert table[2][2] == "the curves share 0 % of their quality"
    assert table[3][2] == "OR does not rise from each rate to the next"
    with open(tmp_path / "bjontegaard.csv", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert float(found[0]["bd_miou_low"]) == rows[0].miou.interval[0]
    assert found[1]["bd_rate"] == "" and found[1]["bd_rate_refused"] == "the curves share 0 % of their quality"


def test_curves_of_unlike_images_are_not_compared():
    results = example.lack(study(), "bpg-2", "test/a")
    rows = {row.anchor: row for row in gains.gains(results)}
    assert rows["CC"].rate.refused == rows["CC"].miou.refused == "not all of their scores are of the same test images"
    assert rows["CO"].rate.refused == rows["CO"].miou.refused == "not all of their rates are of the same test images"


def test_codecs_whose_rates_are_of_unlike_images_are_not_compared():
    """Segmenters of both are tested on all originals; the rates of one are without the image that costs most."""
    results = study(("bpg", "msh"))
    every = results.dataset.images["test"]
    for point in results.points:
        point.measured = ScoredOn(every, []) if point.codec == "bpg" else ScoredOn(every - 1, ["test/a"])
    rows = {(row.name, row.anchor): row for row in gains.gains(results)}
    assert rows["CO msh", "CO bpg"].rate.refused == "not all of their rates are of the same test images"
    assert rows["RO msh", "CO msh"].rate.value is not None


def test_a_study_without_curves_has_no_table(tmp_path):
    assert "BD-rate" not in write_report(example.study(), tmp_path).read_text(encoding="utf-8")
