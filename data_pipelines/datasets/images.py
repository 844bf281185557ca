"""Image files to arrays: every file is taken for hostile, bounded before it is decoded, and its meaning defined.

| file holds | result |
| --- | --- |
| 8-bit RGB, grey, bilevel, palette, YCbCr | RGB8 |
| an alpha channel that is opaque everywhere | RGB8, alpha dropped |
| an alpha channel with transparent pixels | refused: their colour is undefined |
| 16 bits a sample, 32-bit integers, floats | refused: which range matters is the owner's choice |
| CMYK, CIELAB | refused: needs a colour profile |
| an EXIF orientation | turned upright, as viewers and annotation tools show it |
| several frames or pages | the first |
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from dsr.data_pipelines.datasets.errors import DatasetError

MAX_PIXELS = 200_000_000
"""Default bound on width x height of an input file: 600 MB decoded. Drone and INRIA images have 24 and 25 million."""

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm")
# Named, because Pillow's full list has formats that start other programs (EPS: Ghostscript).
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM")
_PLAIN = {"RGB", "L", "1", "P", "YCbCr"}
_WITH_ALPHA = {"RGBA", "LA", "PA"}
_STRETCH = (("L;2", 85), ("L;4", 17))
_open_lock = threading.Lock()


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Open and bound an image; whatever goes wrong with its bytes becomes a DatasetError."""
    try:
        # Our bound replaces Pillow's, a process-wide global that would warn at 89 and refuse at 179 megapixels.
        with _open_lock:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path, formats=_FORMATS)
            finally:
                Image.MAX_IMAGE_PIXELS = limit
        with image:
            width, height = image.size
            if width * height > max_pixels:
                raise DatasetError(
                    f"{path}: {width}x{height} is more than {max_pixels} pixels; raise max_pixels if you trust it."
                )
            yield image
    except DatasetError:
        raise
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; restore it, or remove its partner from the dataset.") from None
    except Exception as error:  # Pillow's decoders let nearly any exception out when a file is broken
        raise DatasetError(
            f"{path}: cannot be decoded as an image ({error}); copy it from its source again."
        ) from error


def read_size(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) of what `read_rgb` gives, from the header. Raises DatasetError."""
    with _opened(path, max_pixels) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return image.size[::-1] if turned else image.size


def read_rgb(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The image as uint8 RGB (H, W, 3), by the table above. Raises DatasetError."""
    with _opened(path, max_pixels) as image:
        if image.mode not in _PLAIN | _WITH_ALPHA or re.search(r";16[BLN]", _raw_modes(image)):
            raise DatasetError(
                f"{path}: holds {image.mode} pixels whose meaning as 8-bit RGB is not defined (16 bits a sample, "
                "CMYK, ...); convert the file to 8-bit RGB."
            )
        if image.mode in _WITH_ALPHA or "transparency" in image.info:
            alpha = image.convert("RGBA").getchannel("A")
            if alpha.getextrema() != (255, 255):
                raise DatasetError(
                    f"{path}: has transparent pixels, whose colour is undefined; flatten it onto a background."
                )
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read_labels(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The ids, integer (H, W), of a grey, palette or bilevel file, or the colours, uint8 (H, W, 3), of an RGB file.

    A palette file's ids are its indexes. Raises DatasetError.
    """
    with _opened(path, max_pixels) as image:
        if image.mode not in {"L", "P", "1", "I", "RGB", "RGBA"} and not image.mode.startswith("I;16"):
            raise DatasetError(
                f"{path}: a label file must hold ids (8 or 16-bit grey, palette) or RGB colours, not {image.mode}."
            )
        raw = _raw_modes(image)
        array = np.asarray(image)
        if array.ndim == 3:
            return array[..., :3]
        # Pillow stretches 2 and 4-bit grey to 0..255; ids are wanted as they are written in the file.
        return array.astype(np.uint8) if array.dtype == bool else array // next((f for m, f in _STRETCH if m in raw), 1)


def _raw_modes(image: ImageFile.ImageFile) -> str:
    """How the file stores its samples, as Pillow's decoders call it; its mode alone hides the bit depth."""
    return " ".join(str(tile[3]) for tile in image.tile)
