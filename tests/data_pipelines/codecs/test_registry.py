"""What every codec of the registry promises."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import multiprocessing
import pickle
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dsr.data_pipelines.codecs import (
    CODECS,
    CodecError,
    codec_class,
    describe_options,
    identify,
    jpeg,
    make_codec,
    parse_options,
    parse_point,
)
from dsr.data_pipelines.codecs.base import Codec, QualityScale, option
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
    scale = codec_class(name).scale_with()
    span = scale.high - scale.low
    worse, better = (int(scale.low + share * span) for share in (0.25, 0.75))
    if not scale.higher_is_better:
        worse, better = better, worse
    low, high = make_codec(name, worse), make_codec(name, better)
    small, large = low.encode(picture), high.encode(picture)
    assert len(small) < len(large)
    assert psnr(low.decode(small), picture) < psnr(high.decode(large), picture)


@pytest.fixture(scope="module")
def elsewhere():
    """Another process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        yield processes


@pytest.mark.slow
@pytest.mark.parametrize("name", CODECS)
def test_encoding_is_the_same_in_every_process_and_thread(name, picture, elsewhere):
    codec = make_codec(name)
    expected = digest(codec, picture)
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(digest, [codec] * 8, [picture] * 8)) == {expected}
    assert elsewhere.submit(digest, codec, picture).result() == expected


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


POINTS = [
    ("bpg", 40, {}, "bpg-qp40"),
    ("jpeg", 10, {}, "jpeg-quality10"),
    ("msh", 3, {}, "msh-quality3"),
    ("jpeg2000", 0.25, {}, "jpeg2000-rate0.25"),
    ("jpeg2000", 1.23456789, {}, "jpeg2000-rate1.23456789"),
    ("none", None, {}, "none"),
    ("bpg", 40, {"chroma": "4:4:4"}, "bpg-qp40+chroma=4:4:4"),
    ("bpg", 40, {"chroma": "4:2:0", "preset": "slow"}, "bpg-qp40"),
    ("bpg", 40, {"max_pixels": 1000}, "bpg-qp40"),
    ("bpg", 3, {"preset": "fast", "chroma_qp_offset": -2}, "bpg-qp3+preset=fast+chroma_qp_offset=-2"),
    ("avif", 60, {"speed": 9, "chroma": "4:2:2"}, "avif-quality60+chroma=4:2:2+speed=9"),
]


@pytest.mark.parametrize(("name", "quality", "options", "point"), POINTS)
def test_points_name_codec_quality_and_what_is_not_the_default(name, quality, options, point):
    codec = make_codec(name, quality, **options)
    assert codec.point == point
    parsed = parse_point(point)
    assert make_codec(parsed.codec, parsed.quality, **parsed.options) == codec


def test_points_are_read_in_short_too():
    assert parse_point("bpg:40") == ("bpg", 40, {})
    assert parse_point("bpg:40+chroma=gray") == ("bpg", 40, {"chroma": "gray"})
    assert parse_point("bpg+chroma=4%3A4%3A4") == ("bpg", None, {"chroma": "4:4:4"})
    assert parse_point("msh:3+model=/my models/a+b".replace("+b", "%2Bb")).options == {"model": "/my models/a+b"}


@dataclass(frozen=True)
class Odd(Codec):
    """A codec with an option of any text."""

    name = "odd"
    scale = QualityScale("level", 0, 10, 5, higher_is_better=True, integer=False)

    text: str = option("", "any text")
    flag: bool = option(False, "yes or no")
    later: int = option(1, "came later", between=(0, 9), added=True)

    def _encode(self, pixels):
        return b""

    def _decode(self, bitstream):
        return np.zeros((1, 1, 3), np.uint8)


@given(st.text(max_size=20), st.booleans(), st.floats(0, 10))
def test_points_are_safe_file_names_and_come_back(text, flag, level):
    with mock.patch.dict(CODECS, odd=f"{__name__}:Odd"):
        try:
            text.encode()
        except UnicodeEncodeError:
            return
        codec = make_codec("odd", round(level, 4), text=text, flag=flag)
        assert re.fullmatch(r"[A-Za-z0-9_.~:=+%-]+", codec.point)
        parsed = parse_point(codec.point)
        assert make_codec(parsed.codec, parsed.quality, **parsed.options) == codec


