"""How much usable information segmenters lose, and where in an image, from the losses that were measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from dsr.data_pipelines.degradations import Degradation
from dsr.experiments.domain import Case
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.loss_differences import ADAPTED, DIFFERENCES, SUMS
from dsr.experiments.measurements.artefacts import cases_of_losses, losses
from dsr.experiments.measurements.files import LOSSES, SURPRISES
from dsr.experiments.results import CrossEntropy, Estimate, ImageLosses, Information, LossDifference
from dsr.experiments.study import Study
from dsr.experiments.summaries import LossesSummary, TemperatureSummary
from dsr.models.metrics.distances import Counts, resamples
from dsr.models.metrics.information import Difference, Losses, differ
from dsr.models.restorers.registry import RestorerName

LEAST_IMAGES = 4
"""Fewer say nothing about others."""

NAMES: dict[tuple[str, Optional[str]], str] = {case: name for name, case in ADAPTED.items()}

DRAWS = 1000
"""Of the images, for an interval: its length is then itself off by 2 %."""


def information_results(study: Study) -> Optional[Information]:
    """What the measured cases lose on the images that all of them have; None if these are fewer than `LEAST_IMAGES`."""
    artefacts = {case: one for case in cases_of_losses(study) if (one := losses(study, case)).exists}
    tables = {case: _table(artefact) for case, artefact in artefacts.items()}
    keys = sorted(set.intersection(*(set(table["keys"].tolist()) for table in tables.values()))) if tables else []
    if len(keys) < LEAST_IMAGES:
        return None
    measured = {case: _losses(table, keys) for case, table in tables.items()}
    names = [label.name for label in study.source.table.classes]
    draws = resamples(len(keys), study.config.seed, DRAWS)
    return Information(
        keys=keys,
        pixels=dict(zip(names, next(iter(measured.values())).pixels.sum(axis=0).tolist())),
        losses=[_cross_entropy(case, artefacts[case], one, len(keys), names) for case, one in measured.items()],
        differences=[
            found
            for degradation in study.degradations
            for pair in DIFFERENCES
            for name in (study.config.restorers if "R" in "".join(pair) else study.config.restorers[:1])
            if (found := _difference(study, measured, pair, degradation, name, names, draws))
        ],
        images=[
            ImageLosses(degradation.point, [float(b) if np.isfinite(b) else None for b in bits], {})
            for degradation in study.degradations
            if (bits := _by_image(study, measured, degradation)) is not None
        ],
    )


def surprises(study: Study, case: Case) -> dict[str, NDArray[np.float16]]:
    """Of each sample image that was kept, by key, -log2 p(label) of each pixel, (height, width), nan without a label.

    Empty if the case was not measured.
    """
    artefact = losses(study, case)
    if not artefact.exists:
        return {}
    keys = artefact.summary(LossesSummary).samples
    with np.load(artefact.file(SURPRISES), allow_pickle=False) as archive:
        return {key: archive[str(number)] for number, key in enumerate(keys)}


def _table(artefact: Artefact) -> dict[str, NDArray[Any]]:
    with np.load(artefact.file(LOSSES), allow_pickle=False) as archive:
        return {name: archive[name] for name in ("keys", "nats", "pixels")}


def _losses(table: Mapping[str, NDArray[Any]], keys: list[str]) -> Losses:
    """Of the images of these keys; keys are sorted in the table too."""
    common = np.isin(table["keys"], keys)
    return Losses(table["nats"][common], table["pixels"][common])


def _cross_entropy(case: Case, artefact: Artefact, found: Losses, images: int, names: list[str]) -> CrossEntropy:
    """Of so many images; an mIoU that is of more would stand beside bits of others."""
    summary = artefact.summary(LossesSummary)
    fitted = artefact.inputs.get("temperature")
    temperature = fitted.summary(TemperatureSummary) if fitted else None
    return CrossEntropy(
        configuration=NAMES.get((case.configuration, case.adaptation), case.configuration),
        point=case.changed.point,
        restorer=case.changed.restorer,
        seed=case.seed,
        temperature=temperature.temperature if temperature and temperature.pixels else None,
        bits=found.bits,
        miou=summary.miou if summary.images == images else None,
        per_class={name: float(b) if np.isfinite(b) else None for name, b in zip(names, found.by_class)},
    )


def _difference(
    study: Study,
    measured: Mapping[Case, Losses],
    pair: tuple[str, str],
    degradation: Degradation,
    restorer: RestorerName,
    names: list[str],
    draws: list[Counts],
) -> Optional[LossDifference]:
    """Of the seeds that have both; None if none has."""
    pairs = _pairs(study, measured, pair, degradation, restorer)
    if not pairs:
        return None
    total, classes = differ(pairs, draws)
    return LossDifference(
        *pair,
        point=degradation.point,
        restorer=restorer if "R" in "".join(pair) else None,
        seeds=len(pairs),
        bits=_estimate(total),
        per_class={name: _estimate(one) if one else None for name, one in zip(names, classes)},
    )


def _by_image(study: Study, measured: Mapping[Case, Losses], degradation: Degradation) -> Optional[NDArray[np.float64]]:
    pairs = _pairs(study, measured, ("CC", "OO"), degradation, study.config.restorers[0])
    return np.mean([first.by_image - second.by_image for first, second in pairs], axis=0) if pairs else None


def _pairs(
    study: Study,
    measured: Mapping[Case, Losses],
    pair: tuple[str, str],
    degradation: Degradation,
    restorer: RestorerName,
) -> list[tuple[Losses, Losses]]:
    """Both of a pair of configurations, seed by seed."""
    both = [[_side(measured, one, degradation, restorer, seed) for one in pair] for seed in study.seeds]
    return [(first, second) for first, second in both if first and second]


def _side(
    measured: Mapping[Case, Losses], name: str, degradation: Degradation, restorer: RestorerName, seed: int
) -> Optional[Losses]:
    """A side of a difference, of one seed; None unless all of it was measured."""
    cases = [_case(one, degradation, restorer, seed) for one in SUMS.get(name, (name,))]
    if not all(case in measured for case in cases):
        return None
    return Losses(np.sum([measured[case].nats for case in cases], axis=0), measured[cases[0]].pixels)


def _case(name: str, degradation: Degradation, restorer: RestorerName, seed: int) -> Case:
    configuration, adaptation = ADAPTED.get(name, (name, None))
    return dataclasses.replace(Case.of(configuration, degradation, restorer, seed), adaptation=adaptation)


def _estimate(found: Difference) -> Estimate:
    return Estimate(found.value, found.low, found.high)
