"""A winner is named where the intervals, corrected for all comparisons, carry it, and nowhere else."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from dsr.experiments.analysis.report import render
from dsr.experiments.analysis.rivals import Contest, contests, rivals_table
from dsr.experiments.results import AdaptedResult, EvaluationResult, Results
from tests.experiments.analysis import example
from tests.experiments.analysis.page import Page

POINT = "bpg-qp45"
WAYS = ("recalibrated", "mixed", "consistency")


def study(co: Sequence[float], ro: Sequence[float] = (), **adapted: Sequence[float]) -> Results:
    """One point, with these scores in points of each seed; OO far above."""
    results = example.single_point()

    def entry(configuration: str, seed: int, score: float, restorer: str | None = None) -> EvaluationResult:
        point = None if configuration == "OO" else POINT
        return EvaluationResult(configuration, point, restorer, seed, score / 100, 0.9, {}, None, None)

    results.evaluations = [entry("CO", seed, score) for seed, score in enumerate(co)]
    results.evaluations += [entry("OO", seed, 90 + seed) for seed in range(len(co))]
    results.evaluations += [entry("RO", seed, score, "gan") for seed, score in enumerate(ro)]
    results.adapted = [
        AdaptedResult(**vars(entry("CO", seed, score)), adaptation=way, seconds=60.0 + seed)
        for way, scores in adapted.items()
        for seed, score in enumerate(scores)
    ]
    return results


def contest(results: Results) -> Contest:
    (only,) = contests(results)
    return only


CO = [50.0, 51.0, 49.5, 50.2]


def plus(difference: float, spread: float = 0.05) -> list[float]:
    return [score + difference + spread * (-1) ** seed for seed, score in enumerate(CO)]


def test_without_adaptations_there_is_no_table() -> None:
    results = example.study(restorers=("gan", "rdn-psnr"), seeds=(7, 8, 9))
    assert contests(results) == [] and rivals_table(results).rows == []
    assert "Rivals of restoring" not in render(results)


@pytest.mark.parametrize(("rivals", "confidence"), [(1, 0.95), (2, 0.975), (4, 0.9875)])
def test_intervals_are_those_of_students_t_at_the_confidence_of_bonferroni(rivals: int, confidence: float) -> None:
    adapted = {way: plus(1 + n, 0.3) for n, way in enumerate(WAYS[: min(rivals, 3)])}
    one = contest(study(CO, plus(2, 0.4) if rivals == 4 else (), **adapted))
    assert one.confidence == pytest.approx(confidence)
    row = next(row for row in one.rows if row.adaptation == "recalibrated")
    gaps = np.subtract(adapted["recalibrated"], CO)
    low, high = stats.t.interval(confidence, len(gaps) - 1, gaps.mean(), stats.sem(gaps))
    found = one.effect(row.gain)
    assert found is not None and found.interval == (pytest.approx(low, abs=0.051), pytest.approx(high, abs=0.051))


def test_comparisons_at_all_points_count() -> None:
    results = example.study(seeds=(7, 8, 9))
    results.adapted = [
        AdaptedResult("CO", point, None, seed, 0.6, 0.9, {}, None, None, "mixed", 1.0)
        for point in example.POINTS
        for seed in (7, 8, 9)
    ]
    found = contests(results)
    assert [one.confidence for one in found] == [pytest.approx(1 - 0.05 / 6)] * 3  # mixed and RO gan, at three points


def test_the_bound_does_not_compete() -> None:
    results = study(CO, mixed=plus(1))
    results.adapted += [
        AdaptedResult("OO", None, None, seed, 0.95, 0.9, {}, None, None, "recalibrated", 1.0) for seed in range(len(CO))
    ]
    one = contest(results)
    assert [row.name for row in one.rows] == ["OO", "OO recalibrated", "CO", "CO mixed"]
    assert one.verdict.startswith(f"At {POINT} CO mixed wins: above CO (CO mixed +1.0, ")
    assert one.confidence == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (study(CO[:1], mixed=[60.0]), "one seed does not decide who wins: repeat with --seeds 3."),
        (study(CO, plus(1), mixed=plus(3)), "mixed wins: above CO (CO mixed +3.0, +2.9 to +3.1), and above the other."),
        (study(CO, plus(4), mixed=plus(3), recalibrated=plus(1)), "RO gan wins: "),
        (study(CO, plus(3), mixed=plus(3.1, -0.4)), "there is no winner: above CO: CO mixed +3.1, "),
        (study(CO, plus(3), mixed=plus(3.1, -0.4)), "but none of them above all others."),
        (study(CO, plus(0.1, 3), mixed=plus(0.2, 3)), "there is no winner: no rival of 2 is shown to score above CO."),
        (study(CO, mixed=plus(0.2, 3)), "there is no winner: no rival is shown to score above CO."),
        (study(CO, plus(0.1, 3), mixed=plus(-2)), "is shown to score above CO; below CO: CO mixed -2.0, -2.1 to -1.9."),
        (study(CO, plus(-1), mixed=plus(-2)), "CO wins: every rival scores below it (CO mixed -2.0, "),
    ],
)  # fmt: skip
def test_the_verdict_says_what_the_intervals_carry(results: Results, said: str) -> None:
    assert said in contest(results).verdict


def shifted(results: Results, adaptation: str, by: int) -> Results:
    """The same with other seeds of what was adapted so."""
    for entry in results.adapted:
        entry.seed += by * (entry.adaptation == adaptation)
    return results


def test_a_rival_that_shares_no_seed_with_co_is_named_and_keeps_others_from_winning() -> None:
    alone = contest(study(CO, mixed=plus(2)))
    assert "CO mixed wins" in alone.verdict
    one = contest(shifted(study(CO, mixed=plus(2), recalibrated=plus(9)), "recalibrated", 4))
    assert one.verdict.startswith(f"At {POINT} there is no winner: above CO: CO mixed +2.0, ")
    assert one.verdict.endswith("; CO recalibrated and CO share no seed.")
    worse = contest(shifted(study(CO, mixed=plus(-2), recalibrated=plus(9)), "recalibrated", 4))
    assert "no winner" in worse.verdict and worse.verdict.endswith("; CO recalibrated and CO share no seed.")
    undecided = contest(shifted(study(CO[:1], mixed=[60.0], recalibrated=[60.0]), "recalibrated", 4))
    assert undecided.verdict.endswith("repeat with --seeds 3; CO recalibrated and CO share no seed.")


def test_where_nothing_is_compared_the_reason_is_the_one_that_holds() -> None:
    def said(results: Results, co: bool = True) -> str:
        results.evaluations = [e for e in results.evaluations if co or e.configuration != "CO"]
        return contest(results).verdict.removeprefix(f"At {POINT} nothing is compared: ")

    both = study(CO, recalibrated=plus(9), mixed=plus(2))
    both = shifted(shifted(both, "recalibrated", 4), "mixed", 8)
    assert said(both) == "CO recalibrated and CO share no seed; CO mixed and CO share no seed."
    assert said(shifted(study(CO, mixed=plus(2)), "mixed", 4)) == "CO mixed and CO share no seed."
    assert said(study(CO, mixed=plus(2)), co=False) == "CO was not evaluated."
    results = study(CO)
    results.adapted = [AdaptedResult("OO", None, None, 0, 0.9, 0.9, {}, None, None, "recalibrated", 1.0)]
    assert said(results) == "no rival of CO was evaluated."


def test_a_difference_over_fewer_seeds_than_the_scores_says_how_many() -> None:
    one = contest(shifted(study(CO, mixed=plus(2)), "mixed", 2))
    apart = next(one.effect(row.gain) for row in one.rows if row.name == "CO mixed")
    assert apart is not None and apart.seeds == 2
    results = shifted(study(CO, mixed=plus(2)), "mixed", 2)
    assert "2 seeds" in Page(render(results)).table("minus CO")[-1][2]
    assert not any("seeds" in cell for row in Page(render(study(CO, mixed=plus(2)))).table("minus CO") for cell in row)


def test_a_difference_that_is_clear_alone_may_not_be_clear_among_many() -> None:
    """Its 95 % interval excludes zero; that at the confidence of four comparisons does not."""
    gaps = [0.5, 1.5, 0.6, 1.4]
    score = [co + gap for co, gap in zip(CO, gaps)]
    alone = contest(study(CO, mixed=score))
    among = contest(study(CO, plus(0, 3), mixed=score, recalibrated=plus(0, 3), consistency=plus(0, 3)))
    assert "CO mixed wins" in alone.verdict
    assert "no rival of 4 is shown" in among.verdict


def test_nothing_wins_where_nothing_differs() -> None:
    """Of studies whose ways differ by chance alone, at most one in twenty names a winner, or a difference."""
    rng = np.random.default_rng(0)
    named = 0
    for _ in range(200):
        scores = rng.normal(50, 1, (5, 4))
        found = contest(study(scores[0], scores[1], **dict(zip(WAYS, scores[2:]))))
        named += "no winner: no rival" not in found.verdict or "below CO" in found.verdict
    assert named <= 18  # of 200, 10 expected at most; the binomial's 99 % quantile


def test_the_file_has_the_numbers_of_the_page() -> None:
    results = study(CO, plus(4), mixed=plus(3))
    rows = list(csv.DictReader(io.StringIO(rivals_table(results).to_csv())))
    assert [(row["configuration"], row["restorer"], row["adaptation"]) for row in rows] == [
        ("OO", "", ""), ("CO", "", ""), ("CO", "", "mixed"), ("RO", "gan", ""),
    ]  # fmt: skip
    mixed = rows[2]
    assert float(mixed["minus_co"]) == pytest.approx(0.03) and float(mixed["miou"]) == pytest.approx(0.53175)
    assert float(mixed["confidence"]) == pytest.approx(0.975) and float(mixed["seconds"]) == pytest.approx(61.5)
    assert float(mixed["low"]) < 0.03 < float(mixed["high"])
    assert rows[0]["minus_co"] == rows[1]["minus_co"] == rows[1]["low"] == ""
    page = render(results)
    assert contest(results).verdict in page and "Rivals of restoring" in page and 'href="#rivals"' in page
