"""`dsr status`: what exists in the work folder."""

from __future__ import annotations

from pathlib import Path

import click

from dsr.app.console import duration, size
from dsr.app.help import Command
from dsr.app.options import work_option
from dsr.experiments.graph.places import GROUPS, below
from dsr.experiments.summaries import (
    EvaluationSummary,
    ImagesSummary,
    PerceptualSummary,
    ShardsSummary,
    ShippedSummary,
    TrainingSummary,
    summary_of,
)
from dsr.models.metrics.perceptual import INDEXES
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import Manifest


@click.command("status", cls=Command)
@work_option
def command(work: Path) -> None:
    """List what exists, and what was begun but not finished.

    That is shards, codecs, restorers, segmenters, evaluations and measurements of images.

    \b
    Examples:
      dsr status
      dsr status --work /data/dsr-work
    """
    if not work.is_dir():
        click.echo(f"{work} does not exist yet: nothing is made")
        return
    for kind in GROUPS:
        whole = below(work / kind)
        begun = sorted(path for path in (work / kind).rglob("*.partial") if path.is_dir())
        if whole or begun:
            click.secho(kind, bold=True)
        for folder in whole:
            try:
                manifest = Manifest.load(folder)
                headline = _headline(manifest, folder)
            except ArtefactError as error:
                click.echo(f"  {error}")
                continue
            total = sum(entry["bytes"] for entry in manifest.files.values())
            click.echo(
                f"  {folder.relative_to(work / kind)!s:<64} {size(total):>9}  {manifest.created[:16]}  {headline}"
            )
        for folder in begun:
            click.echo(f"  {folder.relative_to(work / kind)!s:<64} not finished: the same command goes on with it")


def _headline(manifest: Manifest, folder: Path) -> str:
    if manifest.kind == "shards":
        shards = summary_of(manifest, ShardsSummary, folder)
        return f"{shards.images} images" + ("" if shards.bpp is None else f", {shards.bpp:.3f} bpp")
    if manifest.kind == "evaluation":
        return f"mIoU {100 * summary_of(manifest, EvaluationSummary, folder).miou:.2f} %"
    if manifest.kind == "perceptual":
        scores = summary_of(manifest, PerceptualSummary, folder)
        means = ((name, getattr(scores, name)) for name in INDEXES)
        return ", ".join(f"{name} {mean:.2f}" for name, mean in means if mean is not None)
    if manifest.kind == "features":
        return f"{summary_of(manifest, ImagesSummary, folder).images} images"
    if manifest.kind == "restorer" and "steps" not in manifest.summary:  # it came trained
        return f"{summary_of(manifest, ShippedSummary, folder).parameters:,} parameters"
    training = summary_of(manifest, TrainingSummary, folder)
    return f"{training.steps} steps in {duration(training.seconds)}"
