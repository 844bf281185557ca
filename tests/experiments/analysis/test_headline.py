from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from dsr.experiments.analysis.headline import Effect, headline, points_apart, ranked_restorers, unlabelled
from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.results import LeftOut, OverImages, ScoredOn
from tests.experiments.analysis import example

scores = st.floats(0, 1)
by_seed = st.lists(scores, min_size=3, max_size=3)


def lead(**configurations: float) -> str:
    return headline(example.set_miou(example.single_point(), **configurations)).lead


def repeated(**configurations: list[float]) -> str:
    """The lead of a study with a score for each of several seeds."""
    return headline(example.set_seeds(example.single_point(), **configurations)).lead


def test_the_lead_is_the_hardest_compression_and_the_others_follow_by_rate():
    answer = headline(example.study(None, seeds=(7, 8, 9)))
    assert answer.lead.startswith(
        "At 0.057 bpp (bpg-qp45, test images 158 times smaller than PNG), training on compressed images costs "
    )
    assert [sentence.split(",")[0] for sentence in answer.others] == [
        "At 0.13 bpp (msh-quality3",
        "At 0.24 bpp (bpg-qp37",
    ]


@given(scores, scores, scores)
def test_one_seed_decides_nothing_and_the_lead_says_what_does(oo, co, ro):
    sentence = lead(OO=oo, CO=co, RO=ro)
    assert f"scored {round(100 * (co - oo), 1) + 0.0:+.1f} points of mIoU against originals" in sentence
    assert f"scored {round(100 * (ro - co), 1) + 0.0:+.1f} points against that" in sentence
    assert sentence.endswith("one seed does not decide: repeat with --seeds 3.")
    assert not any(word in sentence for word in ("costs", "wins", "makes", "adds"))


def test_a_cost_that_seeds_carry_is_claimed_though_the_gain_has_one_seed():
    sentence = repeated(OO=[0.60, 0.61, 0.62], CO=[0.54, 0.552, 0.556], RO=[0.58])
    assert "training on compressed images costs 6.1 points" in sentence
    assert "restoring them first scored +4.0 points against that. Whether that is more than chance" in sentence


def test_a_restoration_that_hurts_is_said_to_hurt():
    sentence = repeated(OO=[0.60, 0.61, 0.62], CO=[0.54, 0.55, 0.56], RO=[0.49, 0.50, 0.511])
    assert "restoring them first makes it worse, by 5.0 points" in sentence


def test_a_gain_beyond_the_cost_is_not_sold_as_part_of_it():
    sentence = repeated(OO=[0.60, 0.61, 0.62], CO=[0.55, 0.56, 0.57], RO=[0.63, 0.64, 0.651])
    assert "wins back all of it and ends 3.0 points above training on originals" in sentence


def test_all_that_is_won_back_of_more_seeds_than_originals_have_may_still_end_below_them():
    few, many = [0.60, 0.604, 0.596], [0.56, 0.564, 0.558, 0.65, 0.649, 0.652]
    sentence = repeated(OO=few, CO=[0.55, 0.553, 0.549, 0.548, 0.551, 0.55], RO=many)
    assert "wins back 5.5 (95 % interval 0.3 to 10.7), and ends 3.9 points below training on originals" in sentence
    assert "no clear difference" not in sentence
    assert "no clear difference" not in repeated(OO=few[:1], CO=[0.50, 0.502, 0.501], RO=many)
    assert "no clear difference to" in repeated(OO=few, CO=[0.55, 0.551, 0.549], RO=[0.601, 0.604, 0.598])


def test_compression_that_seems_to_help_is_not_explained():
    sentence = repeated(OO=[0.60, 0.61, 0.62], CO=[0.65, 0.66, 0.67], RO=[0.65, 0.66, 0.67])
    assert "scores 5.0 points of mIoU above training on originals" in sentence
    assert "which their being compressed does not explain" in sentence


def test_restoring_after_a_free_compression_adds_rather_than_wins_back():
    sentence = repeated(OO=[0.60, 0.61, 0.62], CO=[0.61, 0.60, 0.62], RO=[0.64, 0.63, 0.65])
    assert "restoring them first adds 3.0 points" in sentence


