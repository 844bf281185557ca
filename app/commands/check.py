"""`dsr check`: is a dataset what it should be?"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import click

from dsr.app.console import Console, show
from dsr.app.help import Command, Names, json_option
from dsr.app.options import workers_option
from dsr.data_pipelines.datasets import DATASETS, dataset_class
from dsr.data_pipelines.datasets.file_source import FileSource
from dsr.experiments.checking import SplitFacts, check
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.schema import DatasetConfig


@click.command("check", cls=Command)
@click.argument("root", required=False, type=click.Path(path_type=Path))
@click.option("--dataset", type=Names("dataset", DATASETS), default="folder", show_default=True, help="What it is.")
@click.option(
    "--option", "options", multiple=True, metavar="KEY=VALUE", help="Of the dataset: --set dataset.options.KEY=VALUE."
)
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a page with all of it and a contact sheet: images beside their labels.",
)
@workers_option
@json_option
def command(
    root: Optional[Path], dataset: str, options: Sequence[str], page: Optional[Path], workers: Optional[int]
) -> None:
    """Read a whole dataset as a conversion would, and tell all that is wrong with it in one run.

    That is files that cannot be read, labels that do not fit their image or hold what the class list does not have,
    images without a partner, files that are not read, and the same image in two splits. Also tells sizes, EXIF
    orientations, how often each class is there, and which no label has. Ends with status 1 if there is a fault; changes
    nothing.

    \b
    Examples:
      dsr check data
      dsr check data --option label_suffix=_mask --option ignore_ids=254,255 --page check.html
      dsr check ~/CamVid --dataset camvid
    """
    config = DatasetConfig.of(dataset, None if root is None else str(root))
    config = apply_overrides(config, [f"options.{option}" for option in options])
    if issubclass(dataset_class(dataset), FileSource):  # what is not read is told as a fault
        config = dataclasses.replace(config, options={**config.options, "skip_others": True})
    source, console = config.open(), Console()
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{page} would be a page: give it the suffix .html")
    splits = check(source, workers, console)
    faults = sum(len(split.faults) for split in splits)
    value = {"faults": faults, "splits": [_without_pictures(split) for split in splits], "page": page}
    show(value, lambda: _print(splits))  # before the page, which may not be writable
    if page is not None:
        from dsr.experiments.analysis.check import write_check

        write_check(source.name, source.table, splits, page)
    console.say(f"{sum(split.images for split in splits)} images, {faults} faults" + (f"; {page}" if page else ""))
    sys.exit(1 if faults else 0)


def _without_pictures(split: SplitFacts) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(split).items() if key != "shown"}


def _print(splits: Sequence[SplitFacts]) -> None:
    for split in splits:
        click.secho(f"{split.split}: {split.images} images, {split.labelled} labelled", bold=True)
        if split.sizes:
            click.echo("  sizes " + ", ".join(f"{size} ({count})" for size, count in split.sizes.items()))
        if split.turned:
            click.echo("  EXIF orientations " + ", ".join(f"{o} ({count})" for o, count in split.turned.items()))
        if split.labelled:
            click.echo(f"  {'class':<20}{'% of labelled pixels':>22}{'images':>8}")
            for one in split.classes:
                click.echo(f"  {one.name:<20}{100 * one.share:>22.2f}{one.images:>8}")
            click.echo(f"  {100 * split.ignored:.2f} % of pixels are ignored")
        for note in split.notes:
            click.secho(f"  {note}", fg="yellow")
        for fault in split.faults:
            click.secho(f"  {fault}", fg="red")
