"""The answer of a study in words, computed from its scores and claiming no more than they carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from dsr.experiments.analysis.seeds import CONFIDENCE, BySeed
from dsr.experiments.analysis.tables import (
    difference,
    differences_table,
    fewest_and_most_seeds,
    hardest_first,
    label_of,
    miou,
    object_means,
    per_class,
    restorers,
    seed_counts,
)
from dsr.experiments.results import PointResult, Results

CLOSE = 1.0
"""Points of mIoU within which a score counts as that of training on originals."""

FEW = 20
"""Photographs; a test set of fewer stands for no others."""

DECIDE = "--seeds 3"
"""What a study of one seed is to be repeated with: its differences may be chance."""


@dataclass(frozen=True)
class Headline:
    """Sentences for the top of the report.

    lead: the answer at the hardest compression, with the restorer that scores best there; others: the same at the other
    operating points; limit: how hard one may compress within CLOSE of OO; objects: small against big objects ("" if
    either is missing); caveat: what the seeds carry and what they do not.
    """

    lead: str
    others: list[str]
    limit: str
    objects: str
    caveat: str


@dataclass(frozen=True)
class Effect:
    """A difference in points of mIoU, rounded as printed, so that words and numbers cannot disagree.

    One seed has no interval. `seeds` is how many there are, where it is of fewer than one of the scores.
    """

    points: float
    interval: Optional[tuple[float, float]]
    seeds: Optional[int] = None

    @classmethod
    def of(cls, found: Optional[BySeed], confidence: float = CONFIDENCE) -> Optional[Effect]:
        """None stays None: what was not measured has no effect."""
        if found is None:
            return None
        ends = found.interval_at(confidence)
        return cls(_points(found.mean), ends and (_points(ends[0]), _points(ends[1])), found.n if found.fewer else None)

    @property
    def clear(self) -> bool:
        """Whether there is an effect at all: its interval excludes zero. One seed shows none."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def evidence(self) -> str:
        """The interval, to stand behind the points; "" for one seed."""
        if self.interval is None:
            return ""
        sign = "" if self.interval[0] > 0 else "+"
        return "95 % interval " + " to ".join(f"{bound:{sign}.1f}" for bound in self.interval) + self._seeds

    @property
    def _seeds(self) -> str:
        return f", {self.seeds} seeds" if self.seeds else ""

    def __neg__(self) -> Effect:
        ends = self.interval and (0.0 - self.interval[1], 0.0 - self.interval[0])
        return Effect(0.0 - self.points, ends, self.seeds)

    def measured(self, of: str = "") -> str:
        """The signed points, and the interval if there is one."""
        return ", ".join(filter(None, (f"{self.points:+.1f} points{of}", self.evidence)))

    def named(self, name: str) -> str:
        """`name +1.2, +0.4 to +2.0`: one of several whose intervals are at a confidence of their own."""
        return ", ".join(filter(None, (f"{name} {self.points:+.1f}", self.ends)))

    @property
    def ends(self) -> str:
        """`+0.4 to +2.0`, the interval whatever its confidence; "" for one seed."""
        return f"{self.interval[0]:+.1f} to {self.interval[1]:+.1f}{self._seeds}" if self.interval else ""

    def said(self, text: str) -> str:
        """`text` with the evidence in brackets."""
        return f"{text} ({self.evidence})" if self.evidence else text


def points_apart(score: float | None, reference: float | None) -> float | None:
    """`score` - `reference` in points of mIoU, rounded as printed."""
    return None if score is None or reference is None else _points(score - reference)


def headline(results: Results) -> Headline:
    """The findings of a study; one without operating points has none yet, and the lead says so."""
    ranked = hardest_first(results)
    sentences = [_at_point(results, point) for point in ranked] or ["No operating point has been measured yet."]
    return Headline(
        lead=sentences[0],
        others=sentences[1:],
        limit=_limit(results, ranked),
        objects=_objects(results, ranked[0]) if ranked else "",
        caveat=_caveat(results),
    )


