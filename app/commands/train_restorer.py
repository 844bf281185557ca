"""`dsr train-restorer`: the network that restores compressed images."""

from __future__ import annotations

import click

from app.console import Console, duration
from app.options import Request, at_point, plan_and_make, study_options


@click.command("train-restorer")
@study_options
@at_point
def command(request: Request) -> None:
    """Train the adversarial restorer (paper, appendix B) on the images set apart for it.

    \b
    Examples:
      dsr train-restorer --codec bpg --qp 40
      dsr train-restorer --preset camvid --root ~/CamVid --vgg vgg16.npz --set restorer.network.steps=4000
    """
    study = request.study()
    target = study.restorer(study.codecs[0])
    plan_and_make([target], Console())
    summary = target.manifest.summary
    click.echo(
        f"{target.name}: {summary['parameters']:,} parameters, {summary['steps']} steps in {duration(target.manifest.seconds)}"
    )
    click.echo(f"  {target.folder}")
