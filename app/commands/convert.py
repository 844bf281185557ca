"""`dsr convert`: the offline converter."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import click

from app.console import Console
from app.options import Request, plan_and_make, point_of, study_options
from experiments.configs import ROLES, OperatingPoint
from experiments.conversion import sample_pixels
from experiments.overrides import guess


@click.command("convert")
@study_options
@click.option("--codec", help="bpg, jpeg, jpeg2000, webp, avif or none.")
@click.option("--quality", "--qp", type=float, help="The codec's own scale: QP for bpg, quality for jpeg, ...")
@click.option(
    "--codec-option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the codec, as chroma=4:4:4."
)
@click.option("--bpg-encoder", type=click.Choice(["x265", "libbpg"]), help="libbpg: bpgenc and bpgdec from PATH.")
@click.option(
    "--target-bpp", type=click.FloatRange(min=0, min_open=True), help="Find the quality for this rate on a sample."
)
@click.option(
    "--restore", type=click.Choice(["gan"]), help="Go on to restored shards, training the restorer if missing."
)
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, help="Only these images.  [default: all]")
def command(
    request: Request,
    codec: Optional[str],
    quality: Optional[float],
    options: tuple[str, ...],
    bpg_encoder: Optional[str],
    target_bpp: Optional[float],
    restore: Optional[str],
    roles: tuple[str, ...],
) -> None:
    """Compress a dataset offline: dataset -> original shards -> compressed shards (-> restored shards).

    Each record keeps the decoded pixels losslessly, the bitstream, the label and where it came from. The rate is that of the bytes.

    \b
    Examples:
      dsr convert --codec bpg --qp 40
      dsr convert --dataset camvid --root ~/CamVid --codec bpg --target-bpp 0.2
      dsr convert --codec jpeg --quality 10 --role test --workers 2
      dsr convert --codec bpg --qp 40 --restore gan
      dsr convert --codec bpg --qp 40 --codec-option chroma=4:4:4 --bpg-encoder libbpg
    """
    if quality is not None and target_bpp is not None:
        raise click.UsageError("give --quality or --target-bpp, not both")
    console = Console()
    point = point_of(codec, quality, request) or request.config.points[0]
    point = dataclasses.replace(point, options={**point.options, **_codec_options(options, bpg_encoder)})
    if target_bpp is not None:
        point = _find(point, target_bpp, request, console)
    study = request.at(point).study()
    (made,) = study.codecs
    wanted = roles or ROLES
    targets = [study.compressed(role, made) for role in wanted]
    if restore:
        targets += [study.restored(role, made) for role in wanted if role != "restore"]
    plan_and_make(targets, console)
    for target in targets:
        click.echo(f"{target.name}: {_closing_line(target.manifest.summary)}")
        click.echo(f"  {target.folder}")


def _codec_options(options: tuple[str, ...], bpg_encoder: Optional[str]) -> dict[str, Any]:
    parsed = dict(option.partition("=")[::2] for option in options if "=" in option)
    if len(parsed) < len(options):
        raise click.UsageError("--codec-option takes KEY=VALUE, each key once")
    return {key: guess(value) for key, value in parsed.items()} | ({"encoder": bpg_encoder} if bpg_encoder else {})


def _find(point: OperatingPoint, target_bpp: float, request: Request, console: Console) -> OperatingPoint:
    from data_pipelines.codecs.search import find_quality

    study = request.study()
    pixels = sample_pixels(study.source, request.config.dataset.split("train"))
    found = find_quality(point.codec, target_bpp, pixels, **point.options)
    console.say(f"{found.codec.point} takes {found.bpp:.4f} bpp on a sample ({target_bpp:g} asked for)")
    return dataclasses.replace(point, quality=found.codec.quality)


def _closing_line(summary: dict[str, Any]) -> str:
    rate = f"{summary['bpp']:.4f} bpp ({summary['bpp_min']:.4f} to {summary['bpp_max']:.4f})"
    fidelity = "lossless"
    if summary["psnr"] is not None:
        fidelity = f"PSNR {summary['psnr']:.2f} dB, MS-SSIM {summary['ms_ssim']:.4f} ({summary['ms_ssim_db']:.2f} dB)"
    return f"{summary['images']} images, {rate}, {fidelity}, {summary['mb_per_s']:.1f} MB/s"
