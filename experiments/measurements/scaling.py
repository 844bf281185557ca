"""More images compressed harder, or fewer compressed less: short trainings on nested subsets of the training images.

Not a grid: the law is a sum of a term of images and a term of bytes, so one arm of trainings tells each. All numbers of
images are trained on at the finest point, and all images at every point. Then comes the corner that both arms leave
out, fewest images at the coarsest point, where a law that is no sum would show, and from there inwards what else there
is room for. docs/planning.md compares this with the grid.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Optional

from dsr.data_pipelines.codecs import codec_class
from dsr.data_pipelines.degradations import Degradation
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.planning.known import Family
from dsr.experiments.results import ScalingTrial
from dsr.experiments.study import Study
from dsr.experiments.summaries import EvaluationSummary, ShardsSummary
from dsr.models.restorers.registry import RestorerName


@dataclass(frozen=True)
class Trial:
    """Evaluations, one a seed, of segmenters trained on so many images of compressed or restored shards."""

    point: str
    restorer: Optional[RestorerName]
    images: int
    shards: Artefact
    evaluations: list[Artefact]


def design(points: int, counts: int, most: int) -> list[tuple[int, int]]:
    """Which trainings: (place of the point, coarsest first, place of the number of images, fewest first).

    The finest point's arm, that of all images, the far corner, then from there inwards; at most `most`, but both arms
    and the corner always.
    """
    finest, all_images = points - 1, counts - 1
    arms = [(finest, count) for count in range(counts)] + [(point, all_images) for point in range(points - 1)]
    inside = [(point, count) for point in range(points - 1) for count in range(counts - 1)]
    inside.sort(key=lambda cell: (sum(cell), abs(cell[0] - cell[1]), cell))
    return arms + inside[: max(most - len(arms), 1)]


def trials(study: Study, shares: Sequence[Fraction], most: int, restorer: Optional[RestorerName]) -> list[Trial]:
    """The trainings of a design over a study's points and shares of its training images.

    Raises:
      ConfigError: fewer than three points or shares, points of several codecs, or shares of less than one image.
    """
    points = by_rate(study.degradations, study)
    available = study.images("train")
    counts = sorted({max(round(share * available), 1) for share in shares})
    if len(points) < 3 or len(counts) < 3:
        raise ConfigError(
            f"{len(points)} operating points and {len(counts)} numbers of images of {available} fit no scaling law: "
            "give three or more of each with --points and --fractions"
        )
    found = []
    for place, number in design(len(points), len(counts), most):
        count = counts[number]
        # All of the images are what the study itself trains on, with which this then shares segmenters.
        images = None if count == available else count
        segmenter = dataclasses.replace(study.config.segmenter, images=images)
        smaller = Study(dataclasses.replace(study.config, segmenter=segmenter), study.work, study.converting)
        degradation = next(d for d in smaller.degradations if d.point == points[place].point)
        configuration = "RO" if restorer else "CO"
        cases = [
            Case.of(configuration, degradation, restorer or study.config.restorers[0], seed) for seed in study.seeds
        ]
        shards = smaller.shards(Domain("C", degradation), "train")
        evaluations = [smaller.evaluation(case) for case in cases]
        found.append(Trial(degradation.point, restorer, count, shards, evaluations))
    return found


def by_rate(degradations: Sequence[Degradation], study: Study) -> list[Degradation]:
    """Operating points of one family, the coarsest first. Raises ConfigError if they are of several, or no codec's."""
    members = {study.degradation(point).point: point for point in study.config.points}
    if any(one.kind != "codec" or one.point not in members for one in degradations):
        raise ConfigError("a scaling law is one of bytes: give operating points of a codec with --points")
    families = {Family.of(members[one.point]) for one in degradations}
    if len(families) > 1:
        raise ConfigError(
            f"points {', '.join(one.point for one in degradations)} are not of one codec with the same options, "
            "so their bytes do not mean the same: give those of one"
        )
    (family,) = families
    scale = codec_class(family.member.codec).scale
    if scale is None:
        raise ConfigError(f"codec {family.member.codec} has one quality only: give points of another with --points")
    return sorted(degradations, key=lambda one: one.level or 0.0, reverse=not scale.higher_is_better)


def scores(found: Sequence[Trial]) -> list[ScalingTrial]:
    """What the trials scored."""
    return [
        ScalingTrial(
            trial.point,
            trial.restorer,
            trial.images,
            bytes_of(trial.shards),
            [one.summary(EvaluationSummary).miou for one in trial.evaluations],
        )
        for trial in found
    ]


def bytes_of(shards: Artefact) -> float:
    """The mean bytes of an image of existing shards: one of the size they say, at their rate."""
    summary = shards.summary(ShardsSummary)
    assert summary.bpp is not None
    return summary.bpp * summary.height * summary.width / 8
