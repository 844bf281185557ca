"""Predictions made before the trainings, then the trainings: what a scaling law foretells on the built-in dataset.

    python -m dsr.experiments.benchmarks.foresight FOLDER [--trainings 8] [--shares 1/8,1/4,1/2,1] [--set KEY=VALUE]

Trains the design of `dsr scaling` over three QPs and some numbers of images, writes what the law says of the other
cells of the grid into FOLDER/predictions.json, and only then trains those. Prints, for each, the prediction with its
interval and what came out; and for three budgets the mIoU of the cell that the law chose before, of the best cell of
the whole grid, and their difference, the regret. Resumable: what is trained stays, and predictions that were written
are never written again. The networks are tiny, and the streets are drawn.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import click

from dsr.experiments.analysis.scaling import laws
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.presets import preset
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements.scaling import Trial, scores, trials
from dsr.experiments.planning.known import Score
from dsr.experiments.planning.units import parse_fraction
from dsr.experiments.results import ScalingTrial, load
from dsr.experiments.study import Study
from dsr.tfrecords.files import write_atomically

POINTS = tuple(OperatingPoint("bpg", qp) for qp in (30, 36, 42))
SMALL = (
    "dataset.options.height=64",
    "dataset.options.width=128",
    "dataset.options.train=160",
    "dataset.options.test=40",
    "dataset.options.restore=4",
    "segmenter.crop_height=64",
    "segmenter.crop_width=96",
    "segmenter.batch=4",
    "segmenter.steps=300",
    "samples=0",
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--trainings", default=8, show_default=True)
@click.option("--shares", default="1/8,1/4,1/2,1", show_default=True)
@click.option("--seeds", default=1, show_default=True)
@click.option("--set", "overrides", multiple=True)
def main(folder: Path, trainings: int, shares: str, seeds: int, overrides: Sequence[str]) -> None:
    """Predict, train, compare."""
    config = apply_overrides(preset("demo"), [*SMALL, f"seeds={seeds}", *overrides])
    study = Study(dataclasses.replace(config, points=POINTS, name="foresight"), folder / "work")
    counts = [parse_fraction(share) for share in shares.split(",")]
    cells = trials(study, counts, len(POINTS) * len(counts), None)
    first, rest = cells[:trainings], cells[trainings:]
    make([trial.shards for trial in cells], Progress())
    make([evaluation for trial in first for evaluation in trial.evaluations], Progress())
    known = scores(first)
    law = laws(known)[0]
    told = folder / "predictions.json"
    sizes = {trial.point: trial.bytes for trial in known}
    if not told.exists():
        said = {_name(cell): dataclasses.asdict(law.score(cell.images, sizes[cell.point])) for cell in cells}
        write_atomically(told, json.dumps({"law": law.family.name, "left_out": law.left_out, "cells": said}).encode())
    make([evaluation for trial in rest for evaluation in trial.evaluations], Progress())
    _compare(load(told), scores(cells), {_name(cell) for cell in rest})


def _compare(told: dict, found: Sequence[ScalingTrial], unseen: set[str]) -> None:
    said = {name: Score(one["value"], tuple(one["interval"])) for name, one in told["cells"].items()}
    click.echo(f"{told['law']} law, {100 * told['left_out']:.2f} points off where a training is left out")
    for trial in found:
        name = _name(trial)
        score, came = said[name], fmean(trial.miou)
        assert score.interval is not None
        within = "within" if score.interval[0] <= came <= score.interval[1] else "outside"
        ends = " to ".join(f"{100 * end:.1f}" for end in score.interval)
        kind = f"predicted {100 * score.value:.1f} ({ends}), {within}" if name in unseen else "fitted"
        click.echo(f"{name:<16}{trial.bytes:>8.0f} B {100 * came:>6.1f} %  {kind}")
    most = max(trial.images * trial.bytes for trial in found)
    for share in (1, 2, 4, 8):
        fits = [trial for trial in found if trial.images * trial.bytes <= most / share * (1 + 1e-9)]
        chosen = max(fits, key=lambda trial: said[_name(trial)].value)
        best = max(fits, key=lambda trial: fmean(trial.miou))
        regret = 100 * (fmean(best.miou) - fmean(chosen.miou))
        click.echo(
            f"in {most / share:.0f} bytes: chose {_name(chosen)}, best was {_name(best)}, regret {regret:.1f} points"
        )


def _name(cell: Trial | ScalingTrial) -> str:
    return f"{cell.point}/{cell.images}"


if __name__ == "__main__":
    main()
