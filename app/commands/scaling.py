"""`dsr scaling`: more images compressed harder, or fewer compressed less?"""

from __future__ import annotations

from fractions import Fraction
from statistics import fmean
from typing import TYPE_CHECKING, Optional

import click

from dsr.app.console import Console, show
from dsr.app.console import size as readable_size
from dsr.app.help import Command, dry_run_option, is_given, json_option
from dsr.app.plans import plan_and_make
from dsr.app.quantities import BYTES, POINTS, SHARES
from dsr.app.request import Request, study_argument, study_options, with_restorer, with_seeds
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.measurements.kept import SCALING
from dsr.experiments.planning.known import Score

if TYPE_CHECKING:
    from dsr.experiments.planning.scaling import Law, Optimum


@click.command("scaling", cls=Command)
@study_options
@with_restorer
@with_seeds
@study_argument
@click.option(
    "--points",
    type=POINTS,
    help="Three or more qualities of one codec, as bpg-qp30,bpg-qp36,bpg-qp42.  [default: the preset's]",
)
@click.option(
    "--fractions",
    type=SHARES,
    default="1/8,1/4,1/2,1",
    show_default=True,
    help="Shares of the training images: three or more.",
)
@click.option(
    "--trainings", type=click.IntRange(min=6, max=64), default=9, show_default=True, help="How many, for each seed."
)
@click.option("--restored", is_flag=True, help="Train on what --restorer makes of the images (RO), not on them (CO).")
@click.option("--budget", type=BYTES, help="Say how many images of how many bytes are best in so much room, as 200GB.")
@click.option(
    "--most-images", type=click.IntRange(min=1), help="Of that budget: there are, or can be labelled, no more."
)
@dry_run_option
@json_option
def command(
    request: Request,
    points: Optional[tuple[OperatingPoint, ...]],
    fractions: tuple[Fraction, ...],
    trainings: int,
    restored: bool,
    budget: Optional[float],
    most_images: Optional[int],
) -> None:
    """Fit how the error goes with the number of training images and their bytes, from a few short trainings.

    Both arms of a cross (all numbers of images at the finest point, all images at every point), the far corner, and
    what else --trainings leaves room for: not a grid. Subsets are nested and drawn by the seed. What is trained is
    kept, and a command that was stopped goes on. dsr plan and the report use the result.

    \b
    Examples:
      dsr scaling --points bpg-qp30,bpg-qp36,bpg-qp42 --budget 2MB
      dsr scaling --points bpg-qp28,bpg-qp32,bpg-qp36,bpg-qp40 --fractions 1/8,1/4,1/2,1 --trainings 10 --seeds 2
      dsr scaling --points bpg-qp30,bpg-qp36,bpg-qp42 --preset camvid --root ~/CamVid --set segmenter.steps=1000
    """
    if most_images is not None and budget is None:
        raise click.UsageError("--most-images goes with --budget: it is how many images there are for that")
    if is_given("restorer") and not restored:
        raise click.UsageError("--restorer goes with --restored: the images are trained on as they are compressed")
    from dsr.experiments.analysis.scaling import laws, scaling_table
    from dsr.experiments.measurements.scaling import scores, trials
    from dsr.experiments.planning.scaling import optimum

    study = (request.at(*points) if points else request).study()
    found = trials(study, fractions, trainings, study.config.restorers[0] if restored else None)
    plan_and_make([evaluation for trial in found for evaluation in trial.evaluations], Console())
    scored = scores(found)
    SCALING.keep(study, scored, scaling_table(scored))
    fitted = laws(scored)
    best = fitted[0]
    chosen = None if budget is None else optimum(best, budget, most_images)

    def text() -> None:
        click.echo(f"{'point':<20}{'images':>8}{'an image':>12}{'mIoU':>8}")
        for trial in scored:
            size = readable_size(trial.bytes)
            click.echo(f"{trial.point:<20}{trial.images:>8}{size:>12}{100 * fmean(trial.miou):>8.2f}")
        click.echo(f"\n{'law':<12}{'a training left out':>22}")
        for law in fitted:
            click.echo(f"{law.family.name:<12}{100 * law.left_out:>15.2f} points")
        most = best.images[1]
        for before, after in ((most // 2, most), (most, 2 * most)):
            click.echo(f"{after} images instead of {before} add {_points(best.change(before, after))}")
        if budget is not None and chosen is not None:
            _print_optimum(budget, chosen, best)
        click.echo(f"kept in {study.folder}; dsr plan and dsr report use it")

    told = [{"law": law.family.name, "constants": law.constants.tolist(), "left_out": law.left_out} for law in fitted]
    show({"trials": scored, "laws": told, "optimum": chosen}, text)


def _print_optimum(budget: float, chosen: Optimum, law: Law) -> None:
    few, many = chosen.images_interval
    click.echo(
        f"\n{readable_size(budget)}: {chosen.images:,} images ({few:,} to {many:,}) of "
        f"{readable_size(chosen.bytes)}, mIoU {_points(chosen.score).replace(' points', ' %')}"
    )
    if chosen.beyond:
        click.echo(f"that is beyond the {law.images[0]} to {law.images[1]} images that were trained on")
    if chosen.at_end:
        click.echo(f"those are the {chosen.at_end} bytes that were trained on: the optimum may lie beyond")


def _points(score: Score) -> str:
    assert score.interval is not None
    return f"{100 * score.value:.1f} points " + "({:.1f} to {:.1f})".format(*(100 * end for end in score.interval))
