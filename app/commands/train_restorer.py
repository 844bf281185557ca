"""`dsr train-restorer`: the network that restores compressed images."""

from __future__ import annotations

from typing import Optional

import click

from dsr.app.console import Console, duration
from dsr.app.options import Request, at_point, plan_and_make, study_options, with_restorer
from dsr.experiments.summaries import TrainingSummary


@click.command("train-restorer")
@study_options
@with_restorer
@at_point
@click.option(
    "--images", type=click.IntRange(min=1), help="Train on the first N of the images set apart.  [default: all]"
)
def command(request: Request, images: Optional[int]) -> None:
    """Train a restorer (paper, appendices B and C) on the images set apart for it.

    \b
    Examples:
      dsr train-restorer --codec bpg --qp 40
      dsr train-restorer --codec bpg --qp 40 --restorer rdn-psnr --images 50
      dsr train-restorer --preset camvid --root ~/CamVid --vgg vgg16.npz --set restorer.gan.steps=4000
    """
    if images is not None:
        request = request.overridden(f"restorer.images={images}")
    study = request.study()
    target = study.restorer(study.degradations[0], study.config.restorers[0])
    plan_and_make([target], Console())
    summary = target.summary(TrainingSummary)
    click.echo(
        f"{target.name}: {summary.parameters:,} parameters, {summary.steps} steps in {duration(target.manifest.seconds)}"
    )
    click.echo(f"  {target.folder}")
