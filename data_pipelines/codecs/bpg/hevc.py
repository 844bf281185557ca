"""HEVC intra pictures through PyAV: x265 encodes, FFmpeg decodes, each on one thread."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from dsr.data_pipelines.codecs.base import CodecError
from dsr.data_pipelines.codecs.bpg.parameter_sets import PPS, SPS, VPS, SequenceHeader, write_parameter_sets

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
"""x265's presets, fastest first."""

DEPTHS = (8, 10)
"""Bits a sample that are written; of those that are read (8, 9, 10, 12) all else is rare."""

FORMATS = {"gray": (0, "gray"), "4:2:0": (1, "yuv420p"), "4:2:2": (2, "yuv422p"), "4:4:4": (3, "yuv444p")}
"""Chroma format -> HEVC's chroma_format_idc and FFmpeg's name at 8 bits."""

INTRA_OFFSET = 3
"""x265 codes an intra picture with a QP so much lower than it is told."""

PICTURE_HASH = 40
"""NAL unit type of suffix SEI, which holds the checksum of the decoded picture if the encoder wrote one."""

_PADDING = bytes(64)
"""FFmpeg's readers run up to this far behind the end of a packet, and PyAV hands them the bytes as they are."""

_ONES = b"\xff" * 4096
"""What is put behind the data of a picture. A decoder that reads on in ones soon finds the end of the slice in them, so
that a cut file costs no more than its own bytes; in zeros it would go on to the end of the picture."""

_CABAC_ZERO_WORDS = re.compile(rb"(?:\x00\x00\x03)+\Z")
"""Filling that an encoder may put behind the data of a picture, and that split_nals leaves there."""

_LAST_BYTES = 4
"""So many bytes at the end of a picture's data are changed to see whether they are used."""

_ATTEMPTS = 8
"""Changes of the last bytes that are tried before they count as unused. A picture whose end is of one colour may well
look the same with a few of them; of 30,000 such ones none took more than 5."""

_BLOCK = 8
"""Side of the smallest coding block, in luma samples: pictures are multiples of it, and a slice has whole ones."""

_CORNER = 32
"""In a file of the stated length, a picture is not decoded once more for the last corner of one in so many samples."""