def ranked_restorers(results: Results, point: str) -> list[str]:
    """What restored the training images of RO at `point`, the highest mean mIoU first.

    Those that cannot be compared with CO come last. Empty if no RO was evaluated there.
    """
    scores = {name: score for name in restorers(results) if (score := miou(results, "RO", point, name))}
    plain = miou(results, "CO", point)
    return sorted(scores, key=lambda name: (scores[name].minus(plain) is None, -scores[name].mean))


def _points(fraction: float) -> float:
    return round(100 * fraction, 1) + 0.0  # + 0.0 turns -0.0 into 0.0


def _at_point(results: Results, point: PointResult) -> str:
    ranked = ranked_restorers(results, point.point)
    best = ranked[0] if ranked else None

    def effect(configuration: str, minus: str) -> Optional[Effect]:
        return Effect.of(difference(results, configuration, minus, point.point, best))

    def why_none(configuration: str, minus: str) -> str:
        first, second = (miou(results, one, point.point, best) for one in (configuration, minus))
        if first and second:
            return f"{configuration} and {minus} {first.why_no_difference(second)}"
        missing = [one for one, score in ((configuration, first), (minus, second)) if score is None]
        return f"{' and '.join(missing)} {'was' if len(missing) == 1 else 'were'} not evaluated"

    kind = what_happened([point])
    cost, gain, rest = effect("OO", "CO"), effect("RO", "CO"), effect("RO", "OO")
    unknown = f"the cost of training on {kind} images was not measured, as {why_none('OO', 'CO')}"
    sentence = f"At {rate_of(results, point)}, {_cost(cost, kind) if cost else unknown}; "
    if ranked:
        which = f" with {best}" if len(restorers(results)) > 1 else ""
        which += f", the best of {len(ranked)} restorers," if len(ranked) > 1 else ""
        unknown = f"cannot be compared, as {why_none('RO', 'CO')}"
        sentence += f"restoring them first{which} {_gain(cost, gain, rest) if gain else unknown}"
    else:
        sentence += "restoring was not part of this study"
    undecided = any(found and found.interval is None for found in (cost, gain))
    chance = f". Whether that is more than chance, one seed does not decide: repeat with {DECIDE}"
    return f"{sentence}{chance if undecided else ''}."


def rate_of(results: Results, point: PointResult) -> str:
    """The rate of an operating point, what it is called, and how much smaller its test images are; in words."""
    bpp = point.compressed.bpp
    files, kind = results.dataset.file_bpp, "the files that were read"
    if files is None:
        files, kind = results.original_bpp, "PNG"
    if bpp is None or files is None:
        return point.point
    times = files / bpp
    size = f"{times:.{0 if times >= 10 else 1}f} times smaller" if times >= 1.05 else "no smaller"
    return f"{bpp:.2g} bpp ({point.point}, test images {size} than {kind})"


def what_happened(points: Sequence[PointResult]) -> str:
    """What the images of these points are: compressed, or only degraded, as there is no bitstream."""
    return "degraded" if all(point.compressed.bpp is None for point in points) else "compressed"


def _cost(cost: Effect, kind: str) -> str:
    """What training on images of a `kind` does to the score on originals."""
    if cost.interval is None:
        return f"training on {kind} images scored {(-cost).points:+.1f} points of mIoU against originals"
    if not cost.clear:
        return f"training on {kind} images makes no clear difference ({(-cost).measured(' of mIoU')})"
    if cost.points > 0:
        return cost.said(f"training on {kind} images costs {cost.points:.1f} points of mIoU")
    above = f"training on {kind} images scores {-cost.points:.1f} points of mIoU above training on originals"
    return f"{(-cost).said(above)}, which their being {kind} does not explain"


