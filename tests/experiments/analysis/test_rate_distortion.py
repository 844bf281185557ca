"""Codecs side by side: a page whose numbers are those of the CSV."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from dsr.experiments.analysis.rate_distortion import Comparison, RatePoint, render, write_rate_distortion
from tests.experiments.analysis.page import Page

BPP, DB = [0.1, 0.2, 0.5, 1.1], [28.0, 31.5, 35.0, 39.0]


def points() -> list[RatePoint]:
    def point(codec: str, bpp: float, db: float) -> RatePoint:
        return RatePoint(codec, f"{codec}-qp{db:g}", bpp, db, 0.9, 10.0 + bpp)

    ladder = [point("bpg", bpp, db) for bpp, db in zip(BPP, DB)]
    return ladder + [point("jpeg", 2 * bpp, db) for bpp, db in zip(BPP, DB)]


def test_the_csv_holds_every_point_as_measured(tmp_path: Path) -> None:
    write_rate_distortion("streets", Comparison(4, points()), tmp_path)
    with (tmp_path / "rate_distortion.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["codec"], float(row["bpp"]), float(row["psnr"])) for row in rows] == [
        (point.codec, point.bpp, point.psnr) for point in points()
    ]


def test_what_another_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    theirs = [tmp_path / f"rate_distortion.{suffix}.tmp" for suffix in ("csv", "html")]
    for file in theirs:
        file.write_bytes(b"theirs")
    write_rate_distortion("streets", Comparison(4, points()), tmp_path)
    assert [file.read_bytes() for file in theirs if file.exists()] == [b"theirs"] * 2


def test_the_page_compares_every_codec_with_the_first() -> None:
    page = render("streets", Comparison(4, points()))
    assert "Average rate against bpg" in page
    assert "+100.0 %" in page  # jpeg takes twice the bits everywhere
    assert len(re.findall(r"<svg", page)) == 2
    assert "<script" not in page


@pytest.mark.parametrize(
    ("bpp", "db", "reason"),
    [
        ([2 * bpp for bpp in BPP], [28.0, 31.5, 31.5, 39.0], "jpeg does not rise from each rate to the next"),
        ([0.2, 0.4, 0.4, 1.0, 2.2], [28.0, 31.0, 31.5, 35.0, 39.0], "jpeg has two points of one rate"),
        (BPP, [38.0, 40.0, 42.0, 44.0], "the curves share 17 % of their quality"),
        (BPP, [48.0, 49.0, 50.0, 51.0], "the curves share 0 % of their quality"),
        (BPP[:3], DB[:3], "3 of the 4 rates that it takes"),
    ],
)
def test_averages_that_a_study_would_refuse_are_refused_here_too(bpp, db, reason) -> None:
    ladder = points()[: len(BPP)]
    other = [RatePoint("jpeg", f"jpeg-{n}", *pair, 0.9, 10.0 + n) for n, pair in enumerate(zip(bpp, db))]
    table = Page(render("streets", Comparison(4, [*ladder, *other]))).table("at equal PSNR")
    assert table[1][1] == reason


def test_points_that_lost_nothing_are_listed_but_not_drawn() -> None:
    lossless = RatePoint("none", "none", 8.0, None, 1.0, None)
    page = render("streets", Comparison(1, [*points(), lossless]))
    assert '<th scope="row">none</th>' in page
    assert "none: " not in page


def test_images_that_the_mean_psnr_leaves_out_are_counted_beside_it(tmp_path: Path) -> None:
    """Of 99 lossless images and one at 30 dB the mean is 30 dB."""
    some = RatePoint("bpg", "bpg-qp1", 4.0, 45.0, 0.9999, 40.0, 99)
    page = write_rate_distortion("streets", Comparison(100, [*points(), some]), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert Page(text).table("MS-SSIM, dB")[-1][2] == "45.00 without 99 identical"
    assert "bpg: 45.00 (PSNR, dB, without 99 identical) at 4 bpp" in text
    assert text.count("identical") == render("streets", Comparison(100, points())).count("identical") + 3
    with (tmp_path / "rate_distortion.csv").open(newline="") as file:
        assert [row["identical"] for row in csv.DictReader(file)] == ["0"] * 8 + ["99"]


def test_names_are_escaped() -> None:
    assert "<b>x" not in render("<b>x", Comparison(1, points()))
