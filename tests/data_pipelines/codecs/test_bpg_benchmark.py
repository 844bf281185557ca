"""The benchmark's arithmetic, and that it runs."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from experiments.benchmarks.bpg import bd_rate, load, main, psnr
from tests.data_pipelines.codecs.conftest import scene

BPP, DB = [0.1, 0.2, 0.5, 1.1], [28.0, 31.5, 35.0, 39.0]


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.25])
def test_bytes_scaled_by_a_factor_are_that_much_bd_rate(factor):
    assert bd_rate(BPP, DB, [factor * bpp for bpp in BPP], DB) == pytest.approx(100 * (factor - 1))


def test_bd_rate_of_straight_lines_is_their_distance():
    # log rate = dB / 10 against dB / 10 - 0.2: equal fidelity for exp(-0.2) of the rate, on the 8 dB that both share
    anchor_db, db = np.array([20.0, 24, 28, 32]), np.array([24.0, 27, 31, 35])
    assert bd_rate(np.exp(anchor_db / 10), anchor_db, np.exp(db / 10 - 0.2), db) == pytest.approx(100 * np.expm1(-0.2))


def test_curves_that_share_no_fidelity_have_no_bd_rate():
    assert np.isnan(bd_rate(BPP, DB, BPP, [db + 50 for db in DB]))


def test_psnr_is_that_of_the_formula():
    zeros = np.zeros((4, 4, 3), np.uint8)
    assert psnr(zeros, zeros + 5) == pytest.approx(20 * np.log10(255 / 5))


def test_images_are_cropped_to_their_middle_or_left_out(tmp_path):
    for index, size in enumerate([(20, 30), (40, 60), (44, 64)]):
        Image.fromarray(scene(*size, seed=index)).save(tmp_path / f"{index}.png")
    first, second = load(tmp_path, 3, (60, 40))
    assert np.array_equal(first, scene(40, 60, seed=1))
    assert np.array_equal(second, scene(44, 64, seed=2)[2:42, 2:62])


def test_the_benchmark_prints_a_row_a_variant(tmp_path):
    Image.fromarray(scene(40, 60)).save(tmp_path / "a.png")
    result = CliRunner().invoke(main, [str(tmp_path), "--preset", "fast", "--preset", "ultrafast", "--throughput"])
    assert result.exit_code == 0, result.output
    rows = [line for line in result.output.splitlines() if line.startswith("| 4:2:0")]
    assert [row.split("|")[1].strip() for row in rows] == ["4:2:0 fast 0", "4:2:0 ultrafast 0"] * 2
    assert "+0.00 %" in rows[0]
