"""Images of the report as data URIs: photographs without loss, label maps in the colours of their classes."""

from __future__ import annotations

import base64
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dsr.experiments.results import ClassFacts
from dsr.models.errors import UserError

# Compression is judged at the size of its pixels, so large images are cropped to this, never scaled.
CROP_WIDTH, CROP_HEIGHT = 1024, 640
IGNORE = 255


class ReportError(UserError):
    """An image of the report cannot be read."""


@dataclass(frozen=True)
class Picture:
    """An image as it stands in the page; `cropped` says that it is the centre of a larger one."""

    uri: str
    width: int
    height: int
    cropped: bool


MAX_BYTES = 1 << 30
MAX_PIXELS = 200_000_000
"""Of a picture that a report shows, checked before it is read; all that dsr writes are PNG."""


def photograph(path: str | Path) -> Picture:
    """An RGB image as lossless WebP, about a quarter smaller than PNG: what is compared has every pixel it had.

    Raises:
        ReportError: the file is missing or no image.
    """
    image, cropped = _open(path, "RGB")
    data = io.BytesIO()
    image.save(data, "WEBP", lossless=True, quality=20, method=2)
    return _picture(image, data, "webp", cropped)


def label_map(path: str | Path, classes: Sequence[ClassFacts]) -> Picture:
    """A gray PNG of train ids as a palette PNG in the colours of `classes`; ignored pixels are transparent.

    Raises:
        ReportError: the file is missing, no image, or has ids beyond the classes.
    """
    image, cropped = _open(path, "L")
    ids = np.asarray(image)
    unknown = np.unique(ids[(ids >= len(classes)) & (ids != IGNORE)])
    if unknown.size:
        raise ReportError(
            f"{path} has the train id {unknown[0]}, but there are only {len(classes)} classes; remake it."
        )
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(classes)] = [label.color for label in classes]
    coloured = Image.fromarray(ids)
    coloured.putpalette(palette.tobytes())
    data = io.BytesIO()
    coloured.save(data, "PNG", transparency=IGNORE, optimize=True)
    return _picture(image, data, "png", cropped)


def _open(path: str | Path, mode: str) -> tuple[Image.Image, bool]:
    try:
        size = os.stat(path)
        if not stat.S_ISREG(size.st_mode) or size.st_size > MAX_BYTES:
            raise ValueError("it is no file of a picture")
        with Image.open(path, formats=["PNG"]) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ValueError(f"it claims {opened.width}x{opened.height} pixels")
            width, height = min(opened.width, CROP_WIDTH), min(opened.height, CROP_HEIGHT)
            left, top = (opened.width - width) // 2, (opened.height - height) // 2
            cropped = (width, height) != opened.size
            return opened.crop((left, top, left + width, top + height)).convert(mode), cropped
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ReportError(f"cannot read {path} for the report ({error}); evaluate again to make it.") from error


def _picture(image: Image.Image, data: io.BytesIO, kind: str, cropped: bool) -> Picture:
    uri = f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
    return Picture(uri, image.width, image.height, cropped)
