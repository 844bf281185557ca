"""`dsr train-codec`: the learned codec."""

from __future__ import annotations

from typing import Optional

import click

from dsr.app.console import Console, duration, made_of, show
from dsr.app.help import Command, dry_run_option, json_option
from dsr.app.plans import plan_and_make
from dsr.app.request import Request, study_options_without
from dsr.experiments.summaries import CodecSummary
from dsr.models.hyperprior.saved import WEIGHTS_FILE
from dsr.models.restorers.folder import SHIPPED


@click.command("train-codec", cls=Command)
@study_options_without("name", "weights", "vgg")
@click.option(
    "--quality",
    type=click.FloatRange(1, 8),
    help="Tune it to one quality, 1 (few bits) to 8.  [default: 1 to 6, and all between, at once]",
)
@click.option(
    "--start",
    metavar="FILE",
    help="Go on from this codec, from the one that comes with dsr (shipped), or from a linear transform of the "
    "photographs (none).  [default: shipped]",
)
@dry_run_option
@json_option
def command(request: Request, quality: Optional[float], start: Optional[str]) -> None:
    """Tune the learned codec msh to the images set apart for it, or train it anew.

    It is a mean-scale hyperprior (paper, appendix A).

    The paper trains on natural photographs first, which the codec that comes with dsr has seen, then on the dataset's
    own images. A training from none needs many photographs and steps: any folder of them is the dataset `photos`.
    TensorBoard shows rate, PSNR and reconstructions. A training that was stopped goes on at its last checkpoint.

    \b
    Examples:
      dsr train-codec --preset camvid --root ~/CamVid
      dsr train-codec --preset camvid --root ~/CamVid --quality 2.5
      dsr train-codec --dataset photos --root ~/photographs --start none --set codec.steps=100000
    """
    if start is None and request.config.codec.start is None:
        start = SHIPPED
    given = {"quality": quality, "start": start}
    overrides = [f"codec.{key}={value}" for key, value in given.items() if value is not None]
    study = request.overridden(*overrides).study()
    target = study.trained_codec()
    plan_and_make([target], Console())
    summary = target.summary(CodecSummary)

    def text() -> None:
        click.echo(
            f"{target.name}: {summary.parameters:,} parameters, {summary.steps} steps in {duration(target.seconds)}; "
            "estimated, on training patches:"
        )
        for trained, bpp, psnr in zip(summary.qualities, summary.rd_bpp, summary.rd_psnr):
            click.echo(f"  quality {trained:g}: {bpp:.3f} bpp, {psnr:.2f} dB")
        chosen = "" if quality is None else f" --quality {quality:g}"
        click.echo(f"  dsr convert --codec msh{chosen} --model {target.folder / WEIGHTS_FILE}")

    show({**made_of(target), "model": target.folder / WEIGHTS_FILE}, text)
