"""`dsr plan`: what a fleet shall record for a budget."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Optional

import click

from dsr.app.console import Console, show
from dsr.app.console import size as readable_size
from dsr.app.help import Command, json_option
from dsr.app.plans import plan_and_make
from dsr.app.quantities import BYTES, POINTS, RATE, SIZE
from dsr.app.request import Request, study_argument, study_options, with_restorers
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.planning.demand import Demand
from dsr.experiments.planning.gathering import gather, gather_foretold, said, to_foretell
from dsr.experiments.planning.known import Known, Score
from dsr.experiments.planning.plan import Plan, Row, make_plan
from dsr.experiments.planning.units import Size


@click.command("plan", cls=Command)
@study_options
@with_restorers
@study_argument
@click.option("--budget", type=BYTES, help="Room for all images together, as 200GB.")
@click.option("--channel", type=RATE, help="What carries them instead, as 2Mbit/s; needs --hours.")
@click.option("--fps", type=click.FloatRange(min=0, min_open=True, max=1e6), help="Images a second that are taken.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True, max=1e9), help="How long the channel is used.")
@click.option("--images", type=click.IntRange(min=1), help="Images to record.  [default: as many as fit]")
@click.option("--label-budget", type=click.IntRange(min=1), help="Images that can be labelled; others train nothing.")
@click.option("--size", type=SIZE, help="Of an image, in pixels.  [default: the study's]")
@click.option(
    "--max-loss",
    type=click.FloatRange(min=0, max=100),
    metavar="POINTS",
    help="Only plans expected to lose at most so many points of mIoU against OO, the cheapest first.",
)
@click.option(
    "--predict",
    "untrained",
    type=POINTS,
    help="Operating points nobody trained at, as jpeg-quality20,bpg-qp45: foretell them from features, in minutes.",
)
@click.option("--top", type=click.IntRange(min=1), default=12, show_default=True, help="Rows of the table.")
@json_option
def command(
    request: Request,
    budget: Optional[float],
    channel: Optional[float],
    fps: Optional[float],
    hours: Optional[float],
    images: Optional[int],
    label_budget: Optional[int],
    size: Optional[Size],
    max_loss: Optional[float],
    untrained: Optional[tuple[OperatingPoint, ...]],
    top: int,
) -> None:
    """Rank what a fleet can record: codec, quality, repair and number of images, by the mIoU to expect.

    Stands on what the work folder has measured of the study: rates, scores, times (dsr inference-times) and what the
    number of images changes (dsr scaling). Trains nothing. Says what is measured and what is not, and which command
    would tell most.

    \b
    Examples:
      dsr plan --budget 200GB --images 3000000 --size 2048x1024
      dsr plan --channel 2Mbit/s --fps 5 --hours 8 --label-budget 5000
      dsr plan --budget 2MB --predict jpeg-quality20,jpeg-quality40
      dsr plan --budget 50MB --max-loss 2 --preset camvid --root ~/CamVid
      dsr plan camvid --budget 50MB --max-loss 2
    """
    check_usage(budget, channel, fps, hours, images)
    study = request.study()
    foretelling = None
    if untrained:
        plan_and_make(to_foretell(study, untrained), Console())
        known, foretelling = gather_foretold(study, untrained)
    else:
        known = gather(study)
    of = size or known.size
    if budget is not None:
        demand = Demand(budget, of, images)
    else:
        assert channel is not None and hours is not None
        demand = Demand.of_channel(channel, fps, hours, of)
        demand = demand if images is None else dataclasses.replace(demand, images=images)
    demand = dataclasses.replace(demand, labels=label_budget, max_loss=max_loss)
    plan = make_plan(known, demand)
    following = None
    if plan.following:  # what it asks for comes last, so that it counts whatever the study says
        name, *asked = plan.following.arguments
        following = shlex.join(["dsr", name, *request.arguments, *asked])

    def text() -> None:
        print_plan(plan, known, top)
        if foretelling:
            click.echo(said(foretelling))
        if plan.following:
            row = plan.rows[plan.following.row]
            click.echo(f"next, {row.point}{_by(row)}, as {plan.following.why}:")
            click.echo(f"  {following}")

    show({"plan": plan, "bpp": demand.bpp, "command": following, "foretelling": foretelling}, text)


def check_usage(
    budget: Optional[float],
    channel: Optional[float],
    fps: Optional[float],
    hours: Optional[float],
    images: Optional[int],
) -> None:
    """Raise UsageError if what is given says no budget, or two."""
    if (budget is None) == (channel is None):
        raise click.UsageError("give one of --budget and --channel")
    if budget is not None and (fps is not None or hours is not None):
        raise click.UsageError("--fps and --hours go with --channel: for a --budget give --images")
    if channel is not None and hours is None:
        raise click.UsageError("--channel needs --hours: how long it is used")
    if fps is not None and images is not None:
        raise click.UsageError("give one of --fps and --images: each says how many images there are")


def print_plan(plan: Plan, known: Known, top: int) -> None:
    """What the budget leaves, and the best rows."""
    demand = plan.demand
    labels = "" if demand.labels is None else f", {demand.labels:,} of them labelled"
    if demand.bpp is None:
        click.echo(f"{readable_size(demand.bytes)} for images of {demand.size}, as many as fit{labels}")
    else:
        click.echo(
            f"{readable_size(demand.bytes)} for {demand.images:,} images of {demand.size}{labels}: "
            f"{demand.bpp:.3g} bits a pixel"
        )
    if plan.reference:
        click.echo(f"OO, trained on {plan.trained_on} originals: mIoU {_score(plan.reference)} %")
    click.echo(
        f"\n{'':>3} {'point':<22}{'repair':<12}{'images':>11}{'bpp':>8}{'an image':>10}{'device ms':>11}"
        f"{'server h':>11}{'mIoU, %':>22}  basis"
    )
    common = set.intersection(*(set(row.notes) for row in plan.rows)) if plan.rows else set()
    for number, row in enumerate(plan.rows[:top], start=1):
        server = "-" if row.server_core_hours is None else f"{row.server_core_hours:.2e}"
        device = "-" if row.device_ms is None else f"{row.device_ms:.1f}"
        basis = "; ".join([row.basis.value, *(note for note in row.notes if note not in common)])
        click.echo(
            f"{number:>3} {row.point:<22}{row.repair or '-':<12}{row.images:>11,}{row.bpp:>8.3f}"
            f"{readable_size(row.bytes):>10}{device:>11}{server:>11}{_score(row.score):>22}  {basis}"
        )
    more = len(plan.rows) - top
    if more > 0:
        click.echo(f"    and {more} more: --top {len(plan.rows)}")
    if plan.left_out:
        click.echo(f"{plan.left_out} rows are not expected, or not known, to stay within {demand.max_loss:g} points")
    click.echo()
    for sentence in [*sorted(common), *caveats(plan, known)]:
        click.echo(sentence)


def caveats(plan: Plan, known: Known) -> list[str]:
    """What the rows do not say."""
    said = ["mIoU is of original images, with the study's training"]
    scores = [row.score for row in plan.rows if row.score is not None]
    if any(score.interval for score in scores):
        said = [f"{said[0]}; [95 % interval over seeds, taken as equal in all]"]
    elif scores:
        said = [f"{said[0]}; one seed each has no interval, so no row is shown to beat another"]
    if known.growth_note:
        said.append(known.growth_note)
    if known.predicted:
        said.append("a predicted score's interval says how wrong features were of points left out, too")
    if plan.demand.size != known.size:
        said.append(f"rates were measured on images of {known.size}: at {plan.demand.size} they are an assumption")
    if known.times is None:
        said.append("times are not measured: run dsr inference-times")
    else:
        said.append(f"times are of {known.times.device}, by the pixel; server: decoding and repairing, an image")
    return said


def _by(row: Row) -> str:
    return f" repaired by {row.repair}" if row.repair else ""


def _score(score: Optional[Score]) -> str:
    if score is None:
        return "not known"
    interval = "" if score.interval is None else " [{:.1f}, {:.1f}]".format(*(100 * end for end in score.interval))
    return f"{100 * score.value:.1f}{interval}"
