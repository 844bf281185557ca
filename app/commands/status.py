"""`dsr status`: what exists in the work folder."""

from __future__ import annotations

from pathlib import Path

import click

from dsr.app.console import duration, size
from dsr.app.options import work_option
from dsr.models.metrics.perceptual import INDEXES
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import Manifest

KINDS = ("shards", "codecs", "restorers", "segmenters", "evaluations", "perceptual", "features")


@click.command("status")
@work_option
def command(work: Path) -> None:
    """List what exists: shards, codecs, restorers, segmenters, evaluations, measurements of images, and what was begun but not finished.

    \b
    Examples:
      dsr status
      dsr status --work /data/dsr-work
    """
    if not work.is_dir():
        click.echo(f"{work} does not exist yet: nothing is made")
        return
    for kind in KINDS:
        whole = sorted(path.parent for path in (work / kind).rglob("manifest.json") if ".partial" not in str(path))
        begun = sorted(path for path in (work / kind).rglob("*.partial") if path.is_dir())
        if whole or begun:
            click.secho(kind, bold=True)
        for folder in whole:
            try:
                manifest = Manifest.load(folder)
            except ArtefactError as error:
                click.echo(f"  {error}")
                continue
            total = sum(entry["bytes"] for entry in manifest.files.values())
            click.echo(
                f"  {folder.relative_to(work / kind)!s:<64} {size(total):>9}  {manifest.created[:16]}  {_headline(manifest)}"
            )
        for folder in begun:
            click.echo(f"  {folder.relative_to(work / kind)!s:<64} not finished: the same command goes on with it")


def _headline(manifest: Manifest) -> str:
    summary = manifest.summary
    if manifest.kind == "shards":
        rate = f", {summary['bpp']:.3f} bpp" if "bpp" in summary else ""
        return f"{summary['images']} images{rate}"
    if manifest.kind == "evaluation":
        return f"mIoU {100 * summary['miou']:.2f} %"
    if manifest.kind == "perceptual":
        return ", ".join(f"{name} {summary[name]:.2f}" for name in INDEXES if summary[name] is not None)
    if manifest.kind == "features":
        return f"{summary['images']} images"
    return f"{summary['steps']} steps in {duration(manifest.seconds)}"
