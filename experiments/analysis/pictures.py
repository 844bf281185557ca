"""Images of the report as data URIs: photographs without loss, label maps in the colours of their classes."""

from __future__ import annotations

import base64
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dsr.data_pipelines.datasets import IGNORE
from dsr.experiments.results import ClassFacts
from dsr.models.errors import UserError

# Compression is judged at the size of its pixels, so large images are cropped to this, never scaled.
CROP_WIDTH, CROP_HEIGHT = 1024, 640
THUMBNAIL = 200

MAP_BITS = 4.0
"""Bits at which a map of lost information has its full colour: a label that is 16 times less probable."""

LOSS, GAIN, NO_CHANGE = (213, 94, 0), (0, 114, 178), (242, 242, 240)


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
    """An RGB image without loss, the centre of a large one: what is compared has every pixel it had.

    Raises:
        ReportError: the file is missing or no image.
    """
    return lossless(*_centre(read_photograph(path)))


def label_map(path: str | Path, classes: Sequence[ClassFacts]) -> Picture:
    """A gray PNG of train ids in the colours of `classes`, without loss; ignored pixels are transparent.

    Raises:
        ReportError: the file is missing, no image, or has ids beyond the classes.
    """
    palette = np.zeros((256, 4), np.uint8)
    palette[: len(classes)] = [(*label.color, 255) for label in classes]
    ids, cropped = _centre(read_ids(path, classes))
    return lossless(palette[ids], cropped)


def information_levels(bits: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Bits that a pixel lost, of any shape, as the grey levels of a map: 0 for -MAP_BITS and less, 254 for MAP_BITS.

    127 is no change, 255 a pixel without a label (nan).
    """
    levels = np.clip(np.round(127 + 127 * np.nan_to_num(bits) / MAP_BITS), 0, 254)
    return np.where(np.isnan(bits), IGNORE, levels).astype(np.uint8)


def information_colors() -> NDArray[np.uint8]:
    """The colour of each level of such a map, (256, 4): what was lost in the report's colour of loss, gains in theirs.

    Both mix evenly with the pale grey of no change; what has no label is transparent.
    """
    away = (np.arange(255)[:, None] - 127) / 127
    mixed = (1 - np.abs(away)) * np.array(NO_CHANGE) + np.abs(away) * np.where(away < 0, GAIN, LOSS)
    colors = np.zeros((256, 4), np.uint8)
    colors[:255, :3], colors[:255, 3] = np.round(mixed), 255
    return colors


def information_map(path: str | Path) -> Picture:
    """A gray PNG of the levels of `information_levels` in their colours, without loss.

    Raises:
        ReportError: the file is missing or no image.
    """
    levels, cropped = _centre(np.asarray(_open(path, "L")))
    return lossless(information_colors()[levels], cropped)


def thumbnail(path: str | Path) -> Picture:
    """An RGB image, THUMBNAIL pixels wide at most, with the losses of WebP: to be recognised, not to be judged.

    Raises:
        ReportError: the file is missing or no image.
    """
    image = _open(path, "RGB")
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    data = io.BytesIO()
    image.save(data, "WEBP", quality=70, method=4)
    return _picture(image, data, cropped=False)


def lossless(pixels: np.ndarray, cropped: bool = False) -> Picture:
    """uint8 pixels of shape (height, width, 3 or 4) as lossless WebP, about a quarter smaller than PNG."""
    image, data = Image.fromarray(pixels), io.BytesIO()
    image.save(data, "WEBP", lossless=True, quality=20, method=2)
    return _picture(image, data, cropped)


def read_photograph(path: str | Path) -> np.ndarray:
    """The uint8 pixels of an RGB PNG, (height, width, 3).

    Raises:
        ReportError: the file is missing or no image.
    """
    return np.asarray(_open(path, "RGB"))


def read_ids(path: str | Path, classes: Sequence[ClassFacts]) -> np.ndarray:
    """The train ids of a gray PNG, uint8 of shape (height, width); IGNORE is none.

    Raises:
        ReportError: the file is missing, no image, or has ids beyond the classes.
    """
    ids = np.asarray(_open(path, "L"))
    unknown = np.unique(ids[(ids >= len(classes)) & (ids != IGNORE)])
    if unknown.size:
        raise ReportError(
            f"{path} has the train id {unknown[0]}, but there are only {len(classes)} classes; remake it."
        )
    return ids


def refuse_other_size(pixels: np.ndarray, like: np.ndarray, path: str | Path) -> None:
    """ReportError, which names `path`, unless its pixels are as many across and down as those of `like`."""
    if pixels.shape[:2] != like.shape[:2]:
        (height, width), (high, wide) = pixels.shape[:2], like.shape[:2]
        raise ReportError(
            f"{path} has {width}x{height} pixels, not {wide}x{high} as its image; evaluate again to make it."
        )


def _centre(pixels: np.ndarray) -> tuple[np.ndarray, bool]:
    """What a page shows of an image, and whether that is not all of it."""
    height, width = min(pixels.shape[0], CROP_HEIGHT), min(pixels.shape[1], CROP_WIDTH)
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width], (height, width) != pixels.shape[:2]


def _open(path: str | Path, mode: str) -> Image.Image:
    try:
        size = os.stat(path)
        if not stat.S_ISREG(size.st_mode) or size.st_size > MAX_BYTES:
            raise ValueError("it is no file of a picture")
        with Image.open(path, formats=["PNG"]) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ValueError(f"it claims {opened.width}x{opened.height} pixels")
            return opened.convert(mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ReportError(f"cannot read {path} for the report ({error}); evaluate again to make it.") from error


def _picture(image: Image.Image, data: io.BytesIO, cropped: bool) -> Picture:
    uri = f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
    return Picture(uri, image.width, image.height, cropped)
