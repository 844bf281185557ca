"""`dsr run`: a whole study."""

from __future__ import annotations

import click

from dsr.app.console import Console
from dsr.app.help import Command
from dsr.app.options import Request, plan_and_make, show_plan, study_options, with_restorers, with_seeds
from dsr.app.tables import print_results
from dsr.experiments.collecting import collect, report_of
from dsr.experiments.graph.artefacts import plan
from dsr.experiments.measurements.artefacts import measurements


@click.command("run", cls=Command)
@study_options
@with_restorers
@with_seeds
@click.option("--dry-run", is_flag=True, help="Show the plan and the configuration, make nothing.")
def command(request: Request, dry_run: bool) -> None:
    """Run a study: the six configurations at each operating point, ending in a report.

    What exists is not made again, and a study that was stopped goes on where it was.

    \b
    Examples:
      dsr run --preset demo
      dsr run --preset camvid --root ~/CamVid
      dsr run --preset demo --set points=bpg-qp40,jpeg-quality10 --set segmenter.steps=600
      dsr run --preset camvid --root ~/CamVid --restorer gan --restorer rdn-psnr
      dsr run --preset camvid --root ~/CamVid --seeds 3
      dsr run --preset paper --root ~/cityscapes --dry-run
    """
    console = Console()
    study = request.study()
    seeds = [str(seed) for seed in study.seeds]
    console.say(
        f"study {study.config.name}: {study.source.name}, "
        f"{', '.join(degradation.point for degradation in study.degradations)}; "
        f"restored by {', '.join(study.config.restorers)}; {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)}"
    )
    if study.came_compressed:
        console.say("the images to train on came compressed: OO, OC and OR, which train on originals, cannot be had")
    targets = study.evaluations() + measurements(study)
    if dry_run:
        show_plan(plan(targets), console)
        return
    plan_and_make(targets, console)

    results = collect(study)
    print_results(results)
    page = report_of(study, results)
    click.echo(f"report: {page.resolve().as_uri()}")
