"""On the device: images become bitstreams, and bitstreams images again."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from dsr.data_pipelines import received
from dsr.data_pipelines.datasets import images
from dsr.experiments.fleet.folders import Folder, Made
from dsr.experiments.fleet.items import IMAGE, Item, find, items_of, listing, others_of, readable
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.fleet.rates import Rate
from dsr.models.metrics.fidelity import psnr
from dsr.tfrecords.manifest import Identity, release

RATES = "rates.csv"

ENCODED = ("name", "point", "width", "height", "bytes", "bpp", "psnr", "ms")
DECODED = ("name", "header", "width", "height", "bytes", "bpp", "ms")
"""Columns: the new file's name; what encoded it, or what its header says; pixels; bytes of the bitstream, bits of it
per pixel; PSNR in dB if it was asked for, empty where no pixel differs; milliseconds that the codec took."""


@dataclass(frozen=True)
class Encode:
    """An image file, as the one reader of datasets reads it, becomes a bitstream.

    Attributes:
        source: The folder that is read.
        rate: Codec and quality.
        measured: Whether to decode again and to measure PSNR.
    """

    source: Path
    rate: Rate
    measured: bool = False

    def __call__(self, item: Item) -> Made:
        pixels = images.read_rgb(self.source / item.name)
        started = time.perf_counter()
        codec, bitstream = self.rate.encode(pixels)
        seconds = time.perf_counter() - started
        target = item.stem + received.suffixes(codec.name)[0]
        height, width = pixels.shape[:2]
        row = {
            "name": target,
            "point": codec.point,
            "width": width,
            "height": height,
            "bytes": len(bitstream),
            "bpp": round(8 * len(bitstream) / (width * height), 6),
            "ms": round(1000 * seconds, 2),
        }
        if self.measured:
            decibels = psnr(codec.decode(bitstream), pixels)
            row["psnr"] = round(decibels, 4) if math.isfinite(decibels) else None
        return Made({target: bitstream}, row)


@dataclass(frozen=True)
class Decode:
    """A bitstream becomes an image file, turned upright."""

    source: Path
    format: Format

    def __call__(self, item: Item) -> Made:
        bitstream = received.read_bitstream(self.source / item.name)
        header = received.read_header(item.name, bitstream)
        started = time.perf_counter()
        pixels = received.decode(header, bitstream)
        seconds = time.perf_counter() - started
        target = item.stem + self.format.suffixes[0]
        height, width = pixels.shape[:2]
        row = {
            "name": target,
            "header": received.describe_header(header.codec, header.quality, header.chroma),
            "width": width,
            "height": height,
            "bytes": len(bitstream),
            "bpp": round(8 * len(bitstream) / (width * height), 6),
            "ms": round(1000 * seconds, 2),
        }
        return Made({target: self.format.encode(pixels)}, row)


def encoded_folder(source: Path, rate: Rate, measured: bool) -> Folder:
    """The folder of bitstreams of a folder of images. Raises FleetError if there is none."""
    found = find(source, images.EXTENSIONS)
    items = items_of(found)
    config = {
        "dsr": release(),
        "listing": listing(source, (item.name for item in items)),
        "rate": rate.describe(),
        "psnr": measured,
    }
    return Folder(
        Identity("encoded", f"encode {readable(source.name)}", config),
        {IMAGE: source},
        items,
        Encode(source, rate, measured),
        RATES,
        ENCODED,
        others=others_of(found),
    )


def decoded_folder(source: Path, format: Format) -> Folder:
    """The folder of images of a folder of bitstreams. Raises FleetError if there is none."""
    found = find(source, received.all_suffixes())
    items = items_of(found)
    config = {
        "dsr": release(),
        "listing": listing(source, (item.name for item in items)),
        "format": str(format),
    }
    return Folder(
        Identity("decoded", f"decode {readable(source.name)}", config),
        {IMAGE: source},
        items,
        Decode(source, format),
        RATES,
        DECODED,
        others=others_of(found),
    )
