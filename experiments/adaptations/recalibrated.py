"""A trained segmenter with the batch-norm statistics of the originals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsr.experiments.adaptations.base import Adaptation, numbered, seed_of
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress

if TYPE_CHECKING:
    from dsr.experiments.study import Study

SECONDS_PER_IMAGE = 0.5
"""At the size of CamVid, until the work folder holds a measurement: about two forward passes."""


@dataclass(frozen=True)
class Recalibrated(Adaptation):
    """Exact statistics of what each layer is given of the images set apart (`dsr.models.segmenter.recalibration`).

    Also of a segmenter that was trained on originals: what it gains there is not owed to compression.
    """

    name = "recalibrated"
    label = "batch-norm statistics of the originals"
    needs = "originals without labels; minutes, no training"
    trained_on = "OCR"

    def adapt(self, study: Study, trained: Artefact) -> Artefact:
        images = study.config.restorer.images

        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.recalibrated import build_recalibrated

            build_recalibrated(study.config.segmenter, study.source.table, images, artefact, progress)

        return self.derived(
            trained,
            {"seed": seed_of(trained), **numbered(images, "images")},
            {"segmenter": trained, "original": study.shards(Domain("O"), "restore")},
            build=build,
            units=images or study.images("restore"),
            batch=None,
            seconds_per_unit=SECONDS_PER_IMAGE,
        )
