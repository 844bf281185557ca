"""From counts of pixels to results and their page."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from dsr.data_pipelines.datasets import Sample, Source
from dsr.experiments.analysis.tables import DIFFERENCES
from dsr.experiments.domain import Case
from dsr.experiments.results import (
    ArtefactFacts,
    ClassFacts,
    DatasetFacts,
    EvaluationResult,
    LeftOut,
    OverImages,
    PointResult,
    Rated,
    Results,
    SampleImages,
    ScoredOn,
    StudyFacts,
)
from dsr.experiments.samples import spread
from dsr.experiments.scoring.counts import Counts, estimate
from dsr.experiments.scoring.predictions import Ids, Predicted, match, read_label_map
from dsr.experiments.study import Study
from dsr.tfrecords.errors import one_sentence
from dsr.tfrecords.files import write_atomically
from dsr.tfrecords.manifest import installed_versions
from dsr.tfrecords.png import encode_png

PAIRS = (*DIFFERENCES, ("OR", "OO"))
"""A configuration, and the one that is subtracted where both were scored."""


def evaluation_result(case: Case, counts: Counts, names: Sequence[str]) -> EvaluationResult:
    """A case's scores over all images; `names` are those of the classes."""
    return EvaluationResult(
        configuration=case.configuration,
        point=case.changed.point,
        restorer=case.changed.restorer,
        seed=case.seed,
        miou=_or_none(counts.miou),
        pixel_accuracy=_or_none(counts.pixel_accuracy),
        per_class={name: _or_none(iou) for name, iou in zip(names, counts.iou.tolist())},
        confusion=None,
        tested=ScoredOn(len(counts.keys), []),
    )


def over_images(counts: Mapping[Case, Counts], names: Sequence[str]) -> list[OverImages]:
    """The scores of all cases, and their differences where both were scored with one seed; with intervals."""
    places = {
        (case.configuration, case.changed.point, case.seed): case for case in counts if case.changed.restorer is None
    }
    entries = [_entry(case, None, counts, names) for case in counts]
    for configuration, minus in PAIRS:
        for case in counts:
            other = places.get((minus, None if minus == "OO" else case.changed.point, case.seed))
            if case.configuration == configuration and other is not None:
                entries.append(_entry(case, other, counts, names))
    return entries


def _entry(case: Case, minus: Optional[Case], counts: Mapping[Case, Counts], names: Sequence[str]) -> OverImages:
    miou, per_class = estimate(counts[case], None if minus is None else counts[minus])
    return OverImages(
        configuration=case.configuration,
        minus=None if minus is None else minus.configuration,
        point=case.changed.point,
        restorer=case.changed.restorer,
        seed=case.seed,
        miou=miou,
        per_class=dict(zip(names, per_class)),
    )


def _or_none(value: float) -> Optional[float]:
    return None if math.isnan(value) else float(value)


def scored_results(
    study: Study,
    common: Mapping[Case, Counts],
    scored: dict[str, Any],
    *,
    size: tuple[int, int],
    points: list[PointResult],
    samples: list[SampleImages],
    seconds: float,
    original_bpp: Optional[float] = None,
    left_out: Sequence[LeftOut] = (),
    artefacts: Sequence[ArtefactFacts] = (),
) -> Results:
    """What a report shows of cases, all of which are scored on the same images.

    Args:
        study: Its name and dataset.
        common: The counts of each case, as `over_common` gives them.
        scored: What was, as JSON.
        size: (height, width) of the images.
        points: The operating points.
        samples: Pictures.
        seconds: What all took.
        original_bpp: Of the test images as PNG.
        left_out: The images that not all cases have.
        artefacts: What was made on the way.
    """
    source, config = study.source, study.config
    classes = source.table.classes
    names = [label.name for label in classes]
    first = next(iter(common.values()))
    return Results(
        study=StudyFacts(
            name=f"{config.name}, {study.folder.name}",
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            seconds=seconds,
            command="dsr " + shlex.join(sys.argv[1:]),
            config={"dataset": config.to_json()["dataset"], **scored},
            seed=config.seed,
        ),
        versions=installed_versions(),
        dataset=DatasetFacts(
            name=source.name,
            teaching=source.name == "streets",
            classes=[ClassFacts(label.name, list(label.color), label.small) for label in classes],
            images={"test": len(first.keys)},
            height=size[0],
            width=size[1],
            unlabelled=[name for name, pixels in zip(names, first.labelled.sum(0)) if not pixels],
            labelled_images=int(np.count_nonzero(first.labelled.any(axis=1))),
            class_images=dict(zip(names, np.count_nonzero(first.labelled, axis=0).tolist())),
        ),
        points=points,
        original_bpp=original_bpp,
        evaluations=[evaluation_result(case, found, names) for case, found in common.items()],
        over_images=over_images(common, names),
        left_out=list(left_out),
        samples=samples,
        artefacts=list(artefacts),
    )


def points_of(cases: Sequence[Case]) -> list[PointResult]:
    """The operating points of cases of which nothing else is known."""
    degradations = {case.changed.point: case.changed.degradation for case in cases}
    unknown = Rated(psnr=None, ms_ssim=None, ms_ssim_db=None, bpp=None, bpp_min=None, bpp_max=None, train_bpp=None)
    return [
        PointResult(d.point, d.point if d.level is None else d.name, d.level, unknown, {}, d.family)
        for d in degradations.values()
        if d is not None
    ]


def predicted_samples(
    found: Sequence[Predicted], source: Source, samples: Sequence[Sample], ids: Ids, count: int, folder: Path
) -> list[SampleImages]:
    """Some images, spread evenly, with their labels and what each case of the first seed predicted.

    Pictures are written into `folder`, which is made.
    """
    first = min(one.case.seed for one in found)
    shown = {one.case: match(one.folder, samples)[0] for one in found if one.case.seed == first}
    views = []
    with one_sentence(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for place, number in spread(count, len(samples)).items():
            sample = samples[place]
            pixels, truth = source.read(sample)
            assert truth is not None  # it was scored
            pictures = {
                role: _written(folder / f"{number}-{role}.png", array)
                for role, array in (("original", pixels), ("label", truth))
            }
            predicted = {
                case: _written(
                    folder / f"{number}-{case.name}.png",
                    read_label_map(maps[sample.key], source.table, ids),
                )
                for case, maps in shown.items()
            }
            for point in dict.fromkeys(case.changed.point for case in shown if case.changed.point):
                here = {case: path for case, path in predicted.items() if case.changed.point in (None, point)}
                restored: dict[str, dict[str, str]] = {}
                for case, path in here.items():
                    if case.changed.restorer is not None:
                        restored.setdefault(case.changed.restorer, {})[case.configuration] = path
                plain = {case.configuration: path for case, path in here.items() if case.changed.restorer is None}
                views.append(SampleImages(sample.key, point, {**pictures, **plain}, restored, None, None))
    return views


def _written(path: Path, array: NDArray[np.uint8]) -> str:
    write_atomically(path, encode_png(array))
    return str(path)
