"""Lossless storage of pixels: bytes, and time to write and to read.

    python -m dsr.experiments.benchmarks.storage ~/camvid/test [--size 2048 1024] [--scale 2] [--pictures 3]

Pictures are made as in `dsr.experiments.benchmarks.converter`; "original" are these, "compressed" what BPG at QP 40
makes of them. All kinds take their turns picture by picture. The times are CPU milliseconds of one thread: to write, to
read in a worker process without TensorFlow, and to read in TensorFlow (a dash: TensorFlow 2.14 cannot). Medians over
pictures and repetitions.

The default is the PNG that `dsr.tfrecords.schema` writes. On two cores of an AMD EPYC shared with other work, originals
of 2048x1024 (CamVid, --scale 2) take 17 ms to write and 12 to read, in TensorFlow 26, where Pillow's level 3 takes 196,
56 and 34, at 7 % more bytes; at 480x360 it is 1.6, 1.3 and 3.2 ms against 18.6, 4.7 and 3.7, at 4 % more. Raw pixels
are read in 13 ms at 2.6 times the bytes, 4.4 times those of compressed images. The whole table is in docs/scale.md.
"""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import click
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.benchmarks.pictures import tiled
from dsr.tfrecords.png import decode_png, encode_png

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Storage:
    """A kind of storage. The readers get the bytes and the shape."""

    write: Callable[[Pixels], bytes]
    read: Callable[[bytes, tuple[int, ...]], Any]
    read_in_tensorflow: Optional[Callable[[bytes, tuple[int, ...]], Any]]


def pillow(format: str, **parameters: Any) -> Storage:
    """What Pillow writes."""

    def write(pixels: Pixels) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format, **parameters)
        return buffer.getvalue()

    in_tensorflow = (lambda data, shape: tf.io.decode_png(data)) if format == "PNG" else None
    return Storage(write, lambda data, shape: np.array(Image.open(io.BytesIO(data))), in_tensorflow)


RAW = Storage(
    lambda pixels: pixels.tobytes(),
    lambda data, shape: np.frombuffer(data, np.uint8).reshape(shape),
    lambda data, shape: tf.reshape(tf.io.decode_raw(data, tf.uint8), shape),
)
DEFLATED = Storage(
    lambda pixels: zlib.compress(pixels.data, 1),
    lambda data, shape: np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape),
    lambda data, shape: tf.reshape(tf.io.decode_raw(tf.io.decode_compressed(data, "ZLIB"), tf.uint8), shape),
)
OURS = Storage(
    encode_png,
    lambda data, shape: decode_png(data, shape[0], shape[1], "RGB"),
    lambda data, shape: tf.io.decode_png(data),
)
KINDS = {
    "PNG as dsr writes it": OURS,
    "PNG of Pillow, level 1": pillow("PNG", compress_level=1),
    "PNG of Pillow, level 3": pillow("PNG", compress_level=3),
    "PNG of Pillow, level 6": pillow("PNG", compress_level=6),
    "PNG of Pillow, level 1, run lengths": pillow("PNG", compress_level=1, compress_type=3),
    "PNG of Pillow, not compressed": pillow("PNG", compress_level=0),
    "WebP, lossless, method 0": pillow("WEBP", lossless=True, method=0, quality=0, exact=True),
    "zlib level 1, no filter": DEFLATED,
    "raw": RAW,
}


def cpu_ms(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU milliseconds of a call, and what it returns."""
    started = time.process_time()
    result = call()
    return 1e3 * (time.process_time() - started), result


def measure(storage: Storage, pixels: Pixels) -> tuple[float, ...]:
    """Megabytes, and CPU milliseconds to write, to read, to read in TensorFlow."""
    write, data = cpu_ms(lambda: storage.write(pixels))
    read, back = cpu_ms(lambda: storage.read(data, pixels.shape))
    np.testing.assert_array_equal(back, pixels)
    read_in_tensorflow = storage.read_in_tensorflow
    if read_in_tensorflow is None:
        return len(data) / 1e6, write, read, np.nan
    there, tensor = cpu_ms(lambda: read_in_tensorflow(data, pixels.shape))
    np.testing.assert_array_equal(tensor, pixels)
    return len(data) / 1e6, write, read, there


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--size", type=int, nargs=2, default=(2048, 1024), show_default=True, metavar="WIDTH HEIGHT")
@click.option("--scale", default=2.0, show_default=True, help="How much the images are enlarged.")
@click.option("--pictures", default=3, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(folder: Path, size: tuple[int, int], scale: float, pictures: int, repeats: int) -> None:
    """Compare kinds of storage on pictures made of the images in FOLDER."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    codec = make_codec("bpg", 40)
    originals = tiled(folder, pictures, size, scale)
    domains = {"original": originals, "compressed": [codec.decode(codec.encode(pixels)) for pixels in originals]}
    click.echo(f"{size[0]}x{size[1]}, scale {scale:g}\n")
    click.echo(
        "| storage | original: MB | write | read | in TensorFlow | compressed: MB | write | read | in TensorFlow |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    cells: dict[str, list[str]] = {name: [] for name in KINDS}
    for images in domains.values():
        measured: dict[str, list[tuple[float, ...]]] = {name: [] for name in KINDS}
        for pixels in images * repeats:
            for name, storage in KINDS.items():
                measured[name].append(measure(storage, pixels))
        for name, rows in measured.items():
            megabytes, *times = np.median(rows, axis=0)
            cells[name] += [f"{megabytes:.2f}", *("-" if np.isnan(ms) else f"{ms:.1f}" for ms in times)]
    for name, row in cells.items():
        click.echo(f"| {name} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
