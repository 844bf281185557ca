"""A work folder whose artefacts say what a test wants them to have measured; nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Optional

from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.artefacts import CURVES, Artefact, closure
from dsr.experiments.planning.known import Family, Known, Rated, Score
from dsr.experiments.planning.units import Size
from dsr.experiments.study import Study
from dsr.experiments.summaries import EvaluationSummary, ShardsSummary, TrainingSummary
from dsr.tfrecords.building import building
from tests.experiments import studies

BPG = Family.of(OperatingPoint("bpg", 36))
RATES = {30: 0.8, 36: 0.4, 42: 0.2}


def study(work: Path, *overrides: str) -> Study:
    return Study(apply_overrides(studies.small(), ["points=bpg-qp36,bpg-qp42", *overrides]), work)


def measure(study: Study, scores: Mapping[tuple[str, Optional[int]], float], rates: Mapping[int, float]) -> None:
    """Make the evaluations {(configuration, QP): mIoU} of every seed, and all that they were made of."""
    for (configuration, quality), miou in scores.items():
        for seed in study.seeds:
            degradation = next((d for d in study.degradations if d.level == quality), study.degradations[0])
            case = Case.of(configuration, degradation, "gan", seed)
            targets = [study.evaluation(case), study.shards(Domain("C", degradation), "test")]
            finish(targets, miou + 0.01 * seed, rates)


def finish(targets: Iterable[Artefact], miou: float, rates: Mapping[int, float]) -> None:
    """Make evaluations, and all that they were made of."""
    for artefact in closure(targets):
        if not artefact.exists:
            _make(artefact, miou, rates)


def convert(study: Study, quality: int, rates: Mapping[int, float]) -> None:
    """Make the test images at a QP."""
    degradation = next(d for d in study.degradations if d.level == quality)
    finish([study.shards(Domain("C", degradation), "test")], 0.0, rates)


def _make(artefact: Artefact, miou: float, rates: Mapping[int, float]) -> None:
    with building(artefact.folder, artefact.identity) as build:
        (build.path / "made-up").write_bytes(b"")
        if artefact.group == "evaluations":
            summary: object = EvaluationSummary(40, miou, 0.9, {}, [])
        elif artefact.group == "shards":
            assert isinstance(artefact.of, Domain)
            level = artefact.of.degradation.level if artefact.of.letter == "C" and artefact.of.degradation else None
            bpp = 9.0 if level is None else rates[int(level)]
            summary = ShardsSummary(40, 40, 0, 128, 256, bpp, bpp, bpp, 30.0, 0.9, 10.0, 1.0)
        else:
            (build.path / CURVES).write_text(json.dumps({}))
            summary = TrainingSummary(10, 1.0, 5, 120)
        build.summary.update(asdict(summary))  # type: ignore[call-overload]


def known(
    scores: Mapping[tuple[int, Optional[str]], Score],
    rates: Mapping[int, float] = RATES,
    images: int = 100,
    **more: object,
) -> Known:
    """What a study of BPG says, by QP."""
    rated = [Rated(f"bpg-qp{qp}", "bpg", qp, BPG, bpp) for qp, bpp in rates.items()]
    named = {(f"bpg-qp{qp}", repair): score for (qp, repair), score in scores.items()}
    return Known(
        images,
        Size(1000, 1000),
        reference=Score(0.5, (0.49, 0.51)),
        rated=rated,
        scores=named,
        seeds=dict.fromkeys(named, 3),
        **more,  # type: ignore[arg-type]
    )
