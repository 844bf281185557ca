"""`dsr predict`: images to label maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from dsr.app.help import Command, dry_run_option, json_option
from dsr.app.made import make_folder
from dsr.app.options import LOCAL, work_option, workers_option

if TYPE_CHECKING:
    from dsr.experiments.deploy.predicting import Ids


@click.command("predict", cls=Command)
@click.argument("source", metavar="IMAGES", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", metavar="OUT", type=LOCAL)
@click.option(
    "--segmenter",
    required=True,
    metavar="FOLDER | NAME",
    help="Of a trained segmenter: its folder, or its name in the work folder, as dsr status lists it.",
)
@click.option(
    "--ids",
    type=click.Choice(["dataset", "train"]),
    default="dataset",
    show_default=True,
    help="What label maps hold: the ids of the dataset that it was trained on, or classes from 0 on.",
)
@work_option
@workers_option
@dry_run_option
@json_option
def command(source: Path, target: Path, segmenter: str, ids: Ids, work: Path, workers: Optional[int]) -> None:
    """Label all images in a folder and below it with a segmenter that dsr trained, under the same names.

    OUT then holds labels/ (8-bit grey PNG, what dsr score --predictions reads), overlays/ (the images with the classes'
    colours laid over), predictions.csv, errors.jsonl (images that were left out, and why), sources.jsonl (SHA-256 of
    every image) and manifest.json (SHA-256 of every file). It is OUT.partial until it is whole; the same command goes
    on with it after a stop. Nothing that exists is overwritten.

    \b
    Examples:
      dsr predict images/ predicted/ --segmenter camvid/deeplab-mobilenet_v2-original
      dsr predict images/ predicted/ --segmenter dsr-work/segmenters/camvid/deeplab-mobilenet_v2-original-4e01bff8
    """
    from dsr.experiments.deploy.predicting import predicted_folder
    from dsr.experiments.deploy.segmenters import find_trained
    from dsr.experiments.fleet import folders

    folders.check_apart(source, target)
    make_folder(predicted_folder(source, find_trained(segmenter, "segmenter", work), ids), target, workers)
