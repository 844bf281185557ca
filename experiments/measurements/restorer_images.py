"""How many images the restorer needs (paper, Fig. 8): RO with restorers trained on the first N images, beside CO."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from dsr.data_pipelines.degradations import Degradation
from dsr.experiments.domain import Case
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.results import ImagesTrial
from dsr.experiments.study import Study
from dsr.experiments.summaries import EvaluationSummary
from dsr.models.restorers.registry import RestorerName


@dataclass(frozen=True)
class Trial:
    """Evaluations, one a seed, of RO with a restorer trained on so many images; of CO where `restorer` is None."""

    point: str
    restorer: Optional[RestorerName]
    images: int
    evaluations: list[Artefact]


def trials(study: Study, counts: Sequence[int]) -> list[Trial]:
    """CO, and RO for each number of images, rising, at each operating point with each restorer.

    Raises:
      ConfigError: more images than are set apart for restorers. RestorerError: fewer than one, or a restorer that comes
        trained.
    """
    config, most = study.config, study.images("restore")
    for name in config.restorers:
        config.restorer.training(name)
    found = []
    for degradation in study.degradations:
        found.append(Trial(degradation.point, None, 0, _by_seed(study, "CO", degradation, config.restorers[0])))
        for count in sorted(set(counts)):
            # All of the images are what the study itself trains on, with which this then shares a restorer.
            images = None if count == most else count
            restorer = dataclasses.replace(config.restorer, images=images)
            smaller = Study(dataclasses.replace(config, restorer=restorer), study.work, study.converting)
            found += [
                Trial(degradation.point, name, count, _by_seed(smaller, "RO", degradation, name))
                for name in config.restorers
            ]
    return found


def _by_seed(study: Study, configuration: str, degradation: Degradation, restorer: RestorerName) -> list[Artefact]:
    return [study.evaluation(Case.of(configuration, degradation, restorer, seed)) for seed in study.seeds]


def scores(found: Sequence[Trial]) -> list[ImagesTrial]:
    """What the trials scored."""
    return [
        ImagesTrial(
            trial.point,
            trial.restorer,
            trial.images,
            [one.summary(EvaluationSummary).miou for one in trial.evaluations],
        )
        for trial in found
    ]
