"""From a study's artefacts to what it found, and to its report."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Optional

import numpy as np
from PIL import Image

from dsr.data_pipelines.degradations import Degradation
from dsr.experiments.analysis.information import worst
from dsr.experiments.analysis.pictures import THUMBNAIL, information_levels
from dsr.experiments.analysis.report import RESULTS, write_report
from dsr.experiments.common_images import keys_of, summary_of_images
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.config.schema import ROLES
from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.artefacts import CURVES, Artefact, closure
from dsr.experiments.measurements.artefacts import losses, measurements
from dsr.experiments.measurements.information import information_results, surprises
from dsr.experiments.measurements.kept import INFERENCE_TIMES, RESTORER_IMAGES, SCALING
from dsr.experiments.measurements.shift import perceptual_results, shift_results
from dsr.experiments.results import (
    AdaptedResult,
    ArtefactFacts,
    ClassFacts,
    DatasetFacts,
    EvaluationResult,
    Fidelity,
    GalleryImage,
    Information,
    PointResult,
    Rated,
    Results,
    SampleImages,
    ScoredOn,
    StageTiming,
    StudyFacts,
    TrainingResult,
)
from dsr.experiments.stored_json import from_json, load
from dsr.experiments.stored_study import claim_folder
from dsr.experiments.study import ORIGINAL, Study
from dsr.experiments.summaries import ConfusionSummary, EvaluationSummary, ImagesSummary, ShardsSummary, TrainingSummary
from dsr.tfrecords.files import write_atomically
from dsr.tfrecords.ledger import STATISTICS
from dsr.tfrecords.manifest import records
from dsr.tfrecords.png import encode_png

GALLERY = 24
"""How many test images the report shows small."""


def collect(study: Study) -> Results:
    """What the existing artefacts of a study say.

    Raises:
      ConfigError: not one evaluation of the study exists yet.
    """
    scores = _collect(study, measurements(study))
    return dataclasses.replace(
        scores,
        perceptual=[] if study.source.teaching else perceptual_results(study),
        shift=shift_results(study),
        information=_information(study),
        samples=[sample for degradation in study.degradations for sample in sample_images(study, degradation)],
        gallery=_gallery(study, scores.points),
    )


def collect_scores(study: Study) -> Results:
    """The same without what takes time: distances with their intervals, indexes of images, and pictures."""
    return _collect(study, [])


def _collect(study: Study, measured: list[Artefact]) -> Results:
    evaluations = [e for e in map(study.evaluation, study.cases()) if e.exists]
    if not evaluations:
        raise ConfigError(f"study {study.config.name} has no evaluation in {study.work} yet: run dsr run first")
    rivals = [e for e in map(study.evaluation, study.rivals()) if e.exists]
    artefacts = [a for a in closure([*evaluations, *rivals, *measured]) if a.exists]
    table = study.source.table
    original = study.shards(ORIGINAL, "test").summary(ShardsSummary)
    return Results(
        study=StudyFacts(
            name=study.config.name,
            created=max(a.manifest.created for a in artefacts),
            seconds=sum(a.seconds for a in artefacts),
            command="dsr " + shlex.join(sys.argv[1:]),
            config=study.config.to_json(),
            seed=study.config.seed,
        ),
        versions=max(artefacts, key=lambda a: a.manifest.created).manifest.versions,
        dataset=DatasetFacts(
            name=study.source.name,
            teaching=study.source.teaching,
            classes=[ClassFacts(c.name, list(c.color), c.small) for c in table.classes],
            images={role: study.images(role) for role in ROLES},
            height=original.height,
            width=original.width,
            file_bpp=original.source.bpp if original.source else None,
            photographs=None if study.source.teaching else study.photographs("test"),
            unlabelled=_unlabelled(study, evaluations),
        ),
        points=[point_result(study, d) for d in study.degradations if study.shards(Domain("C", d), "test").exists],
        original_bpp=original.bpp,
        evaluations=[_evaluation(study, e) for e in evaluations],
        adapted=[_adapted(study, e) for e in rivals],
        restorer_images=RESTORER_IMAGES.kept(study),
        inference_times=INFERENCE_TIMES.kept(study),
        scaling=SCALING.kept(study),
        changed={
            kept.name: {name: list(values) for name, values in changed.items()}
            for kept in (RESTORER_IMAGES, INFERENCE_TIMES, SCALING)
            if (changed := kept.changed(study))
        },
        trainings=[_training(a) for a in artefacts if a.batch is not None],
        timings=[_timing(a) for a in artefacts if a.units],
        artefacts=[artefact_facts(a) for a in artefacts],
    )


def artefact_facts(artefact: Artefact) -> ArtefactFacts:
    """Where an existing artefact came from."""
    return ArtefactFacts(
        kind=artefact.identity.kind,
        name=artefact.name,
        folder=str(artefact.folder.relative_to(artefact.root)),
        fingerprint=artefact.fingerprint,
        created=artefact.manifest.created,
        seconds=artefact.seconds,
        inputs=artefact.identity.inputs,
    )


def report_of(study: Study, results: Results, against: Optional[Results] = None) -> Path:
    """Write the report page and its tables to the study's folder; returns the page.

    `against` is what another study found, to be set beside it.
    """
    return write_report(results, claim_folder(study), against)


def other_results(study: Study, name: str) -> Results:
    """What another study found.

    `name` is that of a study in the same work folder, or the path of a report's folder or of its results.json.

    Raises:
      ConfigError: there is none, or what is there are no results.
      UserError: they cannot be read.
    """
    given = Path(name).expanduser()
    places = [study.folder.parent / name / RESULTS, given / RESULTS, given]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise ConfigError(f"there are no results of {name}: neither {places[0]} nor {given} is there; write its report")
    try:
        return from_json(Results, load(path), strict=False)
    except ValueError as error:
        raise ConfigError(f"{path} holds no results of a study ({error}); write its report again") from None


def point_result(study: Study, degradation: Degradation, keys: Optional[Collection[str]] = None) -> PointResult:
    """An operating point of which the compressed test images exist, with those that are restored.

    It is measured on these images, which all of them have; by default on all that there are.
    """
    shards = study.shards(Domain("C", degradation), "test")
    compressed = summary_of_images(shards, keys)
    train = study.shards(Domain("C", degradation), "train") if "train" in study.roles else None
    restored = {name: study.shards(Domain("R", degradation, name), "test") for name in study.config.restorers}
    return PointResult(
        point=degradation.point,
        codec=degradation.name,
        quality=degradation.level,
        compressed=Rated(
            **asdict(_fidelity(compressed)),
            bpp=compressed.bpp,
            bpp_min=compressed.bpp_min,
            bpp_max=compressed.bpp_max,
            train_bpp=train.summary(ShardsSummary).bpp if train and train.exists else None,
        ),
        restored={name: _fidelity(summary_of_images(one, keys)) for name, one in restored.items() if one.exists},
        family=degradation.family,
        measured=ScoredOn(compressed.images, _missing(study.shards(ORIGINAL, "test"), shards) if keys is None else []),
    )


def _fidelity(summary: ShardsSummary) -> Fidelity:
    return Fidelity(summary.psnr, summary.ms_ssim, summary.ms_ssim_db, summary.identical)


def _evaluation(study: Study, artefact: Artefact) -> EvaluationResult:
    case, summary = artefact.of, artefact.summary(EvaluationSummary)
    assert isinstance(case, Case)
    return EvaluationResult(
        configuration=case.configuration,
        point=case.changed.point,
        restorer=case.changed.restorer,
        seed=case.seed,
        miou=summary.miou,
        pixel_accuracy=summary.pixel_accuracy,
        per_class=summary.per_class,
        confusion=summary.confusion,
        tested=ScoredOn(summary.images, _missing(study.shards(ORIGINAL, "test"), study.shards(case.test, "test"))),
    )


def _missing(originals: Artefact, shards: Artefact) -> list[str]:
    """The keys of originals that shards lack; none of shards that are gone."""
    if not shards.exists or shards.summary(ShardsSummary).images == originals.summary(ShardsSummary).images:
        return []
    return sorted(set(keys_of(originals)).difference(keys_of(shards)))


def _unlabelled(study: Study, evaluations: Sequence[Artefact]) -> list[str]:
    """The classes of which no evaluation saw a labelled pixel."""
    matrices = [found for one in evaluations if (found := one.summary(ConfusionSummary).confusion)]
    classes = study.source.table.classes
    return [label.name for label in classes if matrices and not any(any(one[label.train_id]) for one in matrices)]


def _information(study: Study) -> Optional[Information]:
    """With small pictures of the originals that lose most."""
    found = information_results(study)
    if found is not None and study.shards(ORIGINAL, "test").exists:
        shown = {key for images in found.images for key, _ in worst(found, images)}
        pictures = _small_pictures(study, shown)
        for images in found.images:
            images.pictures = {key: pictures[key] for key, _ in worst(found, images)}
    return found


def _adapted(study: Study, artefact: Artefact) -> AdaptedResult:
    case, segmenter = artefact.of, artefact.inputs["segmenter"]
    assert isinstance(case, Case) and case.adaptation is not None
    seconds = segmenter.seconds if segmenter.exists else None
    return AdaptedResult(**vars(_evaluation(study, artefact)), adaptation=case.adaptation, seconds=seconds)


def _training(artefact: Artefact) -> TrainingResult:
    """A restorer's or segmenter's size, time and curves."""
    domain, summary = artefact.of, artefact.summary(TrainingSummary)
    assert isinstance(domain, Domain)
    return TrainingResult(
        kind=artefact.identity.kind,
        name=f"{artefact.identity.kind} {artefact.name.rpartition('/')[2]}",
        point=domain.point,
        domain=domain.letter if artefact.group == "segmenters" else None,
        restorer=domain.restorer,
        seed=artefact.identity.config["seed"],
        steps=summary.steps,
        seconds=artefact.seconds,
        parameters=summary.parameters,
        curves=load(artefact.file(CURVES)),
        adaptation=artefact.by,
    )


def sample_images(study: Study, degradation: Degradation) -> list[SampleImages]:
    """The test images that the evaluations kept, in every domain.

    They come with every configuration's prediction, of the first seed.
    """
    compressed = study.shards(Domain("C", degradation), "test")
    existing = {
        case: evaluation
        for case in study.cases()
        if case.seed == study.config.seed and case.changed.degradation in (None, degradation)
        if (evaluation := study.evaluation(case)).exists
    }
    if not existing or not compressed.exists:
        return []
    # Where an image could not be converted, the samples of the domains differ in number and place.
    kept = {case: evaluation.summary(EvaluationSummary).samples for case, evaluation in existing.items()}
    keys = next(iter(kept.values()))
    folder = _sample_folder(study)

    def pictures(domain: Domain) -> dict[str, tuple[str, str]]:
        return _pictures(study.shards(domain, "test"), set(keys), folder)

    originals, decoded = pictures(ORIGINAL), pictures(Domain("C", degradation))
    restored = {name: pictures(Domain("R", degradation, name)) for name in study.config.restorers}

    def predictions(key: str, restorer: Optional[str]) -> dict[str, str]:
        """Where the evaluations that have a sample put its label map: {configuration: path}."""
        return {
            case.configuration: str(evaluation.file(f"prediction-{kept[case].index(key)}.png"))
            for case, evaluation in existing.items()
            if case.changed.restorer == restorer and key in kept[case]
        }

    rows = {row["key"]: row for row in load(compressed.file(STATISTICS))}
    information = _information_maps(study, list(existing), folder)
    return [
        SampleImages(
            key=key,
            point=degradation.point,
            images={
                "original": originals[key][0],
                "compressed": decoded[key][0],
                "label": originals[key][1],
                **predictions(key, None),
            },
            restored={
                name: {"restored": found[key][0], **predictions(key, name)}
                for name, found in restored.items()
                if key in found
            },
            bytes=rows[key]["bytes"],
            psnr=rows[key]["psnr"],
            information=information.get(key),
        )
        for key in keys
        if key in originals and key in decoded
    ]


def _sample_folder(study: Study) -> Path:
    folder = claim_folder(study) / "samples"
    folder.mkdir(exist_ok=True)
    return folder


def _information_maps(study: Study, evaluated: Sequence[Case], folder: Path) -> dict[str, str]:
    """What compression takes of each pixel of the samples, CC minus OO, as PNG: {key: path}.

    Args:
      study: The study.
      evaluated: Its cases of one operating point and seed. A network that was trained elsewhere has no CC, and images
        that came compressed no OO: then there are no maps.
      folder: Where they are written.
    """
    by_configuration = {case.configuration: case for case in evaluated}
    if not {"CC", "OO"} <= by_configuration.keys():
        return {}
    cases = [by_configuration["CC"], by_configuration["OO"]]
    compressed, original = (surprises(study, case) for case in cases)
    paths = {}
    for number, key in enumerate(compressed):
        if key in original:
            path = folder / f"{losses(study, cases[0]).fingerprint[:8]}-{number}-information.png"
            bits = compressed[key].astype(np.float32) - original[key].astype(np.float32)
            write_atomically(path, encode_png(information_levels(bits)))
            paths[key] = str(path)
    return paths


def _small_pictures(study: Study, keys: Collection[str]) -> dict[str, str]:
    """PNGs of some original test images, THUMBNAIL pixels wide at most: {key: path}."""
    folder = _sample_folder(study)
    found: dict[str, str] = {}
    for number, record in enumerate(records(study.shards(ORIGINAL, "test").folder)):
        if record.key in keys:
            small = Image.fromarray(record.pixels())
            small.thumbnail((THUMBNAIL, THUMBNAIL))
            path = folder / f"small-{number}.png"
            write_atomically(path, encode_png(np.asarray(small)))
            found[record.key] = str(path)
    return found


def _pictures(shards: Artefact, keys: set[str], folder: Path) -> dict[str, tuple[str, str]]:
    """Image and label PNGs of some records, taken out of existing shards: {key: (image path, label path)}."""
    if not shards.exists:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for record in records(shards.folder):
        if record.key in keys:
            stem = f"{shards.fingerprint[:8]}-{len(found)}"
            image, label = folder / f"{stem}.png", folder / f"{stem}-label.png"
            write_atomically(image, record.image)
            write_atomically(label, record.label)
            found[record.key] = str(image), str(label)
    return found


def _gallery(study: Study, points: list[PointResult]) -> list[GalleryImage]:
    """The GALLERY test images with the lowest PSNR at the hardest compression, that first, small."""
    psnr: dict[str, dict[str, Optional[float]]] = {}
    for degradation in study.degradations:
        compressed = study.shards(Domain("C", degradation), "test")
        for row in load(compressed.file(STATISTICS)) if compressed.exists else []:
            psnr.setdefault(row["key"], {})[degradation.point] = row["psnr"]
    hardest = min(points, key=lambda point: point.ease).point if points else ""
    found = {key: value for key, by_point in psnr.items() if (value := by_point.get(hardest)) is not None}
    lowest = sorted(found, key=lambda key: (found[key], key))[:GALLERY]
    pictures = _small_pictures(study, lowest) if lowest else {}
    return [GalleryImage(key, pictures[key], psnr[key]) for key in lowest if key in pictures]


def _timing(artefact: Artefact) -> StageTiming:
    if artefact.batch is not None:
        training = artefact.summary(TrainingSummary)
        images, units = training.images, training.steps
    else:
        images = units = artefact.summary(ImagesSummary).images
    return StageTiming(artefact.label, images, artefact.seconds, 1000 * artefact.seconds / units)
