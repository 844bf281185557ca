"""Finding the quality for a rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from dsr.data_pipelines.codecs import CODECS, Codec, CodecError, QualityScale, codec_class, make_codec
from dsr.data_pipelines.codecs.search import find_quality
from tests.data_pipelines.codecs.conftest import scene

IMAGES = [scene(48, 64, seed) for seed in (1, 2)] + [scene(30, 40, 3)]
PIXELS = 2 * 48 * 64 + 30 * 40


def rate(name, quality, **options):
    codec = make_codec(name, quality, **options)
    return 8 * sum(len(codec.encode(image)) for image in IMAGES) / PIXELS


@pytest.mark.parametrize(
    ("name", "target", "options"),
    [
        ("jpeg", 2.5, {}),
        ("webp", 1.5, {}),
        ("bpg", 1.0, {"preset": "ultrafast"}),
        ("bpg", 2.0, {"preset": "ultrafast"}),
    ],
)
def test_no_other_quality_comes_closer(name, target, options):
    found = find_quality(name, target, IMAGES, **options)
    assert found.bpp == rate(name, found.codec.quality, **options)
    assert found.target_bpp == target
    scale = codec_class(name).scale
    qualities = range(scale.low, scale.high + 1)
    closest = min(abs(rate(name, quality, **options) - target) for quality in qualities)
    assert abs(found.bpp - target) == closest


def test_a_continuous_scale_is_met_closely():
    found = find_quality("jpeg2000", 1.3, IMAGES)
    assert found.bpp == rate("jpeg2000", found.codec.quality)
    assert found.bpp == pytest.approx(1.3, rel=0.02)


@dataclass(frozen=True)
class Linear(Codec):
    """A codec that takes the rate that it is asked for, as JPEG 2000 does."""

    name = "linear"
    scale = QualityScale("rate", 0.01, 24, 1.0, higher_is_better=True, integer=False)

    def _encode(self, pixels):
        return bytes(round(self.quality * pixels.shape[0] * pixels.shape[1] / 8))

    def _decode(self, bitstream):
        raise AssertionError("a search looks at sizes alone")


@pytest.mark.parametrize("target", [0.1, 0.2, 0.45, 0.545, 0.8, 1.0, 3.0, 20.0])
def test_a_rate_that_does_not_rise_exponentially_is_met_closely_too(target, monkeypatch):
    monkeypatch.setitem(CODECS, "linear", f"{__name__}:Linear")
    found = find_quality("linear", target, [np.zeros((500, 500, 3), np.uint8)])
    assert found.bpp == pytest.approx(target, rel=0.001)


def test_the_ends_of_the_scale_are_within_reach():
    for quality in (1, 100):
        assert find_quality("jpeg", rate("jpeg", quality), IMAGES).bpp == rate("jpeg", quality)


@pytest.mark.parametrize("target", [0.001, 50.0])
@pytest.mark.parametrize("name", ["jpeg", "bpg"])
def test_a_rate_out_of_reach_is_refused_with_the_range_within_reach(name, target):
    options = {"preset": "ultrafast"} if name == "bpg" else {}
    scale = codec_class(name).scale
    with pytest.raises(CodecError, match="cannot reach") as raised:
        find_quality(name, target, IMAGES, **options)
    for end in (scale.low, scale.high):
        assert f"{rate(name, end, **options):.4g}" in str(raised.value)


def test_options_reach_the_codec():
    assert find_quality("jpeg", 3.0, IMAGES, chroma="4:4:4").codec.chroma == "4:4:4"


def test_a_lossless_codec_and_an_empty_sample_are_refused():
    with pytest.raises(CodecError, match="lossless"):
        find_quality("none", 1.0, IMAGES)
    with pytest.raises(CodecError, match="sample"):
        find_quality("jpeg", 1.0, [])
