"""`dsr train-codec`: the learned codec."""

from __future__ import annotations

from typing import Optional

import click

from dsr.app.console import Console, duration
from dsr.app.options import Request, plan_and_make, study_options
from dsr.data_pipelines.codecs.msh import shipped_path
from dsr.experiments.summaries import CodecSummary
from dsr.models.hyperprior.saved import WEIGHTS_FILE


@click.command("train-codec")
@study_options
@click.option(
    "--quality", type=click.IntRange(1, 8), default=3, show_default=True, help="Which lambda: 1 few bits, 8 many."
)
@click.option(
    "--start",
    metavar="FILE",
    help="Go on from a trained codec's file, or from the one that comes with dsr: shipped.  [default: a linear transform of the photographs]",
)
def command(request: Request, quality: int, start: Optional[str]) -> None:
    """Train the learned codec msh, a mean-scale hyperprior (paper, appendix A), on the images set apart for it.

    The paper trains on natural photographs first, then on the dataset's own images: any folder of photographs is the dataset `photos`.
    TensorBoard shows rate, PSNR and reconstructions. A training that was stopped goes on at its last checkpoint.

    \b
    Examples:
      dsr train-codec --dataset photos --root ~/photographs --quality 3 --set codec.steps=20000
      dsr train-codec --preset camvid --root ~/CamVid --quality 3 --start shipped
      dsr train-codec --dataset photos --root ~/photographs --quality 6 --start dsr-work/codecs/photos/msh-quality3-0a1b2c3d/codec.npz
    """
    if start == "shipped":
        start = str(shipped_path(quality))
    given = [f"codec.quality={quality}"] + ([f"codec.start={start}"] if start else [])
    target = request.overridden(*given).study().trained_codec()
    plan_and_make([target], Console())
    summary = target.summary(CodecSummary)
    click.echo(
        f"{target.name}: {summary.parameters:,} parameters, {summary.steps} steps in {duration(target.seconds)}; "
        f"on training patches {summary.rd_bpp:.3f} bpp (estimated), {summary.rd_psnr:.2f} dB"
    )
    click.echo(f"  dsr convert --codec msh --quality {quality} --model {target.folder / WEIGHTS_FILE}")
