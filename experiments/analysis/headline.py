"""The answer of a study in words, computed from its scores and claiming no more than they carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.analysis.tables import Results, evaluation, miou, object_means, operating_points

# Trainings that differ in nothing but the seed end about this many points of mIoU apart: what is smaller is no finding.
NOISE = 1.0


@dataclass(frozen=True)
class Headline:
    """Sentences for the top of the report.

    lead: the answer at the hardest compression; others: the same at the other operating points;
    limit: how hard one may compress within NOISE of OO; objects: small against big objects ("" if either is missing);
    caveat: what one seed means.
    """

    lead: str
    others: list[str]
    limit: str
    objects: str
    caveat: str


def points_apart(score: float | None, reference: float | None) -> float | None:
    """`score` - `reference` in points of mIoU, rounded as printed, so that words and numbers cannot disagree."""
    if score is None or reference is None:
        return None
    return round(100 * (score - reference), 1) + 0.0  # + 0.0 turns -0.0 into 0.0


def headline(results: Results) -> Headline:
    """The findings of a study; one without operating points has none yet, and the lead says so."""
    ranked = sorted(operating_points(results), key=lambda point: point["compressed"]["bpp"])
    sentences = [_at_point(results, point) for point in ranked] or ["No operating point has been measured yet."]
    return Headline(
        lead=sentences[0],
        others=sentences[1:],
        limit=_limit(results, ranked),
        objects=_objects(results, ranked[0]) if ranked else "",
        caveat=f"Each segmenter was trained once (seed {results['study']['seed']}) and tested on "
        f"{results['dataset']['images']['test']} images, so differences of about a point of mIoU are noise.",
    )


def _at_point(results: Results, point: dict[str, Any]) -> str:
    scores = [miou(results, configuration, point["point"]) for configuration in ("OO", "CO", "RO")]
    return f"At {_rate(results, point)}, {_cost(*scores)}; {_gain(*scores)}."


def _rate(results: Results, point: dict[str, Any]) -> str:
    bpp = point["compressed"]["bpp"]
    times = results["original_bpp"] / bpp
    size = f"{times:.{0 if times >= 10 else 1}f} times smaller" if times >= 1.05 else "no smaller"
    return f"{bpp:.2g} bpp ({point['point']}, {size} than PNG)"


def _cost(oo: float | None, co: float | None, ro: float | None) -> str:
    """What training on compressed images does to the score on originals."""
    cost = points_apart(oo, co)
    if cost is None:
        return "the cost of training on compressed images was not measured"
    if cost >= NOISE:
        return f"training on compressed images costs {cost:.1f} points of mIoU"
    if cost > -NOISE:
        return f"training on compressed images makes no clear difference ({-cost:+.1f} points of mIoU)"
    return (
        f"training on compressed images scores {-cost:.1f} points of mIoU above training on originals, "
        "which compression does not explain: repeat with other seeds"
    )


def _gain(oo: float | None, co: float | None, ro: float | None) -> str:
    """What restoring the training images changes, and how much of the cost that is."""
    gain, cost, rest = points_apart(ro, co), points_apart(oo, co), points_apart(ro, oo)
    if ro is None:
        return "restoring was not part of this study"
    if gain is None:
        return "restoring cannot be compared, as training on compressed images was not evaluated"
    if abs(gain) < NOISE:
        return f"restoring them first makes no clear difference ({gain:+.1f} points)"
    if gain < 0:
        return f"restoring them first makes it worse, by {-gain:.1f} points"
    if cost is None or cost < NOISE:
        return f"restoring them first adds {gain:.1f} points"
    if rest is not None and rest >= NOISE:
        return f"restoring them first wins back all of it and ends {rest:.1f} points above training on originals"
    if gain >= cost:
        return "restoring them first wins back all of it"
    return f"restoring them first wins back {gain:.1f} of them"


def _limit(results: Results, ranked: list[dict[str, Any]]) -> str:
    """The lowest measured rate whose score on originals stays within NOISE of OO, per way of training."""
    reference = miou(results, "OO", "")
    if reference is None:
        return "Training on originals (OO) was not evaluated, so there is no score to stay close to."
    lowest: dict[str, float | None] = {}
    for configuration, how in (("CO", "training on the compressed images"), ("RO", "restoring them first")):
        measured = [(point, points_apart(reference, miou(results, configuration, point["point"]))) for point in ranked]
        losses = [(point["compressed"]["bpp"], loss) for point, loss in measured if loss is not None]
        if losses:
            lowest[how] = next((bpp for bpp, loss in losses if loss <= NOISE), None)
    goal = f"within {NOISE:.0f} point of the score without compression (OO, {100 * reference:.1f} % mIoU)"
    if not any(lowest.values()):
        return f"No measured rate stays {goal}." if lowest else ""
    rates = (f"{'no measured rate' if bpp is None else f'{bpp:.2g} bpp'} when {how}" for how, bpp in lowest.items())
    return f"The lowest rate {goal}: {', '.join(rates)}."


def _objects(results: Results, point: dict[str, Any]) -> str:
    """Small against big objects at one operating point, without judging."""
    parts = []
    for group in ("small", "big"):
        scores = []
        for configuration in ("OO", "CO", "RO"):
            entry = evaluation(results, configuration, point["point"])
            means = object_means(entry["per_class"], results["dataset"]["classes"]) if entry else {}
            mean = means.get(group)
            if mean is not None:
                scores.append(f"{100 * mean:.1f} % ({configuration})")
        if len(scores) < 2:
            return ""
        parts.append(f"{group} objects {', '.join(scores)}")
    return f"Mean IoU at {point['point']}: {'; '.join(parts)}."
