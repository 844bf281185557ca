"""The codecs that Pillow brings: JPEG, JPEG 2000, WebP and AVIF, and lossless PNG under the name `none`."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import (
    AvifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    features,
)

from dsr.data_pipelines.codecs.base import Codec, CodecError, QualityScale, choice

SUBSAMPLINGS = ("4:2:0", "4:2:2", "4:4:4")


@dataclass(frozen=True)
class PillowCodec(Codec):
    """A codec that is one of Pillow's formats.

    The reader class is called directly, not through `Image.open`: only this format is ever parsed, and the bound on the
    size is the codec's own instead of Pillow's process-wide one.
    """

    format: ClassVar[str]
    reader: ClassVar[type[ImageFile.ImageFile]]
    library: ClassVar[str]
    """Pillow's name of the library behind the format, for `versions`."""

    def parameters(self, width: int, height: int) -> dict[str, Any]:
        """Keyword arguments of `Image.save` for a picture of this size."""
        return {}

    def _encode(self, pixels: np.ndarray) -> bytes:
        height, width, _ = pixels.shape
        buffer = io.BytesIO()
        try:
            Image.fromarray(pixels).save(buffer, self.format, **self.parameters(width, height))
        except (OSError, ValueError) as error:
            raise CodecError(f"{self.name} cannot encode a picture of {width}x{height} pixels: {error}") from error
        return buffer.getvalue()

    def _decode(self, bitstream: bytes) -> np.ndarray:
        try:
            image = self.reader(io.BytesIO(bitstream))
            self.check_pixels(*image.size)
            return np.array(image.convert("RGB"))
        except CodecError:
            raise
        except Exception as error:  # Pillow's readers raise whatever the damage makes them trip over
            raise CodecError(f"not a whole {self.name} bitstream: {error or type(error).__name__}") from error

    def versions(self) -> dict[str, str]:
        return {"pillow": features.version("pil") or "", self.library: features.version(self.library) or ""}


@dataclass(frozen=True)
class NoneCodec(PillowCodec):
    """No loss: PNG, so that "not compressed" is an operating point with a rate like any other."""

    name = "none"
    scale = None
    format = "PNG"
    reader = PngImagePlugin.PngImageFile
    library = "zlib"


@dataclass(frozen=True)
class JpegCodec(PillowCodec):
    """Baseline JPEG with optimised Huffman tables, quality on the IJG scale."""

    name = "jpeg"
    scale = QualityScale("quality", 1, 100, 75, higher_is_better=True)
    format = "JPEG"
    reader = JpegImagePlugin.JpegImageFile
    library = "jpg"

    chroma: str = "4:2:0"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice(self, "chroma", SUBSAMPLINGS)

    def parameters(self, width: int, height: int) -> dict[str, Any]:
        return {"quality": self.quality, "subsampling": self.chroma, "optimize": True}

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "libjpeg_turbo": features.version("libjpeg_turbo") or ""}


@dataclass(frozen=True)
class Jpeg2000Codec(PillowCodec):
    """JPEG 2000 (irreversible 9/7 wavelet, one layer, bare codestream); the quality is the rate asked for, in bpp.

    The rate controller aims at `rate` bits per pixel and may end a little below it; as everywhere, the rate that counts
    is that of the bytes.
    """

    name = "jpeg2000"
    scale = QualityScale("rate", 0.01, 24, 1.0, higher_is_better=True, integer=False)
    format = "JPEG2000"
    reader = Jpeg2KImagePlugin.Jpeg2KImageFile
    library = "jpg_2000"

    def parameters(self, width: int, height: int) -> dict[str, Any]:
        return {
            "quality_mode": "rates",
            "quality_layers": [24 / self.quality],
            "irreversible": True,
            "no_jp2": True,
            # OpenJPEG refuses more decompositions than the shorter side can be halved.
            "num_resolutions": min(6, min(width, height).bit_length()),
        }


@dataclass(frozen=True)
class WebPCodec(PillowCodec):
    """Lossy WebP; `effort` is libwebp's method, 0 (fast) to 6 (small)."""

    name = "webp"
    scale = QualityScale("quality", 0, 100, 75, higher_is_better=True)
    format = "WEBP"
    reader = WebPImagePlugin.WebPImageFile
    library = "webp"

    effort: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.effort not in range(7):
            raise CodecError(f"codec webp: effort must be a whole number from 0 to 6, not {self.effort!r}")

    def parameters(self, width: int, height: int) -> dict[str, Any]:
        return {"quality": self.quality, "method": self.effort}


@dataclass(frozen=True)
class AvifCodec(PillowCodec):
    """AVIF; `speed` is libavif's, 0 (slow, small) to 10 (fast). One thread: the callers are processes."""

    name = "avif"
    scale = QualityScale("quality", 0, 100, 60, higher_is_better=True)
    format = "AVIF"
    reader = AvifImagePlugin.AvifImageFile
    library = "avif"

    chroma: str = "4:2:0"
    speed: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        choice(self, "chroma", SUBSAMPLINGS)
        if self.speed not in range(11):
            raise CodecError(f"codec avif: speed must be a whole number from 0 to 10, not {self.speed!r}")

    def parameters(self, width: int, height: int) -> dict[str, Any]:
        return {"quality": self.quality, "subsampling": self.chroma, "speed": self.speed, "max_threads": 1}
