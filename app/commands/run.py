"""`dsr run`: a whole study."""

from __future__ import annotations

import click

from app.console import Console
from app.options import Request, plan_and_make, show_plan, study_options, with_restorer
from app.tables import print_results
from experiments.artefacts import plan
from experiments.results import check_reportable, collect, report_of


@click.command("run")
@study_options
@with_restorer
@click.option("--dry-run", is_flag=True, help="Show the plan and the configuration, make nothing.")
def command(request: Request, dry_run: bool) -> None:
    """Run a study: the six configurations at each operating point, ending in a report.

    What exists is not made again, and a study that was stopped goes on where it was.

    \b
    Examples:
      dsr run --preset demo
      dsr run --preset camvid --root ~/CamVid
      dsr run --preset demo --set points=bpg-qp40,jpeg-quality10 --set segmenter.steps=600
      dsr run --preset camvid --root ~/CamVid --restorer rdn-msssim
      dsr run --preset paper --root ~/cityscapes --dry-run
    """
    console = Console()
    study = request.study()
    console.say(f"study {request.config.name}: {study.source.name}, {', '.join(codec.point for codec in study.codecs)}")
    if dry_run:
        show_plan(plan(study.evaluations()), console)
        return
    check_reportable(study)
    plan_and_make(study.evaluations(), console)

    results = collect(study)
    print_results(results)
    page = report_of(study, results)
    click.echo(f"report: {page.resolve().as_uri()}")