def test_what_was_not_measured_is_not_claimed():
    assert "restoring was not part of this study." in headline(example.single_point()).lead
    without_oo = example.single_point()
    without_oo.evaluations = [e for e in without_oo.evaluations if e.configuration != "OO"]
    answer = headline(without_oo)
    assert "was not measured" in answer.lead
    assert "no score to stay close to" in answer.limit


def of_seeds(**seeds: tuple[int, ...]):
    """The headline of a study of seeds 7, 8 and 9, of which configurations have these alone."""
    results = example.study(None, seeds=(7, 8, 9))
    results.evaluations = [e for e in results.evaluations if e.seed in seeds.get(e.configuration, (7, 8, 9))]
    return headline(results)


def test_scores_that_share_no_seed_are_said_to_share_none():
    answer = of_seeds(CO=(7, 8), RO=(9,))
    assert "cannot be compared, as RO and CO share no seed." in answer.lead
    answer = of_seeds(OO=(9,), CO=(7, 8))
    assert "the cost of training on compressed images was not measured, as OO and CO share no seed;" in answer.lead
    results = example.study(None, seeds=(7, 8, 9))
    results.evaluations = [e for e in results.evaluations if e.configuration not in ("CO", "OO")]
    assert "was not measured, as OO and CO were not evaluated;" in headline(results).lead
    assert "cannot be compared, as CO was not evaluated." in headline(results).lead


def test_scores_on_unlike_test_images_are_not_said_to_share_no_seed():
    results = example.study(None, seeds=(7, 8, 9))
    for entry in results.evaluations:
        entry.tested = ScoredOn(59, ["a"]) if entry.configuration == "CO" else ScoredOn(60, [])
    assert "as OO and CO were not tested on the same images; " in headline(results).lead
    assert "cannot be compared, as RO and CO were not tested on the same images." in headline(results).lead


def test_a_difference_over_fewer_seeds_than_the_scores_says_how_many():
    lead = of_seeds(CO=(7, 8), RO=(8, 9)).lead
    assert "costs" in lead and ", 2 seeds); restoring them first scored" in lead and "one seed does not decide" in lead
    assert of_seeds().lead.count("seed") == 0
    assert ", 2 seeds) when training on" in limit({"bpg-qp37": (CLOSE[:2], FAR)})


@pytest.mark.parametrize("seeds", [(8,), (7, 8)])
def test_the_caveat_names_the_seeds_that_there_are(seeds):
    results = example.study(None, seeds=seeds)
    results.evaluations = [
        e for e in results.evaluations if (e.configuration == "OO") == (e.seed == 7) or len(seeds) < 2
    ]
    caveat = headline(results).caveat
    assert caveat.startswith(f"Each segmenter was trained once (seed {' or '.join(map(str, seeds))}) and tested on 60")
    assert "one seed cannot tell an effect from chance" in caveat and "pairs" not in caveat


def test_the_caveat_claims_no_pairs_and_no_intervals_where_there_are_none():
    results = example.study(None, seeds=(7, 8, 9))
    results.evaluations = [e for e in results.evaluations if e.configuration in ("OO", "CO")]
    results.evaluations += [
        dataclasses.replace(e, seed=e.seed + 3) for e in results.evaluations if e.configuration == "CO"
    ]

    def caveat(oo: tuple[int, ...], co: tuple[int, ...]) -> str:
        kept = [e for e in results.evaluations if e.seed in (oo if e.configuration == "OO" else co)]
        return headline(dataclasses.replace(results, evaluations=kept)).caveat

    assert caveat((7, 8), (9, 10)).startswith(
        "Segmenters were trained with 2 of the seeds 7, 8, 9, 10 and tested on 60"
    )
    assert "ifferences" not in caveat((7, 8), (9, 10)) and "interval" not in caveat((7, 8), (9, 10))
    assert "one seed cannot tell an effect from chance" in caveat((7, 8), (8, 9))
    assert "interval" not in caveat((7, 8), (8, 9))
    assert "Differences are means of pairs of equal seed with 95 % t-intervals" in caveat((7, 8, 9), (8, 9))


