"""Files and folders of files that commands make, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from dsr.app.console import Console, duration, show, size
from dsr.app.help import DRY_RUN, is_asked
from dsr.data_pipelines.datasets.listing import counted
from dsr.experiments.fleet.errors import FleetError
from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError, cannot_write
from dsr.tfrecords.ledger import ERRORS, told_others

if TYPE_CHECKING:
    from dsr.experiments.fleet.folders import Folder
    from dsr.tfrecords.engine import Engine


def write_file(target: Path, data: bytes) -> None:
    """Write a file whole or not at all, in the place of a file or link of its name; with --dry-run not at all.

    Raises ArtefactError if it cannot be written, or if what has its name is something else, as a device is.
    """
    if target.exists() and not (target.is_file() or target.is_symlink()):
        raise ArtefactError(f"{target} is no file, and is not replaced by one: choose another name")
    if is_asked(DRY_RUN):
        return
    try:
        files.write_atomically(target, data)
    except OSError as error:
        raise cannot_write(target, error) from error


def write_one(target: Path, data: bytes, suffixes: tuple[str, ...]) -> None:
    """Write a single new file, whole or not at all, and say so; its name must have one of the suffixes."""
    if target.suffix.lower() not in suffixes:
        raise FleetError(f"{target} would hold what {suffixes[0]} stands for; give it that suffix")
    if target.exists() or target.is_symlink():
        raise FleetError(f"{target} exists: choose another name")
    write_file(target, data)
    show({"file": target, "bytes": len(data)}, lambda: click.echo(f"{target}: {len(data)} bytes"))


def make_folder(folder: Folder, target: Path, workers: Optional[int], engine: Optional[Engine] = None) -> None:
    """Make a folder of files and say so; with --dry-run only say how many files there are to make."""
    result: dict[str, Any] = {"folder": target}
    if is_asked(DRY_RUN):
        result.update(inputs=len(folder.items), left=folder.left(target))
    else:
        result.update(folder.make(target, workers, Console(), engine).summary)
    result.update(told_others(folder.others))
    show(result, lambda: _say_result(result, folder.others, rated="bpp" in folder.columns))


def _say_result(result: dict[str, Any], others: Sequence[str], rated: bool) -> None:
    """What was made or is to be made, which files were left out, and what was not read.

    `rated` says that bytes are those of what is sent, and not of label maps or restored pixels, which have no rate.
    """
    folder = result["folder"]
    if "left" in result:
        click.echo(f"{folder}: {result['left']} of {result['inputs']} files to make")
    else:
        made, seconds = result["files_made"], result["seconds"]
        much = f"{8 * result['bytes'] / result['pixels']:.4f} bpp" if rated else size(result["bytes"])
        click.echo(f"{folder}: {made} images, {much}, {duration(seconds)}, {made / seconds:.1f} a second")
        if result["errors"]:
            said = f"{folder / ERRORS} says which and why"
            click.echo(f"  left out {result['errors']} of {result['inputs']}: {said}", err=True)
    if others:
        click.echo(f"  not read: {counted(others)}", err=True)
