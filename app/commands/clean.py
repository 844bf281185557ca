"""`dsr clean`: make room in the work folder."""

from __future__ import annotations

from pathlib import Path

import click

from dsr.app.console import Console, show, size
from dsr.app.help import DRY_RUN, JSON, Command, dry_run_option, is_asked, json_option
from dsr.app.options import work_option
from dsr.experiments.cleaning import candidates, remove
from dsr.tfrecords.errors import ArtefactError


@click.command("clean", cls=Command)
@work_option
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Days for which what was begun and not finished must have been left alone.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run_option
@json_option
def command(work: Path, days: float, yes: bool) -> None:
    """Remove what no study needs that was run in the work folder; shows it with sizes, and asks first.

    That is artefacts of no such study, as of a conversion, of a training by itself, or of the trainings of dsr scaling
    and dsr restorer-images, whose numbers are kept elsewhere; and what was begun, not finished, and belongs to none
    either. What a report stands on stays. What another process makes just now is never touched, nor
    what lies behind a link.

    \b
    Examples:
      dsr clean --dry-run
      dsr clean --older-than 30
      dsr clean --yes --work /data/dsr-work
    """
    found = list(candidates(work, days))
    total = sum(one.bytes for one in found)

    def text(err: bool = False) -> None:
        for one in found:
            click.echo(f"  {one.folder.relative_to(work)!s:<64} {size(one.bytes):>9}  {one.why}", err=err)
        click.echo(f"{len(found)} folders, {size(total)}", err=err)

    if is_asked(DRY_RUN) or not found:
        show({"folders": found, "bytes": total}, text)
        return
    if not yes:
        text(err=is_asked(JSON))  # standard output is then JSON and nothing else
        click.confirm("Remove them?", abort=True, err=True)
    removed = []
    for one in found:
        try:
            remove(one)
            removed.append(one)
        except ArtefactError as error:
            Console().say(f"  stays: {error}")
    freed = sum(one.bytes for one in removed)
    show({"removed": removed, "bytes": freed}, lambda: click.echo(f"removed {len(removed)} folders, {size(freed)}"))
