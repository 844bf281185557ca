"""What restores best: every restorer beside what it restores, in accuracy and in fidelity (paper, Table III)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from dsr.experiments.analysis.headline import Effect
from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.analysis.tables import Table, difference, miou, operating_points, restorers
from dsr.experiments.results import PointResult, Results, TrainingResult
from dsr.models.restorers.registry import RESTORERS

CHANCE = 0.1
"""How much likelier a discriminator must find originals to be originals than restored images, or it is at chance."""

METHODS = {name: restorer.label for name, restorer in RESTORERS.items()}


@dataclass(frozen=True)
class Row:
    """The compressed images of an operating point (`restorer` is None), or what a restorer makes of them.

    miou: of the segmenter trained on them and tested on originals (CO or RO), a fraction; gain: the same minus CO, seed
    by seed; psnr, ms_ssim_db: of the test images against the originals, dB. None where it was not measured. identical:
    how many test images psnr leaves out.
    """

    restorer: Optional[str]
    miou: Optional[BySeed]
    gain: Optional[BySeed]
    psnr: Optional[float]
    ms_ssim_db: Optional[float]
    identical: int

    @property
    def configuration(self) -> str:
        return "RO" if self.restorer else "CO"


@dataclass(frozen=True)
class Block:
    """An operating point with its rows, the compressed images first, and a sentence on the two best."""

    point: PointResult
    rows: list[Row]

    def best(self, row: Row, column: str) -> bool:
        """Whether a row has the highest value of a column, as it is printed; nothing is the best of one."""
        values = [value for other in self.rows if (value := _printed(other, column)) is not None]
        return len(values) > 1 and _printed(row, column) == max(values)

    @property
    def verdict(self) -> str:
        """Whether the restorer that scores best is told apart from the next."""
        scores = {row.restorer: row.miou for row in self.rows if row.restorer and row.miou}
        if len(scores) < 2:
            return ""
        first, second, *_ = sorted(scores, key=lambda name: -scores[name].mean)
        apart = Effect.of(scores[first].minus(scores[second]))
        if apart is None:
            return f"{first} and {second}, the two best, share no seed"
        if apart.clear:
            return f"{first} scores above {second}, the next ({apart.measured()})"
        return f"{first} and {second}, the two best, are not told apart ({apart.measured()})"


def blocks(results: Results) -> list[Block]:
    """One block an operating point, by codec and rate."""
    return [
        Block(point, [_row(results, point, None), *(_row(results, point, name) for name in restorers(results))])
        for point in operating_points(results)
    ]


def restorers_table(results: Results) -> Table:
    """The rows of all blocks.

    MIoU as a fraction, over `n` seeds, `low` and `high` the bounds of 95 % t-intervals (empty for one seed); `gain` is
    the mean difference to CO, paired by seed.
    """
    rows = [
        (
            block.point.point,
            block.point.compressed.bpp,
            row.restorer,
            row.configuration,
            row.miou.n if row.miou else None,
            *_with_interval(row.miou),
            *_with_interval(row.gain),
            row.psnr,
            row.ms_ssim_db,
        )
        for block in blocks(results)
        for row in block.rows
    ]
    scores = ("n", "miou", "miou_low", "miou_high", "gain", "gain_low", "gain_high")
    return Table(("point", "bpp", "restorer", "configuration", *scores, "psnr", "ms_ssim_db"), rows)


def at_chance(training: TrainingResult) -> list[str]:
    """A sentence on each discriminator that ended at chance, by the last quarter of its curves."""
    sentences = []
    for name in training.curves:
        restored = training.curves.get(name.replace("d_original_", "d_restored_"))
        if not name.startswith("d_original_") or restored is None:
            continue
        scale = int(name[len("d_original_") :])
        original_end, restored_end = _end(training.curves[name]), _end(restored)
        if original_end is None or restored_end is None or original_end - restored_end >= CHANCE:
            continue
        where = "full resolution" if scale == 1 else f"1/{scale} resolution"
        sentences.append(
            f"The discriminator at {where} ended at chance: it took originals for originals with {original_end:.2f}, "
            f"and restored images with {restored_end:.2f}. Its part of the loss taught the generator little."
        )
    return sentences


def _end(curve: Sequence[Sequence[Optional[float]]]) -> Optional[float]:
    """The mean of the last quarter of a curve; None where none of it is finite."""
    values = [value for _, value in curve[-max(1, len(curve) // 4) :] if value is not None]
    return statistics.fmean(values) if values else None


def _row(results: Results, point: PointResult, restorer: Optional[str]) -> Row:
    fidelity = point.restored.get(restorer) if restorer else point.compressed
    return Row(
        restorer,
        miou(results, "RO" if restorer else "CO", point.point, restorer),
        difference(results, "RO", "CO", point.point, restorer) if restorer else None,
        fidelity.psnr if fidelity else None,
        fidelity.ms_ssim_db if fidelity else None,
        fidelity.identical if fidelity else 0,
    )


def _printed(row: Row, column: str) -> Optional[float]:
    """The value of a column with the digits that the page has."""
    value = getattr(row, column)
    if isinstance(value, BySeed):
        return round(100 * value.mean, 1)
    return None if value is None else round(value, 2)


def _with_interval(scores: Optional[BySeed]) -> tuple[Optional[float], ...]:
    if scores is None:
        return None, None, None
    return (scores.mean, *(scores.interval or (None, None)))
