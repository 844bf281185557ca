"""What every codec of the registry promises."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.codecs import CODECS, CodecError, codec_class, make_codec
from tests.data_pipelines.codecs.conftest import scene

LOSSY = [name for name in CODECS if codec_class(name).scale is not None]
SIZES = [(1, 1), (1, 37), (41, 1), (2, 3), (16, 16), (35, 50)]


def psnr(one, other):
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


def digest(codec, pixels):
    return hashlib.sha256(codec.encode(pixels)).hexdigest()


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("size", SIZES)
def test_any_size_comes_back_with_its_shape(name, size):
    codec = make_codec(name)
    decoded = codec.decode(codec.encode(scene(*size)))
    assert decoded.shape == (*size, 3)
    assert decoded.dtype == np.uint8


def test_none_is_lossless(picture):
    codec = make_codec("none")
    assert np.array_equal(codec.decode(codec.encode(picture)), picture)


@pytest.mark.parametrize("name", LOSSY)
def test_better_quality_costs_bytes_and_gains_fidelity(name, picture):
    scale = codec_class(name).scale
    middle = (scale.low + scale.high) / 4
    worse, better = sorted((int(middle), int(3 * middle)), reverse=not scale.higher_is_better)
    if (offered := codec_class(name).offered()) is not None:
        worse, better = offered[0], offered[-1]
    low, high = make_codec(name, worse), make_codec(name, better)
    small, large = low.encode(picture), high.encode(picture)
    assert len(small) < len(large)
    assert psnr(low.decode(small), picture) < psnr(high.decode(large), picture)


@pytest.mark.parametrize("name", CODECS)
def test_encoding_is_the_same_in_every_process_and_thread(name, picture):
    codec = make_codec(name)
    expected = digest(codec, picture)
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(digest, [codec] * 8, [picture] * 8)) == {expected}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        assert processes.submit(digest, codec, picture).result() == expected


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_pickles_and_describes_itself_in_json(name):
    codec = make_codec(name)
    assert pickle.loads(pickle.dumps(codec)) == codec
    described = json.loads(json.dumps(codec.describe()))
    assert described["name"] == name
    assert described["versions"] and all(described["versions"].values())


def test_a_bound_on_pixels_is_no_part_of_the_identity():
    assert make_codec("jpeg", max_pixels=1000).describe() == make_codec("jpeg").describe()
    assert make_codec("jpeg", 20).describe() != make_codec("jpeg", 21).describe()


def test_points_name_codec_and_quality():
    assert make_codec("bpg", 40).point == "bpg-qp40"
    assert make_codec("jpeg", 10).point == "jpeg-quality10"
    assert make_codec("jpeg2000", 0.25).point == "jpeg2000-rate0.25"
    assert make_codec("none").point == "none"


@pytest.mark.parametrize("name", CODECS)
def test_damaged_bitstreams_are_refused_with_a_codec_error(name, picture):
    codec = make_codec(name)
    bitstream = codec.encode(picture)
    for damaged in (b"", b"\0", b"garbage" * 40, bitstream[:7], bitstream[: len(bitstream) // 2], b"X" + bitstream[1:]):
        with pytest.raises(CodecError, match=r"\w"):
            codec.decode(damaged)


@pytest.mark.parametrize("name", CODECS)
def test_flipped_bytes_give_a_picture_or_a_codec_error(name, picture):
    codec = make_codec(name, max_pixels=1 << 20)
    bitstream = codec.encode(picture)
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(bitstream)
        for position in rng.integers(min(len(damaged), 200), size=3):
            damaged[position] = rng.integers(256)
        try:
            assert codec.decode(bytes(damaged)).ndim == 3
        except CodecError as error:
            assert str(error)


@pytest.mark.parametrize("name", CODECS)
def test_pictures_above_the_bound_are_refused(name, picture):
    bitstream = make_codec(name).encode(picture)
    make_codec(name, max_pixels=67 * 101).decode(bitstream)
    with pytest.raises(CodecError, match="101x67 pixels"):
        make_codec(name, max_pixels=67 * 101 - 1).decode(bitstream)


@pytest.mark.parametrize("name", ["none", "jpeg", "jpeg2000", "webp", "avif"])
def test_bitstreams_are_the_formats_they_are_named_after(name, picture):
    codec = make_codec(name)
    bitstream = codec.encode(picture)
    with Image.open(io.BytesIO(bitstream)) as image:
        assert image.format == {"none": "PNG"}.get(name, name.upper())
        assert np.array_equal(codec.decode(bitstream), np.array(image.convert("RGB")))


def test_jpeg2000_keeps_to_the_rate_asked_for():
    pixels = scene(256, 256)
    for rate in (0.25, 1.0, 3.0):
        reached = 8 * len(make_codec("jpeg2000", rate).encode(pixels)) / (256 * 256)
        assert 0.9 * rate < reached <= rate


@pytest.mark.parametrize("name", ["bpg", "jpeg", "avif"])
def test_full_chroma_resolution_keeps_colour_edges(name):
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (200, 40, 90), (30, 90, 200)
    full, halved = (make_codec(name, chroma=chroma) for chroma in ("4:4:4", "4:2:0"))
    assert psnr(full.decode(full.encode(stripes)), stripes) > psnr(halved.decode(halved.encode(stripes)), stripes) + 3


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_than_rgb_pixels_are_refused(pixels):
    with pytest.raises(CodecError, match="height, width, 3"):
        make_codec("jpeg").encode(pixels)


def test_a_size_that_the_format_does_not_have_is_refused():
    with pytest.raises(CodecError, match="17000x1 pixels"):
        make_codec("webp").encode(np.zeros((1, 17000, 3), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("jpg",), {}, "did you mean 'jpeg'"),
        (("bpg",), {"presets": "slow"}, "did you mean 'preset'"),
        (("bpg", 52), {}, "qp must be a whole number from 0 to 51, not 52"),
        (("bpg", 30.5), {}, "whole number"),
        (("jpeg", True), {}, "whole number"),
        (("jpeg", "10"), {}, "whole number"),
        (("jpeg2000", 0), {}, "rate must be a number from 0.01 to 24"),
        (("jpeg2000", float("nan")), {}, "rate must be a number"),
        (("none", 3), {}, "lossless"),
        (("jpeg",), {"chroma": "4:1:1"}, "chroma must be one of"),
        (("bpg",), {"chroma": "420"}, "chroma must be one of"),
        (("bpg",), {"preset": "8"}, "preset must be one of"),
        (("bpg",), {"chroma_qp_offset": 13}, "from -12 to 12"),
        (("webp",), {"effort": 7}, "effort must be"),
        (("avif",), {"speed": -1}, "speed must be"),
    ],
)
def test_what_a_codec_does_not_have_is_told_in_words(arguments, options, message):
    with pytest.raises(CodecError, match=message):
        make_codec(*arguments, **options)


def test_codecs_work_without_tensorflow():
    script = (
        "import sys; from dsr.data_pipelines.codecs import CODECS, make_codec; [make_codec(name) for name in CODECS];"
        "import dsr.data_pipelines.codecs.search; sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
