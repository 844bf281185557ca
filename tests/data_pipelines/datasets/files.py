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


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def save_raw_png(path: Path, width: int, height: int, depth: int, color: int, rows: bytes, *chunks: bytes) -> Path:
    """A PNG of any bit depth and colour type (0 grey, 2 RGB, 3 palette) from its unfiltered rows.

    Pillow writes only some. `chunks` are put before the pixels.
    """
    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[i * stride : (i + 1) * stride] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(filtered)), chunk(b"IEND", b"")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))
    return path


def save_palette_png(path: Path, index: np.ndarray, palette: list[list[int]], *chunks: bytes) -> Path:
    """A PNG of indexes (H, W) into a palette of RGB entries."""
    height, width = index.shape
    entries = chunk(b"PLTE", bytes(value for entry in palette for value in entry))
    return save_raw_png(path, width, height, 8, 3, index.astype(np.uint8).tobytes(), entries, *chunks)


def save_bmp(path: Path, index: np.ndarray, bits: int, palette: list[list[int]]) -> Path:
    """An uncompressed BMP of indexes (H, W), of 1, 4 or 8 bits, into a palette of RGB entries."""
    height, width = index.shape
    fields = (np.unpackbits(index[::-1, :, None].astype(np.uint8), axis=2)[..., 8 - bits :]).reshape(height, -1)
    rows = np.packbits(np.pad(fields, ((0, 0), (0, -fields.shape[1] % 32))), axis=1).tobytes()
    entries = b"".join(bytes([blue, green, red, 0]) for red, green, blue in palette)
    start = 54 + len(entries)
    header = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(rows), 0, 0, len(palette), 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + entries + rows)
    return path


def save_raw_tiff(path: Path, pixels: np.ndarray, fields: dict[int, list[int]]) -> Path:
    """An uncompressed little-endian TIFF of one strip, uint8 or uint16 (H, W, ...), with further fields of SHORTs."""
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    samples, bits = int(np.prod(pixels.shape[2:])), pixels.dtype.itemsize * 8
    shorts = {256: [pixels.shape[1]], 257: [pixels.shape[0]], 258: [bits] * samples, 259: [1], 262: [2], 277: [samples]}
    shorts |= {278: [pixels.shape[0]], **fields}
    longs = {273: 8, 279: len(data)}
    start = 8 + len(data) + len(data) % 2
    values, entries = b"", []
    place = start + 2 + 12 * (len(shorts) + len(longs)) + 4
    for tag in sorted(shorts | longs):
        if tag in longs:
            entries.append(struct.pack("<HHII", tag, 4, 1, longs[tag]))
            continue
        packed = struct.pack(f"<{len(shorts[tag])}H", *shorts[tag])
        inline = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", place + len(values))
        values += b"" if len(packed) <= 4 else packed
        entries.append(struct.pack("<HHI4s", tag, 3, len(shorts[tag]), inline))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"II*\0" + struct.pack("<I", start) + data.ljust(start - 8, b"\0") + directory + values)
    return path
