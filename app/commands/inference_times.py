"""`dsr inference-times`: what the configurations cost where images are analysed."""

from __future__ import annotations

import click

from dsr.app.console import Console, show
from dsr.app.help import DRY_RUN, Command, dry_run_option, is_asked, json_option
from dsr.app.request import Request, study_options_without, with_restorers
from dsr.experiments.analysis.inference_times import STAGES, inference_times_table
from dsr.experiments.measurements.inference_times import measure
from dsr.experiments.measurements.kept import INFERENCE_TIMES

IDLE = 0.9
"""The share of its time for which a measured network has a core where nothing else runs, at least."""


@click.command("inference-times", cls=Command)
@study_options_without("weights", "vgg", "workers", "max_errors")
@with_restorers
@dry_run_option
@json_option
def command(request: Request) -> None:
    """Measure encoding, decoding, restoring and segmenting an image, and what each configuration costs in all.

    Dataset restoration (RO) tests on originals: an image is segmented as it is. Compression before inference (CC)
    encodes and decodes it first, image restoration (OR) also restores it (paper, Table IV). Networks have random
    weights: nothing needs to be trained. One core, or the GPU where there is one; measured anew at each call. The
    study's report shows the last.

    \b
    Examples:
      dsr inference-times
      dsr inference-times --preset camvid --root ~/CamVid --set points=bpg-qp40,msh-quality3
      dsr inference-times --preset camvid --root ~/CamVid --restorer gan --restorer rdn-psnr
    """
    study = request.study()
    if is_asked(DRY_RUN):
        value = {"points": [d.point for d in study.degradations], "restorers": study.config.restorers}
        show(value, lambda: click.echo(f"would measure {', '.join((*value['points'], *value['restorers']))}, segment"))
        return
    times = measure(study, Console())
    if times.processor is not None and times.processor < IDLE:
        click.echo(
            f"warning: the networks had a core for {100 * times.processor:.0f} % of their time, so other programs ran "
            "meanwhile and all times are too long: measure again when nothing else runs",
            err=True,
        )
    table = inference_times_table(times)
    INFERENCE_TIMES.keep(study, times, table)

    def text() -> None:
        click.echo(f"ms an image of {times.width} x {times.height}, median, on {times.device}")
        click.echo(f"{'':<6}{'point':<20}{'restorer':<12}" + "".join(f"{s:>10}" for s in (*STAGES, "in all", "CC = 1")))
        for configuration, point, restorer, *cells, versus in table.rows:
            numbers = "".join(f"{'-' if cell is None else format(cell, '.1f'):>10}" for cell in cells)
            click.echo(f"{configuration:<6}{point:<20}{restorer or '-':<12}{numbers}{versus:>10.2f}")
        click.echo(f"kept in {study.folder}; dsr report shows it")

    rows = [dict(zip(table.columns, row)) for row in table.rows]
    show(
        {
            "device": times.device,
            "processor": times.processor,
            "height": times.height,
            "width": times.width,
            "configurations": rows,
        },
        text,
    )
