"""What a cluster engine costs beside the processes of this machine: the same shards by each of them, in turn.

    python -m dsr.experiments.benchmarks.engines [--engine beam --engine dask --engine spark] [--images 64]

Images of the built-in dataset are compressed with BPG at QP 40, by two processes in each case: Beam's DirectRunner, a
Dask cluster of two processes and a Spark cluster of one process with two cores, all started for it. Seconds are from
the call until the folder is whole; "more" is what an engine takes longer than `local` in the same round. All digests
are compared.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Optional

import click

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import open_source
from dsr.tfrecords.conversions import to_compressed, to_originals
from dsr.tfrecords.engine import How
from dsr.tfrecords.engines import ENGINES, make_engine

TWO = {
    "beam": "--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2",
    "spark": "local[2]",
    "dask": "",
}
"""Two processes, in each engine's own words."""


@click.command()
@click.option("--engine", "engines", type=click.Choice(list(ENGINES)), multiple=True, default=list(ENGINES))
@click.option("--images", default=64, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(engines: tuple[str, ...], images: int, repeats: int) -> None:
    """Measure."""
    source = open_source("streets", height=360, width=480, train=images)
    codec = make_codec("bpg", 40)
    seconds: dict[Optional[str], list[float]] = {name: [] for name in (None, *engines)}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        to_originals(source, "train", images_per_shard=4).write(work / "originals")
        made = to_compressed(work / "originals", codec)
        expected = made.write(work / "first").files
        for repeat in range(repeats):
            for name, taken in seconds.items():
                engine = make_engine(name, TWO[name]) if name else None
                started = time.monotonic()
                manifest = made.write(work / f"{name}-{repeat}", How(2, engine=engine))
                taken.append(time.monotonic() - started)
                if manifest.files != expected:
                    raise click.ClickException(f"{name} made other bytes")
    click.echo(f"{images} images of 480x360, {codec.point}, load {os.getloadavg()[0]:.1f}, medians of {repeats}\n")
    click.echo("| engine | seconds | more than local |\n| --- | --- | --- |")
    for name, taken in seconds.items():
        more = [a - b for a, b in zip(taken, seconds[None])]
        click.echo(f"| {name or 'local'} | {median(taken):.1f} | {median(more):.1f} |")


if __name__ == "__main__":
    main()
