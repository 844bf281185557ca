"""`dsr train-restorer`: the network that restores compressed images."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, Callable, Optional

import click

from dsr.app.console import Console, duration, made_of, show
from dsr.app.help import Command, dry_run_option, is_given, json_option
from dsr.app.options import LOCAL
from dsr.app.plans import plan_and_make
from dsr.app.request import Request, at_point, study_options_without, with_restorer_to_train
from dsr.experiments.config.overrides import flatten
from dsr.experiments.summaries import TrainingSummary
from dsr.models.restorers.gan_config import AdversarialConfig
from dsr.models.restorers.registry import RESTORERS
from dsr.models.restorers.saved import read_start

Function = Callable[..., Any]

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def or_like_fleet(command: Function) -> Function:
    """Add --originals, --like and --out; with them the command is not called, but a restorer for that fleet trained."""

    @functools.wraps(command)
    def wrapped(
        request: Request, originals: Optional[Path], like: Optional[Path], out: Optional[Path], **arguments: Any
    ) -> Any:
        if originals is None and like is None and out is None:
            return command(request=request, **arguments)
        if originals is None or like is None:
            raise click.UsageError("--originals and --like belong together, and --out to them")
        images, start = arguments.pop("images"), arguments.pop("start")
        for name in filter(is_given, ("dataset", "root", "name", *arguments)):
            raise click.UsageError(
                f"--{name} does not go with --like: the originals are what is trained on, and the fleet's files say "
                "what for"
            )
        return train_like_fleet(settled(request, images, start)[0], originals, like, out)

    for option in (
        click.option("--out", type=LOCAL, help="Also write it as a folder that needs nothing else."),
        click.option("--like", type=_FOLDER, help="A folder of received files: compress the originals as these are."),
        click.option(
            "--originals", type=_FOLDER, help="Instead of a dataset: images without labels; a tenth is held out."
        ),
    ):
        option(wrapped)
    return wrapped


@click.command("train-restorer", cls=Command)
@study_options_without("weights")
@with_restorer_to_train
@or_like_fleet
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
@dry_run_option
@json_option
def command(request: Request, images: Optional[int], start: Optional[str]) -> None:
    """Train a restorer (paper, appendices B and C) on the images set apart for it.

    For a fleet whose files have arrived, --originals is a folder of images without labels, and --like one of received
    files: codec, quality and chroma are read from their headers, and the originals are compressed alike, each kind as
    often as the fleet has it.

    \b
    Examples:
      dsr train-restorer --codec bpg --qp 40
      dsr train-restorer --codec bpg --qp 40 --restorer rdn-psnr --images 50
      dsr train-restorer --codec bpg --qp 40 --start shipped
      dsr train-restorer --preset camvid --root ~/CamVid --vgg vgg16.npz --set restorer.gan.steps=4000
      dsr train-restorer --originals photographs/ --like fleet/ --out restorer/
    """
    request, settings = settled(request, images, start)
    study = request.study()
    target = study.restorer(study.degradations[0], study.config.restorers[0])
    plan_and_make([target], Console())
    summary = target.summary(TrainingSummary)

    def text() -> None:
        click.echo(
            f"{target.name}: {summary.parameters:,} parameters, {summary.steps} steps in {duration(target.seconds)}"
        )
        click.echo(f"  {target.folder}")
        if settings:
            click.echo("  other commands use it with " + " ".join(f"--set {setting}" for setting in settings))

    show({**made_of(target), "settings": settings}, text)


def settled(request: Request, images: Optional[int], start: Optional[str]) -> tuple[Request, list[str]]:
    """The request with --images and --start, and the settings that --start stands for."""
    (name,) = request.config.restorers[:1]
    request.config.restorer.training(name)  # raises for one that comes trained
    if images is not None:
        request = request.overridden(f"restorer.images={images}")
    if start is None:
        return request, []
    if RESTORERS[name].settings != "gan":
        raise click.UsageError(f"--start is for gan; {name} trains from random weights")
    settings = settings_to_start(request.config.restorer.gan, start)
    return request.overridden(*settings), settings


def train_like_fleet(request: Request, originals: Path, like: Path, out: Optional[Path]) -> None:
    """Train, measure on the images held out, and export."""
    from dsr.experiments.fleet.folders import check_apart
    from dsr.experiments.fleet.training import check_place, export_restorer, fleet_training

    console = Console()
    for source in (originals, like):
        if out is not None:
            check_apart(source, out)
    training = fleet_training(request.config, request.work, request.converting, originals, like)
    if out is not None:
        check_place(training, out)
    degradation = training.degradation
    for codec, count in zip(degradation.codecs, degradation.counts):
        console.say(f"  {count} of {sum(degradation.counts)} files: {codec.point}")
    plan_and_make(training.targets, console)
    study = training.study
    measured = training.measured()
    if out is not None:
        export_restorer(training, out)

    def text() -> None:
        click.echo(
            f"{training.restorer.name}: trained on {study.images('restore')} images in "
            f"{duration(training.restorer.seconds)}; on {study.images('test')} held out:"
        )
        click.echo(f"{'':<12}{'PSNR (dB)':>10}{'MS-SSIM':>10}{'NIQE':>8}")
        for word, quality in measured.items():
            cells = ((quality.psnr, 2, 10), (quality.ms_ssim, 4, 10), (quality.niqe, 2, 8))
            row = "".join(
                f"{'-' if value is None else format(value, f'.{digits}f'):>{width}}" for value, digits, width in cells
            )
            click.echo(f"{word:<12}{row}")
        click.echo(f"  dsr restore {like} OUT --restorer {out or training.restorer.folder}")

    show({**made_of(training.restorer), "out": out, "held_out": measured}, text)


def settings_to_start(config: AdversarialConfig, start: str) -> list[str]:
    """KEY=VALUE of what differs in this configuration where it starts from a trained restorer and has its size."""
    generator, discriminator = read_start(start)
    started = dataclasses.replace(config, generator=generator, discriminator=discriminator, start=start)
    before = flatten(config, "restorer.gan.")
    return [f"{key}={_text(value)}" for key, value in flatten(started, "restorer.gan.").items() if value != before[key]]


def _text(value: Any) -> str:
    """A setting as --set takes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
