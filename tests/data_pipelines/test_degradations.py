"""Degradations do what their levels say, to each image the same wherever it is done."""

from __future__ import annotations

import hashlib
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.degradations import DEGRADATIONS, DegradationError, degradation_class, make_degradation
from dsr.data_pipelines.degradations.chain import Chain
from dsr.models.metrics.fidelity import psnr

MILD = {
    "blur-gaussian": (1, 3),
    "blur-defocus": (1.5, 5),
    "blur-motion": (3, 15),
    "noise-shot": (1000, 30),
    "noise-read": (4, 25),
    "downsample": (1.5, 4),
    "gamma": (1.2, 2.5),
    "white-balance": (1.1, 2),
    "bit-depth": (6, 3),
}
"""A mild and a strong level of each."""


def scene(height: int = 40, width: int = 56) -> np.ndarray:
    down, across = np.mgrid[:height, :width]
    planes = [128 + 90 * np.sin(down / 5), 128 + 90 * np.cos(across / 4), 255 * ((down // 8 + across // 8) % 2)]
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


def impulse(side: int = 101) -> np.ndarray:
    """One bright point, as floats, so that nothing is rounded."""
    values = np.zeros((side, side, 3))
    values[side // 2, side // 2] = 1
    return values


def spread(name: str, strength: float) -> np.ndarray:
    """What becomes of a point, (side, side)."""
    return make_degradation(name, strength).distort(impulse(), np.random.default_rng(1))[..., 0]


def second_moment(kernel: np.ndarray) -> float:
    """Of both directions together, in square pixels."""
    places = np.arange(len(kernel)) - len(kernel) // 2
    return float(kernel.sum(axis=1) @ places**2 + kernel.sum(axis=0) @ places**2)


def test_every_degradation_is_here() -> None:
    assert set(MILD) == set(DEGRADATIONS)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_shape_stays_and_stronger_is_worse_and_the_name_says_it(name: str) -> None:
    pixels = scene()
    mild, strong = (make_degradation(name, level) for level in MILD[name])
    for degradation in (mild, strong):
        degraded, bitstream = degradation.degrade(pixels, "a")
        assert degraded.dtype == np.uint8 and degraded.shape == pixels.shape and bitstream is None
        assert degradation.point == f"{name}{degradation.strength:g}"
    assert psnr(mild.degrade(pixels, "a").pixels, pixels) > psnr(strong.degrade(pixels, "a").pixels, pixels) + 1


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_what_is_random_depends_on_key_and_seed_alone(name: str) -> None:
    pixels, level = scene(), MILD[name][1]
    one = make_degradation(name, level)
    again = pickle.loads(pickle.dumps(one)).degrade(pixels, "a").pixels  # as in another process
    np.testing.assert_array_equal(one.degrade(pixels, "a").pixels, again)
    random = name.startswith("noise") or name == "blur-motion"
    assert np.array_equal(again, one.degrade(pixels, "b").pixels) != random
    assert np.array_equal(again, make_degradation(name, level, seed=1).degrade(pixels, "a").pixels) != random


def test_other_processes_make_the_same_bytes() -> None:
    code = (
        "import hashlib; from dsr.data_pipelines.degradations import make_degradation as m;"
        "from tests.data_pipelines.test_degradations import scene;"
        "print(hashlib.sha256(m('noise-shot', 50).degrade(scene(), 'x/y').pixels.tobytes()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.strip()
    here = make_degradation("noise-shot", 50).degrade(scene(), "x/y").pixels
    assert hashlib.sha256(here.tobytes()).hexdigest() == there


@given(st.floats(1, 12))
@settings(max_examples=20, deadline=None)
def test_a_gaussian_has_its_standard_deviation(sigma: float) -> None:
    kernel = spread("blur-gaussian", sigma)
    assert kernel.sum() == pytest.approx(1)
    assert second_moment(kernel) == pytest.approx(2 * sigma**2, rel=0.01)


@given(st.floats(2, 12))
@settings(max_examples=20, deadline=None)
def test_a_disk_has_its_radius(radius: float) -> None:
    kernel = spread("blur-defocus", radius)
    assert kernel.sum() == pytest.approx(1)
    # A uniform disk has r^2 / 2; that it is gathered in pixels changes that by a fraction of a pixel.
    assert second_moment(kernel) == pytest.approx(radius**2 / 2, abs=0.3)


@given(st.floats(2, 40))
@settings(max_examples=20, deadline=None)
def test_a_line_has_its_length(length: float) -> None:
    kernel = spread("blur-motion", length)
    assert kernel.sum() == pytest.approx(1)
    # A uniform line has L^2 / 12; sharing a place out to four pixels adds up to 1 / 4 in each direction.
    assert length**2 / 12 <= second_moment(kernel) + 1e-9 <= length**2 / 12 + 0.5 + length / 12


def test_shot_noise_has_the_variance_of_counted_photons() -> None:
    values = np.full((200, 200, 3), 51.0)
    noisy = make_degradation("noise-shot", 500).distort(values, np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(51, rel=0.005)
    assert noisy.var() == pytest.approx(51 * 255 / 500, rel=0.02)


def test_read_noise_has_its_deviation_at_all_brightnesses() -> None:
    values = np.stack([np.full((200, 200), level) for level in (20.0, 120.0, 220.0)], axis=-1)
    noisy = make_degradation("noise-read", 7).distort(values, np.random.default_rng(0))
    np.testing.assert_allclose((noisy - values).std(axis=(0, 1)), 7, rtol=0.02)


@given(st.integers(0, 255), st.floats(0.2, 5))
def test_gamma_is_a_power(value: int, exponent: float) -> None:
    pixels = np.full((1, 1, 3), value, np.uint8)
    expected = round(255 * (value / 255) ** exponent)
    assert abs(int(make_degradation("gamma", exponent).degrade(pixels, "").pixels[0, 0, 0]) - expected) <= 1


@given(st.integers(1, 8))
def test_bits_leave_so_many_levels_and_at_most_half_a_step(bits: int) -> None:
    pixels = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    degraded = make_degradation("bit-depth", bits).degrade(pixels, "").pixels
    assert len(np.unique(degraded)) == 2**bits
    assert np.abs(degraded.astype(int) - pixels).max() <= math.ceil(255 / (2**bits - 1) / 2)
    assert degraded.min() == 0 and degraded.max() == 255


def test_white_balance_keeps_green_and_sets_the_ratio() -> None:
    pixels = np.full((2, 2, 3), 100, np.uint8)
    red, green, blue = make_degradation("white-balance", 1.5).degrade(pixels, "").pixels[0, 0].astype(float)
    assert green == 100 and red / blue == pytest.approx(1.5, rel=0.02)


def test_a_chain_sends_the_small_picture_and_arrives_at_full_size() -> None:
    pixels = scene(41, 57)
    chain = Chain((make_degradation("downsample", 2), make_codec("none")))
    degraded, bitstream = chain.degrade(pixels, "a")
    assert bitstream is not None and make_codec("none").decode(bitstream).shape == (20, 28, 3)
    assert degraded.shape == pixels.shape
    np.testing.assert_array_equal(degraded, make_degradation("downsample", 2).degrade(pixels, "a").pixels)
    assert (chain.kind, chain.point) == ("codec", "downsample2+none")


def test_a_chain_does_its_stages_in_order() -> None:
    blur, noise = make_degradation("blur-gaussian", 2), make_degradation("noise-read", 9)
    pixels = scene()
    expected = noise.degrade(blur.degrade(pixels, "a").pixels, "a").pixels
    np.testing.assert_array_equal(Chain((blur, noise)).degrade(pixels, "a").pixels, expected)
    assert not np.array_equal(Chain((noise, blur)).degrade(pixels, "a").pixels, expected)


def test_noise_that_a_chain_has_twice_is_drawn_twice() -> None:
    """Two noises add up in their squares; the same one twice would be one that is as strong as both."""
    pixels = np.full((200, 200, 3), 128, np.uint8)
    chain = Chain((make_degradation("noise-read", 6), make_degradation("noise-read", 8)))
    noisy = chain.degrade(pixels, "a").pixels
    assert noisy.astype(float).std() == pytest.approx(10, rel=0.02)
    np.testing.assert_array_equal(chain.degrade(pixels, "a").pixels, noisy)


def test_a_chain_whose_noises_once_were_the_same_is_not_taken_for_what_it_was() -> None:
    noise, other = make_degradation("noise-read", 6), make_degradation("noise-shot", 40)
    assert "draws" not in Chain((noise, other)).describe()
    assert Chain((noise, make_degradation("noise-read", 8))).describe()["draws"] == "own"


def test_nothing_comes_behind_a_codec() -> None:
    with pytest.raises(DegradationError, match="jpeg-quality10 must be the last"):
        Chain((make_codec("jpeg", 10), make_degradation("gamma", 2)))


def test_a_chain_is_no_stage_of_another_in_which_it_would_draw_the_same_again() -> None:
    noise = make_degradation("noise-read", 6)
    inner = Chain((noise, make_codec("jpeg", 10)))
    with pytest.raises(DegradationError, match=r"noise-read6\+jpeg-quality10 is a chain itself: give its stages"):
        Chain((noise, inner))


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("strength", [float("nan"), float("inf"), -1, 0, 1e9, "2", True, None])
def test_a_level_off_the_scale_is_refused(name: str, strength: object) -> None:
    with pytest.raises(DegradationError, match=name):
        degradation_class(name)(strength)  # type: ignore[arg-type]


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(DegradationError, match="did you mean 'blur-gaussian'"):
        make_degradation("blur-gausian", 2)
    with pytest.raises(DegradationError, match="no option sigma"):
        make_degradation("gamma", 2, sigma=3)
