"""What else the originals of a restorer are good for: adaptations beside restoring, all against CO, at equal data.

What is claimed holds for all comparisons of the table together (Bonferroni). With m differences to CO in the table,
each of its intervals is at a confidence of 1 - 5 % / m, so that all hold together at 95 %. A winner is named where it
is above CO and above each other rival at that confidence. At a point with k rivals one of the k + 1 is the best, and
naming another takes one of the k others to be above that one; there are m such mistakes in the table, too.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from dsr.experiments.adaptations import ADAPTATIONS
from dsr.experiments.analysis.headline import DECIDE, Effect
from dsr.experiments.analysis.seeds import BySeed, jointly
from dsr.experiments.analysis.tables import Table, fields_of, miou, operating_points, restorers
from dsr.experiments.results import PointResult, Results
from dsr.models.restorers.registry import RESTORERS


@dataclass(frozen=True)
class Rival:
    """A way to train for original images: a configuration, by what images were restored, how it was adapted.

    miou: on originals, a fraction; gain: the same minus CO, seed by seed; seconds: what making the segmenter took, mean
    over seeds. None where it was not measured; gain also where they cannot be compared.
    """

    configuration: str
    restorer: Optional[str]
    adaptation: Optional[str]
    miou: Optional[BySeed]
    gain: Optional[BySeed]
    seconds: Optional[float]

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.configuration, self.restorer, self.adaptation)))

    @property
    def label(self) -> str:
        """What it is, in words."""
        restored = f"restored: {RESTORERS[self.restorer].label}" if self.restorer in RESTORERS else ""
        adapted = ADAPTATIONS[self.adaptation].label if self.adaptation in ADAPTATIONS else ""
        plain = {"OO": "trained on originals: the bound", "CO": "trained on compressed images"}
        return "; ".join(filter(None, (restored, adapted))) or plain.get(self.configuration, "")

    @property
    def needs(self) -> str:
        """What it takes beside compressed training images and labels."""
        return ADAPTATIONS[self.adaptation].needs if self.adaptation in ADAPTATIONS else ""

    @property
    def competes(self) -> bool:
        """Whether it is compared with CO: not CO itself, nor what was trained on originals."""
        return self.configuration != "OO" and self.name != "CO"


@dataclass(frozen=True)
class Contest:
    """The rivals at an operating point, and at which confidence differences are judged."""

    point: PointResult
    rows: list[Rival]
    confidence: float

    def effect(self, found: Optional[BySeed]) -> Optional[Effect]:
        """A difference in points with the interval that holds together with all others."""
        return Effect.of(found, self.confidence)

    def above(self, one: Rival, other: Rival) -> bool:
        """Whether one is shown to score above another."""
        apart = self.effect(one.miou.minus(other.miou)) if one.miou else None
        return apart is not None and apart.clear and apart.points > 0

    @property
    def verdict(self) -> str:
        """Who wins, or that nobody does, and what else the intervals carry."""
        at = f"At {self.point.point} "
        plain = next((row for row in self.rows if row.name == "CO" and row.miou), None)
        competing = [row for row in self.rows if row.competes]
        if plain is None:
            return f"{at}nothing is compared: CO was not evaluated."
        if not competing:
            return f"{at}nothing is compared: no rival of CO was evaluated."
        rivals = [row for row in competing if row.gain]
        apart = "; ".join(
            f"{row.name} and CO {row.miou.why_no_difference(plain.miou)}"
            for row in competing
            if row.miou and plain.miou and not row.gain
        )
        if not rivals:
            return f"{at}nothing is compared: {apart}."
        beside = f"; {apart}" if apart else ""
        if all(row.gain is None or row.gain.n < 2 for row in rivals):
            return f"{at}one seed does not decide who wins: repeat with {DECIDE}{beside}."
        everyone = [plain, *rivals]
        above_all = (one for one in everyone if all(self.above(one, other) for other in everyone if other is not one))
        winner = None if apart else next(above_all, None)  # what cannot be compared may be better than all
        if winner is plain:
            return f"{at}CO wins: every rival scores below it ({self._told(rivals)})."
        if winner:
            others = f", and above {'the other' if len(rivals) == 2 else f'each of the other {len(rivals) - 1}'}"
            return f"{at}{winner.name} wins: above CO ({self._told([winner])}){others if len(rivals) > 1 else ''}."
        better = [row for row in rivals if self.above(row, plain)]
        worse = [row for row in rivals if self.above(plain, row)]
        if better:
            shown = f"above CO: {self._told(better)}, but none of them above all others"
        else:
            shown = f"no rival{'' if len(rivals) == 1 else f' of {len(rivals)}'} is shown to score above CO"
        return f"{at}there is no winner: {shown}{f'; below CO: {self._told(worse)}' if worse else ''}{beside}."

    def _told(self, rows: Sequence[Rival]) -> str:
        """Names with differences to CO and their intervals."""
        effects = [(row.name, self.effect(row.gain)) for row in rows]
        return "; ".join(effect.named(name) for name, effect in effects if effect and effect.interval)


def contests(results: Results) -> list[Contest]:
    """One an operating point, by codec and rate; none where nothing was adapted."""
    if not results.adapted:
        return []
    rows = [(point, _rows(results, point.point)) for point in operating_points(results)]
    comparisons = sum(row.competes and row.gain is not None for _, some in rows for row in some)
    return [Contest(point, some, jointly(comparisons)) for point, some in rows]


def rivals_table(results: Results) -> Table:
    """The rows of all contests.

    mIoU as a fraction, mean over `n` seeds; `minus_co` is the mean difference to CO, paired by seed, `low` and `high`
    bound its t-interval at `confidence`, at which those of all rows hold together at 95 % (empty for one seed).
    """
    found = []
    for contest in contests(results):
        for row in contest.rows:
            gain = row.gain if row.competes else None
            ends = gain.interval_at(contest.confidence) if gain else None
            found.append(
                (
                    contest.point.point,
                    contest.point.compressed.bpp,
                    *fields_of(row, ("configuration", "restorer", "adaptation")),
                    row.miou.n if row.miou else None,
                    row.miou.mean if row.miou else None,
                    gain.mean if gain else None,
                    *(ends or (None, None)),
                    contest.confidence,
                    row.seconds,
                )
            )
    scores = ("n", "miou", "minus_co", "low", "high", "confidence", "seconds")
    return Table(("point", "bpp", "configuration", "restorer", "adaptation", *scores), found)


def _rows(results: Results, point: str) -> list[Rival]:
    """Training on originals, on compressed and on restored images, each with what was adapted of it behind it."""
    plain = miou(results, "CO", point)
    rows = []
    for configuration, names in (("OO", [None]), ("CO", [None]), ("RO", restorers(results))):
        for name in names:
            ways = dict.fromkeys((None, *(e.adaptation for e in results.adapted if e.configuration == configuration)))
            for way in ways:
                score, seconds = _measured(results, configuration, point, name, way)
                if score is not None:
                    gain = score.minus(plain) if (configuration, way) != ("CO", None) else None
                    rows.append(Rival(configuration, name, way, score, gain, seconds))
    return rows


def _measured(
    results: Results, configuration: str, point: str, restorer: Optional[str], adaptation: Optional[str]
) -> tuple[Optional[BySeed], Optional[float]]:
    """mIoU by seed, and the mean seconds of making the segmenters."""
    own = (None if configuration == "OO" else point, restorer)
    if adaptation is None:
        trained = [
            one.seconds
            for one in results.trainings
            if one.kind == "segmenter"
            and one.adaptation is None
            and (one.domain, one.point, one.restorer) == (configuration[0], *own)
        ]
        return miou(results, configuration, point, restorer), statistics.fmean(trained) if trained else None
    wanted = (configuration, *own, adaptation)
    entries = [e for e in results.adapted if (e.configuration, e.point, e.restorer, e.adaptation) == wanted]
    scores = {e.seed: e.miou for e in entries if e.miou is not None}
    taken = [e.seconds for e in entries if e.seconds is not None]
    return BySeed(scores) if scores else None, statistics.fmean(taken) if taken else None
