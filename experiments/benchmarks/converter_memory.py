"""Peak memory of a conversion, of few images and of many.

    python -m dsr.experiments.benchmarks.converter_memory [--few 1000] [--many 20000]

Images of 32x32 pixels go through `to_originals` and `to_compressed` (JPEG) with two worker processes; each of the two
sets in a process of its own, which tells the peak resident size of itself and of the largest worker.

1,000 images took 47.3 MB (the largest worker no more than 48.2 MB), 20,000 took 53.5 MB (53.5 MB): an image adds 0.33
kB, its place in the listing. Two cores of an AMD EPYC. (A worker's peak is counted from its fork on, so it is never
below that of its parent then.)
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import Sample
from dsr.tfrecords.conversions import to_compressed, to_originals
from dsr.tfrecords.engine import How

SIDE, IMAGES_PER_SHARD, WORKERS = 32, 100, 2


@dataclass(frozen=True)
class Noise:
    """So many small images."""

    count: int
    name: str = "noise"

    def samples(self, split: str) -> list[Sample]:
        return [Sample(f"{split}/{number:08d}", f"{split}/{number:08d}.png", None) for number in range(self.count)]

    def read(self, sample: Sample) -> tuple[np.ndarray, None]:
        rng = np.random.default_rng(int(sample.key[-8:]))
        return rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), None

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "count": self.count}

    def fingerprint(self, split: str) -> str:
        return f"{split}/{self.count}"


def convert(count: int, answer: Connection) -> None:
    """Both stages; answers the peak MB of this process and of its largest worker."""
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder, "original")
        to_originals(Noise(count), "all", images_per_shard=IMAGES_PER_SHARD).write(original, How(WORKERS))
        to_compressed(original, make_codec("jpeg", 20)).write(Path(folder, "compressed"), How(WORKERS))
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    answer.send([resource.getrusage(kind).ru_maxrss / 1024 for kind in kinds])


def main() -> None:
    """Measure both sets and print what an image adds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=20_000)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    peaks = {}
    for count in (arguments.few, arguments.many):
        ours, theirs = context.Pipe()
        process = context.Process(target=convert, args=(count, theirs))
        process.start()
        peaks[count] = ours.recv()
        process.join()
        print(f"{count:6d} images: {peaks[count][0]:.1f} MB, the largest worker {peaks[count][1]:.1f} MB")
    few, many = (peaks[count][0] for count in (arguments.few, arguments.many))
    print(f"an image adds {1024 * (many - few) / (arguments.many - arguments.few):.2f} kB")


if __name__ == "__main__":
    main()
