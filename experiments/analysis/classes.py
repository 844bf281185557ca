"""What compressing and restoring do to single classes, which a mean over the classes may hide.

Differences in IoU, recall and precision, paired by seed. Of k classes some would differ by chance: each interval is at
a confidence of 1 - 5 % / k, so that those of one comparison hold together at 95 % (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Optional

from dsr.experiments.analysis.headline import Effect, ranked_restorers
from dsr.experiments.analysis.seeds import BySeed, jointly
from dsr.experiments.analysis.tables import (
    Table,
    Variant,
    by_seed,
    evaluations,
    hardest_first,
    operating_points,
    variants,
)
from dsr.experiments.results import EvaluationResult, Results

MEASURES = ("IoU", "recall", "precision")
"""Recall: the share of the pixels of a class that is found. Precision: the share of those said to be of it that is."""


@dataclass(frozen=True)
class Comparison:
    """A case minus another at an operating point: one of MEASURES by class and seed, fractions.

    `found` has the classes that have the measure in both, in one seed at least, in the dataset's order.
    """

    measure: str
    point: str
    case: Variant
    minus: Variant
    found: dict[str, BySeed]

    @property
    def confidence(self) -> float:
        """At which the intervals of all of its classes hold together."""
        return jointly(sum(one.n > 1 for one in self.found.values()))

    @property
    def seeds(self) -> Optional[int]:
        """Over how many it is, where one of its sides has more; None where both have the same."""
        most = max((one.n for one in self.found.values()), default=0)
        return most if any(one.fewer and one.n == most for one in self.found.values()) else None

    def effect(self, name: str) -> Optional[Effect]:
        """Of a class, in points, with the interval that holds together with those of the others.

        It says its number of seeds only where that is not the comparison's.
        """
        effect = Effect.of(self.found.get(name), self.confidence)
        return replace(effect, seeds=None) if effect and effect.seeds == self.seeds else effect

    @property
    def shown(self) -> list[str]:
        """Classes that are shown to change, what changes most first, with their intervals."""
        effects = {name: effect for name in self.found if (effect := self.effect(name)) and effect.clear}
        ranked = sorted(effects.items(), key=lambda pair: -abs(pair[1].points))
        return [f"of {name} by {effect.points:+.1f} ({effect.ends})" for name, effect in ranked]


def comparisons(results: Results, point: str) -> list[Comparison]:
    """Those at an operating point that several seeds were trained for, in each measure.

    What compressing the training images costs, CO - OO; what restoring them changes, RO - CO, by each restorer; and
    what it is worth that the study's first restorer restored them, and not another.
    """
    by_restorer = [variant for variant in variants(results) if variant.configuration == "RO"]
    oo, co = (Variant(name, None, name) for name in ("OO", "CO"))
    pairs = [(co, oo), *((ro, co) for ro in by_restorer), *((by_restorer[0], other) for other in by_restorer[1:])]
    made = [
        Comparison(measure, point, case, minus, _by_class(results, measure, point, case, minus))
        for case, minus in pairs
        for measure in MEASURES
    ]
    return [one for one in made if any(found.n > 1 for found in one.found.values())]


def by_point(results: Results) -> list[tuple[str, list[Comparison]]]:
    """The comparisons at each operating point that has any."""
    made = [(point.point, comparisons(results, point.point)) for point in operating_points(results)]
    return [(point, found) for point, found in made if found]


def lead(results: Results) -> str:
    """What restoring changes class by class, in words, at the hardest compression and by what scores best there.

    "" if several seeds do not say, or there is but one class.
    """
    ranked = hardest_first(results)
    if not ranked or len(results.dataset.classes) < 2:
        return ""
    point = ranked[0].point
    best = next(iter(ranked_restorers(results, point)), None)
    found = [one for one in comparisons(results, point) if (one.case.restorer, one.minus.configuration) == (best, "CO")]
    if not found:
        return ""
    among = f"At {point}, of {len(results.dataset.classes)} classes"
    shown = [f"the {one.measure} {', '.join(one.shown)}" for one in found if one.shown]
    if not shown:
        return f"{among}, no single one is shown to change by restoring."
    hold = "These intervals hold for all classes of a measure together"
    hold += f", over {found[0].seeds} seeds" if found[0].seeds else ""
    return f"{among}, restoring changes {'; '.join(shown)}. {hold}."


def differences_table(results: Results) -> Table:
    """One row a comparison and class: the difference in its measure (a fraction), mean over `n` seeds.

    `low` and `high` bound its t-interval at `confidence`, at which those of all classes of a comparison hold together
    at 95 %; they are empty for one seed.
    """
    rows = [
        (
            *(one.measure, one.case.configuration, one.minus.configuration, point, one.case.restorer),
            *(one.minus.restorer, name, by_seed.n, by_seed.mean),
            *(by_seed.interval_at(one.confidence) or (None, None)),
            one.confidence,
        )
        for point, found in by_point(results)
        for one in found
        for name, by_seed in one.found.items()
    ]
    columns = (
        "measure",
        "configuration",
        "minus",
        "point",
        "restorer",
        "minus_restorer",
        "class",
        "n",
        "difference",
        "low",
        "high",
        "confidence",
    )
    return Table(columns, rows)


def _by_class(results: Results, measure: str, point: str, case: Variant, minus: Variant) -> dict[str, BySeed]:
    sides = [evaluations(results, one.configuration, point, one.restorer) for one in (case, minus)]
    found = {}
    for place, label in enumerate(results.dataset.classes):
        first, second = (by_seed(side, partial(_score, measure, label.name, place)) for side in sides)
        if first and (apart := first.minus(second)):
            found[label.name] = apart
    return found


def _score(measure: str, name: str, place: int, entry: EvaluationResult) -> Optional[float]:
    """A measure of the class of this name and place in the dataset; None where it is undefined, or was not kept."""
    if measure == "IoU":
        return entry.per_class.get(name)
    if entry.confusion is None:
        return None
    whole = sum(entry.confusion[place] if measure == "recall" else (row[place] for row in entry.confusion))
    return entry.confusion[place][place] / whole if whole else None
