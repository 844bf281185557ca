"""What compressing and restoring do to single classes, which a mean over the classes may hide.

Differences in IoU, paired by seed. Of k classes some would differ by chance: each interval is at a confidence of
1 - 5 % / k, so that those of one comparison hold together at 95 % (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from dsr.experiments.analysis.headline import Effect, ranked_restorers
from dsr.experiments.analysis.seeds import BySeed, jointly
from dsr.experiments.analysis.tables import Table, evaluations, hardest_first, label_of, operating_points, restorers
from dsr.experiments.results import Results

PAIRS = (("CO", "OO"), ("RO", "CO"))
"""What is compared class by class: what compressing the training images costs, and what restoring them changes."""


@dataclass(frozen=True)
class Comparison:
    """A configuration minus another at an operating point: IoU by class and seed, fractions.

    `label` is the configuration, with what restored where there are several. `found` has the classes that have an IoU
    in both, in one seed at least, in the dataset's order.
    """

    configuration: str
    minus: str
    point: str
    restorer: Optional[str]
    label: str
    found: dict[str, BySeed]

    @property
    def confidence(self) -> float:
        """At which the intervals of all of its classes hold together."""
        return jointly(sum(one.n > 1 for one in self.found.values()))

    def effect(self, name: str) -> Optional[Effect]:
        """Of a class, in points, with the interval that holds together with those of the others."""
        return Effect.of(self.found.get(name), self.confidence)

    def shown(self, sign: int) -> list[str]:
        """Classes that are shown to rise (1) or to fall (-1), what changes most first, with their intervals."""
        effects = {name: effect for name in self.found if (effect := self.effect(name)) and effect.clear}
        shown = {name: effect for name, effect in effects.items() if sign * effect.points > 0}
        return [shown[name].named(name) for name in sorted(shown, key=lambda name: -abs(shown[name].points))]


def comparisons(results: Results, point: str) -> list[Comparison]:
    """Those of PAIRS at an operating point that several seeds were trained for, one a restorer."""
    made = [
        Comparison(
            *(configuration, minus, point, name, label_of(results, configuration, name)),
            _by_class(results, configuration, minus, point, name),
        )
        for configuration, minus in PAIRS
        for name in (restorers(results) if "R" in configuration else [None])
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
    for point in hardest_first(results)[:1]:
        best = next(iter(ranked_restorers(results, point.point)), None)
        for one in comparisons(results, point.point):
            if one.configuration == "RO" and one.restorer == best and len(one.found) > 1:
                return _sentence(one)
    return ""


def differences_table(results: Results) -> Table:
    """One row a comparison and class: its difference in IoU (a fraction), mean over `n` seeds.

    `low` and `high` bound its t-interval at `confidence`, at which those of all classes of a comparison hold together
    at 95 %; they are empty for one seed.
    """
    rows = [
        (
            *(one.configuration, one.minus, one.point, one.restorer, name, by_seed.n, by_seed.mean),
            *(by_seed.interval_at(one.confidence) or (None, None)),
            one.confidence,
        )
        for _, found in by_point(results)
        for one in found
        for name, by_seed in one.found.items()
    ]
    columns = ("configuration", "minus", "point", "restorer", "class", "n", "difference", "low", "high", "confidence")
    return Table(columns, rows)


def _by_class(
    results: Results, configuration: str, minus: str, point: str, restorer: Optional[str]
) -> dict[str, BySeed]:
    first = evaluations(results, configuration, point, restorer)
    second = evaluations(results, minus, point, restorer)
    found = {}
    for label in results.dataset.classes:
        scores = [
            {seed: iou for seed, entry in side.items() if (iou := entry.per_class.get(label.name)) is not None}
            for side in (first, second)
        ]
        if all(scores) and (apart := BySeed(scores[0]).minus(BySeed(scores[1]))):
            found[label.name] = apart
    return found


def _sentence(one: Comparison) -> str:
    """Which classes restoring is shown to change."""
    rises, falls = one.shown(1), one.shown(-1)
    changes = [f"raises {'; '.join(rises)}"] * bool(rises) + [f"lowers {'; '.join(falls)}"] * bool(falls)
    shown = f"restoring {', and '.join(changes)}" if changes else "no single one is shown to change by restoring"
    return f"Of {len(one.found)} classes at {one.point}, {shown} (points of IoU; all classes together at 95 %)."
