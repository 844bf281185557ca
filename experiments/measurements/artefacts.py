"""The artefacts of a study's measurements."""

from __future__ import annotations

from typing import Optional

from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.artefacts import Artefact, fingerprints
from dsr.experiments.graph.progress import Progress
from dsr.experiments.loss_differences import ADAPTED
from dsr.experiments.measurements.files import FITTED_IMAGES
from dsr.experiments.measurements.perceptual import build_perceptual
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.metrics.perceptual import INDEXES
from dsr.models.metrics.perceptual.stored import FOLDER
from dsr.tfrecords.integrity import sha256
from dsr.tfrecords.manifest import Identity, release

# Costs on two cores, used in plans until the work folder holds a measurement of the same kind.
SECONDS_PER_SCORED_IMAGE = 0.1
SECONDS_PER_IMAGE_OF_FEATURES = 0.05
SECONDS_PER_IMAGE_OF_LOSSES = 0.12


def measurements(study: Study) -> list[Artefact]:
    """All that a study measures of its test images.

    A segmenter that is trained on originals sees features, if there is one. How natural images look is asked of
    photographs alone: what the perceptual indexes know of nature, no drawing has.
    """
    measures = [*([] if study.source.teaching else [perceptual]), *([] if study.came_compressed else [features])]
    return [
        *(measure(study, domain) for domain in study.domains() for measure in measures),
        *(losses(study, case) for case in cases_of_losses(study)),
    ]


def perceptual(study: Study, domain: Domain) -> Artefact:
    """The perceptual indexes of each image."""

    def build(artefact: Artefact, progress: Progress) -> None:
        build_perceptual(study.converting.how.workers, artefact, progress)

    shards = study.shards(domain, "test")
    weights = {name: sha256(FOLDER / f"{name}.npz") for name in INDEXES}
    return Artefact(
        group="perceptual",
        root=study.work,
        identity=Identity(
            "perceptual", shards.name, {"weights": weights, "dsr": release()}, {"shards": shards.fingerprint}
        ),
        of=domain,
        inputs={"shards": shards},
        build=build,
        units=study.images("test"),
        seconds_per_unit=SECONDS_PER_SCORED_IMAGE,
    )


def features(study: Study, domain: Domain) -> Artefact:
    """What the first segmenter trained on originals sees in each image.

    One network for all domains, so that channels correspond.
    """

    def build(artefact: Artefact, progress: Progress) -> None:
        from dsr.experiments.measurements.features import build_features

        build_features(study.config.segmenter, study.source.table, artefact, progress)

    inputs = {
        "segmenter": study.segmenter(ORIGINAL, study.config.seed),
        "shards": study.shards(domain, "test"),
    }
    return Artefact(
        group="features",
        root=study.work,
        identity=Identity(
            "features",
            inputs["shards"].name,
            {"dsr": release()},
            fingerprints(inputs),
        ),
        of=domain,
        inputs=inputs,
        build=build,
        units=study.images("test"),
        seconds_per_unit=SECONDS_PER_IMAGE_OF_FEATURES,
    )


def cases_of_losses(study: Study) -> list[Case]:
    """The six configurations, and RR, which trains and tests on restored images; those of one segmenter together.

    RR is no configuration of the paper's: nobody would restore to both ends for its own sake. Its loss says whether
    restored images hold more that a segmenter can use than compressed ones. Where a study has recalibrated segmenters,
    those of CO and OO are among them: what recalibrating saves more of CO was shift.
    """
    recalibrated = [case for case in study.rivals() if (case.configuration, case.adaptation) in ADAPTED.values()]
    by_segmenter: dict[tuple[Domain, int, Optional[str]], list[Case]] = {}
    for case in (*study.cases(), *study.cases("RR"), *recalibrated):
        by_segmenter.setdefault((case.train, case.seed, case.adaptation), []).append(case)
    return [case for cases in by_segmenter.values() for case in cases]


def losses(study: Study, case: Case) -> Artefact:
    """What the segmenter of a case loses on each test image of the case."""

    def build(artefact: Artefact, progress: Progress) -> None:
        from dsr.experiments.measurements.losses import build_losses

        build_losses(study.config.segmenter, study.config.samples, study.source.table, artefact, progress)

    evaluation = study.evaluation(case)
    home = ORIGINAL if case.adaptation else case.train  # what is adapted is adapted to originals
    fitted = temperature(study, evaluation.inputs["segmenter"], home)
    inputs = {**evaluation.inputs, **({"temperature": fitted} if fitted else {})}
    return Artefact(
        group="losses",
        root=study.work,
        identity=Identity(
            "losses",
            evaluation.name,
            {"samples": study.config.samples, "dsr": release()},
            fingerprints(inputs),
        ),
        of=case,
        inputs=inputs,
        build=build,
        units=study.images("test"),
        seconds_per_unit=SECONDS_PER_IMAGE_OF_LOSSES,
    )


def temperature(study: Study, segmenter: Artefact, domain: Domain) -> Optional[Artefact]:
    """The temperature of a segmenter that is at home in a domain; None if no image set apart has a label to fit it to.

    It is fitted in that domain: how sure a segmenter is of itself belongs to it, whatever it is tested on. That it is
    too sure on other images is part of their shift.
    """
    if all(sample.label is None for sample in study.source.samples(study.split("restore"))):
        return None

    def build(artefact: Artefact, progress: Progress) -> None:
        from dsr.experiments.measurements.losses import build_temperature

        build_temperature(study.config.segmenter, study.source.table, artefact, progress)

    inputs = {"segmenter": segmenter, "shards": study.shards(domain, "restore")}
    return Artefact(
        group="temperatures",
        root=study.work,
        identity=Identity(
            "temperature",
            segmenter.name,
            {"dsr": release()},
            fingerprints(inputs),
        ),
        of=domain,
        inputs=inputs,
        build=build,
        units=min(study.images("restore"), FITTED_IMAGES),
        seconds_per_unit=SECONDS_PER_IMAGE_OF_LOSSES,
    )
