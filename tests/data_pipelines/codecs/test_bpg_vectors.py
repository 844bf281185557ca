"""Files of the reference encoder, against the pixels of the reference decoder."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.codecs import CodecError
from dsr.data_pipelines.codecs.bpg import read_bpg

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


@pytest.fixture(scope="session")
def vectors(shared):
    return shared / "bpg_vectors"


def test_every_vector_is_tested(vectors):
    assert {path.stem for path in vectors.glob("*.bpg")} == {*NAMES, "rgb_lossless"}


@pytest.mark.parametrize("name", NAMES)
def test_decodes_to_exactly_the_pixels_of_the_reference_decoder(vectors, name):
    picture = read_bpg((vectors / f"{name}.bpg").read_bytes())
    with Image.open(vectors / f"{name}.png") as image:
        expected = np.array(image)
    pixels = picture.rgb if picture.alpha is None else np.dstack((picture.rgb, picture.alpha))
    assert pixels.shape == expected.shape
    assert np.array_equal(pixels, expected)


def test_what_ffmpeg_decodes_wrongly_is_refused(vectors):
    with pytest.raises(CodecError, match="implicit RDPCM"):
        read_bpg((vectors / "rgb_lossless.bpg").read_bytes())


@pytest.mark.parametrize("name", ["rgb_420_q51", "gray_q36", "rgba_q36"])
def test_a_cut_file_without_a_length_never_gives_another_picture(vectors, name):
    data = (vectors / f"{name}.bpg").read_bytes()
    whole = read_bpg(data)
    assert not whole.header.has_length
    refused = 0
    for cut in [*range(1, 20), *range(20, len(data), 97)]:
        try:
            assert np.array_equal(read_bpg(data[:-cut]).rgb, whole.rgb)
        except CodecError:
            refused += 1
    assert refused >= 15
