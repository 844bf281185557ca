"""`dsr train-restorer`: the network that restores compressed images."""

from __future__ import annotations

from typing import Optional

import click

from app.console import Console, duration
from app.options import Request, plan_and_make, point_of, study_options
from experiments.study import last_conversion


@click.command("train-restorer")
@study_options
@click.option("--codec", help="Codec whose losses are to be restored.  [default: that of the last conversion]")
@click.option("--quality", "--qp", type=float, help="Its quality.")
def command(request: Request, codec: Optional[str], quality: Optional[float]) -> None:
    """Train the adversarial restorer (paper, appendix B) on the images set apart for it.

    \b
    Examples:
      dsr train-restorer --codec bpg --qp 40
      dsr train-restorer --preset camvid --root ~/CamVid --vgg vgg16.npz --set restorer.network.steps=4000
    """
    point = point_of(codec, quality, request) or last_conversion(request.study())
    study = request.at(point).study()
    target = study.restorer(study.codecs[0])
    plan_and_make([target], Console())
    summary = target.manifest.summary
    click.echo(
        f"{target.name}: {summary['parameters']:,} parameters, {summary['steps']} steps in {duration(target.manifest.seconds)}"
    )
    click.echo(f"  {target.folder}")
