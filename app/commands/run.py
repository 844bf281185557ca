"""`dsr run`: a whole study."""

from __future__ import annotations

import click

from dsr.app.console import Console, duration, size
from dsr.app.help import DRY_RUN, Command, dry_run_option, is_asked, json_option
from dsr.app.plans import plan_and_make, show_plan
from dsr.app.request import Request, study_argument, study_options, with_adaptations, with_restorers, with_seeds
from dsr.app.tables import show_results
from dsr.experiments.collecting import collect, collect_scores, report_of
from dsr.experiments.costs import BYTES_BASIS, GPU_BASIS, Costs, costs
from dsr.experiments.graph import hosts
from dsr.experiments.graph.artefacts import plan
from dsr.experiments.measurements.artefacts import measurements
from dsr.experiments.stored_study import store
from dsr.models.segmenter.errors import WeightsError

SHORT = 3600
"""Seconds of a GPU that nobody needs to plan for."""


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
      dsr run --preset paper-cityscapes --root ~/cityscapes --dry-run
      dsr run --config study.toml
      dsr run demo
    """
    console = Console()
    needed = ""
    if is_asked(DRY_RUN):
        request, needed = _without_missing_weights(request)
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
    if is_asked(DRY_RUN):
        steps = plan(targets)
        show_plan(steps)
        _say_costs(costs(study, [step.artefact for step in steps if not step.artefact.exists]), console)
        if needed:
            console.say(f"  before it can start: {needed}")
        return
    store(study, request.preset)  # by each of several hosts: so all of them refuse a name that is taken
    plan_and_make(targets, console)

    if hosts.is_chief():
        results = collect(study)
        show_results(results, report_of(study, results))
    else:
        show_results(collect_scores(study))


def _without_missing_weights(request: Request) -> tuple[Request, str]:
    """A request that can be planned, though its segmenter's weights cannot be had yet, and why; "" if they can."""
    try:
        request.config.segmenter.network.check_weights()
    except WeightsError as error:
        return request.overridden("segmenter.network.weights=none"), str(error)
    return request, ""


def _say_costs(found: Costs, console: Console) -> None:
    """Print what a study takes beside its hours on this machine, and what the numbers rest on."""
    if found.bytes:
        console.say(f"  on disk about {size(found.bytes)} of shards ({BYTES_BASIS})")
    if found.gpu_seconds >= SHORT:
        console.say(f"  on one GPU about {duration(found.gpu_seconds)} ({GPU_BASIS})")
