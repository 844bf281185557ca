"""`dsr evaluate`: configurations, trained or not yet."""

from __future__ import annotations

from typing import Optional

import click

from app.console import Console
from app.options import Request, plan_and_make, point_of, study_options
from app.tables import print_results
from experiments.configs import CONFIGURATIONS
from experiments.results import collect
from experiments.study import last_conversion


@click.command("evaluate")
@study_options
@click.option(
    "--config",
    "configurations",
    type=click.Choice(CONFIGURATIONS),
    multiple=True,
    help="One or more of the six.  [default: all]",
)
@click.option("--codec", help="Codec of C and R.  [default: that of the last conversion]")
@click.option("--quality", "--qp", type=float, help="Its quality.")
def command(request: Request, configurations: tuple[str, ...], codec: Optional[str], quality: Optional[float]) -> None:
    """Evaluate configurations at one operating point: mIoU over the whole test split, single scale.

    Networks that are not trained yet are trained first; the plan says so.

    \b
    Examples:
      dsr evaluate
      dsr evaluate --config CO --config CC --codec bpg --qp 40
    """
    point = point_of(codec, quality, request) or last_conversion(request.study())
    study = request.at(point).study()
    wanted = configurations or CONFIGURATIONS
    plan_and_make([study.evaluation(c, study.codecs[0]) for c in wanted], Console())
    print_results(collect(study))
