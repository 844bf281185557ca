"""Files of the reference encoder, against the pixels of the reference decoder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.codecs import CodecError
from dsr.data_pipelines.codecs.bpg import BpgCodec, read_bpg

NAMES = [
    "gray_jctvc_q30",
    "gray_q36",
    "odd_444_q40",
    "odd_q36",
    "rgb_10bit_q36",
    "rgb_12bit_444_q36",
    "rgb_420_q10",
    "rgb_420_q30",
    "rgb_420_q40",
    "rgb_420_q51",
    "rgb_422_q36",
    "rgb_444_q36",
    "rgb_444_rgb_q36",
    "rgb_444_ycbcr_bt2020_q36",
    "rgb_444_ycbcr_bt709_q36",
    "rgb_444_ycgco_q36",
    "rgb_jctvc_q36",
    "rgb_level1_q36",
    "rgb_limited_q36",
    "rgba_q36",
]


KEPT = Path(__file__).resolve().parents[2] / "data" / "bpg"
"""A few of them, which are part of the repository; of their pixels a digest."""

PIXELS = json.loads((KEPT / "pixels.json").read_text())


def pixels_of(data):
    """As the reference decoder gives them: with an alpha channel if there is one."""
    picture = read_bpg(data)
    return picture.rgb if picture.alpha is None else np.dstack((picture.rgb, picture.alpha))


@pytest.fixture(scope="session")
def vectors(shared):
    return shared / "bpg_vectors"


def test_every_vector_is_tested(vectors):
    assert {path.stem for path in vectors.glob("*.bpg")} == {*NAMES, "rgb_lossless"}
    assert {path.stem for path in KEPT.glob("*.bpg")} == set(PIXELS)


@pytest.mark.parametrize("name", PIXELS)
def test_decodes_to_the_pixels_whose_digest_is_kept(name):
    pixels = pixels_of((KEPT / f"{name}.bpg").read_bytes())
    assert list(pixels.shape) == PIXELS[name]["shape"]
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == PIXELS[name]["sha256"]


@pytest.mark.parametrize("name", NAMES)
def test_decodes_to_exactly_the_pixels_of_the_reference_decoder(vectors, name):
    pixels = pixels_of((vectors / f"{name}.bpg").read_bytes())
    with Image.open(vectors / f"{name}.png") as image:
        expected = np.array(image)
    assert pixels.shape == expected.shape
    assert np.array_equal(pixels, expected)


def test_what_ffmpeg_decodes_wrongly_is_refused(vectors):
    with pytest.raises(CodecError, match="implicit RDPCM"):
        read_bpg((vectors / "rgb_lossless.bpg").read_bytes())


@pytest.mark.parametrize("name", ["rgb_420_q51", "gray_q36", "rgba_q36"])
def test_a_cut_file_without_a_length_never_gives_another_picture(name):
    data = (KEPT / f"{name}.bpg").read_bytes()
    whole = read_bpg(data)
    assert not whole.header.has_length
    refused = 0
    for cut in [*range(1, 20), *range(20, len(data), 97)]:
        try:
            assert np.array_equal(read_bpg(data[:-cut]).rgb, whole.rgb)
        except CodecError:
            refused += 1
    assert refused >= 15


@pytest.mark.parametrize(
    ("name", "slice_qp", "chroma", "depth"),
    [
        ("rgb_420_q51", 48, "4:2:0", 8),
        ("rgb_422_q36", 33, "4:2:2", 8),
        ("gray_q36", 33, "gray", 8),
        ("rgba_q36", 33, "4:2:0", 8),
        ("gray_jctvc_q30", 30, "gray", 8),
        ("rgb_10bit_q36", 36, "4:2:0", 10),
        ("rgb_12bit_444_q36", 36, "4:4:4", 12),
    ],
)
def test_inspection_tells_what_the_encoder_was_told(name, slice_qp, chroma, depth):
    # x265 codes a picture at 3 less than bpgenc is told, its other encoder at that.
    found = BpgCodec.inspect((KEPT / f"{name}.bpg").read_bytes())
    assert [found.height, found.width] == PIXELS[name]["shape"][:2]
    assert found.chroma == chroma
    assert (found.details["slice_qp"], found.details["depth"]) == (slice_qp, depth)
    assert found.quality == slice_qp + 3


def test_inspection_tells_a_lossless_file(vectors):
    found = BpgCodec.inspect((vectors / "rgb_lossless.bpg").read_bytes())
    assert (found.quality, found.details["lossless"], found.details["colour_space"]) == (0, True, "rgb")