def test_an_option_that_came_later_is_no_part_of_the_identity_by_default():
    assert "later" not in Odd().describe()["options"]
    assert Odd(later=2).describe()["options"]["later"] == 2
    assert Odd(later=2).point == "odd-level5+later=2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no codec"),
        ("bgp-qp40", "did you mean 'bpg'"),
        ("bpg-40", "write it as bpg-qp40"),
        ("jpeg-qp40", "write it as jpeg-quality75"),
        ("none-3", "write it as none"),
        ("bpg-qpnan", "write it as"),
        ("bpg-qp4_0", "write it as"),
        ("bpg-qp40+chroma", "KEY=VALUE"),
        ("bpg-qp40+", "KEY=VALUE"),
        ("bpg-qp40+chroma=gray+chroma=gray", "each key once"),
        ("bpg-qp40+chrome=gray", "did you mean 'chroma'"),
    ],
)
def test_what_is_no_point_is_refused(text, message):
    with pytest.raises(CodecError, match=re.escape(message)):
        parse_point(text)


def test_options_given_as_text_become_what_the_codec_takes():
    assert parse_options("bpg", {"chroma_qp_offset": "-2", "preset": "8", "encoder": "libbpg"}) == {
        "chroma_qp_offset": -2,
        "preset": "8",
        "encoder": "libbpg",
    }


@pytest.mark.parametrize("name", CODECS)
def test_every_option_says_what_it_is(name):
    described = describe_options(name)
    assert set(described) == {field.name for field in codec_class(name).options()}
    assert all(len(text) > 5 for text in described.values())


NASTY = [
    *("", "nan", "inf", "-1", "1e400", "9" * 400, "None", "true", "4.0", "x" * 10000, "a/b", "\0"),
    *(float("nan"), float("inf"), -1, 4.0, 10**400, 10**5000, True, None, [], {}, b"x", np.float32(3)),
]


@pytest.mark.parametrize("name", CODECS)
def test_no_value_of_an_option_or_a_quality_gives_anything_but_a_codec_or_a_sentence(name):
    for key in ("quality", *describe_options(name)):
        for value in NASTY:
            given = parse_options(name, {key: value}) if isinstance(value, str) and key != "quality" else {key: value}
            try:
                codec = make_codec(name, **given)
            except CodecError as error:
                assert str(error).startswith(f"codec {name}") and len(str(error)) < 25_000
            else:
                json.dumps(codec.describe(), allow_nan=False)
                assert len(codec.point) < 200


@pytest.mark.parametrize("name", LOSSY)
def test_a_ladder_rises_along_the_scale(name):
    cls = codec_class(name)
    qualities = [make_codec(name, quality).quality for quality in cls.ladder]
    assert len(qualities) >= 4
    assert qualities == sorted(qualities)


def test_suffixes_tell_codecs_apart():
    suffixes = [codec_class(name).suffix for name in CODECS]
    assert set(suffixes) == {".png", ".bpg", ".msh", ".jpg", ".jp2", ".webp", ".avif"}
    assert len(set(suffixes)) == len(CODECS)


@pytest.mark.parametrize("name", CODECS)
def test_a_bitstream_tells_its_codec_and_its_size(name, picture):
    bitstream = make_codec(name).encode(picture)
    cls = identify(bitstream)
    assert cls is codec_class(name)
    found = cls.inspect(bitstream)
    assert (found.codec, found.width, found.height) == (name, 101, 67)
    json.dumps(dataclasses.asdict(found))


@pytest.mark.parametrize("bitstream", [b"", b"RIFF1234WAVE", b"II*\0", b"GIF89a", b"\0\0\0\x18ftypheic" + bytes(12)])
def test_what_is_of_no_codec_is_not_taken_for_one(bitstream):
    assert identify(bitstream) is None


@pytest.mark.parametrize("name", CODECS)
def test_a_damaged_header_is_refused_or_read(name, picture):
    bitstream = make_codec(name).encode(picture)
    cls = codec_class(name)
    rng = np.random.default_rng(3)
    for length in (0, 3, 5, 9, 14):
        with pytest.raises(CodecError):
            cls.inspect(bitstream[:length])
    for _ in range(200):
        damaged = bytearray(bitstream)
        for position in rng.integers(min(len(damaged), 60), size=2):
            damaged[position] = rng.integers(256)
        try:
            assert cls.inspect(bytes(damaged)).width > 0
        except CodecError as error:
            assert str(error)


LUMA_STEPS = """
16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99
"""
CHROMA_STEPS = "17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66" + " 99" * 38
"""Tables K.1 and K.2 of the JPEG standard, in the order of rows."""


