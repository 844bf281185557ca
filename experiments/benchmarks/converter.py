"""Speed of the converter against the codec alone, and of reading shards against decoding alone.

    python -m dsr.experiments.benchmarks.converter ~/camvid/test [--codec bpg] [--quality 40] [--size 2048 1024]
    [--scale 2]

The pictures are mosaics of the folder's images, enlarged by --scale: 1 has more detail than a camera of that size,
which takes a codec longer, and 4 hardly any. Each number is measured in turn with the one that it is compared with,
several times in one run, and medians are given.

  converting  images a second of `to_compressed`, and of encoding and decoding the same pixels in as many processes;
  from the
              first image to the last, so that starting the processes does not count
  first image seconds until then, from the call, of both
  reading     images a second of `ShardSet` and of `tf.io.decode_png` on the same PNGs in memory, both on all cores

With BPG at QP 40, --images 12, on two cores of an AMD EPYC the converter reaches 90.3 % of the codec's speed with one
worker and 89.7 % with two, by CPU time (by the clock 90.3 % and 85.0 %); shards are read at 95 % and more of decoding
alone, by CPU time.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from dsr.data_pipelines.codecs import Codec, make_codec
from dsr.experiments.benchmarks.pictures import Pictures, PictureSample, tiled
from dsr.tfrecords.conversions import to_compressed, to_originals
from dsr.tfrecords.engine import How
from dsr.tfrecords.manifest import records
from dsr.tfrecords.workers import run

IMAGES_PER_SHARD = 2  # few, so that two workers end at about the same time
IMAGES_READ = 48


@dataclass(frozen=True)
class CodecAlone:
    """What a converter's worker does, less all but the codec."""

    source: Pictures
    codec: Codec

    def __call__(self, sample: PictureSample) -> Iterator[None]:
        pixels, _ = self.source.read(sample)
        self.codec.decode(self.codec.encode(pixels))
        yield None


@dataclass(frozen=True)
class Timing:
    """How a number of images came along.

    first: seconds until the first one. rate: images a second from there on. cpu: CPU seconds an image, start included.
    """

    first: float
    rate: float
    cpu: float

    @classmethod
    def of(cls, work: Callable[[Callable[[object], None]], object]) -> Timing:
        """Of a function that calls the function it is given after each image."""
        stamps: list[float] = []
        started, cpu = time.perf_counter(), cpu_seconds()
        work(lambda _: stamps.append(time.perf_counter()))
        rate = (len(stamps) - 1) / (stamps[-1] - stamps[0])
        return cls(stamps[0] - started, rate, (cpu_seconds() - cpu) / len(stamps))


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def converting(source: Pictures, codec: Codec, originals: Path, workers: int, repeats: int) -> str:
    """A row: the converter beside the codec alone."""

    def alone(done: Callable[[object], None]) -> None:
        for _ in run(CodecAlone(source, codec), source.samples(""), workers):
            done(None)

    def whole(done: Callable[[object], None]) -> None:
        with tempfile.TemporaryDirectory(dir=originals.parent) as folder:
            to_compressed(originals, codec).write(Path(folder, "compressed"), How(workers, progress=done))

    pairs = [(Timing.of(alone), Timing.of(whole)) for _ in range(repeats)]
    cells = [str(workers)]
    for name, digits in (("rate", 2), ("cpu", 3), ("first", 2)):
        values = np.array([[getattr(timing, name) for timing in pair] for pair in pairs])
        cells += [f"{value:.{digits}f}" for value in np.median(values, axis=0)]
        ratios = values[:, 1] / values[:, 0] if name == "rate" else values[:, 0] / values[:, 1]
        cells.append(f"{np.median(ratios):.1%}")
    return f"| {' | '.join(cells)} |"


def reading(folder: Path, repeats: int) -> str:
    """A row: shards read by TensorFlow beside decoding alone."""
    import tensorflow as tf

    from dsr.tfrecords.reader import ShardSet

    def rates(images: tf.data.Dataset) -> tuple[float, float]:
        started, cpu = time.perf_counter(), time.process_time()
        count = sum(1 for _ in images.prefetch(tf.data.AUTOTUNE))
        return count / (time.perf_counter() - started), count / (time.process_time() - cpu)

    shards, pngs = ShardSet(folder), [record.image for record in records(folder)]
    rounds = -(-IMAGES_READ // len(pngs))
    from_memory = tf.data.Dataset.from_tensor_slices(pngs).repeat(rounds)
    alone = from_memory.map(lambda png: tf.io.decode_png(png, channels=3), tf.data.AUTOTUNE)
    serialized = shards.serialized().repeat(rounds)
    whole = serialized.map(lambda record: shards.parse(record)["image"], tf.data.AUTOTUNE)
    pairs = np.array([(rates(alone), rates(whole)) for _ in range(1 + repeats)])[1:]  # the first starts TensorFlow
    (a, _), (b, _) = np.median(pairs, axis=0)
    by_time, by_cpu = np.median(pairs[:, 1] / pairs[:, 0], axis=0)
    return f"| {folder.name} | {a:.1f} | {b:.1f} | {by_time:.1%} | {by_cpu:.1%} |"


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--codec", "name", default="bpg", show_default=True)
@click.option("--quality", type=float, default=40, show_default=True)
@click.option("--size", type=int, nargs=2, default=(2048, 1024), show_default=True, metavar="WIDTH HEIGHT")
@click.option("--scale", default=2.0, show_default=True, help="How much the images are enlarged.")
@click.option("--images", default=8, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--workers", type=int, multiple=True, default=(1, 2), show_default=True)
def main(
    folder: Path,
    name: str,
    quality: float,
    size: tuple[int, int],
    scale: float,
    images: int,
    repeats: int,
    workers: tuple[int, ...],
) -> None:
    """Measure with pictures made of the images in FOLDER."""
    codec = make_codec(name, quality)
    with tempfile.TemporaryDirectory() as work:
        arrays, originals, compressed = (Path(work, name) for name in ("arrays", "originals", "compressed"))
        arrays.mkdir()
        source = Pictures.save(tiled(folder, images, size, scale), arrays)
        to_originals(source, "", images_per_shard=IMAGES_PER_SHARD).write(originals)
        bpp = to_compressed(originals, codec).write(compressed).summary["bpp"]
        click.echo(f"{images} of {size[0]}x{size[1]}, {codec.point}, {bpp:.3f} bpp, load {os.getloadavg()[0]:.1f}\n")
        names = ("images/s", "CPU s an image", "first image after s")
        click.echo(f"| workers | {' | '.join(f'{name}: codec | converter | ratio' for name in names)} |")
        click.echo("| --- " * 10 + "|")
        for number in workers:
            click.echo(converting(source, codec, originals, number, repeats))
        click.echo(
            "\n| shards | images/s: decoding alone | reading | ratio | by CPU time |\n| --- | --- | --- | --- | --- |"
        )
        for shards in (originals, compressed):
            click.echo(reading(shards, repeats))


if __name__ == "__main__":
    main()
