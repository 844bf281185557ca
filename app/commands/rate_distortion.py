"""`dsr rate-distortion`: codecs side by side."""

from __future__ import annotations

import click

from dsr.app.console import Console, show
from dsr.app.help import Command, dry_run_option, json_option
from dsr.app.options import CODEC
from dsr.app.plans import plan_and_make
from dsr.app.request import Request, study_options_without
from dsr.experiments.analysis.rate_distortion import not_measured, write_rate_distortion
from dsr.experiments.config.schema import ROLES
from dsr.experiments.domain import Domain
from dsr.experiments.measurements.rate_distortion import compare, ladder
from dsr.experiments.stored_study import claim_folder

DEFAULT = ("bpg", "msh", "jpeg2000", "webp", "jpeg")

USUAL = "test"
"""The role whose page has the study's name alone."""


@click.command("rate-distortion", cls=Command)
@study_options_without("weights", "vgg")
@click.option(
    "--codec",
    "codecs",
    type=CODEC,
    multiple=True,
    default=DEFAULT,
    show_default=True,
    help="The first one is what the others are compared with.",
)
@click.option("--role", type=click.Choice(ROLES), default=USUAL, show_default=True)
@dry_run_option
@json_option
def command(request: Request, codecs: tuple[str, ...], role: str) -> None:
    """Draw PSNR and MS-SSIM against the rate of real bitstreams for several codecs, as a page and as CSV.

    Every point is a conversion like that of dsr convert: what exists is not made again, and a study finds it made. All
    are measured on the images that all of them have: what one codec cannot encode, and --max-errors leaves out, is left
    out of all.

    \b
    Examples:
      dsr rate-distortion
      dsr rate-distortion --dataset photos --root ~/photographs
      dsr rate-distortion --preset camvid --root ~/CamVid --codec bpg --codec msh
    """
    study = request.at(*(point for codec in codecs for point in ladder(codec))).study()
    targets = [study.shards(Domain("C", codec), role) for codec in study.degradations]
    plan_and_make(targets, Console())
    found = compare(targets)
    name = study.folder.name + ("" if role == USUAL else f"-{role}")
    folder = claim_folder(study, study.folder.with_name(f"rate-distortion-{name}"))
    page = write_rate_distortion(name, found, folder)

    def text() -> None:
        click.echo(f"{'point':<20}{'bpp':>9}{'PSNR':>9}{'MS-SSIM':>10}")
        for point in found.points:
            psnr = "inf" if point.psnr is None else f"{point.psnr:.2f}"
            click.echo(f"{point.point:<20}{point.bpp:>9.4f}{psnr:>9}{point.ms_ssim:>10.4f}")
        if found.left_out:
            click.echo(not_measured(found))
        click.echo(f"page: {page.resolve().as_uri()}")

    show({**vars(found), "page": page.resolve()}, text)
