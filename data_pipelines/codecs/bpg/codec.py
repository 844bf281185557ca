"""BPG as a codec of the registry."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np

from dsr.data_pipelines.codecs.base import Codec, CodecError, QualityScale, choice
from dsr.data_pipelines.codecs.bpg import colour, container, hevc, libbpg
from dsr.data_pipelines.codecs.bpg.picture import read_bpg, write_bpg

CHROMAS = ("4:2:0", "4:2:2", "4:4:4", "gray")
PRESETS = {"x265": hevc.PRESETS, "libbpg": libbpg.LEVELS}
"""Encoder -> its presets, fastest first."""

DEFAULT_PRESET = {"x265": "slow", "libbpg": "8"}


@dataclass(frozen=True)
class BpgCodec(Codec):
    """BPG: an HEVC intra picture in a container of a few bytes.

    A QP means a rate only together with the encoder: the identity of the codec names it, with its version.

    Attributes:
        quality: QP as `bpgenc -q` counts it.
        chroma: Chroma resolution; `gray` keeps the luma alone.
        preset: Effort of the encoder: x265's preset (default `slow`), or `bpgenc -m` (default `8`).
        chroma_qp_offset: Added to the QP of the chroma planes, -12 to 12; x265 only.
        encoder: `x265` (through PyAV), or `libbpg` for the programs `bpgenc` and `bpgdec`.
    """

    name = "bpg"
    scale = QualityScale("qp", 0, 51, 40, higher_is_better=False)

    chroma: str = "4:2:0"
    preset: str = ""
    chroma_qp_offset: int = 0
    encoder: str = "x265"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice(self, "encoder", tuple(PRESETS))
        if not self.preset:
            object.__setattr__(self, "preset", DEFAULT_PRESET[self.encoder])
        choice(self, "preset", PRESETS[self.encoder])
        choice(self, "chroma", CHROMAS)
        if self.chroma_qp_offset not in range(-12, 13):
            raise CodecError(
                f"codec bpg: chroma_qp_offset must be a whole number from -12 to 12, not {self.chroma_qp_offset!r}"
            )
        if self.encoder == "libbpg":
            if self.chroma_qp_offset:
                raise CodecError("codec bpg: bpgenc has no chroma_qp_offset; leave it out or use encoder=x265")
            libbpg.find("bpgenc")
            libbpg.find("bpgdec")

    def _encode(self, pixels: np.ndarray) -> bytes:
        if self.encoder == "libbpg":
            pixels = colour.rgb_to_ycbcr(pixels)[0] if self.chroma == "gray" else pixels
            return libbpg.encode(pixels, self.quality, self.chroma, self.preset)
        return write_bpg(pixels, self.quality, self.chroma, self.preset, self.chroma_qp_offset)

    def _decode(self, bitstream: bytes) -> np.ndarray:
        if self.encoder == "libbpg":
            header, _ = container.parse(bitstream)
            self.check_pixels(header.width, header.height)
            return libbpg.decode(bitstream)
        return read_bpg(bitstream, self.max_pixels).rgb

    def versions(self) -> dict[str, str]:
        if self.encoder == "libbpg":
            return {"libbpg": libbpg.version()}
        libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
        return {"x265": hevc.x265_version(), "libavcodec": libavcodec, "av": av.__version__}