@pytest.mark.parametrize("chroma", ["4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize("quality", [1, 9, 30, 49, 50, 75, 93, 100])
def test_the_quality_of_a_jpeg_is_told_by_its_tables(quality, chroma, picture):
    found = codec_class("jpeg").inspect(make_codec("jpeg", quality, chroma=chroma).encode(picture))
    assert (found.quality, found.chroma, found.details["exact"]) == (quality, chroma, True)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    tables = b"".join(
        min(max((int(step) * scale + 50) // 100, 1), 255).to_bytes(2, "big")
        for steps in (LUMA_STEPS, CHROMA_STEPS)
        for step in steps.split()
    )
    assert found.details["tables"] == hashlib.sha256(tables).hexdigest()


def test_the_quality_of_a_jpeg_with_tables_of_its_own_is_the_nearest(picture):
    steps = [[min(step + step % 3, 255) for step in table] for table in jpeg.tables_of(40).values()]
    buffer = io.BytesIO()
    Image.fromarray(picture).convert("L").save(buffer, "JPEG", qtables=steps[:1], progressive=True)
    found = codec_class("jpeg").inspect(buffer.getvalue())
    assert (found.chroma, found.details["exact"], found.details["progressive"]) == ("gray", False, True)
    assert 36 <= found.quality <= 41


def test_a_jpeg_whose_tables_have_other_numbers_than_libjpegs_tells_no_quality(picture):
    """Pillow decodes it, and nothing of its tables can be compared."""
    bitstream = make_codec("jpeg", 50).encode(picture)
    renumbered = bytearray(bitstream)
    at = 2
    while renumbered[at + 1] != 0xDA:  # the segments before the scan
        if renumbered[at + 1] == 0xDB:
            renumbered[at + 4] += 2
        if renumbered[at + 1] == 0xC0:
            for component in range(3):
                renumbered[at + 12 + 3 * component] += 2
        at += 2 + int.from_bytes(renumbered[at + 2 : at + 4], "big")
    np.testing.assert_array_equal(make_codec("jpeg").decode(bytes(renumbered)), make_codec("jpeg").decode(bitstream))
    found = codec_class("jpeg").inspect(bytes(renumbered))
    assert (found.quality, found.chroma, found.details["exact"]) == (None, "4:2:0", False)


@pytest.mark.parametrize(("name", "options"), [("bpg", {"chroma": "gray"}), ("bpg", {"chroma": "4:2:2"}), ("webp", {})])
def test_chroma_is_told_where_there_is_some(name, options, picture):
    for chroma in ("4:2:0", "4:2:2", "4:4:4"):
        found = codec_class("avif").inspect(make_codec("avif", chroma=chroma).encode(picture))
        assert found.chroma == chroma
    found = codec_class(name).inspect(make_codec(name, **options).encode(picture))
    assert found.chroma == options.get("chroma", "4:2:0")


def test_a_lossless_webp_does_not_claim_halved_chroma(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", lossless=True)
    assert codec_class("webp").inspect(buffer.getvalue()).chroma is None


@pytest.mark.parametrize("qp", [3, 4, 27, 40, 51])
def test_the_qp_of_a_bpg_is_told_by_its_slice(qp, picture):
    for chroma in ("4:2:0", "gray"):
        found = codec_class("bpg").inspect(make_codec("bpg", qp, chroma=chroma).encode(picture))
        assert (found.quality, found.details["slice_qp"], found.details["lossless"]) == (qp, qp - 3, False)


@pytest.mark.slow
def test_the_quality_of_an_msh_bitstream_is_that_of_the_model_that_comes_with_dsr(picture):
    bitstream = make_codec("msh", 1).encode(picture)
    found = codec_class("msh").inspect(bitstream)
    assert found.quality == 1
    assert bytes.fromhex(found.details["model"]) in bitstream


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


@pytest.mark.parametrize(("name", "largest"), [("webp", 16383), ("avif", 32768), ("jpeg", 65500)])
def test_a_size_that_the_format_does_not_have_is_refused(name, largest):
    codec = make_codec(name, **({"speed": 10} if name == "avif" else {}))
    assert codec.decode(codec.encode(np.zeros((2, largest, 3), np.uint8))).shape == (2, largest, 3)
    for size in ((2, largest + 1), (largest + 1, 2), (2, 70000)):
        with pytest.raises(
            CodecError, match=f"^{name} cannot encode a picture of {size[1]}x{size[0]} pixels: .*{largest}"
        ):
            codec.encode(np.zeros((*size, 3), np.uint8))


@pytest.mark.parametrize("quality", [80, 94, 100])
def test_noise_is_no_reason_not_to_encode(quality):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    codec = make_codec("jpeg", quality, chroma="4:4:4")
    bitstream = codec.encode(noise)
    assert bitstream == codec.encode(noise)
    assert len(bitstream) > 200 * 300  # more than the buffer that Pillow optimises in
    assert psnr(codec.decode(bitstream), noise) > 22


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
        (("bpg",), {"chroma_qp_offset": True}, "whole number from -12 to 12"),
        (("webp",), {"effort": 4.0}, "whole number from 0 to 6"),
        (("jpeg",), {"max_pixels": float("nan")}, "max_pixels must be a whole number"),
        (("bpg",), {"chroma_qp_offset": 13}, "from -12 to 12"),
        (("webp",), {"effort": 7}, "effort must be a whole number from 0 to 6"),
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