def encode(
    planes: Sequence[np.ndarray],
    chroma: str,
    qp: int,
    preset: str = "slow",
    chroma_qp_offset: int = 0,
    depth: int = 8,
    lossless: bool = False,
    extra: str = "",
) -> bytes:
    """Encodes one intra picture with x265, so that a BPG file can hold it.

    The picture is padded by its edge to whole coding blocks, as the format demands.

    Args:
        planes: Luma, and unless gray Cb and Cr at the resolution of `chroma`; uint8, uint16 for more than 8 bits.
        chroma: A key of `FORMATS`.
        qp: 0 to 51 as `bpgenc -q` counts: the picture's own QP is `INTRA_OFFSET` less.
        preset: One of `PRESETS`.
        chroma_qp_offset: Added to the QP of both chroma planes, -12 to 12.
        depth: Bits a sample, 8, 10 or 12.
        lossless: Whether to keep the samples as they are, whatever the QP.
        extra: More x265 parameters, each with a leading colon.

    Returns:
        The byte stream, VPS and SPS included. It is the same for any load and number of processors.
    """
    height, width = planes[0].shape
    block = _smallest_block(width, height)
    width, height = -(-width // block) * block, -(-height // block) * block
    tree = next(side for side in (64, 32, 16) if side <= min(width, height))
    # Equal intra and inter depths, because a BPG header has one field for both; rect, because x265 ignores amp without
    # it, and the format says that amp is on; psy off, because it costs bits and adds chroma offsets in 4:4:4; info off,
    # because it is an SEI of the encoder's settings, hundreds of bytes; no threads, because callers are processes.
    tree_depth = 3 if tree == 16 else 4
    parameters = (
        f"{'lossless=1' if lossless else f'qp={qp}'}:"
        f"keyint=1:rect=1:amp=1:psy-rd=0:psy-rdoq=0:cbqpoffs={chroma_qp_offset}:crqpoffs={chroma_qp_offset}:"
        f"tu-intra-depth={tree_depth}:tu-inter-depth={tree_depth}:"
        f"ctu={tree}:min-cu-size={block}:max-tu-size={min(tree, 32)}:"
        f"wpp=0:pools=none:frame-threads=1:info=0:log-level=none{extra}"
    )
    sample = sample_type(depth)
    frame = av.VideoFrame(width, height, FORMATS[chroma][1] + ("" if depth == 8 else f"{depth}le"))
    for source, target in zip(planes, frame.planes):
        rows, columns = source.shape
        lines = np.frombuffer(memoryview(target), sample).reshape(target.height, target.line_size // sample.itemsize)
        samples = lines[:, : target.width]
        samples[:rows, :columns] = source
        samples[:rows, columns:] = source[:, -1:]
        samples[rows:] = samples[rows - 1]
    encoder = VideoCodecContext.create("libx265", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, frame.format.name
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1
    encoder.options = {"preset": preset, "x265-params": parameters}
    try:
        return b"".join(bytes(packet) for pictures in (frame, None) for packet in encoder.encode(pictures))
    except (av.FFmpegError, MemoryError) as error:
        raise CodecError(f"x265 cannot encode a picture of {width}x{height} pixels: {_reason(error)}") from error


def decode(
    sequence: SequenceHeader,
    nals: Iterable[bytes],
    chroma: str,
    width: int,
    height: int,
    depth: int,
    whole: bool = False,
    zero_is_black: bool = False,
) -> list[np.ndarray]:
    """Decodes the first picture among NAL units with FFmpeg, if it ends where its data ends.

    Args:
        sequence: The fields of the SPS that vary.
        nals: NAL units without start codes. VPS and SPS among them are dropped: they could change the size, which the
            caller has checked.
        chroma: A key of `FORMATS`.
        width, height: Size of the picture, which the planes are cropped to.
        depth: Bits per sample.
        whole: Whether the NAL units are as long as the file says.
        zero_is_black: Whether samples of zero in all planes are a colour that images have, as in gray and RGB.

    Returns:
        Luma, and unless gray Cb and Cr; uint8, or uint16 for more than 8 bits. They are views of FFmpeg's picture.

    Raises:
        CodecError: FFmpeg reports damage, or cannot decode such a picture, or the data is not that of such a picture.
    """
    if depth not in (8, 9, 10, 12):
        raise CodecError(f"BPG picture has {depth} bits a sample, which FFmpeg cannot decode; use bpgdec for it")
    chroma_format, _ = FORMATS[chroma]
    picture = first_picture(nals)
    slices = [nal for nal in picture if is_slice(nal)]
    if not slices:
        raise CodecError("BPG file holds no picture data")
    if not all(is_intra(nal) for nal in slices):
        raise CodecError("BPG picture is no intra picture")
    if sequence.blocks(width, height) > 8 * sum(map(len, slices)):
        # A block takes a bit or more: its prediction mode has one that is not entropy coded.
        raise CodecError(
            f"BPG file claims {width}x{height} pixels, more than its {sum(map(len, slices))} bytes of picture "
            "data can hold"
        )
    head = write_parameter_sets(sequence, chroma_format, width, height, depth)
    last = picture.index(slices[-1])
    before, data, behind = (join_nals(part) for part in (picture[:last], slices[-1:], picture[last + 1 :]))
    data = _CABAC_ZERO_WORDS.sub(b"", data)

    def decoded(data: bytes) -> list[np.ndarray]:
        return _decode_stream(head + before + data + _ONES + behind, sample_type(depth))

    planes = decoded(data)
    _check_end(planes, data, decoded, whole)
    if len(slices) > 1 or not zero_is_black:
        _check_covered(planes)
    halves = {"4:2:0": (2, 2), "4:2:2": (1, 2)}.get(chroma, (1, 1))
    sizes = [(height, width)] + 2 * [(-(-height // halves[0]), -(-width // halves[1]))]
    return [plane[:rows, :columns] for plane, (rows, columns) in zip(planes, sizes)]


def _check_end(
    planes: Sequence[np.ndarray], data: bytes, decoded: Callable[[bytes], list[np.ndarray]], whole: bool
) -> None:
    """Raises CodecError if a picture does not end where its data ends.

    The arithmetic decoder makes a picture of anything and stops when the picture is full. So the picture is decoded
    again with other bytes at the end of its data, on which it must depend, and with other bytes behind its data, on
    which it must not. That finds data that was cut, a size that is not that of the data, and most of the damage in
    between, because hardly any leaves the decoder at the right place.

    Args:
        planes: The picture.
        data: What it was decoded from.
        decoded: Decodes other data.
        whole: Whether it is enough to know that all but the last corner is there, which the first test may tell.
    """
    rng = np.random.default_rng(0)
    for _ in range(_ATTEMPTS):
        other = rng.bytes(_LAST_BYTES).replace(b"\0", b"\1")
        try:
            changed = decoded(data[:-_LAST_BYTES] + other)
        except CodecError:
            break
        if not _equal(planes, changed):
            if whole and _equal(planes, changed, but_corner=True):
                return
            break
    else:
        raise CodecError("BPG picture data is that of another picture: this one ends before its data does")
    with suppress(CodecError):
        if _equal(planes, decoded(data + b"\x55" * 8)):
            return
    raise CodecError("BPG picture data is cut, or that of another picture: this one goes on behind the end of its data")


def _check_covered(planes: Sequence[np.ndarray]) -> None:
    """Raises CodecError if a block of a picture is zero in all planes, as it is where no slice was.

    FFmpeg says nothing of slices that are missing or stop early. In YCbCr zero is a green that no image has. In gray
    and RGB it is black: of one slice, which nearly all files have, that is believed, and of several it is refused.
    """
    height, width = planes[0].shape
    empty = np.ones((height // _BLOCK, width // _BLOCK), bool)
    for plane in planes:
        down, right = _BLOCK * plane.shape[0] // height, _BLOCK * plane.shape[1] // width
        for place in np.ndindex(down, right):  # of a sample in its block; the first one clears most pictures
            empty &= plane[place[0] :: down, place[1] :: right] == 0
            if not empty.any():
                return
    raise CodecError(
        "BPG picture lacks a slice, or has several and black blocks that cannot be told from a lost one: "
        "send it again, or encode it as one slice"
    )


def _equal(planes: Sequence[np.ndarray], others: Sequence[np.ndarray], but_corner: bool = False) -> bool:
    """Whether two pictures are equal, or all but their last corner, the lower right one, is."""
    for plane, other in zip(planes, others):
        rows, columns = plane.shape
        parts: list[tuple[slice, ...]]
        if but_corner:
            side = math.isqrt(rows * columns // _CORNER)
            parts = [np.s_[: rows - side,], np.s_[:, : columns - side]]
        else:  # In bands, because most that differ do so near the top.
            step = max(1, (1 << 20) // columns)
            parts = [np.s_[top : top + step,] for top in range(0, rows, step)]
        if not all(np.array_equal(plane[part], other[part]) for part in parts):
            return False
    return True


def _smallest_block(width: int, height: int) -> int:
    """Side of the smallest coding block, which the coded picture is a multiple of.

    It is 8, unless the padded picture would be smaller than the smallest coding tree: 16, or 32 where x265 takes no
    trees of 16 because the longer side needs an HEVC level from 5 on.
    """
    shorter, longer = sorted((width, height))
    if longer > 4096 and shorter <= 24:
        return 32
    return 16 if shorter <= 8 else 8


def _decode_stream(stream: bytes, sample: np.dtype) -> list[np.ndarray]:
    """All planes of the picture that `stream` holds, uncropped."""
    decoder = VideoCodecContext.create("hevc", "r")
    decoder.thread_count = 1
    decoder.options = {"err_detect": "crccheck+explode"}
    try:
        frames = decoder.decode(av.Packet(stream + _PADDING)) or decoder.decode(None)
    except (av.FFmpegError, MemoryError) as error:
        raise CodecError(f"BPG picture data is damaged, or too large for FFmpeg: {_reason(error)}") from error
    if not frames or frames[0].is_corrupt:
        raise CodecError("BPG picture data is damaged: it holds no whole picture")
    planes = []
    for plane in frames[0].planes:
        samples = np.frombuffer(memoryview(plane), sample).reshape(plane.height, plane.line_size // sample.itemsize)
        planes.append(samples[:, : plane.width])
    return planes


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or "out of memory"


def sample_type(depth: int) -> np.dtype:
    """The type of samples of so many bits."""
    return np.dtype(np.uint8 if depth == 8 else "<u2")


def split_nals(stream: bytes) -> list[bytes]:
    """NAL units of a byte stream that may lack its first start code; those without a payload are dropped."""
    return [nal for nal in (part.rstrip(b"\0") for part in stream.split(b"\0\0\1")) if len(nal) > 2]


def join_nals(nals: Iterable[bytes]) -> bytes:
    """A byte stream with a start code before each NAL unit."""
    return b"".join(b"\0\0\1" + nal for nal in nals)


def nal_type(nal: bytes) -> int:
    """nal_unit_type (H.265 table 7-1)."""
    return nal[0] >> 1 & 0x3F


def nal_layer(nal: bytes) -> int:
    """nuh_layer_id."""
    return (nal[0] & 1) << 5 | nal[1] >> 3


def in_layer(nal: bytes, layer: int) -> bytes:
    """The NAL unit with another nuh_layer_id."""
    return bytes([nal[0] & 0xFE | layer >> 5, (layer & 31) << 3 | nal[1] & 7]) + nal[2:]


def is_slice(nal: bytes) -> bool:
    """Whether a NAL unit is a slice segment of a picture."""
    return nal_type(nal) <= 9 or 16 <= nal_type(nal) <= 21


def is_intra(nal: bytes) -> bool:
    """Whether a slice is of a picture that all slices of are intra, as the first one of a file is."""
    return 16 <= nal_type(nal) <= 23


def first_picture(nals: Iterable[bytes]) -> list[bytes]:
    """The NAL units of the first picture that a decoder needs: PPS, slices and the picture's checksum."""
    kept: list[bytes] = []
    begun = False
    for nal in nals:
        if is_slice(nal):
            first_slice = bool(nal[2] & 0x80)
            if begun and first_slice:
                break
            begun = True
            kept.append(nal)
        elif nal_type(nal) in (PPS, PICTURE_HASH):
            kept.append(nal)
    return kept


def without_sequence(nals: Iterable[bytes]) -> list[bytes]:
    """The NAL units that a BPG file stores: all but VPS and SPS."""
    return [nal for nal in nals if nal_type(nal) not in (VPS, SPS)]


@functools.cache
def x265_version() -> str:
    """Version of the x265 that PyAV carries, as it signs a picture with it."""
    stream = encode([np.zeros((16, 16), np.uint8)], "gray", qp=51, preset="ultrafast", extra=":info=1")
    match = re.search(rb"x265 \(build \d+\) - ([^:\s]+)", stream)
    return match[1].decode("ascii", "replace") if match else "unknown"
