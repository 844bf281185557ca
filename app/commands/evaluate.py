"""`dsr evaluate`: configurations, trained or not yet."""

from __future__ import annotations

import click

from dsr.app.console import Console
from dsr.app.help import Command, dry_run_option, json_option
from dsr.app.plans import plan_and_make
from dsr.app.request import Request, at_point, study_options_without, with_restorer, with_seeds
from dsr.app.tables import show_results
from dsr.experiments.collecting import collect_scores
from dsr.experiments.config.schema import CONFIGURATIONS
from dsr.experiments.domain import Domain


@click.command("evaluate", cls=Command)
@study_options_without("settings")
@with_restorer
@with_seeds
@at_point
@click.option(
    "--config",
    "configurations",
    type=click.Choice(CONFIGURATIONS),
    multiple=True,
    help="One or more of the six.  [default: all]",
)
@dry_run_option
@json_option
def command(request: Request, configurations: tuple[str, ...]) -> None:
    """Evaluate configurations at one operating point: mIoU over the whole test split, single scale.

    Networks that are not trained yet are trained first; the plan says so.

    \b
    Examples:
      dsr evaluate
      dsr evaluate --config CO --config CC --codec bpg --qp 40
      dsr evaluate --config CO --config RO --seeds 3
    """
    study = request.study()
    (degradation,) = study.degradations
    rated = study.shards(Domain("C", degradation), "test")  # their rate stands beside the scores
    plan_and_make([rated, *map(study.evaluation, study.cases(*configurations))], Console())
    show_results(collect_scores(study))
