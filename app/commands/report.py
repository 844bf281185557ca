"""`dsr report`: the report page from what exists."""

from __future__ import annotations

import click

from dsr.app.help import Command
from dsr.app.options import Request, study_options_without, with_restorers, with_seeds
from dsr.app.tables import print_results
from dsr.experiments.collecting import collect, report_of


@click.command("report", cls=Command)
@study_options_without("workers", "max_errors")
@with_restorers
@with_seeds
def command(request: Request) -> None:
    """Write the report of a study again, from the evaluations that exist; trains and evaluates nothing.

    \b
    Examples:
      dsr report --preset demo
      dsr report --preset camvid --root ~/CamVid --restorer gan --restorer rdn-psnr --seeds 3
    """
    study = request.study()
    results = collect(study)
    print_results(results)
    click.echo(f"report: {report_of(study, results).resolve().as_uri()}")
