"""`dsr status`: what exists in the work folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Optional

import click

from dsr.app.console import duration, show, size
from dsr.app.help import Command, json_option
from dsr.app.options import work_option
from dsr.app.plans import show_plan
from dsr.app.request import complete_study
from dsr.experiments.cleaning import size as bytes_of
from dsr.experiments.graph.artefacts import plan
from dsr.experiments.graph.places import GROUPS, below
from dsr.experiments.measurements.artefacts import measurements
from dsr.experiments.stored_study import stored_config, stored_names
from dsr.experiments.study import Study
from dsr.experiments.summaries import (
    EvaluationSummary,
    HeaderSummary,
    ImagesSummary,
    LossesSummary,
    PerceptualSummary,
    ShardsSummary,
    ShippedSummary,
    TemperatureSummary,
    TrainingSummary,
    summary_of,
)
from dsr.models.errors import UserError
from dsr.models.metrics.perceptual import INDEXES
from dsr.tfrecords import files
from dsr.tfrecords.manifest import Manifest

KINDS = 4
"""So many of the files that came compressed are named."""


@dataclass(frozen=True)
class Line:
    """What there is to say of a folder of the work folder."""

    group: str
    folder: Path
    bytes: int
    created: str
    says: str
    whole: bool = True


@click.command("status", cls=Command)
@click.argument("study", required=False, metavar="[STUDY]", shell_complete=complete_study)
@work_option
@json_option
def command(study: Optional[str], work: Path) -> None:
    """List what exists, and what was begun but not finished.

    That is shards, codecs, restorers, segmenters, evaluations and measurements of images, the studies that were run,
    with their operating points, and their reports. Of STUDY, one of those, what it has and what it lacks.

    \b
    Examples:
      dsr status
      dsr status demo
      dsr status --work /data/dsr-work
    """
    if study is not None:
        found = Study(stored_config(work, study), work)
        show_plan(plan(found.evaluations() + measurements(found)))
        return
    if not work.is_dir():
        show({"artefacts": [], "studies": []}, lambda: click.echo(f"{work} does not exist yet: nothing is made"))
        return
    lines = [line for group in GROUPS for line in (*_whole(work / group, group), *_begun(work / group, group))]
    studies = [_study(work, name) for name in stored_names(work)]
    show({"artefacts": lines, "studies": studies}, lambda: _print(work, lines, studies))


def _whole(folder: Path, group: str) -> Iterator[Line]:
    for path in below(folder):
        try:
            manifest = Manifest.load(path)
            total = sum(entry["bytes"] for entry in manifest.files.values())
            yield Line(group, path, total, manifest.created, _headline(manifest, path))
        except UserError as error:
            yield Line(group, path, 0, "", str(error))


def _begun(folder: Path, group: str) -> Iterator[Line]:
    """In an object store what is not whole has the name of what it becomes, and `_whole` says what it lacks."""
    if files.is_url(folder):
        return
    for path in sorted(path for path in folder.rglob("*.partial") if path.is_dir()):
        yield Line(group, path, bytes_of(path), "", "not finished: the same command goes on with it", whole=False)


def _study(work: Path, name: str) -> dict[str, Any]:
    """What a study that was run is of, and where its report is."""
    try:
        config = stored_config(work, name)
    except UserError as error:
        return {"name": name, "damaged": str(error)}
    report = work / "studies" / name / "report.html"
    return {
        "name": name,
        "dataset": config.dataset.name,
        "points": [point.text for point in config.points],
        "restorers": config.restorers,
        "seeds": config.seeds,
        "report": report.resolve() if report.exists() else None,
    }


def _print(work: Path, lines: Sequence[Line], studies: Sequence[dict[str, Any]]) -> None:
    for group, some in groupby(lines, key=lambda line: line.group):
        click.secho(group, bold=True)
        for line in some:
            place = str(line.folder.relative_to(work / group))
            if line.created:
                click.echo(f"  {place:<64} {size(line.bytes):>9}  {line.created[:16]}  {line.says}")
            else:
                click.echo(f"  {line.says}" if line.whole else f"  {place:<64} {size(line.bytes):>9}  {line.says}")
    if studies:
        click.secho("studies", bold=True)
    for study in studies:
        if "damaged" in study:
            click.echo(f"  {study['damaged']}")
            continue
        seeds = f"{study['seeds']} seed{'s' if study['seeds'] > 1 else ''}"
        what = f"{', '.join(study['points'])}; {', '.join(study['restorers'])}; {seeds}"
        click.echo(f"  {study['name']:<20} {study['dataset']}: {what}")
        click.echo(f"  {'':<20} {study['report'].as_uri() if study['report'] else 'no report yet'}")
    total = sum(line.bytes for line in lines)
    click.echo(f"{sum(line.whole for line in lines)} artefacts, {size(total)}")


def _headline(manifest: Manifest, folder: Path) -> str:
    if manifest.kind == "shards":
        shards = summary_of(manifest, ShardsSummary, folder)
        said = f"{shards.images} images" + ("" if shards.bpp is None else f", {shards.bpp:.3f} bpp")
        return said + (f", came as {_kinds(shards.headers)}" if shards.headers else "")
    if manifest.kind == "evaluation":
        return f"mIoU {100 * summary_of(manifest, EvaluationSummary, folder).miou:.2f} %"
    if manifest.kind == "perceptual":
        scores = summary_of(manifest, PerceptualSummary, folder)
        means = ((name, getattr(scores, name)) for name in INDEXES)
        return ", ".join(f"{name} {mean:.2f}" for name, mean in means if mean is not None)
    if manifest.kind == "features":
        return f"{summary_of(manifest, ImagesSummary, folder).images} images"
    if manifest.kind == "temperature":
        return f"temperature {summary_of(manifest, TemperatureSummary, folder).temperature:.3f}"
    if manifest.kind == "losses":
        return f"{summary_of(manifest, LossesSummary, folder).bits:.4f} bits a pixel"
    if manifest.kind == "segmenter" and "steps" not in manifest.summary:  # it was not trained
        return f"statistics of {summary_of(manifest, ImagesSummary, folder).images} images"
    if manifest.kind == "restorer" and "steps" not in manifest.summary:  # it came trained
        return f"{summary_of(manifest, ShippedSummary, folder).parameters:,} parameters"
    training = summary_of(manifest, TrainingSummary, folder)
    return f"{training.steps} steps in {duration(training.seconds)}"


def _kinds(headers: Sequence[HeaderSummary]) -> str:
    """The most frequent kinds of files, and how many files are of others."""
    from dsr.data_pipelines.received import describe_header

    kinds = [f"{h.files} {describe_header(h.codec, h.quality, h.chroma)}" for h in headers[:KINDS]]
    others = sum(header.files for header in headers[KINDS:])
    return ", ".join(kinds) + (f", {others} of {len(headers) - KINDS} other kinds" if others else "")