def limit(points: dict[str, tuple[list[float], list[float]]]) -> str:
    """Of a study with bpg-qp45 and bpg-qp37, {point: (CO, RO)} by seed, where OO scores 0.60, 0.61, 0.62."""
    results = example.study(None, seeds=(7, 8, 9))
    results.points = [point for point in results.points if point.codec == "bpg"]
    scored = {("OO", None): [0.60, 0.61, 0.62]}
    for point, (co, ro) in points.items():
        scored.update({("CO", point): co, ("RO", point): ro})
    results.evaluations = [
        dataclasses.replace(e, miou=scored[e.configuration, e.point][e.seed - 7])
        for e in results.evaluations
        if e.seed - 7 < len(scored.get((e.configuration, e.point), ()))
    ]
    return headline(results).limit


CLOSE, FAR, WIDE = [0.598, 0.607, 0.617], [0.55, 0.56, 0.57], [0.57, 0.61, 0.64]


def test_the_limit_is_a_rate_whose_interval_stays_close():
    assert "0.24 bpp (-0.3 points, 95 % interval -0.4 to -0.1) when training on the compressed images" in limit(
        {"bpg-qp37": (CLOSE, FAR)}
    )
    assert limit({"bpg-qp37": (WIDE, FAR)}).startswith("Nothing measured is shown to stay within 1 point")


def test_the_limit_needs_every_higher_rate_to_hold_too():
    assert "0.057 bpp (-0.3 points, 95 % interval -0.4 to -0.1) when restoring them first" in limit(
        {"bpg-qp37": (FAR, CLOSE), "bpg-qp45": (FAR, CLOSE)}
    )
    assert limit({"bpg-qp37": (FAR, FAR), "bpg-qp45": (FAR, CLOSE)}).startswith("Nothing measured is shown")


@pytest.mark.parametrize("harder, easier", [(4.0, 1.0), (4.0, 64.0)])
def test_where_there_is_no_rate_it_is_the_fidelity_that_tells_the_harder_level(harder, easier):
    """More pixels of blur are harder, more photons are not."""
    results = example.study(None, seeds=(7, 8, 9))
    places = {"bpg-qp45": (harder, 22.0), "bpg-qp37": (easier, 33.0)}
    results.points = [
        dataclasses.replace(
            point,
            codec="other",
            quality=places[point.point][0],
            compressed=dataclasses.replace(point.compressed, bpp=None, psnr=places[point.point][1]),
        )
        for point in results.points
        if point.codec == "bpg"
    ]
    scored = {("OO", None): [0.60, 0.61, 0.62], ("CO", "bpg-qp37"): CLOSE, ("CO", "bpg-qp45"): FAR}
    results.evaluations = [
        dataclasses.replace(e, miou=scored[e.configuration, e.point][e.seed - 7])
        for e in results.evaluations
        if (e.configuration, e.point) in scored
    ]
    found = headline(results)
    assert found.lead.startswith("At bpg-qp45, training on degraded images costs ")
    assert found.limit.startswith("The hardest that is shown to stay within 1 point")
    assert found.limit.endswith(
        "bpg-qp37 (-0.3 points, 95 % interval -0.4 to -0.1) when training on the degraded images."
    )


def test_one_seed_has_no_limit():
    assert "is not decided by one seed: repeat with --seeds 3" in headline(example.study()).limit


def test_small_and_big_objects_are_given_as_their_class_means():
    expected = {c: (score - 0.2, score + 0.2) for c, score in (("OO", 0.6317), ("CO", 0.5612), ("RO", 0.6004))}
    text = headline(example.study()).objects
    for configuration, (small, big) in expected.items():
        assert f"{100 * small:.1f} % ({configuration})" in text
        assert f"{100 * big:.1f} % ({configuration})" in text
    assert text.index("small objects") < text.index("big objects")


def test_objects_are_left_out_where_no_class_is_small():
    results = example.study()
    for label in results.dataset.classes:
        label.small = False
    assert headline(results).objects == ""


def test_the_caveat_names_seed_and_test_images():
    caveat = headline(example.study()).caveat
    assert "seed 7" in caveat and "60 images" in caveat and "one seed cannot tell an effect from chance" in caveat


def test_a_point_larger_than_png_is_not_called_smaller():
    results = example.single_point()
    results.original_bpp = results.points[0].compressed.bpp * 0.9
    assert "test images no smaller than PNG" in headline(results).lead


def test_rates_are_compared_with_the_files_that_were_read():
    results = example.single_point()
    results.dataset.file_bpp = results.points[0].compressed.bpp * 20
    assert "test images 20 times smaller than the files that were read" in headline(results).lead


