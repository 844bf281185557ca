"""HEVC parameter sets: what a BPG header says about the sequence, and the sets that a plain HEVC decoder needs.

A BPG file stores no VPS and no SPS, only the few SPS fields that vary (`SequenceHeader`); all others are fixed by the
format. The syntax is that of H.265 clauses 7.3.2.1 to 7.3.2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from dsr.data_pipelines.codecs.base import CodecError
from dsr.data_pipelines.codecs.bpg.bits import BitReader, BitWriter, escape, unescape

VPS, SPS, PPS = 32, 33, 34
IDR = (19, 20)
"""NAL unit types (H.265 table 7-1)."""

INTRA = 2
"""slice_type of slices without prediction from other pictures."""

RANGE_FLAGS = (
    "transform_skip_rotation",
    "transform_skip_context",
    "implicit_rdpcm",
    "explicit_rdpcm",
    "extended_precision",
    "intra_smoothing_disabled",
    "high_precision_offsets",
    "persistent_rice_adaptation",
    "cabac_bypass_alignment",
)
"""The flags of the SPS range extension, in order."""


@dataclass(frozen=True)
class Pcm:
    """The SPS fields of raw (PCM) blocks."""

    luma_depth_minus1: int
    chroma_depth_minus1: int
    log2_min_size_minus3: int
    log2_size_range: int
    loop_filter_disabled: int


@dataclass(frozen=True)
class SequenceHeader:
    """The SPS fields that a BPG file carries (`hevc_header` of the format).

    Attributes:
        log2_min_block: Smallest coding block, log2 of its side.
        log2_block_range: log2 of largest over smallest coding block.
        log2_min_transform, log2_transform_range: The same for transform blocks.
        transform_depth: Maximal transform hierarchy depth, intra and inter.
        sao: Whether sample adaptive offset is on.
        pcm: PCM fields, or None.
        strong_smoothing: Whether strong intra smoothing is on.
        range_flags: The nine flags of `RANGE_FLAGS`, or None without a range extension.
    """

    log2_min_block: int
    log2_block_range: int
    log2_min_transform: int
    log2_transform_range: int
    transform_depth: int
    sao: int
    pcm: Pcm | None
    strong_smoothing: int
    range_flags: tuple[int, ...] | None

    @classmethod
    def parse(cls, data: bytes) -> SequenceHeader:
        """Reads the header of a BPG file; raises CodecError if it is cut or outside what HEVC allows."""
        bits = BitReader(data)
        log2_min_block = bits.ue() + 3
        log2_block_range = bits.ue()
        log2_min_transform = bits.ue() + 2
        log2_transform_range = bits.ue()
        transform_depth = bits.ue()
        sao = bits.u(1)
        pcm = _read_pcm(bits)
        strong_smoothing = bits.u(1)
        range_flags = _read_extension(bits)
        log2_block = log2_min_block + log2_block_range
        log2_transform = log2_min_transform + log2_transform_range
        if not (4 <= log2_block <= 6 and log2_min_transform < log2_min_block and log2_transform <= min(log2_block, 5)):
            raise CodecError("the BPG header gives block sizes that HEVC does not have")
        if transform_depth > log2_block - log2_min_transform:
            raise CodecError("the BPG header gives a transform depth that HEVC does not have")
        return cls(
            log2_min_block, log2_block_range, log2_min_transform, log2_transform_range, transform_depth, sao, pcm,
            strong_smoothing, range_flags,
        )  # fmt: skip

    def __bytes__(self) -> bytes:
        bits = BitWriter()
        bits.ue(self.log2_min_block - 3)
        bits.ue(self.log2_block_range)
        bits.ue(self.log2_min_transform - 2)
        bits.ue(self.log2_transform_range)
        bits.ue(self.transform_depth)
        bits.u(1, self.sao)
        _write_pcm(bits, self.pcm)
        bits.u(1, self.strong_smoothing)
        _write_extension(bits, self.range_flags)
        return bytes(bits)

    @property
    def block(self) -> int:
        """Side of the coding tree blocks, which a picture is coded in."""
        return 1 << self.log2_min_block + self.log2_block_range

    def blocks(self, width: int, height: int) -> int:
        """How many coding tree blocks cover a picture."""
        return -(-width // self.block) * -(-height // self.block)

    def uses(self, flag: str) -> bool:
        """Whether the range extension sets `flag`, a name in `RANGE_FLAGS`."""
        return self.range_flags is not None and bool(self.range_flags[RANGE_FLAGS.index(flag)])


def parse_sps(nal: bytes) -> SequenceHeader:
    """The varying fields of an encoder's SPS (NAL unit without start code).

    Raises CodecError if a field that a BPG file cannot express differs from the value that the format fixes.
    """
    bits = BitReader(unescape(nal))
    bits.u(16)  # NAL unit header
    bits.u(4)
    _fixed(bits.u(3), 0, "sps_max_sub_layers_minus1")
    bits.u(1)
    bits.u(96)  # profile, tier and level
    bits.ue()
    chroma_format = bits.ue()
    if chroma_format == 3:
        _fixed(bits.u(1), 0, "separate_colour_plane_flag")
    bits.ue(), bits.ue()  # picture size: the container's
    if bits.u(1):  # conformance window
        for _ in range(4):
            _fixed(bits.ue(), 0, "conf_win_offset")
    bits.ue(), bits.ue()  # bit depths: the container's
    _fixed(bits.ue(), 4, "log2_max_pic_order_cnt_lsb_minus4")
    bits.u(1)
    bits.ue(), bits.ue(), bits.ue()  # decoded picture buffer
    log2_min_block = bits.ue() + 3
    log2_block_range = bits.ue()
    log2_min_transform = bits.ue() + 2
    log2_transform_range = bits.ue()
    inter_depth, intra_depth = bits.ue(), bits.ue()
    _fixed(inter_depth, intra_depth, "max_transform_hierarchy_depth_inter")
    _fixed(bits.u(1), 0, "scaling_list_enabled_flag")
    _fixed(bits.u(1), 1, "amp_enabled_flag")
    sao = bits.u(1)
    pcm = _read_pcm(bits)
    _fixed(bits.ue(), 0, "num_short_term_ref_pic_sets")
    _fixed(bits.u(1), 0, "long_term_ref_pics_present_flag")
    bits.u(1)  # temporal motion vector prediction: of no meaning in a single intra picture
    strong_smoothing = bits.u(1)
    return SequenceHeader(
        log2_min_block, log2_block_range, log2_min_transform, log2_transform_range, intra_depth, sao, pcm,
        strong_smoothing, None,
    )  # fmt: skip


def write_parameter_sets(header: SequenceHeader, chroma_format: int, width: int, height: int, depth: int) -> bytes:
    """VPS and SPS, with start codes, for pictures of `width` x `height` luma samples of `depth` bits."""
    vps = BitWriter()
    vps.u(4, 0)
    vps.u(2, 3)  # base layer internal and available
    vps.u(6, 0)
    vps.u(3, 0)
    vps.u(1, 1)
    vps.u(16, 0xFFFF)
    _write_profile(vps)
    _write_buffering(vps)
    vps.u(6, 0)
    vps.ue(0)
    vps.u(1, 0)
    vps.u(1, 0)
    vps.trailing()

    side = 1 << header.log2_min_block
    sps = BitWriter()
    sps.u(4, 0)
    sps.u(3, 0)
    sps.u(1, 1)
    _write_profile(sps)
    sps.ue(0)
    sps.ue(chroma_format)
    if chroma_format == 3:
        sps.u(1, 0)
    sps.ue(-(-width // side) * side)
    sps.ue(-(-height // side) * side)
    sps.u(1, 0)  # no conformance window: the container crops
    sps.ue(depth - 8)
    sps.ue(depth - 8)
    sps.ue(4)  # picture order count of 8 bits
    _write_buffering(sps)
    sps.ue(header.log2_min_block - 3)
    sps.ue(header.log2_block_range)
    sps.ue(header.log2_min_transform - 2)
    sps.ue(header.log2_transform_range)
    sps.ue(header.transform_depth)
    sps.ue(header.transform_depth)
    sps.u(1, 0)  # scaling lists
    sps.u(1, 1)  # asymmetric partitions
    sps.u(1, header.sao)
    _write_pcm(sps, header.pcm)
    sps.ue(0)  # short-term reference picture sets
    sps.u(1, 0)  # long-term reference pictures
    sps.u(1, 1)  # temporal motion vector prediction
    sps.u(1, header.strong_smoothing)
    sps.u(1, 0)  # VUI
    _write_extension(sps, header.range_flags)
    sps.trailing()
    return b"".join(b"\0\0\1" + bytes([kind << 1, 1]) + escape(bytes(bits)) for kind, bits in ((VPS, vps), (SPS, sps)))


@dataclass(frozen=True)
class PictureHeader:
    """The PPS fields that matter here.

    Attributes:
        output_flag: Whether slices say if their picture is shown.
        extra_bits: Reserved bits in each slice header.
        qp: QP that slices add their difference to.
        transquant_bypass: Whether blocks may bypass transform and quantisation: the picture may be lossless.
    """

    output_flag: int
    extra_bits: int
    qp: int
    transquant_bypass: int

    @classmethod
    def parse(cls, pps: bytes) -> PictureHeader:
        """Reads a PPS (NAL unit without start code); raises CodecError if it is cut."""
        bits = BitReader(unescape(pps))
        bits.u(16)  # NAL unit header
        bits.ue(), bits.ue()  # identifiers
        bits.u(1)  # dependent slice segments
        output_flag, extra_bits = bits.u(1), bits.u(3)
        bits.u(2)
        bits.ue(), bits.ue()  # default numbers of references
        qp = 26 + bits.se()
        bits.u(2)
        if bits.u(1):  # QP deltas
            bits.ue()
        bits.se(), bits.se()  # chroma QP offsets
        bits.u(3)
        return cls(output_flag, extra_bits, qp, bits.u(1))


def slice_qp(nal: bytes, sequence: SequenceHeader, picture: PictureHeader, gray: bool) -> int:
    """The QP that the first slice of an intra picture starts with.

    Args:
        nal: The slice, a NAL unit without start code.
        sequence, picture: Its parameter sets.
        gray: Whether the picture has no chroma.

    Raises:
        CodecError: The slice is cut, or no intra slice.
    """
    kind = nal[0] >> 1 & 0x3F
    bits = BitReader(unescape(nal[:64]))
    bits.u(16)  # NAL unit header
    first = bits.u(1)
    if 16 <= kind <= 23:
        bits.u(1)  # no output of prior pictures
    bits.ue()  # identifier of the PPS
    bits.u(picture.extra_bits)
    if not first or bits.ue() != INTRA:
        raise CodecError("BPG picture does not begin with an intra slice")
    bits.u(picture.output_flag)
    if kind not in IDR:
        bits.u(8)  # picture order count
        if not bits.u(1):  # the slice brings a set of short-term reference pictures
            for _ in range(bits.ue() + bits.ue()):
                bits.ue(), bits.u(1)
        bits.u(1)  # temporal motion vector prediction
    bits.u(sequence.sao * (1 if gray else 2))
    return picture.qp + bits.se()


def _fixed(value: int, expected: int, name: str) -> None:
    if value != expected:
        raise CodecError(f"the HEVC encoder wrote {name} = {value}, but a BPG file can only say {expected}")


def _read_pcm(bits: BitReader) -> Pcm | None:
    return Pcm(bits.u(4), bits.u(4), bits.ue(), bits.ue(), bits.u(1)) if bits.u(1) else None


def _write_pcm(bits: BitWriter, pcm: Pcm | None) -> None:
    bits.u(1, pcm is not None)
    if pcm is not None:
        bits.u(4, pcm.luma_depth_minus1)
        bits.u(4, pcm.chroma_depth_minus1)
        bits.ue(pcm.log2_min_size_minus3)
        bits.ue(pcm.log2_size_range)
        bits.u(1, pcm.loop_filter_disabled)


def _read_extension(bits: BitReader) -> tuple[int, ...] | None:
    if not bits.u(1):
        return None
    has_range = bits.u(1)
    if bits.u(7):
        raise CodecError("the BPG header announces an HEVC extension that the format does not have")
    return tuple(bits.u(1) for _ in RANGE_FLAGS) if has_range else None


def _write_extension(bits: BitWriter, range_flags: tuple[int, ...] | None) -> None:
    bits.u(1, range_flags is not None)
    if range_flags is not None:
        bits.u(8, 0x80)
        for flag in range_flags:
            bits.u(1, flag)


def _write_profile(bits: BitWriter) -> None:
    """profile_tier_level(): format range extensions (profile 4), level 8.5."""
    bits.u(8, 4)
    bits.u(32, 1 << 31 - 4)
    bits.u(4, 0b1001)  # progressive, frames only
    bits.u(44, 0)
    bits.u(8, 255)


def _write_buffering(bits: BitWriter) -> None:
    bits.u(1, 1)
    bits.ue(4)  # pictures held besides the current one: animations may refer back
    bits.ue(0)
    bits.ue(0)
