"""Predictions made before the trainings, then the trainings: what a scaling law foretells on the built-in dataset.

    python -m dsr.experiments.benchmarks.foresight FOLDER [--trainings 6] [--seeds 2] [--set KEY=VALUE]
    python -m dsr.experiments.benchmarks.foresight FOLDER --preset camvid --set dataset.root=CAMVID \\
        --set segmenter.steps=300 --qps 30,36,42,48 --shares 1/16,1/8,1/4,1/2,1

Trains the design of `dsr scaling`, one seed, over the first, middle and last of the shares of the images and of the
QPs, and writes what the law says of every cell of the whole grid into FOLDER/predictions.json. Only then trains
the grid, every cell with every seed: with the defaults 60 trainings, of which the law has seen 6.

Prints each prediction with its interval and what came out; how far off predictions are, and how many intervals hold
what came out; how much of all that is chance; and for five budgets the regret, in points of mIoU: what the cell that
the law chose before scores less than the best cell of the grid. The best of many cells is the best by luck too, so
beside it stands the regret against the cell that the first seeds find best, both scored by the last seed alone, which
neither has seen. Resumable: what is trained stays, and predictions that were written are never written again. Of the
preset demo all is smaller: tiny networks, drawn streets of 64 lines.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TypeVar

import click

from dsr.experiments.analysis.scaling import laws
from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.presets import preset
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements.scaling import Trial, bytes_of, scores, trials
from dsr.experiments.planning.known import Score, pooled
from dsr.experiments.planning.units import parse_fraction
from dsr.experiments.results import ScalingTrial
from dsr.experiments.stored_json import load
from dsr.experiments.study import Study
from dsr.tfrecords.files import write_atomically

Value = TypeVar("Value")

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
@click.option("--trainings", default=6, show_default=True, help="That the law is fitted to.")
@click.option("--seeds", type=click.IntRange(2), default=2, show_default=True, help="Of the grid.")
@click.option("--preset", "start", default="demo", show_default=True, help="Of the study; the demo is made smaller.")
@click.option("--qps", default="27,30,33,36,39,42", show_default=True)
@click.option("--shares", default="1/16,1/8,1/4,1/2,1", show_default=True, help="Of the training images.")
@click.option("--set", "overrides", multiple=True)
def main(folder: Path, trainings: int, seeds: int, start: str, qps: str, shares: str, overrides: Sequence[str]) -> None:
    """Predict, train, compare."""
    config = apply_overrides(preset(start), [*(SMALL if start == "demo" else ()), "name=foresight", *overrides])
    points = [OperatingPoint("bpg", int(qp)) for qp in qps.split(",")]
    counts = [parse_fraction(share) for share in shares.split(",")]
    whole = Study(dataclasses.replace(config, points=tuple(points), seeds=seeds), folder / "work")
    some = Study(dataclasses.replace(config, points=tuple(_thinned(points)), seeds=1), whole.work)
    design = trials(some, _thinned(counts), trainings, None)
    grid = trials(whole, counts, len(points) * len(counts), None)
    make([trial.shards for trial in grid], Progress())
    make([evaluation for trial in design for evaluation in trial.evaluations], Progress())
    known = scores(design)
    told = folder / "predictions.json"
    if not told.exists():
        law = laws(known)[0]
        said = {_name(one): dataclasses.asdict(law.score(one.images, bytes_of(one.shards))) for one in grid}
        write_atomically(told, json.dumps({"law": law.family.name, "left_out": law.left_out, "cells": said}).encode())
    make([evaluation for trial in grid for evaluation in trial.evaluations], Progress())
    _compare(load(told), scores(grid), {_name(cell) for cell in design})


def _thinned(values: Sequence[Value]) -> list[Value]:
    """The first, the middle and the last: what the law is fitted to."""
    return [values[0], values[len(values) // 2], values[-1]]


def _compare(told: dict, found: Sequence[ScalingTrial], seen: set[str]) -> None:
    said = {name: Score(one["value"], tuple(one["interval"])) for name, one in told["cells"].items()}
    click.echo(
        f"{told['law']} law of {len(seen)} trainings, {100 * told['left_out']:.2f} points off where one is left out"
    )
    off, held = [], []
    for trial in sorted(found, key=lambda trial: (trial.bytes, trial.images)):
        name = _name(trial)
        score, came = said[name], fmean(trial.miou)
        assert score.interval is not None
        ends = " to ".join(f"{100 * end:.1f}" for end in score.interval)
        within = score.interval[0] <= came <= score.interval[1]
        kind = "fitted" if name in seen else "within" if within else "outside"
        if name not in seen:
            off.append(abs(score.value - came))
            held.append(within)
        click.echo(
            f"{name:<16}{trial.bytes:>8.0f} B  came {100 * came:5.1f} %, said {100 * score.value:.1f} ({ends})  {kind}"
        )
    click.echo(f"{100 * fmean(off):.2f} points off, {sum(held)} of {len(held)} intervals hold what came out")
    spread = pooled([BySeed(dict(enumerate(trial.miou))) for trial in found])
    assert spread is not None
    seeds = ", ".join(f"{100 * fmean(scored):.1f}" for scored in zip(*(trial.miou for trial in found)))
    click.echo(f"trainings that differ in the seed alone scatter by {100 * spread[0]:.1f}; means by seed {seeds} %")
    for what, of in (("point", lambda trial: trial.point), ("number of images", lambda trial: str(trial.images))):
        groups = {of(trial): [fmean(one.miou) for one in found if of(one) == of(trial)] for trial in found}
        click.echo(f"means by {what}: " + ", ".join(f"{one} {100 * fmean(here):.1f}" for one, here in groups.items()))
    most = max(trial.images * trial.bytes for trial in found)
    for share in (1, 2, 4, 8, 16):
        fits = [trial for trial in found if trial.images * trial.bytes <= most / share * (1 + 1e-9)]
        chosen = max(fits, key=lambda trial: said[_name(trial)].value)
        best = max(fits, key=lambda trial: fmean(trial.miou))
        first = max(fits, key=lambda trial: fmean(trial.miou[:-1]))
        regret = fmean(best.miou) - fmean(chosen.miou)
        unseen = first.miou[-1] - chosen.miou[-1]
        click.echo(
            f"in {most / share:.0f} bytes: chose {_name(chosen)}, best was {_name(best)}: regret {100 * regret:.1f} "
            f"points, on the last seed {100 * unseen:.1f}"
        )


def _name(cell: Trial | ScalingTrial) -> str:
    return f"{cell.point}/{cell.images}"


if __name__ == "__main__":
    main()
