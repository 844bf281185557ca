"""`dsr convert`: the offline converter."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Optional

import click

from dsr.app.console import Console, made_of, show
from dsr.app.engines import engine_options
from dsr.app.help import Command, Names, dry_run_option, json_option
from dsr.app.options import POINT, QualityOf, codec_option, codec_options, with_quality
from dsr.app.plans import plan_and_make
from dsr.app.request import Request, point_of, refuse_if_received, study_options_without
from dsr.data_pipelines.codecs import CODECS
from dsr.experiments.analysis.formats import left_out
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.config.schema import ROLES, OperatingPoint
from dsr.experiments.conversion import Converting, sample_pixels
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact, closure
from dsr.experiments.last_conversion import remember_conversion
from dsr.experiments.summaries import ShardsSummary
from dsr.models.restorers.registry import RESTORERS, RestorerName
from dsr.tfrecords.engine import Engine
from dsr.tfrecords.ledger import ERRORS
from dsr.tfrecords.plan import Part


def _parse_part(context: click.Context, option: click.Parameter, text: Optional[str]) -> Optional[Part]:
    try:
        return Part.parse(text) if text else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("convert", cls=Command)
@study_options_without("weights")
@click.option(
    "--codec",
    type=POINT,
    help=f"One of {', '.join(CODECS)}, or another degradation.  [default: the preset's]",
)
@with_quality
@codec_option
@click.option("--bpg-encoder", type=click.Choice(["x265", "libbpg"]), help="libbpg: bpgenc and bpgdec from PATH.")
@click.option("--model", metavar="PATH", help="Of msh: the file or folder of a codec trained with dsr train-codec.")
@click.option(
    "--target-bpp", type=click.FloatRange(min=0, min_open=True), help="Find the quality for this rate on a sample."
)
@click.option(
    "--restorer",
    "--restore",
    "restorer",
    type=Names("restorer", RESTORERS),
    help="Go on to restored shards with this restorer, training it if it is missing.",
)
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, help="Only these images.  [default: all]")
@click.option("--shards", "part", callback=_parse_part, metavar="I/N", help="Only the I-th of N parts of the shards.")
@click.option("--finish", is_flag=True, help="Join the parts that --shards made, and check them.")
@engine_options
@dry_run_option
@json_option
def command(
    request: Request,
    codec: Optional[str],
    quality_of: QualityOf,
    options: tuple[str, ...],
    bpg_encoder: Optional[str],
    model: Optional[str],
    target_bpp: Optional[float],
    restorer: Optional[RestorerName],
    roles: tuple[str, ...],
    part: Optional[Part],
    finish: bool,
    engine: Optional[Engine],
) -> None:
    """Compress a dataset offline: dataset -> original shards -> compressed shards (-> restored shards).

    Each record keeps the decoded pixels losslessly, the bitstream, the label and where it came from. The rate is that
    of the bytes.

    A run that was stopped goes on, at most the shards under way are done again. What exists is read and compared with
    its SHA-256, and shards that are damaged or missing are made anew. An image that cannot be converted stops the run;
    with --max-errors it is left out and written down in errors.jsonl.

    Several hosts that share the work folder may each do a part, at the same time or not: the same command with --shards
    1/3, 2/3 and 3/3 (each part goes through all stages), then once with --finish, which says which parts are missing.
    Parts need nothing of each other, but restored shards need their restorer: train it before.

    With --engine beam, spark or dask the shards are spread over the workers of an Apache Beam runner, an Apache Spark
    or a Dask cluster (pip install 'dsr[beam]', and so on), which reach dataset and work folder under the same path. If
    it is not said which runner or cluster, over processes of this machine.

    \b
    Examples:
      dsr convert --codec bpg --qp 40
      dsr convert --dataset camvid --root ~/CamVid --codec bpg --target-bpp 0.2
      dsr convert --codec jpeg --quality 10 --role test --workers 2
      dsr convert --codec bpg --qp 40 --restorer gan
      dsr convert --codec msh --quality 3
      dsr convert --codec bpg --qp 40 --codec-option chroma=4:4:4 --bpg-encoder libbpg
      dsr convert --codec bpg --qp 40 --shards 3/16
      dsr convert --codec bpg --qp 40 --finish
      dsr convert --codec bpg --qp 40 --engine beam --beam-options "--runner=FlinkRunner --flink_master=host:8081"
      dsr convert --codec bpg --qp 40 --engine spark --spark-master spark://host:7077
      dsr convert --codec bpg --qp 40 --engine dask --dask-scheduler tcp://host:8786
    """
    if part and finish:
        raise click.UsageError("give --shards or --finish, not both")
    console = Console()
    point = point_of(codec, quality_of, request) or request.config.points[0]
    if target_bpp is not None and quality_of(point.codec) is not None:
        raise click.UsageError("give --quality or --target-bpp, not both")
    point = dataclasses.replace(
        point, options={**point.options, **codec_options(point.codec, options, encoder=bpg_encoder, model=model)}
    )
    if target_bpp is not None:
        refuse_if_received(request)
        point = _find(point, target_bpp, request, console)
    if restorer:
        request = request.restored_by(restorer)
    whole = part is None and not finish
    how = dataclasses.replace(request.converting.how, thorough=whole, engine=engine)
    converting = Converting(how, part, finish)
    request = dataclasses.replace(request, converting=converting)
    study = request.at(point).study()
    (made,) = study.degradations
    wanted = roles or ROLES
    targets = [study.shards(Domain("C", made), role) for role in wanted]
    if restorer:
        targets += [study.shards(Domain("R", made, restorer), role) for role in wanted if role != "restore"]
    there = [artefact for artefact in closure(targets) if artefact.exists and artefact.group == "shards"]
    if whole and there:
        console.say("comparing what exists with its SHA-256")
    if not whole:
        _check_trained(targets)
    plan_and_make([*there, *targets], console)
    if not part:
        remember_conversion(study)
    shards = [artefact for artefact in closure(targets) if artefact.group == "shards" and artefact.exists]

    def text() -> None:
        for target in targets:
            if target.exists:
                click.echo(f"{target.name}: {_closing_line(target.summary(ShardsSummary))}")
                click.echo(f"  {target.folder}")
            else:
                click.echo(f"{target.name}: part {part} is done; when all are, join them with --finish")
        for artefact in shards:
            summary = artefact.summary(ShardsSummary)
            if summary.errors:
                click.echo(f"{artefact.name}: left out {summary.errors} of {summary.inputs} images")
                click.echo(f"  {artefact.folder / ERRORS}")

    show({"shards": [made_of(artefact) for artefact in shards], "part": None if part is None else str(part)}, text)


def _check_trained(targets: Sequence[Artefact]) -> None:
    for artefact in closure(targets, beyond_existing=False):
        if artefact.group != "shards" and not artefact.exists:
            raise ConfigError(
                f"{artefact.label} is not trained yet, and parts cannot wait for it: convert without --restorer, join "
                "the parts with --finish, and train it"
            )


def _find(point: OperatingPoint, target_bpp: float, request: Request, console: Console) -> OperatingPoint:
    from dsr.data_pipelines.codecs.search import find_quality
    from dsr.data_pipelines.degradations.chain import sent

    study = request.study()
    images = sample_pixels(study.source, study.split("train"))
    before = [stage.make() for stage in point.stages_before]
    small = [sent(before, image, str(number)) for number, image in enumerate(images)]
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    found = find_quality(point.codec, target_bpp, small, pixels, **point.options)
    point = dataclasses.replace(point, quality=found.codec.quality)
    console.say(f"{point.make().point} takes {found.bpp:.4f} bpp on a sample ({target_bpp:g} asked for)")
    return point


def _closing_line(summary: ShardsSummary) -> str:
    said = [f"{summary.images} images"]
    if summary.bpp is not None:
        said.append(f"{summary.bpp:.4f} bpp ({summary.bpp_min:.4f} to {summary.bpp_max:.4f})")
    if summary.ms_ssim is None:
        said.append("as it came")
    elif summary.psnr is None:
        said.append("lossless")
    else:
        similarity = "" if summary.ms_ssim_db is None else f" ({summary.ms_ssim_db:.2f} dB)"
        left = f" ({left_out(summary.identical)})" if summary.identical else ""
        said.append(f"PSNR {summary.psnr:.2f} dB{left}, MS-SSIM {summary.ms_ssim:.4f}{similarity}")
    return f"{', '.join(said)}, {summary.mb_per_s:.1f} MB/s"
