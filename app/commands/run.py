"""`dsr run`: a whole study."""

from __future__ import annotations

import click

from dsr.app.console import Console
from dsr.app.help import DRY_RUN, Command, dry_run_option, is_asked, json_option
from dsr.app.options import (
    Request,
    plan_and_make,
    study_argument,
    study_options,
    with_adaptations,
    with_restorers,
    with_seeds,
)
from dsr.app.tables import show_results
from dsr.experiments.collecting import collect, report_of
from dsr.experiments.measurements.artefacts import measurements
from dsr.experiments.stored_study import store


@click.command("run", cls=Command)
@study_options
@with_restorers
@with_adaptations
@with_seeds
@study_argument
@dry_run_option
@json_option
def command(request: Request) -> None:
    """Run a study: the six configurations at each operating point, ending in a report.

    What exists is not made again, and a study that was stopped goes on where it was. Its configuration is kept in its
    folder: with its name as STUDY no option needs to be repeated; one that is given wins, and is kept.

    \b
    Examples:
      dsr run --preset demo
      dsr run --preset camvid --root ~/CamVid
      dsr run --preset demo --set points=bpg-qp40,jpeg-quality10 --set segmenter.steps=600
      dsr run --preset camvid --root ~/CamVid --restorer gan --restorer rdn-psnr
      dsr run --preset camvid --root ~/CamVid --seeds 3
      dsr run --preset camvid --root ~/CamVid --seeds 3 --adapt recalibrated --adapt mixed --adapt consistency
      dsr run --preset paper --root ~/cityscapes --weights model.ckpt.index --dry-run
      dsr run --config study.toml
      dsr run demo
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
    # First, so that trainings can show how they do on a few of them.
    seen = [study.shards(domain, "test") for domain in study.domains() if domain.letter != "R"]
    targets = seen + study.evaluations() + measurements(study)
    if not is_asked(DRY_RUN):
        store(study, request.preset)
    plan_and_make(targets, console)

    results = collect(study)
    show_results(results, report_of(study, results))
