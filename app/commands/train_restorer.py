"""`dsr train-restorer`: the network that restores compressed images."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import click

from dsr.app.console import Console, duration
from dsr.app.options import Request, at_point, plan_and_make, study_options, with_restorer
from dsr.experiments.config.overrides import flatten
from dsr.experiments.summaries import TrainingSummary
from dsr.models.restorers.gan_config import AdversarialConfig
from dsr.models.restorers.registry import RESTORERS
from dsr.models.restorers.saved import read_start


@click.command("train-restorer")
@study_options
@with_restorer
@at_point
@click.option(
    "--images", type=click.IntRange(min=1), help="Train on the first N of the images set apart.  [default: all]"
)
@click.option(
    "--start",
    metavar="FOLDER",
    help="Go on from a trained adversarial restorer's folder, or from the one that comes with dsr: shipped. "
    "The networks then have its size.  [default: the preset's]",
)
def command(request: Request, images: Optional[int], start: Optional[str]) -> None:
    """Train a restorer (paper, appendices B and C) on the images set apart for it.

    \b
    Examples:
      dsr train-restorer --codec bpg --qp 40
      dsr train-restorer --codec bpg --qp 40 --restorer rdn-psnr --images 50
      dsr train-restorer --codec bpg --qp 40 --start shipped
      dsr train-restorer --preset camvid --root ~/CamVid --vgg vgg16.npz --set restorer.gan.steps=4000
    """
    (name,) = request.config.restorers[:1]
    request.config.restorer.training(name)  # raises for one that comes trained
    if images is not None:
        request = request.overridden(f"restorer.images={images}")
    settings = []
    if start is not None:
        if RESTORERS[name].settings != "gan":
            raise click.UsageError(f"--start is for gan; {name} trains from random weights")
        settings = settings_to_start(request.config.restorer.gan, start)
        request = request.overridden(*settings)
    study = request.study()
    target = study.restorer(study.degradations[0], name)
    plan_and_make([target], Console())
    summary = target.summary(TrainingSummary)
    click.echo(
        f"{target.name}: {summary.parameters:,} parameters, {summary.steps} steps in {duration(target.manifest.seconds)}"
    )
    click.echo(f"  {target.folder}")
    if settings:
        click.echo("  other commands use it with " + " ".join(f"--set {setting}" for setting in settings))


def settings_to_start(config: AdversarialConfig, start: str) -> list[str]:
    """KEY=VALUE of what differs in this configuration where it starts from a trained restorer and has its size."""
    generator, discriminator = read_start(start)
    started = dataclasses.replace(config, generator=generator, discriminator=discriminator, start=start)
    before = flatten(config, "restorer.gan.")
    return [f"{key}={_text(value)}" for key, value in flatten(started, "restorer.gan.").items() if value != before[key]]


def _text(value: Any) -> str:
    """A setting as --set takes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
