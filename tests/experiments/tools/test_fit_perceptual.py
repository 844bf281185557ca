from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.experiments.tools.fit_perceptual import (
    DISTORTIONS,
    REGULARIZATION,
    Photographs,
    degradation,
    distorted,
    main,
    measure,
    regression,
    summary,
)
from dsr.models.metrics.perceptual.hosa import Hosa
from dsr.models.metrics.perceptual.niqe import Niqe
from tests.models.leaves import leaves

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(5):
        Image.fromarray(leaves(96, 96, number)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_levels_of_each_kind_degrade_more_and_more(kind: str) -> None:
    original = leaves(180, 200)
    values = [degradation(original, distorted(original, kind, level, seed=1)) for level in DISTORTIONS[kind]]
    assert 0 <= values[0] < 55
    assert values == sorted(values)
    assert values[-1] > values[0] + 25


def test_degradation_is_nothing_for_equal_images_and_ends_at_a_hundred() -> None:
    original = leaves(180, 200)
    assert degradation(original, original) == 0
    assert degradation(original, 255 - original) == 100


def test_only_noise_depends_on_the_seed() -> None:
    original = leaves(96, 96)
    for kind, levels in DISTORTIONS.items():
        one, same, other = (distorted(original, kind, levels[2], seed) for seed in (1, 1, 2))
        assert np.array_equal(one, same)
        assert np.array_equal(one, other) == (kind != "noise")


def test_regression_in_the_dual_is_ridge_regression_with_an_offset() -> None:
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(30, 7)), rng.normal(40, 9, 30)
    slope, offset = regression(features, targets)
    centred = features - features.mean(axis=0)
    ridge = centred.T @ centred + REGULARIZATION * np.eye(7)
    assert slope == pytest.approx(np.linalg.solve(ridge, centred.T @ (targets - targets.mean())))
    assert (features @ slope + offset).mean() == pytest.approx(targets.mean())


def test_a_photograph_is_seen_at_two_levels_of_each_kind_and_five_show_all(photographs: Path) -> None:
    source = Photographs(photographs)
    seen = [[pixels.tobytes() for pixels, _ in source.versions(number)] for number in range(5)]
    for number, versions in enumerate(seen):
        assert versions[0] == source[number].tobytes()
        assert len(set(versions)) == 1 + 2 * len(DISTORTIONS)
    for place, (kind, levels) in enumerate(DISTORTIONS.items()):
        first = {
            level
            for number in range(5)
            for level in levels
            if distorted(source[number], kind, level, number).tobytes() in seen[number][1 + 2 * place : 3 + 2 * place]
        }
        assert first == set(levels)


def test_summary_counts_steps_and_correlations_and_leaves_out_missing_scores() -> None:
    degradations = np.array([[0.0, 20, 40], [0, 30, 60]])
    line = summary("blur", 2 * degradations + 1, degradations)
    assert line == "| blur | 1.0 | 51.0 | 101.0 | 100% | 0.970 | 1.000 | 1.000 |"
    missing = summary("blur", np.array([[1.0, 5, 3], [np.nan, np.nan, np.nan]]), degradations)
    assert missing == "| blur | 1.0 | 5.0 | 3.0 | 50% | 0.500 | 0.500 | 0.500 |"


def test_the_measured_tables_have_a_line_for_each_kind(photographs: Path, capsys) -> None:
    class Brightness:
        def score(self, pixels: np.ndarray) -> float:
            return float(pixels.mean())

    measure({"brightness": Brightness()}, Photographs(photographs))
    printed = capsys.readouterr().out
    for name in ("degradation", "brightness"):
        assert f"| {name} | pristine" in printed
    for kind in (*DISTORTIONS, "all"):
        assert printed.count(f"\n| {kind} | ") == 2


def test_the_same_photographs_give_the_same_weights(photographs: Path, tmp_path, monkeypatch) -> None:
    for name in ("two", "one", "other"):
        (tmp_path / name).mkdir()
    for file in sorted(photographs.iterdir())[:2]:
        (tmp_path / "two" / file.name).write_bytes(file.read_bytes())
    for name in ("one", "other"):
        arguments = ["--root", str(tmp_path / "two"), "--output", str(tmp_path / name)]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0
    for index in ("niqe.npz", "hosa.npz"):
        assert (tmp_path / "one" / index).read_bytes() == (tmp_path / "other" / index).read_bytes()
    monkeypatch.setattr("dsr.models.metrics.perceptual.stored.FOLDER", tmp_path / "one")
    assert Niqe.shipped().mean.shape == (36,)
    assert np.isfinite(Hosa.shipped().score(leaves(96, 96)))
