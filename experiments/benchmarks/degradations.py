"""What each degradation costs, and what a restorer trained on it wins back: the built-in dataset at three levels each.

    python -m dsr.experiments.benchmarks.degradations FOLDER [--restorer rdn-psnr] [--seeds 2] [--set KEY=VALUE]

Trains OO once, and CO and RO for every degradation at every level, each with a restorer trained on that degradation
alone. Prints the mIoU on originals of each, whether features of the test images foretell what CO loses, and writes the
study's report into FOLDER, whose charts of mIoU against the level are the figure in docs/degradations.md. Resumable.
The networks are tiny, and the streets are drawn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click
from scipy.stats import spearmanr

from dsr.experiments.analysis.tables import miou
from dsr.experiments.benchmarks.foresight import SMALL
from dsr.experiments.collecting import collect, report_of
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.presets import preset
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements.artefacts import features
from dsr.experiments.planning.gathering import look_at, said
from dsr.experiments.planning.untrained import foretell
from dsr.experiments.results import Results
from dsr.experiments.study import Study

LEVELS: dict[str, tuple[float, float, float]] = {
    "blur-gaussian": (1, 2, 4),
    "blur-defocus": (2, 4, 8),
    "blur-motion": (4, 8, 16),
    "noise-shot": (64, 16, 4),
    "noise-read": (16, 32, 64),
    "downsample": (2, 4, 8),
    "gamma": (1.5, 2.5, 4),
    "white-balance": (2, 4, 8),
    "bit-depth": (4, 2, 1),
}
"""Degradation -> levels, from mild to severe for pictures of 64 lines."""

TRAINED = ("OO", "CO", "RO")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--restorer", default="rdn-psnr", show_default=True)
@click.option("--seeds", default=2, show_default=True)
@click.option("--set", "overrides", multiple=True)
def main(folder: Path, restorer: str, seeds: int, overrides: Sequence[str]) -> None:
    """Train, score, and draw."""
    points = tuple(OperatingPoint(name, level) for name, levels in LEVELS.items() for level in levels)
    own = [f"restorers={restorer}", "restorer.rdn.patch=64", "restorer.gan.patch=64", "dataset.options.restore=40"]
    config = apply_overrides(preset("demo"), [*SMALL, *own, f"seeds={seeds}", *overrides])
    study = Study(dataclasses.replace(config, points=points, name="degradations"), folder)
    cases = study.cases(*TRAINED)
    # Without what is left of the test images the report shows no point.
    domains = dict.fromkeys(case.train for case in cases)
    looks = [features(study, domain) for domain in domains if domain.letter != "R"]
    make([*map(study.evaluation, cases), *(study.shards(domain, "test") for domain in domains), *looks], Progress())
    results = collect(study)
    original = _percent(results, "OO", "", None)
    click.echo(f"OO {original}\n{'':<18}{'CO':>8}{'RO':>8}")
    for point in points:
        name = point.make().point
        compressed, restored = (_percent(results, case, name, by) for case, by in (("CO", None), ("RO", restorer)))
        click.echo(f"{name:<18}{compressed:>8}{restored:>8}")
    seen = look_at(study, results)
    told = foretell(seen)
    order = spearmanr([one.distances[told.distance] for one in seen], [one.loss for one in seen]).statistic
    click.echo(f"{said(told)}; rank correlation of distances and losses {order:.2f}")
    click.echo(report_of(study, results))


def _percent(results: Results, configuration: str, point: str, restorer: Optional[str]) -> str:
    score = miou(results, configuration, point, restorer)
    assert score is not None
    return f"{100 * score.mean:.1f}"


if __name__ == "__main__":
    main()
