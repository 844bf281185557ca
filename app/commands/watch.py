"""`dsr watch`: does what arrives still look like what the plan was made for?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Optional

import click

from dsr.app.console import show
from dsr.app.help import Command, is_given, json_option
from dsr.app.options import CODEC, QualityOf, with_quality
from dsr.app.request import Request, point_of, study_options_without
from dsr.experiments.domain import Domain
from dsr.experiments.last_conversion import last_conversion
from dsr.experiments.planning.arrivals import ALPHA, Arrivals, compare, read_arrivals
from dsr.experiments.planning.errors import PlanningError


@click.command("watch", cls=Command)
@click.argument("arrived", type=click.Path(exists=True, path_type=Path), metavar="MANIFEST_OR_FOLDER")
@study_options_without("settings", "weights", "vgg", "workers", "max_errors")
@click.option(
    "--like",
    type=click.Path(exists=True, path_type=Path),
    help="What the plan was made for: a folder of bitstreams or compressed shards.  [default: the study's]",
)
@click.option("--codec", type=CODEC, help="Of the study's shards.  [default: that of the last conversion]")
@with_quality
@click.option(
    "--images", type=click.IntRange(min=20), default=200, show_default=True, help="Looked at, of what arrived."
)
@click.option(
    "--reference-images", type=click.IntRange(min=20), default=2000, show_default=True, help="Looked at, of the other."
)
@json_option
def command(
    request: Request,
    arrived: Path,
    like: Optional[Path],
    codec: Optional[str],
    quality_of: QualityOf,
    images: int,
    reference_images: int,
) -> None:
    """Compare what arrives with what the plan was made for, by sizes and headers alone; no pixel is decoded.

    Bits a pixel, the quality that headers tell, pixels an image, files of other kinds, and more files that cannot be
    read. Ends with status 1 if any of them has changed. Images that have not changed raise an alarm in 1 % of all looks
    at most, if they are drawn independently: one drive, or one night, is not.

    \b
    Examples:
      dsr watch fleet/ --like fleet-of-may/
      dsr watch fleet/ --preset camvid --root ~/CamVid --codec bpg --qp 36
      dsr watch dsr-work/shards/streets/train/bpg-qp42/ --like fleet/ --images 500
    """
    also = next(filter(is_given, ("codec", "quality", "qp")), None)
    if like is not None and also:
        raise click.UsageError(f"--like says what the plan was made for: leave --{also} out")
    reference = like or _of_study(request, codec, quality_of)
    before, now = read_arrivals(reference, reference_images), read_arrivals(arrived, images)
    found = compare(before, now)
    changed = [one.what for one in found if one.alarm]

    def text() -> None:
        click.echo(f"arrived:   {_said(now)} in {arrived}")
        click.echo(f"reference: {_said(before)} in {reference}\n")
        click.echo(f"{'':<14}{'reference':<22}{'arrived':<40}{'p':>9}")
        for one in found:
            mark = "  changed" if one.alarm else ""
            click.echo(f"{one.what:<14}{one.before:<22}{one.now:<40}{one.p:>9.2g}{mark}")
        click.echo()
        if changed:
            what = ", ".join(changed)
            click.echo(f"it is not what the plan was made for: {what} changed; plan again from what arrives now")
        else:
            click.echo(f"nothing shows that it has changed ({100 * ALPHA:g} % of false alarms)")

    show({"comparisons": found, "changed": changed, "unreadable": now.unreadable}, text)
    sys.exit(1 if changed else 0)


def _of_study(request: Request, codec: Optional[str], quality_of: QualityOf) -> Path:
    study = request.study()
    study = request.at(point_of(codec, quality_of, request) or last_conversion(study)).study()
    (degradation,) = study.degradations
    shards = study.shards(Domain("C", degradation), "train")
    if not shards.exists:
        raise PlanningError(
            f"{study.work} has no training images at {degradation.point}: run dsr convert, or name what the plan was "
            "made for with --like"
        )
    return shards.folder


def _said(arrivals: Arrivals) -> str:
    spoilt = f", {arrivals.unreadable} of which cannot be read" if arrivals.unreadable else ""
    return f"{len(arrivals.images) + arrivals.unreadable} of {arrivals.there} images{spoilt}"