def _gain(cost: Optional[Effect], gain: Effect, rest: Optional[Effect]) -> str:
    """What restoring the training images changes, and how much of the cost that is; `rest` is RO against OO."""
    if gain.interval is None:
        return f"scored {gain.points:+.1f} points against that"
    if not gain.clear:
        return f"makes no clear difference ({gain.measured()})"
    if gain.points < 0:
        return (-gain).said(f"makes it worse, by {-gain.points:.1f} points")
    if cost is None or not cost.clear or cost.points < 0:
        return gain.said(f"adds {gain.points:.1f} points")
    if rest is not None and rest.clear and rest.points > 0:
        return rest.said(f"wins back all of it and ends {rest.points:.1f} points above training on originals")
    if gain.points < cost.points:
        return gain.said(f"wins back {gain.points:.1f} of them")
    won = gain.said(f"wins back {gain.points:.1f}")
    # Each difference is over the seeds that its two sides have, so that the three need not add up.
    if rest is None or rest.interval is None:
        return won
    if rest.clear:
        return f"{won}, {rest.said(f'and ends {-rest.points:.1f} points below training on originals')}"
    return f"{won}, which leaves no clear difference to training on originals"


def _limit(results: Results, ranked: list[PointResult]) -> str:
    """The hardest measured points that are shown to stay within CLOSE of OO, per way of training.

    Of all codecs the one with the lowest rate, and one of each other degradation. All easier ones are shown to, too.
    """
    reference = miou(results, "OO", "")
    if reference is None:
        return "Training on originals (OO) was not evaluated, so there is no score to stay close to."
    goal = f"within {CLOSE:.0f} point of training on originals (OO, {100 * reference.mean:.1f} % mIoU"
    if not ranked:
        return ""
    if reference.n < 2:
        return f"What stays {goal}) is not decided by one seed: repeat with {DECIDE}."
    goal += f", {reference.n} seeds)"
    shown = []
    for configuration, how in (
        ("CO", f"training on the {what_happened(ranked)} images"),
        ("RO", "restoring them first"),
    ):
        limits = [
            limit
            for curve in dict.fromkeys(point.curve for point in ranked)
            if (limit := _hardest(results, configuration, [p for p in ranked if p.curve == curve]))
        ]
        lowest = min((limit for limit in limits if limit[0].compressed.bpp is not None), key=_ease, default=None)
        kept = [limit for limit in limits if limit is lowest or limit[0].compressed.bpp is None]
        if kept:
            shown.append(f"{', '.join(words for _, words in kept)} when {how}")
    if not shown:
        return f"Nothing measured is shown to stay {goal}."
    return f"The hardest that is shown to stay {goal}, as all easier ones are: {'; '.join(shown)}."


def _ease(limit: tuple[PointResult, str]) -> tuple[bool, float]:
    return limit[0].ease


def _hardest(results: Results, configuration: str, points: list[PointResult]) -> Optional[tuple[PointResult, str]]:
    """Of one codec's points, the hardest of those from the easiest on that stay close; and words for it."""
    hardest = None
    for point in sorted(points, key=lambda point: point.ease, reverse=True):
        name = next(iter(ranked_restorers(results, point.point)), None)
        loss = Effect.of(difference(results, "OO", configuration, point.point, name))
        if loss is None or loss.interval is None or loss.interval[1] > CLOSE:
            break
        by = f" with {name}" if configuration == "RO" and len(restorers(results)) > 1 else ""
        rate = point.point if point.compressed.bpp is None else f"{point.compressed.bpp:.2g} bpp"
        hardest = point, f"{rate}{by} ({(-loss).measured()})"
    return hardest


def _objects(results: Results, point: PointResult) -> str:
    """Small against big objects at one operating point, without judging."""
    best = next(iter(ranked_restorers(results, point.point)), None)
    parts = []
    for group in ("small", "big"):
        scores = []
        for configuration in ("OO", "CO", "RO"):
            ious = per_class(results, configuration, point.point, best)
            mean = object_means(ious, results.dataset.classes)[group] if ious else None
            if mean is not None:
                scores.append(f"{100 * mean:.1f} % ({label_of(results, configuration, best)})")
        if len(scores) < 2:
            return ""
        parts.append(f"{group} objects {', '.join(scores)}")
    return f"Mean IoU at {point.point}: {'; '.join(parts)}."


