"""BPG files that are written, and read back."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from hypothesis import given, settings
from hypothesis import strategies as st

from dsr.data_pipelines.codecs import CodecError, make_codec
from dsr.data_pipelines.codecs.bpg import BpgCodec, Header, colour, hevc, read_bpg, write_bpg
from dsr.data_pipelines.codecs.bpg.container import MAGIC, Cursor, parse, serialise, write_ue7
from dsr.data_pipelines.codecs.bpg.parameter_sets import SPS, SequenceHeader, parse_sps, write_parameter_sets
from tests.data_pipelines.codecs.conftest import scene

CHROMAS = ("4:2:0", "4:2:2", "4:4:4", "gray")


def contents(data):
    """Header, sequence header and NAL units of a file."""
    header, block = parse(data)
    cursor = Cursor(block)
    sequence = cursor.take(cursor.ue7("it"), "it")
    return header, sequence, block[cursor.position :]


def without_length(data):
    """The file without the length of its picture data, as libbpg writes it."""
    _, block = parse(data)
    head = data[: -len(block)]
    assert head.endswith(write_ue7(len(block)))
    return head[: -len(write_ue7(len(block)))] + b"\0" + block


def planes_of(pixels, chroma):
    luma, colours = colour.rgb_to_ycbcr(pixels)
    if chroma == "gray":
        return [luma]
    return [luma, *(colours if chroma == "4:4:4" else colour.subsample(colours, chroma == "4:2:0"))]


def ffmpeg_planes(stream):
    """Decodes a plain HEVC stream, parameter sets and all, as FFmpeg sees it."""
    decoder = VideoCodecContext.create("hevc", "r")
    frames = decoder.decode(av.Packet(stream + bytes(64))) or decoder.decode(None)
    return [np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size) for plane in frames[0].planes]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(CHROMAS), st.integers(0, 51))
def test_decodes_to_what_x265_meant(height, width, chroma, qp):
    # x265's own stream, with the VPS and SPS that a BPG file leaves out, is decoded beside it.
    pixels = scene(height, width, seed=qp)
    stream = hevc.encode(planes_of(pixels, chroma), chroma, qp, "ultrafast")
    sizes = [(height, width)] + 2 * [
        ((height + 1) // 2 if chroma == "4:2:0" else height, width if chroma == "4:4:4" else (width + 1) // 2)
    ]
    planes = [plane[:rows, :columns] for plane, (rows, columns) in zip(ffmpeg_planes(stream), sizes)]
    expected = colour.to_rgb(planes, chroma, "ycbcr_bt601", 8, False)
    data = write_bpg(pixels, qp, chroma, "ultrafast")
    assert np.array_equal(read_bpg(data).rgb, expected)


@pytest.mark.parametrize("chroma", CHROMAS)
@pytest.mark.parametrize("preset", hevc.PRESETS)
def test_every_preset_writes_what_a_file_can_express(preset, chroma):
    pixels = scene(40, 70)
    if chroma == "gray":
        pixels[:] = pixels[:, :, :1]
    decoded = read_bpg(write_bpg(pixels, 10, chroma, preset)).rgb
    assert np.mean((decoded.astype(int) - pixels) ** 2) < 16


@pytest.mark.parametrize(("height", "width"), [(1, 5000), (9, 4097), (4097, 24), (25, 4200), (4096, 8)])
def test_long_thin_pictures_keep_their_pixels(height, width):
    pixels = scene(height, width)
    decoded = read_bpg(write_bpg(pixels, 10, "4:4:4", "ultrafast")).rgb
    assert np.mean((decoded.astype(int) - pixels) ** 2) < 12


def test_gray_pixels_are_kept_as_they_are():
    gray = scene(33, 45)[:, :, 1]
    data = write_bpg(gray, 4, "gray")
    assert read_bpg(data).header.pixel_format == "gray"
    assert data == write_bpg(np.repeat(gray[..., None], 3, axis=2), 4, "gray")
    assert np.abs(read_bpg(data).rgb.astype(int) - gray[..., None]).max() <= 3


def test_a_file_holds_one_pps_and_one_slice_and_nothing_else():
    data = write_bpg(scene(100, 130), 38)
    header, sequence, stream = contents(data)
    nals = hevc.split_nals(stream)
    assert [hevc.nal_type(nal) for nal in nals] == [34, 20]
    # magic and flags, two numbers of size, two bytes of length, the sequence header and the rest
    assert len(data) == 6 + 1 + 2 + 2 + 1 + len(sequence) + sum(map(len, nals)) + 3
    assert len(sequence) <= 4
    assert header == Header(130, 100, "4:2:0")


def test_the_rate_falls_as_the_qp_rises(picture):
    sizes = [len(write_bpg(picture, qp, preset="ultrafast")) for qp in range(3, 52, 4)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_a_chroma_qp_offset_moves_fidelity_from_luma_to_chroma():
    pixels = scene(128, 128)

    def errors(offset):
        data = write_bpg(pixels, 40, "4:4:4", chroma_qp_offset=offset)
        decoded, original = (colour.rgb_to_ycbcr(rgb) for rgb in (read_bpg(data).rgb, pixels))
        return len(data), np.mean((decoded[1].astype(float) - original[1]) ** 2)

    (small, coarse), (large, fine) = errors(6), errors(-6)
    assert small < large
    assert fine < coarse


def test_pictures_do_not_depend_on_what_was_coded_before(picture):
    first = write_bpg(picture, 30)
    write_bpg(scene(50, 60, 9), 20)
    assert write_bpg(picture, 30) == first
    assert np.array_equal(read_bpg(first).rgb, read_bpg(first).rgb)


def test_the_first_picture_of_an_animation_is_read(picture):
    first, second = (write_bpg(pixels, 30) for pixels in (picture, 255 - picture))
    _, block = parse(first)
    _, _, more = contents(second)
    block += b"\0\0\1" + more
    control = bytes([5, 3, 0, 1, 25])
    head = MAGIC + bytes([1 << 5, 0b1001, 101, 67]) + write_ue7(len(block)) + write_ue7(len(control))
    data = head + control + block
    read = read_bpg(data)
    assert read.header.animation
    assert np.array_equal(read.rgb, read_bpg(first).rgb)


@pytest.mark.parametrize("where", ["before", "behind"])
def test_parameter_sets_in_the_data_cannot_change_the_size(picture, where):
    data = write_bpg(picture, 30)
    header, sequence, stream = contents(data)
    trap = write_parameter_sets(SequenceHeader.parse(sequence), 1, 4096, 4096, 8)
    stream = trap[3:] + b"\0\0\1" + stream if where == "before" else stream + trap
    trapped = serialise(header, write_ue7(len(sequence)) + sequence + stream)
    assert np.array_equal(read_bpg(trapped).rgb, read_bpg(data).rgb)


def test_the_video_siting_of_chroma_is_honoured(picture):
    header, block = parse(write_bpg(picture, 20))
    sited = serialise(dataclasses.replace(header, pixel_format="4:2:0 video"), block)
    _, sequence, stream = contents(sited)
    planes = hevc.decode(SequenceHeader.parse(sequence), hevc.split_nals(stream), "4:2:0", 101, 67, 8)
    assert np.array_equal(read_bpg(sited).rgb, colour.to_rgb(planes, "4:2:0 video", "ycbcr_bt601", 8, False))
    assert not np.array_equal(read_bpg(sited).rgb, read_bpg(serialise(header, block)).rgb)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 999), st.sampled_from(hevc.PRESETS))
def test_a_lossless_file_keeps_every_pixel(height, width, seed, preset):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[: height // 2] = scene(height, width, seed)[: height // 2]
    data = write_bpg(pixels, 40, preset=preset, lossless=True, alpha=pixels[:, :, 1])
    read = read_bpg(data)
    assert np.array_equal(read.rgb, pixels)
    assert np.array_equal(read.alpha, pixels[:, :, 1])
    gray = read_bpg(write_bpg(pixels[:, :, 2], 40, "gray", preset, lossless=True))
    assert gray.header.pixel_format == "gray"
    assert np.array_equal(gray.rgb, np.repeat(pixels[:, :, 2:], 3, axis=2))


def test_the_lossless_codec_is_an_operating_point_of_its_own(picture):
    codec = make_codec("bpg", lossless=True)
    bitstream = codec.encode(picture)
    assert np.array_equal(codec.decode(bitstream), picture)
    assert codec.point == "bpg-qp0+lossless=true"
    assert make_codec("bpg", lossless=True, chroma="4:4:4") == codec
    found = BpgCodec.inspect(bitstream)
    assert (found.quality, found.chroma, found.details["lossless"]) == (0, "4:4:4", True)
    assert "lossless" not in make_codec("bpg").describe()["options"]
    for options in ({"chroma": "4:2:2"}, {"chroma_qp_offset": 1}, {"quality": 20}):
        with pytest.raises(CodecError, match="lossless"):
            make_codec("bpg", lossless=True, **options)


@pytest.mark.parametrize("chroma", ["4:2:0", "4:2:2", "4:4:4"])
def test_ten_bits_lose_less_to_rounding(chroma):
    pixels = scene(64, 80)
    errors = []
    for depth in hevc.DEPTHS:
        read = read_bpg(write_bpg(pixels, 4, chroma, depth=depth))
        assert read.header.depth == depth
        errors.append(np.mean((read.rgb.astype(float) - pixels) ** 2))
    assert errors[1] < errors[0] < 12


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(CHROMAS), st.integers(0, 51))
def test_ten_bits_decode_to_what_x265_meant(height, width, chroma, qp):
    pixels = scene(height, width, seed=qp)
    luma, colours = colour.rgb_to_ycbcr(pixels, 10)
    if chroma == "gray":
        planes = [luma]
    else:
        planes = [luma, *(colours if chroma == "4:4:4" else colour.subsample(colours, chroma == "4:2:0", 10))]
    stream = hevc.encode(planes, chroma, qp, "ultrafast", depth=10)
    decoder = VideoCodecContext.create("hevc", "r")
    frames = decoder.decode(av.Packet(stream + bytes(64))) or decoder.decode(None)
    decoded = [np.frombuffer(plane, "<u2").reshape(plane.height, -1) for plane in frames[0].planes]
    decoded = [plane[: original.shape[0], : original.shape[1]] for plane, original in zip(decoded, planes)]
    expected = colour.to_rgb(decoded, chroma, "ycbcr_bt601", 10, False)
    assert np.array_equal(read_bpg(write_bpg(pixels, qp, chroma, "ultrafast", depth=10)).rgb, expected)


@pytest.mark.parametrize("depth", [8, 10])
def test_alpha_is_a_gray_picture_beside_the_colours(picture, depth):
    alpha = scene(67, 101, seed=5)[:, :, 0]
    read = read_bpg(write_bpg(picture, 20, depth=depth, alpha=alpha))
    assert read.header.alpha == "straight"
    assert np.array_equal(read.rgb, read_bpg(write_bpg(picture, 20, depth=depth)).rgb)
    assert np.array_equal(read.alpha, read_bpg(write_bpg(alpha, 20, "gray", depth=depth)).rgb[:, :, 0])
    _, block = parse(write_bpg(picture, 20, alpha=alpha))
    cursor = Cursor(block)
    for _ in range(2):
        cursor.take(cursor.ue7("it"), "it")
    nals = hevc.split_nals(block[cursor.position :])
    # The order in which the reference encoder writes them.
    assert [(hevc.nal_type(nal), hevc.nal_layer(nal)) for nal in nals] == [(34, 1), (34, 0), (20, 1), (20, 0)]


def test_metadata_stand_before_the_picture_and_come_back(picture):
    extensions = ((1, b"Exif" * 100), (2, bytes(range(256)) * 3), (300, b""))
    data = write_bpg(picture, 30, extensions=extensions)
    read = read_bpg(data)
    assert read.header.extensions == extensions
    assert np.array_equal(read.rgb, read_bpg(write_bpg(picture, 30)).rgb)


@pytest.fixture(scope="module")
def with_alpha():
    """A file whose colour and alpha are two pictures, its flags left out, and both written as opaque files."""
    pixels, alpha = scene(40, 56), scene(40, 56, seed=3)[:, :, 0]
    opaque, mask = write_bpg(pixels, 20), write_bpg(alpha, 20, "gray")
    (_, colour_sequence, colour_nals), (_, alpha_sequence, alpha_nals) = contents(opaque), contents(mask)
    layered = [nal[:1] + bytes([nal[1] | 1 << 3]) + nal[2:] for nal in hevc.split_nals(alpha_nals)]
    pps, picture = hevc.split_nals(colour_nals)
    block = b"".join(write_ue7(len(part)) + part for part in (alpha_sequence, colour_sequence))
    block += b"\0\0\1".join([layered[0], pps, layered[1], picture])

    def file(flags1, flags2):
        return MAGIC + bytes([1 << 5 | flags1, flags2, 56, 40]) + write_ue7(len(block)) + block

    return file, read_bpg(opaque).rgb, read_bpg(mask).rgb[:, :, 0]


def test_straight_alpha_is_a_plane_of_its_own(with_alpha):
    file, rgb, alpha = with_alpha
    read = read_bpg(file(1 << 4, 0))
    assert np.array_equal(read.rgb, rgb)
    assert np.array_equal(read.alpha, alpha)


def test_premultiplied_alpha_is_divided_out(with_alpha):
    file, rgb, alpha = with_alpha
    read = read_bpg(file(1 << 4, 1 << 2))
    expected = np.minimum(255, 255.0 * rgb / np.maximum(alpha, 1)[..., None])
    assert np.array_equal(read.alpha, alpha)
    assert np.abs(read.rgb - expected).max() <= 1


def test_the_codec_drops_alpha(with_alpha):
    file, rgb, _ = with_alpha
    assert np.array_equal(make_codec("bpg").decode(file(1 << 4, 0)), rgb)


def test_cmyk_is_refused(with_alpha):
    file, _, _ = with_alpha
    with pytest.raises(CodecError, match="CMYK"):
        read_bpg(file(0, 1 << 2))


def test_every_cut_of_our_files_is_refused(picture):
    data = write_bpg(picture, 45)
    for length in range(len(data)):
        with pytest.raises(CodecError):
            read_bpg(data[:length])


def of_slices(pixels, chroma, slices=4):
    """Makes files whose picture has several slices, which our own never have, without the slices that were lost."""
    nals = hevc.split_nals(hevc.encode(planes_of(pixels, chroma), chroma, 36, extra=f":slices={slices}:wpp=1:pools=1"))
    sequence = bytes(parse_sps(next(nal for nal in nals if hevc.nal_type(nal) == SPS)))
    kept = hevc.without_sequence(nals)
    header = Header(pixels.shape[1], pixels.shape[0], chroma, "ycbcr_bt601", 8)

    def file(lost=()):
        places = [place for place, nal in enumerate(kept) if hevc.is_slice(nal)]
        assert len(places) == slices
        left = [nal for place, nal in enumerate(kept) if place not in [places[number] for number in lost]]
        return serialise(header, write_ue7(len(sequence)) + sequence + b"\0\0\1".join(left))

    return file


@pytest.mark.parametrize("chroma", CHROMAS)
@pytest.mark.parametrize("has_length", [True, False])
def test_a_picture_of_several_slices_is_read_whole_or_refused(chroma, has_length):
    pixels = scene(264, 200, 3) // 2 + 60  # nothing is black
    file = of_slices(pixels, chroma)
    one_slice, several = (read_bpg(data).rgb.astype(int) for data in (write_bpg(pixels, 36, chroma), file()))
    assert np.abs(several - pixels).mean() == pytest.approx(np.abs(one_slice - pixels).mean(), rel=0.05)
    for lost in [(1,), (2,), (3,), (1, 2), (2, 3), (1, 2, 3), (0,), (0, 1, 2)]:
        if chroma == "gray" and lost == (1, 2, 3):
            continue  # a picture of one slice whose lower part is black
        data = file(lost)
        with pytest.raises(CodecError):
            read_bpg(data if has_length else without_length(data))


def test_of_several_slices_black_is_a_colour_where_it_cannot_be_a_lost_slice():
    night = np.zeros((264, 200, 3), np.uint8)
    assert read_bpg(of_slices(night, "4:2:0")()).rgb.max() < 3
    with pytest.raises(CodecError, match="black blocks that cannot be told from a lost one"):
        read_bpg(of_slices(night, "gray")())
    assert read_bpg(write_bpg(night, 36, "gray")).rgb.max() < 3


def outside_the_last_corner(pixels):
    """Copy with the lower right thirty-second cleared."""
    cleared = pixels.copy()
    side = int((pixels.shape[0] * pixels.shape[1] / 32) ** 0.5) + 2
    cleared[-side:, -side:] = 0
    return cleared


@pytest.mark.parametrize("has_length", [True, False])
def test_cut_data_is_refused_even_if_its_length_agrees(picture, has_length):
    whole = write_bpg(picture, 45)
    header, block = parse(whole)
    expected = read_bpg(whole).rgb
    for cut in range(1, len(block)):
        data = serialise(header, block[:-cut])
        try:
            decoded = read_bpg(data if has_length else without_length(data)).rgb
        except CodecError:
            continue
        assert cut < 5
        if has_length:
            assert np.array_equal(*map(outside_the_last_corner, (decoded, expected)))
        else:
            assert np.array_equal(decoded, expected)


@pytest.mark.parametrize("has_length", [True, False])
def test_data_is_refused_as_that_of_another_size(has_length):
    header, block = parse(write_bpg(scene(180, 240), 40))
    rng = np.random.default_rng(1)
    sizes = [(10000, 10000), (14142, 14142), (241, 180), (240, 185), (240, 64), (64, 180), (1, 1), (180, 240)]
    sizes += [tuple(map(int, rng.integers(1, 700, 2))) for _ in range(30)]
    for width, height in sizes:
        data = serialise(dataclasses.replace(header, width=width, height=height), block)
        with pytest.raises(CodecError, match="another picture|can hold"):
            read_bpg(data if has_length else without_length(data))


def test_hardly_any_flipped_bit_goes_unnoticed(picture):
    data = write_bpg(picture, 34)
    rng = np.random.default_rng(2)
    refused = 0
    for _ in range(200):
        damaged = bytearray(data)
        damaged[rng.integers(24, len(data))] ^= 1 << rng.integers(8)
        try:
            read_bpg(bytes(damaged))
        except CodecError:
            refused += 1
    assert refused > 180


@pytest.mark.parametrize("chroma", ["4:2:0", "gray"])
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_pictures_of_one_colour_are_not_taken_for_damaged(chroma, shade):
    # Hardly anything depends on the last bytes of such a picture.
    for height, width, qp in [(1, 1, 20), (8, 8, 51), (33, 65, 0), (64, 300, 40), (300, 301, 51), (512, 600, 51)]:
        pixels = np.full((height, width, 3), shade, np.uint8)
        for lower in (shade, 255 - shade):
            pixels[height // 2 :] = lower
            data = write_bpg(pixels, qp, chroma, "ultrafast")
            assert np.abs(read_bpg(data).rgb.astype(int) - pixels).max() <= 2 * (1 + qp)
            assert np.array_equal(read_bpg(without_length(data)).rgb, read_bpg(data).rgb)


def test_filling_behind_the_picture_is_left_out(picture):
    data = write_bpg(picture, 30)
    header, block = parse(data)
    assert np.array_equal(read_bpg(serialise(header, block + b"\0\0\3" * 5)).rgb, read_bpg(data).rgb)


def test_more_blocks_than_the_data_can_hold_are_refused_before_ffmpeg_allocates_them(picture, monkeypatch):
    header, block = parse(write_bpg(picture, 51))
    monkeypatch.setattr(hevc, "_decode_stream", None)
    for length in (24, len(block)):
        with pytest.raises(CodecError, match="than its .* bytes of picture data can hold"):
            read_bpg(serialise(dataclasses.replace(header, width=14142, height=14142), block[:length]))


def test_a_slice_that_predicts_from_other_pictures_is_refused(picture):
    # Only intra blocks take a bit at least, which bounds the size.
    header, block = parse(write_bpg(picture, 30))
    nal = block.rfind(b"\0\0\1") + 3
    assert block[nal + 2] & 0b11111100 == 0b10101100  # first slice, PPS 0, slice type I
    changed = bytearray(block)
    changed[nal + 2] ^= 0b00000100  # P
    with pytest.raises(CodecError, match="damaged"):
        read_bpg(serialise(header, bytes(changed)))
    changed = bytearray(block)
    changed[nal] = 1 << 1  # a NAL unit type that may hold such slices
    with pytest.raises(CodecError, match="no intra picture"):
        read_bpg(serialise(header, bytes(changed)))


def test_a_checksum_of_the_picture_is_checked_where_the_encoder_wrote_one(picture):
    stream = hevc.encode(planes_of(picture, "4:2:0"), "4:2:0", 30, "ultrafast", extra=":hash=1")
    _, sps, *nals = hevc.split_nals(stream)
    assert [hevc.nal_type(nal) for nal in nals] == [34, 20, hevc.PICTURE_HASH]
    hevc.decode(parse_sps(sps), nals, "4:2:0", 101, 67, 8)
    slices = bytearray(nals[1])
    slices[len(slices) // 2] ^= 0x10
    with pytest.raises(CodecError, match="damaged"):
        hevc.decode(parse_sps(sps), [nals[0], bytes(slices), nals[2]], "4:2:0", 101, 67, 8)


@pytest.mark.parametrize("nals", [b"", b"\x44\1", b"garbage", b"\0\0\1" * 1000, b"\x26\1\xff" * 300])
def test_data_without_a_picture_is_refused(nals):
    with pytest.raises(CodecError):
        read_bpg(serialise(Header(64, 64, "4:2:0"), b"\4" + bytes.fromhex("90 92 2c 60") + nals))


@pytest.mark.parametrize("size", [(1 << 32) - 1, 1 << 20])
def test_absurd_sizes_are_refused_before_anything_is_allocated(size):
    data = serialise(Header(size, size, "4:2:0"), b"\0" * 100)
    with pytest.raises(CodecError, match="more than the 200000000 allowed"):
        read_bpg(data)


@pytest.mark.parametrize("depth", [11, 13, 14])
def test_depths_that_ffmpeg_does_not_decode_are_refused(depth, picture):
    header, block = parse(write_bpg(picture, 30))
    with pytest.raises(CodecError, match=f"{depth} bits"):
        read_bpg(serialise(dataclasses.replace(header, depth=depth), block))


@pytest.mark.parametrize("flag", [4, 8])
def test_range_extensions_that_the_format_forbids_are_refused(picture, flag):
    header, sequence, stream = contents(write_bpg(picture, 30))
    flags = tuple(int(index == flag) for index in range(9))
    changed = bytes(dataclasses.replace(SequenceHeader.parse(sequence), range_flags=flags))
    with pytest.raises(CodecError, match="forbids"):
        read_bpg(serialise(header, write_ue7(len(changed)) + changed + stream))


@pytest.mark.slow
def test_memory_stays_within_the_stated_bound(tmp_path):
    # The costliest kind: 12 bits, 4:4:4, of unknown length. The data is that of an 8-bit picture of one colour.
    _, block = parse(write_bpg(np.zeros((1500, 2000, 3), np.uint8), 40, "4:4:4", "ultrafast"))
    head = MAGIC + bytes([3 << 5 | 4, 0]) + write_ue7(2000) + write_ue7(1500) + b"\0"
    (tmp_path / "deep.bpg").write_bytes(head + block)
    script = """
import sys
from dsr.data_pipelines.codecs.bpg import read_bpg
data = open(sys.argv[1], "rb").read()
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
read_bpg(data)
print((peak() - before) * 1024 / (2000 * 1500))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "deep.bpg"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert 5 < float(done.stdout) < 24
