from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.analysis.headline import headline, points_apart
from tests.experiments.analysis import example

scores = st.floats(0, 1)


def lead(**configurations: float) -> str:
    return headline(example.set_miou(example.single_point(), **configurations)).lead


def test_the_lead_is_the_hardest_compression_and_the_others_follow_by_rate():
    answer = headline(example.study())
    assert answer.lead == (
        "At 0.057 bpp (bpg-qp45, 158 times smaller than PNG), training on compressed images costs 7.1 points of mIoU; "
        "restoring them first wins back 3.9 of them."
    )
    assert [sentence.split(",")[0] for sentence in answer.others] == [
        "At 0.13 bpp (msh-quality3",
        "At 0.24 bpp (bpg-qp37",
    ]


def test_a_restoration_that_hurts_is_said_to_hurt():
    assert lead(OO=0.6, CO=0.5, RO=0.45).endswith("restoring them first makes it worse, by 5.0 points.")


def test_a_gain_beyond_the_cost_is_not_sold_as_part_of_it():
    assert lead(OO=0.6, CO=0.55, RO=0.605).endswith("restoring them first wins back all of it.")
    assert lead(OO=0.6, CO=0.55, RO=0.63).endswith(
        "wins back all of it and ends 3.0 points above training on originals."
    )


def test_effects_below_the_noise_are_no_effects():
    sentence = lead(OO=0.6, CO=0.594, RO=0.601)
    assert "makes no clear difference (-0.6 points of mIoU)" in sentence
    assert sentence.endswith("restoring them first makes no clear difference (+0.7 points).")
    assert "costs" not in sentence and "wins" not in sentence


def test_compression_that_seems_to_help_is_not_believed():
    sentence = lead(OO=0.6, CO=0.65, RO=0.65)
    assert "scores 5.0 points of mIoU above training on originals" in sentence
    assert "repeat with other seeds" in sentence


def test_restoring_after_a_free_compression_adds_rather_than_wins_back():
    assert lead(OO=0.6, CO=0.6, RO=0.63).endswith("restoring them first adds 3.0 points.")


def test_what_was_not_measured_is_not_claimed():
    assert headline(example.single_point()).lead.endswith("restoring was not part of this study.")
    without_oo = example.single_point()
    without_oo["evaluations"] = [e for e in without_oo["evaluations"] if e["configuration"] != "OO"]
    answer = headline(without_oo)
    assert "was not measured" in answer.lead
    assert "no score to stay close to" in answer.limit


def test_the_limit_names_the_lowest_rate_within_a_point_of_oo():
    answer = headline(example.study())
    assert answer.limit == (
        "The lowest rate within 1 point of the score without compression (OO, 63.2 % mIoU): "
        "no measured rate when training on the compressed images, 0.24 bpp when restoring them first."
    )


def test_without_a_rate_close_to_oo_the_limit_says_so():
    assert headline(example.single_point()).limit.startswith("No measured rate stays within 1 point")


def test_small_and_big_objects_are_given_as_their_class_means():
    expected = {c: (score - 0.2, score + 0.2) for c, score in (("OO", 0.6317), ("CO", 0.5612), ("RO", 0.6004))}
    text = headline(example.study()).objects
    for configuration, (small, big) in expected.items():
        assert f"{100 * small:.1f} % ({configuration})" in text
        assert f"{100 * big:.1f} % ({configuration})" in text
    assert text.index("small objects") < text.index("big objects")


def test_objects_are_left_out_where_no_class_is_small():
    results = example.study()
    for label in results["dataset"]["classes"]:
        label["small"] = False
    assert headline(results).objects == ""


def test_the_caveat_names_seed_and_test_images():
    caveat = headline(example.study()).caveat
    assert "seed 7" in caveat and "60 images" in caveat and "about a point of mIoU are noise" in caveat


def test_a_point_larger_than_png_is_not_called_smaller():
    results = example.single_point()
    results["original_bpp"] = results["points"][0]["compressed"]["bpp"] * 0.9
    assert "no smaller than PNG" in headline(results).lead


@given(scores, scores, scores)
def test_words_agree_with_the_sign_of_the_effects(oo, co, ro):
    sentence = lead(OO=oo, CO=co, RO=ro)
    cost, gain = round(100 * (oo - co), 1), round(100 * (ro - co), 1)
    assert ("costs" in sentence) == (cost >= 1)
    assert ("wins back" in sentence) == (cost >= 1 and gain >= 1)
    assert ("makes it worse" in sentence) == (gain <= -1)


@given(scores, scores)
def test_points_apart_is_antisymmetric_and_never_minus_zero(a, b):
    forward, backward = points_apart(a, b), points_apart(b, a)
    assert forward is not None and backward is not None
    assert forward == pytest.approx(-backward)
    assert "-0.0" not in f"{forward:.1f}" and "-0.0" not in f"{backward:.1f}"