def test_with_several_seeds_effects_come_with_their_intervals():
    sentence = repeated(OO=[0.60, 0.61, 0.62], CO=[0.54, 0.552, 0.556], RO=[0.57, 0.58, 0.59])
    assert "training on compressed images costs 6.1 points of mIoU (95 % interval 5.3 to 6.8)" in sentence
    assert sentence.endswith("restoring them first wins back 3.1 of them (95 % interval 2.3 to 3.8).")


def test_a_gain_that_the_seeds_do_not_agree_on_is_not_claimed():
    sentence = repeated(OO=[0.65, 0.66, 0.67], CO=[0.54, 0.55, 0.56], RO=[0.54, 0.57, 0.59])
    assert "makes no clear difference (+1.7 points, 95 % interval -2.1 to +5.5)" in sentence
    assert "wins" not in sentence


def test_a_small_gain_that_all_seeds_agree_on_is_one():
    sentence = repeated(OO=[0.65, 0.66, 0.67], CO=[0.54, 0.55, 0.56], RO=[0.545, 0.555, 0.566])
    assert sentence.endswith("wins back 0.5 of them (95 % interval 0.4 to 0.7).")


def test_all_of_the_cost_is_won_back_only_as_far_as_seeds_can_tell():
    sentence = repeated(OO=[0.60, 0.61, 0.62], CO=[0.55, 0.56, 0.57], RO=[0.61, 0.61, 0.62])
    assert "which leaves no clear difference to training on originals" in sentence
    assert "all of it" not in sentence


@given(by_seed, by_seed, by_seed)
def test_words_agree_with_the_intervals_over_seeds(oo, co, ro):
    sentence = repeated(OO=oo, CO=co, RO=ro)

    def interval(a, b):
        """In points, from the differences by seed, rounded as printed."""
        apart = 100 * (np.array(a) - b)
        half = stats.t.ppf(0.975, 2) * apart.std(ddof=1) / np.sqrt(3)
        return round(apart.mean() - half, 6), round(apart.mean() + half, 6)

    (cost_low, cost_high), (gain_low, gain_high) = interval(oo, co), interval(ro, co)
    assume(min(abs(abs(end) - 0.05) for end in (cost_low, cost_high, gain_low, gain_high)) > 1e-4)
    assert ("costs" in sentence) == (cost_low > 0.05)
    assert ("makes it worse" in sentence) == (gain_high < -0.05)
    assert ("wins back" in sentence) == (cost_low > 0.05 and gain_low > 0.05)


def test_of_several_restorers_the_lead_names_the_best_and_how_many_there_were():
    results = example.study(None, ("rdn-psnr", "gan", "rdn-msssim"))
    assert ranked_restorers(results, "bpg-qp45") == ["gan", "rdn-msssim", "rdn-psnr"]
    answer = headline(results)
    assert "restoring them first with gan, the best of 3 restorers, scored +3.9 points" in answer.lead
    assert "40.0 % (RO gan)" in answer.objects


def test_a_restorer_that_shares_no_seed_with_co_is_not_the_best_one():
    results = example.study(None, ("gan", "rdn-psnr"), seeds=(7, 8))
    for entry in results.evaluations:
        entry.seed += 2 * (entry.restorer == "gan")
    assert ranked_restorers(results, "bpg-qp45") == ["rdn-psnr", "gan"]
    assert "with rdn-psnr, the best of 2 restorers," in headline(results).lead


def test_the_best_restorer_may_be_another_at_each_point():
    results = example.study(None, ("gan", "rdn-psnr"))
    for entry in results.evaluations:
        if (entry.configuration, entry.point, entry.restorer) == ("RO", "bpg-qp37", "rdn-psnr"):
            entry.miou = 0.7
    assert [ranked_restorers(results, point)[0] for point in example.POINTS] == ["gan", "rdn-psnr", "gan"]
    assert "with rdn-psnr, the best of 2 restorers," in headline(results).others[-1]


def test_a_restorer_that_was_not_evaluated_at_a_point_is_not_counted_there():
    results = example.study(None, tuple(example.RESTORERS))
    gone = {("RO", "bpg-qp45", "rdn-psnr"), ("RO", "bpg-qp37", "rdn-psnr"), ("RO", "bpg-qp37", "rdn-msssim")}
    results.evaluations = [e for e in results.evaluations if (e.configuration, e.point, e.restorer) not in gone]
    answer = headline(results)
    assert "the best of 2 restorers" in answer.lead
    assert "restoring them first with gan scored" in answer.others[-1]


