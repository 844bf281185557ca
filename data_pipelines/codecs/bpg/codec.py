"""BPG as a codec of the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from dsr.data_pipelines.codecs.base import Codec, CodecError, Inspection, QualityScale, option, shown
from dsr.data_pipelines.codecs.bpg import colour, container, hevc, libbpg
from dsr.data_pipelines.codecs.bpg.picture import inspect_bpg, read_bpg, write_bpg

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
    """

    name = "bpg"
    scale = QualityScale("qp", 0, 51, 40, higher_is_better=False)
    ladder = (24, 28, 32, 36, 40, 44, 48)
    suffix = ".bpg"
    magic = (container.MAGIC,)

    chroma: str = option("4:2:0", "chroma resolution; gray keeps the luma alone", choices=CHROMAS)
    preset: str = option(
        "",
        f"effort: of x265 {', '.join(PRESETS['x265'])}; of libbpg 1 to 9. By default "
        f"{DEFAULT_PRESET['x265']} and {DEFAULT_PRESET['libbpg']}",
    )
    chroma_qp_offset: int = option(0, "added to the QP of the chroma planes; x265 only", between=(-12, 12))
    encoder: str = option(
        "x265", "x265 comes with dsr; libbpg is the programs bpgenc and bpgdec", choices=tuple(PRESETS)
    )
    lossless: bool = option(False, "keep the pixels as they are, in RGB 4:4:4 at qp 0; x265 only", added=True)

    def __post_init__(self) -> None:
        if self.lossless is True and self.quality is None:
            object.__setattr__(self, "quality", 0)
        super().__post_init__()
        if self.preset in ("", None):
            object.__setattr__(self, "preset", DEFAULT_PRESET[self.encoder])
        if self.preset not in PRESETS[self.encoder]:
            raise CodecError(
                f"codec bpg: preset must be one of {', '.join(PRESETS[self.encoder])}, not {shown(self.preset)}"
            )
        if self.lossless:
            if self.quality or self.chroma_qp_offset or self.chroma not in (CHROMAS[0], "4:4:4"):
                raise CodecError("codec bpg: lossless is RGB 4:4:4 at qp 0; leave qp, chroma and chroma_qp_offset out")
            object.__setattr__(self, "chroma", "4:4:4")
        if self.encoder == "libbpg":
            if self.chroma_qp_offset or self.lossless:
                left_out = "lossless" if self.lossless else "chroma_qp_offset"
                raise CodecError(f"codec bpg: {left_out} is for encoder=x265 only; leave it out or use that")
            libbpg.find("bpgenc")
            libbpg.find("bpgdec")

    @classmethod
    def inspect(cls, bitstream: bytes) -> Inspection:
        """What the header and the slice tell; the quality is the QP that x265 makes such a slice at.

        bpgenc's JCTVC encoder uses 3 more for the same slice. Details: `slice_qp`, `depth` in bits, `colour_space`,
        `alpha`, `lossless`, whether transform and quantisation may be bypassed.
        """
        header, qp, lossless = inspect_bpg(bitstream)
        details = {
            "slice_qp": qp,
            "depth": header.depth,
            "colour_space": header.colour_space,
            "alpha": header.alpha,
            "lossless": lossless,
        }
        quality = 0 if lossless else qp + hevc.INTRA_OFFSET
        return Inspection(
            cls.name,
            header.width,
            header.height,
            quality=quality if quality <= cls.scale.high else None,
            chroma=header.pixel_format.replace(" video", ""),
            details=details,
        )

    def chosen(self) -> dict[str, Any]:
        chosen = super().chosen()
        if self.preset == DEFAULT_PRESET[self.encoder]:
            del chosen["preset"]
        if self.lossless:
            del chosen["chroma"]
        return chosen

    def _encode(self, pixels: np.ndarray) -> bytes:
        if self.encoder == "libbpg":
            pixels = colour.rgb_to_ycbcr(pixels)[0] if self.chroma == "gray" else pixels
            return libbpg.encode(pixels, self.quality, self.chroma, self.preset)
        return write_bpg(pixels, self.quality, self.chroma, self.preset, self.chroma_qp_offset, lossless=self.lossless)

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
