"""Speed of `dsr encode` against the codec alone, and of `dsr restore` against the restorer alone.

    python -m dsr.experiments.benchmarks.fleet encode ~/camvid/test [--size 2048 1024 --scale 2] [--files bmp]
    python -m dsr.experiments.benchmarks.fleet restore ~/camvid/test

Pictures are made as in `dsr.experiments.benchmarks.converter`, and stored as files of a camera (PNG, or what --files
says), for restoring as BPG files. What is compared gets the same pixels from memory. The two take turns, several times
in one run, and medians are given, of two ratios:

  CPU    seconds an image in one process, which other work on the machine changes little: reading, checking, codec or
         network, writing and digests, against codec or network
  clock  images a second with two processes, from the first image to the last, so that starting them does not count;
         a process does eight files in a row, so --images is to be a multiple of 16
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.benchmarks.converter import Timing
from dsr.experiments.benchmarks.pictures import Pictures, PictureSample, tiled
from dsr.experiments.fleet.encoding import encoded_folder
from dsr.experiments.fleet.folders import Folder
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.fleet.rates import Fixed
from dsr.experiments.fleet.restorers import find_restorer
from dsr.experiments.fleet.restoring import restored_folder
from dsr.experiments.graph.progress import Meter, Progress
from dsr.models.restorers.saved import SavedRestorer
from dsr.tfrecords.workers import run

WORKERS = 2


@dataclass(frozen=True)
class Alone:
    """What a worker does, less all but the codec or the network."""

    source: Pictures
    call: Callable[[np.ndarray], Any]

    def __call__(self, sample: PictureSample) -> Iterator[None]:
        self.call(self.source.read(sample)[0])
        yield None


class Counting(Progress):
    """Calls a function after each image."""

    def __init__(self, done: Callable[[object], None]) -> None:
        self.done, self.images = done, 0

    @contextmanager
    def meter(self, label: str, total: int) -> Iterator[Meter]:
        yield self

    def update(self, done: int, note: str = "") -> None:
        for _ in range(done - self.images):
            self.done(None)
        self.images = done


def in_turn(work: Callable[[Any], Iterator[Any]], tasks: Sequence[Any]) -> Generator[tuple[Any, Any], None, None]:
    """An engine: one task after the other, in this process."""
    for task in tasks:
        for item in work(task):
            yield task, item


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def compare(folder: Folder, alone: Alone, repeats: int) -> None:
    """Print what both need."""
    samples = alone.source.samples("")
    with tempfile.TemporaryDirectory() as scratch:
        places = (Path(scratch, str(number)) for number in range(9999))

        def by_clock(done: Callable[[object], None]) -> None:
            folder.make(next(places), WORKERS, Counting(done))

        def alone_by_clock(done: Callable[[object], None]) -> None:
            for _ in run(alone, samples, WORKERS):
                done(None)

        def by_cpu() -> None:
            folder.make(next(places), None, Progress(), in_turn)

        def alone_by_cpu() -> None:
            for _ in in_turn(alone, samples):
                pass

        cpu = np.array([(cpu_of(alone_by_cpu), cpu_of(by_cpu)) for _ in range(1 + repeats)])[1:]  # the first loads
        rates = np.array([(Timing.of(alone_by_clock).rate, Timing.of(by_clock).rate) for _ in range(repeats)])
    each = np.median(cpu, axis=0) / len(samples)
    click.echo(f"CPU: {each[0]:.4f} s alone, {each[1]:.4f} s in all, {np.median(cpu[:, 0] / cpu[:, 1]):.1%}")
    rate = np.median(rates, axis=0)
    click.echo(
        f"clock: {rate[0]:.2f} images/s alone, {rate[1]:.2f} in all, {np.median(rates[:, 1] / rates[:, 0]):.1%}; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


@click.command()
@click.argument("what", type=click.Choice(["encode", "restore"]))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--codec", "name", default="bpg", show_default=True)
@click.option("--quality", type=float, default=36, show_default=True)
@click.option("--restorer", default="shipped", show_default=True)
@click.option("--files", default="png", show_default=True, help="What the camera's files are.")
@click.option("--size", type=int, nargs=2, default=(480, 360), show_default=True, metavar="WIDTH HEIGHT")
@click.option("--scale", default=1.0, show_default=True, help="How much the images are enlarged.")
@click.option("--images", default=32, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(
    what: str,
    folder: Path,
    name: str,
    quality: float,
    restorer: str,
    files: str,
    size: tuple[int, int],
    scale: float,
    images: int,
    repeats: int,
) -> None:
    """Measure with pictures made of the images in FOLDER."""
    codec = make_codec(name, quality)
    with tempfile.TemporaryDirectory() as scratch:
        camera, fleet, memory = (Path(scratch, place) for place in ("camera", "fleet", "memory"))
        camera.mkdir()
        memory.mkdir()
        pixels = tiled(folder, images, size, scale)
        for number, picture in enumerate(pixels):
            Image.fromarray(picture).save(camera / f"{number:04d}.{files}")
        encoding = encoded_folder(camera, Fixed(codec), False)
        if what == "encode":
            compare(encoding, Alone(Pictures.save(pixels, memory), codec.encode), repeats)
            return
        encoding.make(fleet, None, Progress())
        place = find_restorer(restorer)
        decoded = [codec.decode(path.read_bytes()) for path in sorted(fleet.glob(f"*{codec.suffix}"))]
        alone = Alone(Pictures.save(decoded, memory), SavedRestorer(place))
        compare(restored_folder(fleet, place, None, Format()), alone, repeats)


if __name__ == "__main__":
    main()
