"""What the codecs that Pillow brings have in common."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageFile, features

from dsr.data_pipelines.codecs.base import Codec, CodecError, Inspection

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

    @classmethod
    def inspect(cls, bitstream: bytes) -> Inspection:
        image = cls._open(bitstream)
        return Inspection(cls.name, *image.size)

    @classmethod
    def depth(cls, bitstream: bytes) -> int:
        """Bits of a sample, as the bitstream says: Pillow cuts what has more to 8, and its modes do not tell."""
        return 8

    def _encode(self, pixels: np.ndarray) -> bytes:
        height, width, _ = pixels.shape
        return self._save(pixels, **self.parameters(width, height))

    def _decode(self, bitstream: bytes) -> np.ndarray:
        image = self._open(bitstream)
        self.check_pixels(*image.size)
        try:
            depth = self.depth(bitstream)
            if image.mode not in ("RGB", "RGBA", "L", "LA") or depth != 8:
                raise CodecError(
                    f"holds {image.mode} pixels of {depth} bits a sample, whose meaning as 8-bit RGB is not defined"
                )
            image.load()
            if image.mode.endswith("A") and (np.asarray(image.getchannel("A")) < 255).any():
                raise CodecError("has transparent pixels, whose colour is undefined")
            return np.array(image.convert("RGB"))
        except (CodecError, MemoryError):  # the latter is no damage
            raise
        except Exception as error:
            raise self._broken(error) from error

    def _save(self, pixels: np.ndarray, **parameters: Any) -> bytes:
        buffer = io.BytesIO()
        try:
            Image.fromarray(pixels).save(buffer, self.format, **parameters)
        except (OSError, RuntimeError, ValueError) as error:
            height, width, _ = pixels.shape
            raise CodecError(f"{self.name} cannot encode a picture of {width}x{height} pixels: {error}") from error
        return buffer.getvalue()

    @classmethod
    def _open(cls, bitstream: bytes) -> ImageFile.ImageFile:
        """What the bitstream holds, its pixels not decoded yet."""
        try:
            return cls.reader(io.BytesIO(bitstream))
        except MemoryError:  # no damage
            raise
        except Exception as error:
            raise cls._broken(error) from error

    @classmethod
    def _broken(cls, error: Exception) -> CodecError:
        """Pillow's readers raise whatever the damage makes them trip over."""
        return CodecError(f"not a whole {cls.name} bitstream: {error or type(error).__name__}")

    def versions(self) -> dict[str, str]:
        return {"pillow": features.version("pil") or "", self.library: features.version(self.library) or ""}
