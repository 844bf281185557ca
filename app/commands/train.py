"""`dsr train`: one of the six configurations."""

from __future__ import annotations

import click

from dsr.app.console import Console
from dsr.app.help import Command, dry_run_option, json_option
from dsr.app.plans import plan_and_make
from dsr.app.request import Request, at_point, study_options_without, with_adaptations, with_restorer, with_seeds
from dsr.app.tables import show_evaluations
from dsr.experiments.config.schema import CONFIGURATIONS
from dsr.experiments.summaries import EvaluationSummary


@click.command("train", cls=Command)
@study_options_without("settings")
@with_restorer
@with_adaptations
@with_seeds
@at_point
@click.option(
    "--config",
    "configuration",
    type=click.Choice(CONFIGURATIONS),
    required=True,
    help="Train domain, then test domain: O original, C compressed, R restored.",
)
@dry_run_option
@json_option
def command(request: Request, configuration: str) -> None:
    """Train and evaluate one configuration, making what it needs first.

    Shows the plan: what exists, what will be made, and an estimate. A training that was stopped goes on at its last
    checkpoint.

    \b
    Examples:
      dsr train --config RO
      dsr train --config RO --restorer rdn-psnr
      dsr train --config RO --seeds 3
      dsr train --config CO --adapt recalibrated
      dsr train --config CO --codec bpg --qp 40 --set segmenter.steps=1000
      dsr train --config OO --dataset camvid --root ~/CamVid --preset camvid
    """
    study = request.study()
    cases = (study.rivals if study.config.adaptations else study.cases)(configuration)
    targets = [study.evaluation(case) for case in cases]
    # Those of restored images would ask for files that their restorers are trained with.
    known = [study.evaluation(case) for case in study.cases() if case.changed.restorer is None]
    plan_and_make([*targets, *study.rated(cases)], Console(), known)
    show_evaluations([(case, target.summary(EvaluationSummary)) for case, target in zip(cases, targets)])
