"""What a study measures of its test images in each domain, beside what segmenters make of them.

How natural they look by perceptual indexes (paper, Fig. 9), and how far compression shifts them for the segmenter
trained on originals (section IV-B, Fig. 10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from dsr.experiments.domain import Domain
from dsr.experiments.measurements.artefacts import features, perceptual
from dsr.experiments.measurements.files import FEATURES
from dsr.experiments.measurements.perceptual import SCORES
from dsr.experiments.results import Correlation, Distances, DomainShift, Estimate, Halves, ImageScores, Shift
from dsr.experiments.stored_json import load
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.metrics.distances import DISTANCES, Sampled, between_halves, correlate, resamples
from dsr.models.metrics.perceptual import INDEXES
from dsr.tfrecords.workers import run

LEAST_IMAGES = 4
"""Halves of fewer images have no covariance."""


def perceptual_results(study: Study) -> list[ImageScores]:
    """The scores of the images that all measured domains have, in order of their keys."""
    scores: dict[Domain, dict[str, Any]] = {}
    for domain in study.domains():
        artefact = perceptual(study, domain)
        if artefact.exists:
            scores[domain] = {row["key"]: row for row in load(artefact.file(SCORES))}
    keys = _common(scores.values())
    return [
        ImageScores(
            domain.point, domain.word, domain.restorer, **{name: [rows[key][name] for key in keys] for name in INDEXES}
        )
        for domain, rows in scores.items()
    ]


def shift_results(study: Study) -> Optional[Shift]:
    """How far each measured domain is from the originals, from the images that all of them have.

    None if originals and another domain are not measured yet, or have too few images to speak of a distribution.
    """
    if study.came_compressed:
        return None  # features are seen by a segmenter that is trained on originals
    found = _features(study)
    originals = found.pop(ORIGINAL, None)
    if originals is None or not found or len(originals.high) < LEAST_IMAGES:
        return None
    seed = study.config.seed
    draws = resamples(len(originals.high), seed)
    pairs = [(domain, name) for domain in found for name in DISTANCES]
    *sampled, frechet, kernel = _computed(
        [
            *(
                partial(Sampled.of, DISTANCES[name], originals.high, found[domain].high, draws)
                for domain, name in pairs
            ),
            *(partial(between_halves, distance, originals.high, seed) for distance in DISTANCES.values()),
        ],
        study.converting.how.workers,
    )
    distances: dict[tuple[Domain, str], Sampled] = dict(zip(pairs, sampled))

    def shift(domain: Domain) -> DomainShift:
        change = None
        if domain.restorer is not None and (compressed := Domain("C", domain.degradation)) in found:
            apart = {name: _estimate(distances[domain, name] - distances[compressed, name]) for name in DISTANCES}
            change = Distances(**apart)
        activations = found[domain].low.mean(axis=0)
        return DomainShift(
            point=domain.point,
            domain=domain.word,
            restorer=domain.restorer,
            **{name: _estimate(distances[domain, name]) for name in DISTANCES},
            change=change,
            correlation=Correlation(
                **asdict(correlate(originals.low.mean(axis=0), activations)), activations=activations.tolist()
            ),
        )

    return Shift(
        features=f"{study.config.segmenter.name}, trained on originals with seed {seed}",
        images=len(originals.high),
        channels=originals.high.shape[1],
        halves=Halves(frechet, kernel),
        domains=[shift(domain) for domain in found],
        original=originals.low.mean(axis=0).tolist(),
    )


@dataclass(frozen=True)
class _Features:
    """Means over each image of the backbone's early and last features, float64 (images, channels)."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def _features(study: Study) -> dict[Domain, _Features]:
    """Of the domains that are measured; row i is of the same image in all of them."""
    archives = {}
    for domain in study.domains():
        artefact = features(study, domain)
        if artefact.exists:
            with np.load(artefact.file(FEATURES), allow_pickle=False) as archive:
                archives[domain] = {name: archive[name] for name in ("keys", "low", "high")}
    common = _common(archive["keys"].tolist() for archive in archives.values())
    return {
        domain: _Features(
            *(archive[name][np.isin(archive["keys"], common)].astype(np.float64) for name in ("low", "high"))
        )
        for domain, archive in archives.items()
    }


def _computed(jobs: Sequence[Callable[[], Any]], workers: int | None) -> list[Any]:
    """What each job returns, from processes with one thread of linear algebra each.

    With more threads the many small decompositions of a bootstrap wait for each other: on busy cores they took a
    hundred times as long.
    """
    with closing(run(_compute, list(enumerate(jobs)), workers)) as computed:
        results = {number: result for (number, _), result in computed}
    return [results[number] for number in range(len(jobs))]


def _compute(job: tuple[int, Callable[[], Any]]) -> Iterator[Any]:
    yield job[1]()


def _estimate(sampled: Sampled) -> Estimate:
    return Estimate(sampled.value, *sampled.interval)


def _common(keys: Iterable[Iterable[str]]) -> list[str]:
    """The keys that all of these have, sorted: a conversion may have left out images that it could not convert."""
    sets = [set(some) for some in keys]
    return sorted(set.intersection(*sets)) if sets else []
