"""The benchmark's arithmetic, and that it runs."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.experiments.benchmarks.bpg import load, main, psnr
from tests.data_pipelines.codecs.conftest import scene


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
