"""The artefacts of a study's measurements."""

from __future__ import annotations

import hashlib

from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements.perceptual import build_perceptual
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.metrics.perceptual import INDEXES
from dsr.models.metrics.perceptual.stored import FOLDER
from dsr.tfrecords.manifest import Identity, release

# Costs on two cores, used in plans until the work folder holds a measurement of the same kind.
SECONDS_PER_SCORED_IMAGE = 0.1
SECONDS_PER_IMAGE_OF_FEATURES = 0.05


def measurements(study: Study) -> list[Artefact]:
    """All that a study measures of its test images.

    A segmenter that is trained on originals sees features, if there is one.
    """
    measures = (perceptual,) if study.came_compressed else (perceptual, features)
    return [measure(study, domain) for domain in study.domains() for measure in measures]


def perceptual(study: Study, domain: Domain) -> Artefact:
    """The perceptual indexes of each image."""

    def build(artefact: Artefact, progress: Progress) -> None:
        build_perceptual(study.converting.how.workers, artefact, progress)

    shards = study.shards(domain, "test")
    weights = {name: hashlib.sha256((FOLDER / f"{name}.npz").read_bytes()).hexdigest() for name in INDEXES}
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
            {role: artefact.fingerprint for role, artefact in inputs.items()},
        ),
        of=domain,
        inputs=inputs,
        build=build,
        units=study.images("test"),
        seconds_per_unit=SECONDS_PER_IMAGE_OF_FEATURES,
    )
