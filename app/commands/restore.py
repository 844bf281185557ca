"""`dsr restore`: received bitstreams to restored images."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click
from click.shell_completion import CompletionItem

from dsr.app.console import Console
from dsr.app.engines import engine_options
from dsr.app.help import Command, dry_run_option, json_option
from dsr.app.made import make_folder
from dsr.app.options import LOCAL, format_option, workers_option
from dsr.experiments.fleet.pictures import Format
from dsr.models.restorers.folder import SHIPPED, SHIPPED_FOLDER
from dsr.tfrecords.engine import Engine


def _complete(context: click.Context, option: click.Parameter, start: str) -> list[CompletionItem]:
    return [CompletionItem(SHIPPED)] if start and SHIPPED.startswith(start) else [CompletionItem(start, type="dir")]


@click.command("restore", cls=Command)
@click.argument("fleet", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", type=LOCAL)
@click.option(
    "--restorer",
    required=True,
    metavar="FOLDER",
    shell_complete=_complete,
    help=f"Of a trained restorer, as dsr train-restorer makes one; or {SHIPPED}: the one that comes with dsr.",
)
@click.option(
    "--labels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Label maps of the same names, copied as they are or turned upright with their images; an image without one "
    "is left out.",
)
@format_option
@workers_option
@engine_options
@dry_run_option
@json_option
def command(
    fleet: Path,
    target: Path,
    restorer: str,
    labels: Optional[Path],
    format: Format,
    workers: Optional[int],
    engine: Optional[Engine],
) -> None:
    """Restore all received files in a folder and below it (.bpg .msh .jpg .jp2 .webp .avif .png), under the same names.

    TARGET then holds images/, with --labels labels/, received.csv (what each file's header says, its bytes and
    SHA-256), errors.jsonl (files that were left out, and why), sources.jsonl (SHA-256 of every file that was read) and
    manifest.json (SHA-256 of every file). It is TARGET.partial until it is whole; the same command goes on with it
    after a stop, and compares a finished one with its SHA-256. Files that are not what the restorer was trained for are
    told, and restored all the same.

    With --engine the work is spread over the workers of a cluster, which reach all folders under the same paths; the
    files are the same.

    \b
    Examples:
      dsr restore fleet/ restored/ --restorer restorer/
      dsr restore fleet/ restored/ --restorer shipped --labels labels/ --format jpeg:95
      dsr restore fleet/ restored/ --restorer shipped --engine beam --beam-options "--runner=FlinkRunner"
    """
    from dsr.experiments.fleet import folders
    from dsr.experiments.fleet.restorers import check_restorer, find_restorer, strangers, trained_on
    from dsr.experiments.fleet.restoring import restored_folder
    from dsr.experiments.fleet.training import read_fleet

    for source in filter(None, (fleet, labels)):
        folders.check_apart(source, target)
    folder = find_restorer(restorer)
    check_restorer(folder)
    made = restored_folder(fleet, folder, labels, format)
    console = Console()
    points = trained_on(folder)
    if points is None and folder != SHIPPED_FOLDER:  # that one is for any codec
        console.say(f"{folder} does not say what it was trained for, so whether it suits these files cannot be told")
    elif points is not None:
        for header, count in strangers([file.header for file in read_fleet(fleet)], points).items():
            known = ", ".join(sorted({str(point) for point in points}))
            console.say(f"warning: {count} files are {header}; the restorer was trained for {known}")
    make_folder(made, target, workers, engine)
