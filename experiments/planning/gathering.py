"""From a work folder to what a plan stands on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from dsr.experiments.analysis.plan import growth, growth_note
from dsr.experiments.analysis.tables import difference
from dsr.experiments.collecting import collect_scores
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.last_conversion import converted
from dsr.experiments.measurements.artefacts import features
from dsr.experiments.measurements.files import FEATURES
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.known import Known, Score, known
from dsr.experiments.planning.untrained import Foretelling, Seen, foretell
from dsr.experiments.results import Results
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.errors import UserError
from dsr.models.metrics.distances import frechet_distance, kernel_distance, sliced_distance

SEEDS_LOOKED_FOR = 10

DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "frechet": frechet_distance,
    "kernel": kernel_distance,
    "sliced": sliced_distance,
}


def gather(study: Study) -> Known:
    """What was measured of a study's dataset with its settings, at its points and at all others that were converted.

    Raises:
      ConfigError: the work folder has no evaluation of it.
      PlanningError: none of compressed or restored training images.
    """
    results = collect_scores(widened(study))
    return _known(results)


def _known(results: Results) -> Known:
    return dataclasses.replace(known(results, growth(results)), growth_note=growth_note(results))


def widened(study: Study, more: Sequence[OperatingPoint] = ()) -> Study:
    """The study at more points and at all that the work folder has its images at, with all seeds there may be.

    Points of a model that is not named are left out: their shards do not say where it lies.
    """
    config = study.config
    points = config.points
    if not study.came_compressed:
        named = {study.degradation(point).point: point for point in (*points, *more)}
        for point in converted(study).values():
            with suppress(UserError):
                named.setdefault(study.degradation(point).point, point)
        points = tuple(named.values())
    seeds = max(config.seeds, SEEDS_LOOKED_FOR)
    return Study(dataclasses.replace(config, points=points, seeds=seeds), study.work, study.converting)


def to_foretell(study: Study, more: Sequence[OperatingPoint]) -> list[Artefact]:
    """The features that tell what points nobody trained at would lose: theirs, and those of all that were trained at.

    Raises:
      PlanningError: no segmenter is trained on originals, whose features they are, or too few points are trained at.
    """
    if study.came_compressed or not study.segmenter(ORIGINAL, study.config.seed).exists:
        raise PlanningError(
            "features are those of a segmenter trained on originals, and there is none: run dsr train --config OO"
        )
    wide = widened(study, more)
    losses = _losses(collect_scores(wide))
    wanted = {*losses, *(study.degradation(point).point for point in more)}
    foretell([Seen(point, {"any": 1.0}, loss) for point, loss in losses.items()])  # raises if there are too few
    domains = [Domain("C", degradation) for degradation in wide.degradations if degradation.point in wanted]
    return [features(wide, domain) for domain in (ORIGINAL, *domains)]


def gather_foretold(study: Study, more: Sequence[OperatingPoint]) -> tuple[Known, Foretelling]:
    """What `gather` gives, with scores of more points from the features that `to_foretell` names, where they are sound.

    Points that were converted meanwhile count as measured rates.
    """
    wide = widened(study, more)
    results = collect_scores(wide)
    seen = look_at(wide, results)
    foretelling = foretell(seen)
    measured = _known(results)
    assert measured.reference is not None, "losses are against it"
    told = {
        one.point: foretelling.score(one, measured.reference) for one in seen if one.loss is None and foretelling.sound
    }
    contradicted = {point: other for point, score in told.items() if (other := _contradicts(measured, point, score))}
    kept = {point: score for point, score in told.items() if point not in contradicted}
    return dataclasses.replace(measured, predicted=kept), dataclasses.replace(foretelling, contradicted=contradicted)


def look_at(study: Study, results: Results) -> list[Seen]:
    """The points whose features are there, as are those of originals: how far they are, and what was lost there."""
    losses = _losses(results)
    originals = _high(features(study, ORIGINAL))
    return [
        Seen(degradation.point, _distances(originals, _high(artefact)), losses.get(degradation.point))
        for degradation in study.degradations
        if (artefact := features(study, Domain("C", degradation))).exists
    ]


def _contradicts(measured: Known, point: str, told: Score) -> str:
    """A point of the same family that was trained at, and that more bits would have made worse; "" if there is none."""
    mine = next((rated for rated in measured.rated if rated.point == point), None)
    if mine is None or mine.family is None:
        return ""
    for other in measured.rated:
        score = measured.scores.get((other.point, None))
        if score is not None and other.family == mine.family:
            gained = told.value - score.value
            if gained and (gained > 0) != (mine.bpp > other.bpp):
                return other.point
    return ""


def _losses(results: Results) -> dict[str, float]:
    """By point, of those that were trained at: mIoU of OO minus that of CO, over common seeds."""
    found = {point.point: difference(results, "OO", "CO", point.point) for point in results.points}
    return {point: loss.mean for point, loss in found.items() if loss is not None}


def _high(artefact: Artefact) -> dict[str, np.ndarray]:
    """The last features (channels,) of each image by its key."""
    with np.load(artefact.file(FEATURES), allow_pickle=False) as archive:
        return dict(zip(archive["keys"].tolist(), archive["high"].astype(np.float64)))


def _distances(originals: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    keys = sorted(originals.keys() & other.keys())
    x, y = (np.stack([side[key] for key in keys]) for side in (originals, other))
    return {name: distance(x, y) for name, distance in DISTANCES.items()}


def said(foretelling: Foretelling) -> str:
    """What a plan says about it."""
    how = f"{foretelling.curve} of the {foretelling.distance} distance of features, from {foretelling.points} points"
    off = f"off by {100 * foretelling.error:.1f} points on average where a point is left out"
    if foretelling.sound:
        refused = [
            f"\n{point} is not predicted: its features would have it score on the wrong side of {other}"
            for point, other in foretelling.contradicted.items()
        ]
        return f"predicted by {how}, {off}{''.join(refused)}"
    return f"features predict nothing here: {how}, is {off}, and 1.5 is the most that counts"
