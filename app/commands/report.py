"""`dsr report`: the report page from what exists."""

from __future__ import annotations

from typing import Optional

import click

from dsr.app.console import show
from dsr.app.help import DRY_RUN, Command, dry_run_option, is_asked, json_option
from dsr.app.request import Request, study_argument, study_options_without, with_adaptations, with_restorers, with_seeds
from dsr.app.tables import show_results
from dsr.experiments.collecting import collect, other_results, report_of


@click.command("report", cls=Command)
@study_options_without("workers", "max_errors")
@with_restorers
@with_adaptations
@with_seeds
@study_argument
@click.option(
    "--against", metavar="STUDY", help="Another study to set beside it: its name, or the folder of its report."
)
@dry_run_option
@json_option
def command(request: Request, against: Optional[str]) -> None:
    """Write the report of a study again, from the evaluations that exist; trains and evaluates nothing.

    STUDY is the name of a study that was run: no option needs to be repeated then, and one that is given wins.

    \b
    Examples:
      dsr report demo
      dsr report demo --against longer
      dsr report --preset demo
      dsr report --preset camvid --root ~/CamVid --restorer gan --restorer rdn-psnr --seeds 3
    """
    study = request.study()
    other = None if against is None else other_results(study, against)
    if is_asked(DRY_RUN):
        evaluations = study.evaluations()
        there = sum(evaluation.exists for evaluation in evaluations)
        value = {"evaluations": there, "of": len(evaluations), "folder": study.folder}
        show(value, lambda: click.echo(f"{there} of {len(evaluations)} evaluations exist; report in {study.folder}"))
        return
    results = collect(study)
    show_results(results, report_of(study, results, other))
