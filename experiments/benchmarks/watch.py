"""How often `dsr watch` sees a shift of three QP, and how often it is wrong, on real encodes.

    python -m dsr.experiments.benchmarks.watch ~/camvid/train ~/camvid/val ~/camvid/test --keep sizes.json

Every image is encoded by BPG at QP 33, 36 and 39 (once: sizes are kept in the file, and the next run goes on). A look
draws 200 references at QP 36 and 200 arrivals from the images, both with replacement, so that they are independent
draws of one population. Arrivals at QP 36 must raise no alarm, the others must. Sizes alone are what files tell whose
headers say no quality. The last column takes arrivals that follow each other in the order of names instead, as one
drive gives them: what it counts at QP 36 are changes of scene. docs/planning.md has the counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import images
from dsr.experiments.planning.arrivals import Arrival, Arrivals, compare
from dsr.tfrecords.files import write_atomically

QUALITIES = (36, 33, 39)
KEEP_EVERY = 50


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--keep", type=click.Path(path_type=Path), required=True, help="File of sizes.")
@click.option("--looks", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option("--arrivals", type=click.IntRange(min=20), default=200, show_default=True)
def main(folders: Sequence[Path], keep: Path, looks: int, arrivals: int) -> None:
    """Print alarms in looks, for each QP that arrives."""
    sizes = encode(sorted(path for folder in folders for path in folder.iterdir()), keep)
    told = [
        {qp: Arrival(height * width, lengths[str(qp)], "bpg", "4:2:0", qp) for qp in QUALITIES}
        for height, width, lengths in sizes
    ]
    rng = np.random.default_rng(0)
    run = min(arrivals, len(told) // 2)
    click.echo(f"{len(told)} images, {looks} looks at {arrivals} arrivals against {arrivals}; {run} in a row")
    click.echo(f"{'QP':>3}{'alarms':>10}{'by sizes':>10}{'in a row':>10}")
    for qp in QUALITIES:
        alarms = [0, 0, 0]
        for _ in range(looks):
            start = int(rng.integers(len(told) - run + 1))
            row = np.arange(start, start + run)
            others = np.setdiff1d(np.arange(len(told)), row)
            at_random = _look(told, rng.integers(len(told), size=arrivals), rng.integers(len(told), size=arrivals), qp)
            in_a_row = _look(told, rng.choice(others, arrivals), row, qp)
            looks_at = [at_random, *(tuple(_untold(side) for side in one) for one in (at_random, in_a_row))]
            for number, (before, now) in enumerate(looks_at):
                alarms[number] += any(
                    one.alarm for one in compare(*(Arrivals(side, len(side)) for side in (before, now)))
                )
        click.echo(f"{qp:>3}" + "".join(f"{found:>10}" for found in alarms))


def _look(
    told: Sequence[dict[int, Arrival]], before: Iterable[int], now: Iterable[int], qp: int
) -> tuple[list[Arrival], list[Arrival]]:
    return [told[i][QUALITIES[0]] for i in before], [told[i][qp] for i in now]


def _untold(side: Sequence[Arrival]) -> list[Arrival]:
    return [replace(image, quality=None) for image in side]


def encode(paths: Sequence[Path], keep: Path) -> list[tuple[int, int, dict[str, int]]]:
    """Height, width and bytes by QP of each image."""
    found = json.loads(keep.read_text()) if keep.exists() else {}
    codecs = {str(qp): make_codec("bpg", qp) for qp in QUALITIES}
    for number, path in enumerate(paths, start=1):
        if str(path) not in found:
            pixels = images.read_rgb(path)
            lengths = {qp: len(codec.encode(pixels)) for qp, codec in codecs.items()}
            found[str(path)] = (*pixels.shape[:2], lengths)
        if number % KEEP_EVERY == 0 or number == len(paths):
            write_atomically(keep, json.dumps(found).encode())
            click.echo(f"{number} of {len(paths)} images", err=True)
    return [tuple(found[str(path)]) for path in paths]  # type: ignore[misc]  # as they were made


if __name__ == "__main__":
    main()