def _caveat(results: Results) -> str:
    seeds = sorted({entry.seed for entry in results.evaluations})
    images, photographs = _most_tested(results) or results.dataset.images["test"], results.dataset.photographs
    few = ""
    if photographs is not None and photographs < FEW:
        count = "one photograph" if photographs == 1 else f"{photographs} photographs"
        few = f" They come from {count}: so few prove nothing about others."
    few += _left_out(results) + _fewer(results)
    few += "".join(f" {sentence}" for sentence in (unlabelled(results),) if sentence)
    most = fewest_and_most_seeds(results)[1]
    chance = "one seed cannot tell an effect from chance"
    if most < 2:
        named = " or ".join(map(str, seeds))
        return f"Each segmenter was trained once (seed {named}) and tested on {images} images: {chance}.{few}"
    named = ", ".join(map(str, seeds))
    trained = (
        f"{seed_counts(results)} seeds ({named})"
        if most == len(seeds)
        else f"{seed_counts(results)} of the seeds {named}"
    )
    said = f"Segmenters were trained with {trained} and tested on {images} images.{few}"
    table = differences_table(results)
    pairs = max((row[table.columns.index("n")] for row in table.rows), default=0)
    if pairs < 2:
        return f"{said} Differences are of one pair of equal seed: {chance}." if pairs else said
    several = len(restorers(results))
    chosen = f" That the best of {several} restorers was chosen is not corrected for." if several > 1 else ""
    return (
        f"{said} Differences are means of pairs of equal seed with 95 % t-intervals over the seeds: how far they would "
        f"move with other seeds, not with other images or another training of the restorer.{chosen}"
    )


def unlabelled(results: Results) -> str:
    """What becomes of classes that no test label has; "" if there are none."""
    names = results.dataset.unlabelled
    if not names:
        return ""
    which = "label of the images that are scored" if results.left_out else "test label"
    said, one = f"No {which} has {', '.join(names)}:", len(names) == 1
    if results.over_images:
        they = ("it is", "does") if one else ("they are", "do")
        return f"{said} {they[0]} not scored, and {they[1]} not count in mIoU."
    share = 1 / (len(results.dataset.classes) - len(names) + 1)
    predicted = names[0] if one else "one of them"
    return f"{said} if one pixel is predicted as {predicted}, mIoU falls by {100 * share:.0f} % of its value."


def _most_tested(results: Results) -> int:
    """On how many images: the most of an evaluation, as some of the dataset's may not be readable; 0 if none says."""
    return max((entry.tested.images for entry in results.evaluations if entry.tested), default=0)


def _fewer(results: Results) -> str:
    """What was tested on fewer images than others."""
    tested = [(entry, entry.tested) for entry in results.evaluations if entry.tested]
    most = _most_tested(results)
    fewer: dict[tuple[Optional[str], int], list[str]] = {}
    for entry, there in tested:
        if there.images < most:
            names = fewer.setdefault((entry.point, there.images), [])
            names.append(label_of(results, entry.configuration, entry.restorer))
    if not fewer:
        return ""
    said = [f"{', '.join(dict.fromkeys(names))} at {point} were tested on {n}" for (point, n), names in fewer.items()]
    return (
        f" Some of the {most} test images could not be compressed or restored: {'; '.join(said)}. "
        "Where images differ, scores are not compared."
    )


def _left_out(results: Results) -> str:
    """Which points segmenters were trained at without being shown, and why."""
    known = {point.point for point in results.points}
    lost = sorted({entry.point for entry in results.evaluations if entry.point} - known)
    if not lost:
        return ""
    names = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
    return (
        f" Scores at {names} are left out: without what is left there of the test images they have no rate; "
        "dsr run makes it."
    )