def test_a_test_set_of_few_photographs_is_said_to_stand_for_no_others():
    for seeds in ((7,), (7, 8, 9)):
        results = example.study(None, seeds=seeds)
        assert "photograph" not in headline(results).caveat
        for photographs, said in ((1, "one photograph"), (19, "19 photographs")):
            results.dataset.photographs = photographs
            assert f"They come from {said}: so few prove nothing about others." in headline(results).caveat
        results.dataset.photographs = 20
        assert "photograph" not in headline(results).caveat


@pytest.mark.parametrize("seeds", [(7,), (7, 8, 9)])
def test_the_caveat_names_points_that_were_scored_and_cannot_be_shown(seeds):
    results = example.study(None, seeds=seeds)
    assert "left out" not in headline(results).caveat
    shown, *lost = results.points
    some = dataclasses.replace(results, points=[shown])
    names = ", ".join(sorted(point.point for point in lost))
    assert f"Scores at {names} are left out" in headline(some).caveat and "dsr run makes it" in headline(some).caveat
    none = dataclasses.replace(results, points=[])
    assert shown.point in headline(none).caveat and headline(none).lead == "No operating point has been measured yet."


def test_the_caveat_of_several_seeds_says_what_their_intervals_leave_out():
    caveat = headline(example.study(None, seeds=(7, 8, 9))).caveat
    assert "3 seeds (7, 8, 9)" in caveat and "not with other images or another training of the restorer" in caveat
    assert "best of" not in caveat
    assert "best of 3 restorers" in headline(example.study(None, tuple(example.RESTORERS), (7, 8))).caveat


@given(st.dictionaries(st.integers(0, 9), st.floats(-1, 1), min_size=1, max_size=5))
def test_an_effect_turned_around_is_as_clear_and_says_the_same_numbers(values):
    effect = Effect.of(BySeed(values))
    assert effect is not None
    assert (-effect).clear == effect.clear and (-effect).points == -effect.points and Effect.__neg__(-effect) == effect
    assert "-0.0" not in f"{effect.evidence} {(-effect).evidence}"


@given(scores, scores)
def test_points_apart_is_antisymmetric_and_never_minus_zero(a, b):
    forward, backward = points_apart(a, b), points_apart(b, a)
    assert forward is not None and backward is not None
    assert forward == pytest.approx(-backward)
    assert "-0.0" not in f"{forward:.1f}" and "-0.0" not in f"{backward:.1f}"


def test_the_caveat_says_what_was_tested_on_fewer_images():
    results = example.study(seeds=(7, 8))
    assert "Where images differ" not in headline(example.lack(results, "bpg-qp45")).caveat
    caveat = headline(example.lack(results, "bpg-qp45", "test/a", "test/b")).caveat
    assert (
        "Some of the 60 test images could not be compressed or restored: CC, OC, OR at bpg-qp45 were tested on 58. "
        "Where images differ, scores are not compared."
    ) in caveat


def test_images_that_could_not_be_read_are_not_said_to_be_tested_on():
    results = example.study(seeds=(7, 8))
    for entry in results.evaluations:
        entry.tested = ScoredOn(59, [])
    assert "and tested on 59 images." in headline(results).caveat


def test_the_caveat_says_what_a_class_without_a_label_would_do():
    results = example.study()
    results.dataset.unlabelled = ["sky"]
    words = "No test label has sky: if one pixel is predicted as sky, mIoU falls by 25 % of its value."
    assert words in headline(results).caveat
    results.dataset.unlabelled = ["sky", "road"]
    words = "has sky, road: if one pixel is predicted as one of them, mIoU falls by 33 % of its value."
    assert words in headline(results).caveat


def test_a_class_that_only_labels_of_left_out_images_have_is_not_said_to_be_in_none():
    results = example.study()
    results.dataset.unlabelled = ["sky"]
    results.over_images = [OverImages("OO", None, None, None, 0, None, {})]
    assert unlabelled(results) == "No test label has sky: it is not scored, and does not count in mIoU."
    results.left_out = [LeftOut("bpg-qp45", None, ["test/a"])]
    assert unlabelled(results) == (
        "No label of the images that are scored has sky: it is not scored, and does not count in mIoU."
    )
