"""`dsr export`: shards to files that any trainer reads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Optional

import click

from dsr.app.help import Command, dry_run_option, is_given, json_option
from dsr.app.made import make_folder
from dsr.app.options import LOCAL, work_option, workers_option

LAYOUTS, IDS = ("folder", "webdataset"), ("original", "train", "none")


@click.command("export", cls=Command)
@click.argument("what", nargs=-1, required=True)
@click.argument("target", type=LOCAL)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default=LAYOUTS[0],
    show_default=True,
    help="images/, labels/ and classes.csv; or tar files, as the WebDataset library reads them.",
)
@click.option(
    "--labels",
    "ids",
    type=click.Choice(IDS),
    default=IDS[0],
    show_default=True,
    help="Ids in label maps: those of the dataset, or train ids, 255 for what is ignored.",
)
@click.option(
    "--format",
    "written",
    default="png",
    show_default=True,
    help="png: the pixels of the shards; jpeg:95, a quality; or bitstream: what the codec wrote, as it is.",
)
@click.option(
    "--tar-size",
    type=click.FloatRange(min=0, min_open=True),
    default=256,
    show_default=True,
    metavar="MB",
    help="Of one tar file at most.",
)
@work_option
@workers_option
@dry_run_option
@json_option
def command(
    what: tuple[str, ...],
    target: Path,
    layout: str,
    ids: str,
    written: str,
    tar_size: float,
    work: Path,
    workers: Optional[int],
) -> None:
    """Write images and labels of shards as files: originals, compressed or restored ones.

    WHAT is a folder of shards, or its name in the work folder, as dsr convert prints both; several are the splits of
    one dataset. TARGET then holds images/SPLIT/ and labels/SPLIT/ with the names that the files have in the dataset,
    and classes.csv: what --dataset folder reads. In tar files each image is followed by its label as NAME.label.png,
    and by NAME.json, which says where it came from. images.csv lists all, manifest.json has the SHA-256 of every file.

    Several ids that are one class to segmenters become the first of them. TARGET is TARGET.partial until it is whole;
    the same command goes on with it after a stop, and compares a finished one with its SHA-256. Nothing that exists is
    overwritten.

    \b
    Examples:
      dsr export streets/train/bpg-qp40-gan restored/
      dsr export camvid/train/bpg-qp36-gan camvid/test/original dataset/ --labels train
      dsr export dsr-work/shards/camvid/train/bpg-qp36-1a2b3c4d tars/ --layout webdataset --tar-size 512
      dsr export camvid/train/bpg-qp36 received/ --format bitstream
    """
    if layout != "webdataset" and is_given("tar_size"):
        raise click.UsageError("--tar-size goes with --layout webdataset: a folder has no tar files")
    if not math.isfinite(tar_size):
        raise click.UsageError(f"--tar-size is a number of MB, not {tar_size}")
    from dsr.experiments.fleet.exporting import BITSTREAM, exported_folder, find_shards
    from dsr.experiments.fleet.folders import check_apart
    from dsr.experiments.fleet.pictures import Format

    format = None if written == BITSTREAM else Format.parse(written)
    shards = [find_shards(one, work) for one in what]
    for folder in shards:
        check_apart(folder, target)
    make_folder(exported_folder(shards, layout, ids, format, tar_size), target, workers)
