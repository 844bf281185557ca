"""Numbers, parameter sets and the container of BPG files."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr.data_pipelines.codecs import CodecError
from dsr.data_pipelines.codecs.bpg.bits import BitReader, BitWriter, escape, unescape
from dsr.data_pipelines.codecs.bpg.container import (
    COLOUR_SPACES,
    MAGIC,
    PIXEL_FORMATS,
    Cursor,
    Header,
    parse,
    serialise,
    write_ue7,
)
from dsr.data_pipelines.codecs.bpg.parameter_sets import (
    RANGE_FLAGS,
    Pcm,
    PictureHeader,
    SequenceHeader,
    parse_sps,
    slice_qp,
    write_parameter_sets,
)

HEADER = SequenceHeader(
    log2_min_block=3,
    log2_block_range=3,
    log2_min_transform=2,
    log2_transform_range=3,
    transform_depth=4,
    sao=1,
    pcm=None,
    strong_smoothing=1,
    range_flags=None,
)
flags = st.integers(0, 1)
headers = st.builds(
    SequenceHeader,
    log2_min_block=st.just(4),
    log2_block_range=st.integers(0, 2),
    log2_min_transform=st.integers(2, 3),
    log2_transform_range=st.integers(0, 1),
    transform_depth=st.integers(0, 1),
    sao=flags,
    pcm=st.none() | st.builds(Pcm, st.integers(0, 15), st.integers(0, 15), st.integers(0, 9), st.integers(0, 9), flags),
    strong_smoothing=flags,
    range_flags=st.none() | st.tuples(*[flags] * len(RANGE_FLAGS)),
)


@pytest.mark.parametrize(("code", "value"), [("08", 8), ("841e", 542), ("acbe17", 728855)])
def test_ue7_numbers_are_those_of_the_specification(code, value):
    assert Cursor(bytes.fromhex(code)).ue7("it") == value
    assert write_ue7(value).hex() == code


@given(st.integers(0, (1 << 32) - 1))
def test_ue7_numbers_come_back(value):
    cursor = Cursor(write_ue7(value) + b"rest")
    assert cursor.ue7("it") == value
    assert cursor.take(4, "rest") == b"rest"


@pytest.mark.parametrize("code", [b"", b"\x81", b"\x80\x01", b"\xff" * 1000, b"\xff\xff\xff\xff\x7f"])
def test_cut_padded_and_endless_numbers_are_refused(code):
    with pytest.raises(CodecError):
        Cursor(code).ue7("it")


@pytest.mark.parametrize(
    ("value", "code"), enumerate(["1", "010", "011", "00100", "00101", "00110", "00111", "0001000"])
)
def test_exp_golomb_codes_are_those_of_the_standard(value, code):
    bits = BitWriter()
    bits.ue(value)
    assert bytes(bits) == int(code.ljust(8, "0"), 2).to_bytes(1, "big")


@given(st.lists(st.integers(0, (1 << 32) - 1)), st.lists(st.tuples(st.integers(1, 40), st.integers(0))))
def test_codes_come_back(codes, fields):
    bits = BitWriter()
    for code in codes:
        bits.ue(code)
    for width, value in fields:
        bits.u(width, value % (1 << width))
    reader = BitReader(bytes(bits))
    assert [reader.ue() for _ in codes] == codes
    assert [reader.u(width) for width, _ in fields] == [value % (1 << width) for width, value in fields]


def test_signed_codes_alternate():
    bits = BitWriter()
    for code in range(5):
        bits.ue(code)
    reader = BitReader(bytes(bits))
    assert [reader.se() for _ in range(5)] == [0, 1, -1, 2, -2]


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" * 5, b"\0" * 1000])
def test_codes_that_end_too_early_or_never_are_refused(data):
    with pytest.raises(CodecError):
        BitReader(data).ue()


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 255])).map(bytes))
def test_escaped_bytes_hold_no_start_code_and_come_back(rbsp):
    escaped = escape(rbsp)
    assert not any(code in escaped for code in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))
    assert unescape(escaped) == rbsp


@given(headers)
def test_sequence_headers_come_back(header):
    assert SequenceHeader.parse(bytes(header)) == header


@given(headers.map(lambda header: dataclasses.replace(header, range_flags=None)), st.integers(0, 3))
def test_the_sps_says_what_the_header_says(header, chroma_format):
    stream = write_parameter_sets(header, chroma_format, 100, 50, 8)
    _, vps, sps = stream.split(b"\0\0\1")
    assert (vps[0] >> 1, sps[0] >> 1) == (32, 33)
    assert parse_sps(sps) == header


@pytest.mark.parametrize(
    "change",
    [
        {"log2_min_block": 40},
        {"log2_block_range": 4},
        {"log2_min_transform": 3},
        {"log2_transform_range": 4},
        {"transform_depth": 5},
        {"log2_block_range": (1 << 31)},
    ],
)
def test_block_sizes_that_hevc_does_not_have_are_refused(change):
    with pytest.raises(CodecError, match="that HEVC does not have"):
        SequenceHeader.parse(bytes(dataclasses.replace(HEADER, **change)))


def test_an_sps_that_bpg_cannot_express_is_refused():
    stream = write_parameter_sets(HEADER, 1, 64, 64, 8)
    sps = bytearray(unescape(stream.split(b"\0\0\1")[2]))
    sps[2] |= 0b1110  # sps_max_sub_layers_minus1
    with pytest.raises(CodecError, match="sps_max_sub_layers_minus1"):
        parse_sps(escape(bytes(sps)))


def pps(qp_delta=0, bypass=0, output_flag=0, extra_bits=0, qp=26):
    """A PPS, written field by field."""
    bits = BitWriter()
    bits.u(16, 34 << 9 | 1)
    for code in (0, 0):
        bits.ue(code)
    bits.u(7, output_flag << 5 | extra_bits << 2 | 0b11)
    for code in (0, 0, 2 * (qp - 26) - 1 if qp > 26 else 2 * (26 - qp)):
        bits.ue(code)
    bits.u(3, qp_delta)
    for code in ([2] if qp_delta else []) + [3, 4]:
        bits.ue(code)
    bits.u(3, 0)
    bits.u(1, bypass)
    bits.u(6, 0)
    return escape(bytes(bits))


@pytest.mark.parametrize("qp_delta", [0, 1])
@pytest.mark.parametrize("bypass", [0, 1])
def test_transquant_bypass_is_found_in_the_pps(bypass, qp_delta):
    assert PictureHeader.parse(pps(qp_delta, bypass)).transquant_bypass == bypass


@pytest.mark.parametrize("kind", [1, 16, 19, 20, 21])
@pytest.mark.parametrize(
    ("extra_bits", "output_flag", "sao", "gray"), [(0, 0, 1, False), (3, 1, 0, True), (1, 0, 1, True)]
)
def test_the_qp_of_a_slice_is_found_behind_what_stands_before_it(kind, extra_bits, output_flag, sao, gray):
    for base, difference in ((26, 0), (20, 31), (40, -40)):
        bits = BitWriter()
        bits.u(16, kind << 9 | 1)
        bits.u(2 if kind >= 16 else 1, 0b11 if kind >= 16 else 1)
        bits.ue(0)
        bits.u(extra_bits, 0)
        bits.ue(2)
        bits.u(output_flag, 1)
        if kind not in (19, 20):
            bits.u(8, 0)
            bits.u(1, 0)
            for code in (1, 1):  # a reference picture before and one behind
                bits.ue(code)
            for _ in range(2):
                bits.ue(5)
                bits.u(1, 1)
            bits.u(1, 1)
        bits.u(sao * (1 if gray else 2), 0)
        bits.ue(2 * difference - 1 if difference > 0 else -2 * difference)
        bits.u(16, 0xABCD)
        sequence = dataclasses.replace(HEADER, sao=sao)
        picture = PictureHeader.parse(pps(output_flag=output_flag, extra_bits=extra_bits, qp=base))
        assert slice_qp(escape(bytes(bits)), sequence, picture, gray) == base + difference


def test_a_slice_that_predicts_from_other_pictures_is_refused():
    bits = BitWriter()
    bits.u(16, 19 << 9 | 1)
    bits.u(2, 0b11)
    bits.ue(0)
    bits.ue(1)  # P
    bits.u(32, 0)
    with pytest.raises(CodecError, match="intra"):
        slice_qp(bytes(bits), HEADER, PictureHeader.parse(pps()), False)


@given(
    st.builds(
        Header,
        width=st.integers(1, (1 << 32) - 1),
        height=st.integers(1, (1 << 32) - 1),
        pixel_format=st.sampled_from(PIXEL_FORMATS[1:]),
        colour_space=st.sampled_from(COLOUR_SPACES),
        depth=st.integers(8, 14),
        limited_range=st.booleans(),
        alpha=st.sampled_from([None, "straight", "premultiplied", "cmyk"]),
        extensions=st.lists(st.tuples(st.integers(0, 1 << 31), st.binary())).map(tuple),
    ),
    st.binary(min_size=1),
)
def test_containers_come_back(header, data):
    assert parse(serialise(header, data)) == (header, data)


def test_extensions_are_read_and_stand_before_the_picture():
    # gray, extension flag, 2x3 pixels, data of 4 bytes, extensions of 9 bytes: EXIF "abc" and tag 300, empty
    head = MAGIC + bytes([0, 8, 2, 3, 4, 8, 1, 3]) + b"abc" + write_ue7(300) + b"\0"
    header, data = parse(head + b"hevc")
    assert header.extensions == ((1, b"abc"), (300, b""))
    assert data == b"hevc"


@pytest.mark.parametrize(
    "bits",
    [
        bytes([6 << 5, 0, 2, 3]),  # pixel format 6
        bytes([1 << 5 | 7, 0, 2, 3]),  # 15 bits
        bytes([1 << 5, 5 << 4, 2, 3]),  # colour space 5
        bytes([0, 1 << 4, 2, 3]),  # gray RGB
        bytes([1 << 5, 0, 0, 3]),  # no width
        bytes([1 << 5, 0, 2, 0]),  # no height
        bytes([1 << 5, 8, 2, 3, 4, 9, 1, 3]),  # extensions longer than the file
        bytes([1 << 5, 8, 2, 3, 4, 2, 1, 3]),  # an extension longer than the extensions
    ],
)
def test_headers_that_the_format_does_not_have_are_refused(bits):
    with pytest.raises(CodecError):
        parse(MAGIC + bits + b"\4hevc")


@pytest.mark.parametrize("cut", range(1, 13))
def test_a_cut_container_is_refused(cut):
    data = serialise(Header(2, 3, "4:2:0"), b"hevc")
    assert len(data) == 13
    with pytest.raises(CodecError):
        parse(data[:-cut])


def test_files_of_another_format_are_refused():
    with pytest.raises(CodecError, match="not a BPG file"):
        parse(b"\x89PNG\r\n\x1a\n")
