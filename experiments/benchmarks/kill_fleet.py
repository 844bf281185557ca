"""`dsr encode` and `dsr restore` killed again and again, at random moments: what comes out, and what is done twice?

    python -m dsr.experiments.benchmarks.kill_fleet encode --kills 200
    python -m dsr.experiments.benchmarks.kill_fleet restore --kills 200

Small images become JPEG files, or JPEG files restored images, with two worker processes. SIGKILL ends the process that
runs them, at a moment between shortly before its first file and its end; the next starts at once, until one lives to
the end. Then the folder must hold the same bytes as after a run that nobody disturbed, and nothing else; and what was
in a finished batch when a kill came must be the same file afterwards.

encode: 201 kills in 26 runs, none with other files or bytes, no finished file made again.
restore: 236 kills in 11 runs, the same; on a machine so busy that most of the last run came before its first file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.benchmarks.kills import survives
from dsr.experiments.fleet.encoding import RATES, encoded_folder
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.fleet.rates import Fixed
from dsr.experiments.fleet.restoring import restored_folder
from dsr.experiments.graph.progress import Meter, Progress
from dsr.models.restorers.rdn_config import RdnConfig

IMAGES, WORKERS = 64, 2
NETWORK = RdnConfig(blocks=1, layers=1, growth=2, features=4)


def make_images(folder: Path) -> None:
    """Smooth noise of 96x64 pixels."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(IMAGES):
        small = Image.fromarray(draw.integers(0, 256, (8, 12, 3), dtype=np.uint8))
        small.resize((96, 64), Image.Resampling.BICUBIC).save(folder / f"{number:03d}.png")


def make_restorer(folder: Path) -> None:
    """A small network with weights that nobody trained; in a process of its own, which has TensorFlow then."""
    from dsr.models.restorers.rdn import build_rdn
    from dsr.models.restorers.saved import save_network

    folder.mkdir()
    save_network(build_rdn(NETWORK), NETWORK, folder)


class Stopwatch(Progress):
    """Notes after how many seconds the first file was there."""

    def __init__(self) -> None:
        self.started, self.first = time.monotonic(), 0.0

    @contextmanager
    def meter(self, label: str, total: int) -> Iterator[Meter]:
        yield self

    def update(self, done: int, note: str = "") -> None:
        if done and not self.first:
            self.first = time.monotonic() - self.started


def encode(images: Path, target: Path, progress: Progress) -> None:
    """All of it, or what is missing."""
    encoded_folder(images, Fixed(make_codec("jpeg", 20)), False).make(target, WORKERS, progress)


def restore(fleet: Path, restorer: Path, target: Path, progress: Progress) -> None:
    """All of it, or what is missing."""
    restored_folder(fleet, restorer, None, Format()).make(target, WORKERS, progress)


def contents(folder: Path) -> dict[str, bytes]:
    """All files by name, without the manifest and the table of times."""
    timed = ("manifest.json", RATES)
    return {
        path.relative_to(folder).as_posix(): b"" if path.name in timed else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def finished(target: Path) -> dict[str, tuple[int, int]]:
    """Each file of a batch that is done with, and what changes if it is written again."""
    partial_folder = target.with_name(target.name + ".partial")
    found = {}
    for result in partial_folder.glob(".building/batch-*.json"):
        for name in json.loads(result.read_bytes())["files"]:
            stat = (partial_folder / name).stat()
            found[name] = stat.st_ino, stat.st_mtime_ns
    return found


def main() -> None:
    """Run until there were so many kills, and say how often something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["encode", "restore"])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dsr.experiments.fleet.encoding", "dsr.experiments.fleet.restoring"])
    with tempfile.TemporaryDirectory() as folder:
        images, fleet, restorer = (Path(folder, name) for name in ("images", "fleet", "restorer"))
        make_images(images)
        make: Callable[[Path, Progress], None] = partial(encode, images)
        if arguments.what == "restore":
            encode(images, fleet, Progress())
            trainer = context.Process(target=make_restorer, args=(restorer,))
            trainer.start()
            trainer.join()
            make = partial(restore, fleet, restorer)
        reference, target = Path(folder, "reference"), Path(folder, "killed")
        watch = Stopwatch()
        make(reference, watch)
        seconds = time.monotonic() - watch.started
        kills = runs = other = again = 0
        while kills < arguments.kills:
            first: dict[str, tuple[int, int]] = {}
            while not survives(
                context.Process(target=make, args=(target, Progress())), moments.uniform(0.9 * watch.first, seconds)
            ):
                kills += 1
                first = {**finished(target), **first}
            stats = {name: (target / name).stat() for name in first}
            again += sum((stats[name].st_ino, stats[name].st_mtime_ns) != written for name, written in first.items())
            other += contents(target) != contents(reference)
            runs += 1
            shutil.rmtree(target)
    print(
        f"{kills} kills in {runs} runs: {other} with other files or bytes, {again} finished files made again; "
        f"undisturbed, the first file is there after {watch.first:.1f} s and the last after {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
