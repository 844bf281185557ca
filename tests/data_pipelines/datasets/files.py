"""Small files in true formats, for fake dataset trees."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from dsr.data_pipelines.datasets import Sample, Source


def labelled(source: Source, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """What `source` reads for a sample that has a label."""
    pixels, label = source.read(sample)
    assert label is not None
    return pixels, label


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """Distinct pixels, so that a wrong window or a wrong file shows."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ids(seed: int, height: int, width: int, values: list[int]) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array(values, np.uint8), (height, width))


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def save_geotiff(path: Path, pixels: np.ndarray) -> Path:
    """As INRIA's: uncompressed, 0.3 m a pixel, with the three GeoTIFF tags."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, value in (
        (33550, 12, (0.3, 0.3, 0.0)),  # ModelPixelScale, doubles
        (33922, 12, (0.0, 0.0, 0.0, 616500.0, 3345000.0, 0.0)),  # ModelTiepoint
        (34735, 3, (1, 1, 0, 1, 3072, 0, 1, 26914)),  # GeoKeyDirectory, shorts: EPSG:26914
    ):
        tags.tagtype[tag] = kind
        tags[tag] = value
    return save(path, pixels, tiffinfo=tags)


def save_raw_png(path: Path, width: int, height: int, depth: int, color: int, rows: bytes) -> Path:
    """A PNG of any bit depth and colour type (0 grey, 2 RGB) from its unfiltered rows; Pillow writes only some."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[i * stride : (i + 1) * stride] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(filtered)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path
