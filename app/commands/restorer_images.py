"""`dsr restorer-images`: how many images a restorer needs."""

from __future__ import annotations

from statistics import mean

import click

from dsr.app.console import Console, show
from dsr.app.help import Command, dry_run_option, json_option
from dsr.app.plans import plan_and_make
from dsr.app.request import Request, study_options, with_restorers, with_seeds
from dsr.experiments.analysis.restorer_images import restorer_images_table
from dsr.experiments.measurements.kept import RESTORER_IMAGES
from dsr.experiments.measurements.restorer_images import scores, trials


@click.command("restorer-images", cls=Command)
@study_options
@with_restorers
@with_seeds
@click.option(
    "--images",
    "counts",
    type=click.IntRange(min=1),
    multiple=True,
    required=True,
    help="How many of the images set apart a restorer is trained on; give it once for each number.",
)
@dry_run_option
@json_option
def command(request: Request, counts: tuple[int, ...]) -> None:
    """Draw mIoU of RO against the number of images that the restorer learned from (paper, figure 8), beside CO.

    Each number is a restorer and a segmenter of its own, at each operating point; the plan says how long that takes.
    The study's report shows the result.

    \b
    Examples:
      dsr restorer-images --images 5 --images 10 --images 20 --images 40
      dsr restorer-images --images 25 --images 101 --preset camvid --root ~/CamVid --set points=bpg-qp43
    """
    study = request.study()
    found = trials(study, counts)
    plan_and_make([evaluation for trial in found for evaluation in trial.evaluations], Console())
    scored = scores(found)
    RESTORER_IMAGES.keep(study, scored, restorer_images_table(scored))

    def text() -> None:
        click.echo(f"{'point':<20}{'restorer':<12}{'images':>8}{'mIoU':>8}")
        for score in scored:
            name = score.restorer or "none (CO)"
            click.echo(f"{score.point:<20}{name:<12}{score.images:>8}{100 * mean(score.miou):>8.2f}")
        click.echo(f"kept in {study.folder}; dsr report shows it")

    show({"trials": scored, "folder": study.folder}, text)
