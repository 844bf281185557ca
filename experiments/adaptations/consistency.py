"""A segmenter trained to predict the same for an original and for its compressed version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsr.experiments.adaptations.base import Adaptation, numbered, seed_of
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress

if TYPE_CHECKING:
    from dsr.experiments.study import Study


@dataclass(frozen=True)
class Consistency(Adaptation):
    """Beside each labelled crop a pair of unlabelled ones, and the divergence of the predictions in the loss.

    The mean of KL(p(compressed) || p(original)) over the pixels of the pairs, in nats, comes to the cross-entropy
    (`dsr.models.segmenter.consistency`); the number of steps stays.

    Attributes:
      weight: of the divergence, at its full height.
      warmup: the share of the steps in which the weight rises from 0, evenly; predictions mean little at first.
    """

    name = "consistency"
    label = "trained to predict the same for an original and its compressed version"
    crops = 3  # each labelled one and a pair
    needs = f"originals without labels; as many steps over {crops} times the crops"

    weight: float = 1.0
    warmup: float = 0.3

    def adapt(self, study: Study, trained: Artefact) -> Artefact:
        domain, images = trained.of, study.config.restorer.images
        assert isinstance(domain, Domain)

        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.consistency import build_consistent

            config, table = study.config.segmenter, study.source.table
            build_consistent(config, self, images, seed_of(trained), table, artefact, progress)

        pairs = {
            "original": study.shards(Domain("O"), "restore"),
            "compressed": study.shards(Domain("C", domain.degradation), "restore"),
        }
        return self.derived(
            trained,
            {**trained.identity.config, **numbered(images, "pairs")},
            {**trained.inputs, **pairs},
            build=build,
            seconds_per_unit=self.crops * trained.seconds_per_unit,
        )
