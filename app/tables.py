"""Results as text tables on standard output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional

import click

from dsr.app.console import show
from dsr.experiments.analysis.headline import Effect
from dsr.experiments.analysis.restorers import blocks
from dsr.experiments.analysis.rivals import contests
from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.analysis.tables import CONFIGURATIONS, miou, restorers, seed_counts
from dsr.experiments.domain import Case
from dsr.experiments.results import Results
from dsr.experiments.summaries import EvaluationSummary


def show_results(results: Results, page: Optional[Path] = None) -> None:
    """The table of a study's evaluations and where its report is; with --json the same numbers with all digits."""

    def text() -> None:
        print_results(results)
        if page is not None:
            click.echo(f"report: {page.resolve().as_uri()}")

    value = {"study": results.study.name, "points": results.points}
    value |= {"evaluations": results.evaluations, "adapted": results.adapted}
    show({**value, "report": page and page.resolve()}, text)


def print_results(results: Results) -> None:
    """mIoU in percent of each configuration at each operating point, with rate and fidelity of the test images.

    Each of several restorers has a line. With several restorers or seeds, a second table compares what was trained on.
    """
    names = restorers(results)
    seeds = len({entry.seed for entry in results.evaluations})
    by, wide, first = 12 if len(names) > 1 else 0, 14 if seeds > 1 else 8, _first_column(results)
    header = f"{'operating point':<{first}}{'restorer' if by else '':<{by}}{'bpp':>8}{'PSNR':>8}"
    click.echo(header + "".join(f"{c:>{wide}}" for c in CONFIGURATIONS))
    for point in results.points:
        fidelity = f"{_rate(point.compressed.bpp):>8}{_decibels(point.compressed.psnr, 'inf'):>8}"
        for name in names or [""]:
            scores = [_score(miou(results, c, point.point, name)) for c in CONFIGURATIONS]
            cells = "".join(f"{score:>{wide}}" for score in scores)
            click.echo(f"{point.point:<{first}}{name if by else '':<{by}}{fidelity}{cells}")
    if seeds > 1:
        click.echo(f"mean ± standard deviation of {seed_counts(results)} seeds")
    if len(names) > 1 or seeds > 1:
        click.echo()
        _print_restorers(results, paired=seeds > 1)
    _print_rivals(results)


def _print_rivals(results: Results) -> None:
    """What else the originals of a restorer are good for, if that was asked, and who wins."""
    first = _first_column(results)
    for contest in contests(results):
        click.echo(f"\n{contest.point.point:<{first}}{'mIoU':>26} {'minus CO':>23}")
        for row in contest.rows:
            effect = _effect_text(contest.effect(row.gain)) if row.competes else ""
            click.echo(f"  {row.name:<{first + 10}}{_score(row.miou):>14} {effect:>23}".rstrip())
        click.echo(contest.verdict)


def _print_restorers(results: Results, paired: bool) -> None:
    """What a segmenter for original images is best trained on at each operating point (paper, Table III)."""
    widths = {"mIoU": 14, "minus CO": 23, "PSNR": 10, "MS-SSIM, dB": 14}
    first = _first_column(results)
    click.echo(
        f"{'operating point':<{first}}{'trained on':<12}" + "".join(f"{c:>{w}} " for c, w in widths.items()).rstrip()
    )
    for block in blocks(results):
        for row in block.rows:
            shown = {
                "miou": _score(row.miou),
                "gain": _effect(row.gain) if row.restorer else "",
                "psnr": _decibels(row.psnr),
                "ms_ssim_db": _decibels(row.ms_ssim_db),
            }
            cells = "".join(
                f"{text:>{width}}{'*' if block.best(row, column) else ' '}"
                for (column, text), width in zip(shown.items(), widths.values())
            )
            click.echo(f"{block.point.point:<{first}}{row.restorer or 'compressed':<12}{cells}".rstrip())
    click.echo("* the best of its column" + ("; [95 % interval over the seeds]" if paired else ""))


def _first_column(results: Results) -> int:
    """Its width: two more than the longest operating point takes."""
    return max([20, *(len(point.point) + 2 for point in results.points)])


def show_evaluations(found: Sequence[tuple[Case, EvaluationSummary]]) -> None:
    """Those of one configuration; what was restored or adapted in one way by itself, one a seed."""
    value = [
        {"restorer": case.changed.restorer, "adaptation": case.adaptation, "seed": case.seed, **vars(summary)}
        for case, summary in found
    ]

    def text() -> None:
        ways: dict[tuple[Optional[str], Optional[str]], list[EvaluationSummary]] = {}
        for case, summary in found:
            ways.setdefault((case.changed.restorer, case.adaptation), []).append(summary)
        several = len({restorer for restorer, _ in ways}) > 1
        for (restorer, adaptation), summaries in ways.items():
            by = restorer if several else None
            print_evaluations(" ".join(filter(None, (found[0][0].configuration, by, adaptation))), summaries)

    show({"configuration": found[0][0].configuration, "evaluations": value}, text)


def print_evaluations(name: str, summaries: Sequence[EvaluationSummary]) -> None:
    """Per-class IoU, mIoU and pixel accuracy of what is called so, in percent.

    Of several seeds mean ± standard deviation.
    """
    for label in summaries[0].per_class:
        iou = _by_seed(summary.per_class[label] for summary in summaries)
        click.echo(f"{label:<20}{_score(iou):>{8 if len(summaries) < 2 else 14}}")
    scores, accuracies = (
        _by_seed(values) for values in zip(*((summary.miou, summary.pixel_accuracy) for summary in summaries))
    )
    seeds = "" if len(summaries) < 2 else f" ({len(summaries)} seeds)"
    click.echo(f"{name}: mIoU {_score(scores)} %, pixel accuracy {_score(accuracies)} %{seeds}")


def _by_seed(values: Iterable[Optional[float]]) -> Optional[BySeed]:
    known = {seed: value for seed, value in enumerate(values) if value is not None}
    return BySeed(known) if known else None


def _score(score: Optional[BySeed]) -> str:
    """A fraction in percent: `44.10`, of several seeds `44.10 ± 0.45`."""
    if score is None:
        return "-"
    spread = "" if score.deviation is None else f" ± {100 * score.deviation:.2f}"
    return f"{100 * score.mean:.2f}{spread}"


def _effect(difference: Optional[BySeed]) -> str:
    """A difference of fractions in points: `+1.9`, of several seeds `+1.9 [+0.3, +3.5]`."""
    return _effect_text(Effect.of(difference))


def _effect_text(effect: Optional[Effect]) -> str:
    """The same of an effect that was judged already."""
    if effect is None:
        return "-"
    return f"{effect.points:+.1f}" + (" [{:+.1f}, {:+.1f}]".format(*effect.interval) if effect.interval else "")


def _decibels(value: Optional[float], lossless: str = "-") -> str:
    return lossless if value is None else f"{value:.2f}"


def _rate(bpp: Optional[float]) -> str:
    return "-" if bpp is None else f"{bpp:.3f}"
