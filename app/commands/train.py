"""`dsr train`: one of the six configurations."""

from __future__ import annotations

from typing import Optional

import click

from app.console import Console
from app.options import Request, plan_and_make, point_of, study_options
from app.tables import print_evaluation
from experiments.configs import CONFIGURATIONS
from experiments.study import last_conversion, needs_point


@click.command("train")
@study_options
@click.option(
    "--config",
    "configuration",
    type=click.Choice(CONFIGURATIONS),
    required=True,
    help="Train domain, then test domain: O original, C compressed, R restored.",
)
@click.option("--codec", help="Codec of C and R.  [default: that of the last conversion]")
@click.option("--quality", "--qp", type=float, help="Its quality.")
def command(request: Request, configuration: str, codec: Optional[str], quality: Optional[float]) -> None:
    """Train and evaluate one configuration, making what it needs first.

    Shows the plan: what exists, what will be made, and an estimate. A training that was stopped goes on at its last checkpoint.

    \b
    Examples:
      dsr train --config RO
      dsr train --config CO --codec bpg --qp 40 --set segmenter.steps=1000
      dsr train --config OO --dataset camvid --root ~/CamVid --preset camvid
    """
    console = Console()
    point = point_of(codec, quality, request)
    if point is None and needs_point(configuration):
        point = last_conversion(request.study())
    if point is not None:
        request = request.at(point)
    study = request.study()
    target = study.evaluation(configuration, study.codecs[0])
    plan_and_make([target], console)
    print_evaluation(configuration, target.manifest.summary)
