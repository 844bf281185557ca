"""BPG files to pixels and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsr.data_pipelines.codecs.base import MAX_PIXELS, CodecError
from dsr.data_pipelines.codecs.bpg import colour, container, hevc
from dsr.data_pipelines.codecs.bpg.parameter_sets import PPS, SPS, PictureHeader, SequenceHeader, parse_sps, slice_qp

ALPHA_LAYER = 1
"""nuh_layer_id of the alpha picture's NAL units."""


@dataclass(frozen=True)
class Picture:
    """A decoded BPG file.

    Attributes:
        header: What the file says of itself.
        rgb: uint8 of shape (height, width, 3).
        alpha: uint8 of shape (height, width), or None if the file has none.
    """

    header: container.Header
    rgb: np.ndarray
    alpha: np.ndarray | None


def write_bpg(
    pixels: np.ndarray,
    qp: int,
    chroma: str = "4:2:0",
    preset: str = "slow",
    chroma_qp_offset: int = 0,
    *,
    depth: int = 8,
    lossless: bool = False,
    alpha: np.ndarray | None = None,
    extensions: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """Encodes pixels to a BPG file: YCbCr BT.601, full range, or RGB as it is if lossless.

    Args:
        pixels: uint8, RGB of shape (height, width, 3), or gray of shape (height, width) with `chroma="gray"`.
        qp, preset, chroma_qp_offset: As in `hevc.encode`.
        chroma: A key of `hevc.FORMATS`; `gray` keeps the luma of RGB pixels. Lossless RGB is always 4:4:4.
        depth: Bits a sample, one of `hevc.DEPTHS`. More than 8 lose less to rounding between RGB and YCbCr.
        lossless: Whether pixels and alpha come back as they are; 8 bits.
        alpha: uint8 of shape (height, width), 255 is opaque; coded like a gray picture.
        extensions: (tag, payload) of the metadata that the file carries, as in `container.Header`.

    Raises:
        CodecError: x265 cannot encode such a picture.
    """
    if lossless and depth != 8:
        raise CodecError(f"a lossless BPG picture has the 8 bits of its pixels, not {depth}")
    height, width = pixels.shape[:2]
    colour_space = "ycbcr_bt601"
    if pixels.ndim == 2:
        planes = [colour.deepen(pixels, depth)]
    elif lossless:
        colour_space, chroma = "rgb", "4:4:4"
        planes = [pixels[:, :, channel] for channel in (1, 2, 0)]
    else:
        luma, colours = colour.rgb_to_ycbcr(pixels, depth)
        if chroma == "gray":
            colours = colours[:0]
        elif chroma != "4:4:4":
            colours = colour.subsample(colours, chroma == "4:2:0", depth)
        planes = [luma, *colours]
    sequence, nals = _encode(planes, chroma, qp, preset, chroma_qp_offset, depth, lossless)
    sequences = [sequence]
    if alpha is not None:
        sequence, others = _encode([colour.deepen(alpha, depth)], "gray", qp, preset, 0, depth, lossless)
        sequences.insert(0, sequence)
        others = [hevc.in_layer(nal, ALPHA_LAYER) for nal in others]
        nals = [nal for pair in zip(others, nals) for nal in pair]
    data = b"".join(container.write_ue7(len(part)) + part for part in sequences) + b"\0\0\1".join(nals)
    header = container.Header(
        width,
        height,
        chroma,
        colour_space,
        depth,
        alpha=None if alpha is None else "straight",
        extensions=tuple(extensions),
    )
    return container.serialise(header, data)


def read_bpg(data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decodes a BPG file, to the bit as `bpgdec` of libbpg 0.9.8 does; of an animation the first picture.

    Besides the file it takes 6 to 10 bytes of memory a pixel at 8 bits, at most 24 for any file.

    Raises:
        CodecError: Not a BPG file, damaged, larger than `max_pixels`, or of a kind that FFmpeg cannot decode. The
            format has no checksum: a changed bit of the picture data may also give another picture.
    """
    header, hevc_data = container.parse(data)
    if header.width * header.height > max_pixels:
        raise CodecError(
            f"BPG file claims {header.width}x{header.height} pixels, more than the {max_pixels} allowed (max_pixels)"
        )
    if header.alpha == "cmyk":
        raise CodecError("BPG picture is CMYK, which is not supported; convert it with bpgdec")
    alpha_sequence, sequence, nals = _split(header, hevc_data)
    colour_nals = [nal for nal in nals if hevc.nal_layer(nal) == 0]
    planes = _decode(header, _chroma(header), sequence, colour_nals)
    rgb = colour.to_rgb(planes, header.pixel_format, header.colour_space, header.depth, header.limited_range)
    if alpha_sequence is None:
        return Picture(header, rgb, None)
    alpha_nals = [hevc.in_layer(nal, 0) for nal in nals if hevc.nal_layer(nal) == ALPHA_LAYER]
    (plane,) = _decode(header, "gray", alpha_sequence, alpha_nals)
    alpha = colour.to_gray(plane, header.depth)
    if header.alpha == "premultiplied":
        colour.unmultiply(rgb, alpha)
    return Picture(header, rgb, alpha)


def inspect_bpg(data: bytes) -> tuple[container.Header, int, bool]:
    """Reads what a BPG file says of itself, without decoding the picture.

    Returns:
        Its header; the QP that its colour picture starts with; and whether blocks may bypass transform and
        quantisation, as all do in a lossless picture.

    Raises:
        CodecError: Not a BPG file, or damaged.
    """
    header, hevc_data = container.parse(data)
    _, sequence, nals = _split(header, hevc_data)
    picture = hevc.first_picture(nal for nal in nals if hevc.nal_layer(nal) == 0)
    pps = next((nal for nal in picture if hevc.nal_type(nal) == PPS), None)
    first = next((nal for nal in picture if hevc.is_slice(nal)), None)
    if pps is None or first is None:
        raise CodecError("BPG file holds no picture data")
    settings = PictureHeader.parse(pps)
    return header, slice_qp(first, sequence, settings, _chroma(header) == "gray"), bool(settings.transquant_bypass)


def _encode(planes: Sequence[np.ndarray], chroma: str, *settings: Any) -> tuple[bytes, list[bytes]]:
    """The sequence header of a picture, and the NAL units that a file stores of it: a PPS and a slice."""
    nals = hevc.split_nals(hevc.encode(planes, chroma, *settings))
    sequence = bytes(parse_sps(next(nal for nal in nals if hevc.nal_type(nal) == SPS)))
    return sequence, hevc.without_sequence(nals)


def _split(header: container.Header, data: bytes) -> tuple[SequenceHeader | None, SequenceHeader, list[bytes]]:
    """The sequence headers of alpha, if there is alpha, and of the picture; and the NAL units of both."""
    cursor = container.Cursor(data)
    alpha = _read_sequence(cursor) if header.alpha else None
    return alpha, _read_sequence(cursor), hevc.split_nals(data[cursor.position :])


def _chroma(header: container.Header) -> str:
    return header.pixel_format.replace(" video", "")


def _read_sequence(cursor: container.Cursor) -> SequenceHeader:
    return SequenceHeader.parse(cursor.take(cursor.ue7("the HEVC header"), "the HEVC header"))


def _decode(header: container.Header, chroma: str, sequence: SequenceHeader, nals: list[bytes]) -> list[np.ndarray]:
    for flag in ("extended_precision", "cabac_bypass_alignment"):
        if sequence.uses(flag):
            raise CodecError(f"BPG picture uses {flag}, which the format forbids")
    if sequence.uses("implicit_rdpcm") and any(
        PictureHeader.parse(nal).transquant_bypass for nal in nals if hevc.nal_type(nal) == PPS
    ):
        raise CodecError("BPG picture is lossless with implicit RDPCM, which FFmpeg decodes wrongly; use bpgdec for it")
    zero_is_black = chroma == "gray" or header.colour_space == "rgb"
    size = header.width, header.height
    return hevc.decode(sequence, nals, chroma, *size, header.depth, header.has_length, zero_is_black)
