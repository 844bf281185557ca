"""A segmenter trained on the compressed images at several rates."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Optional

from dsr.data_pipelines.codecs import Codec
from dsr.data_pipelines.degradations import Degradation
from dsr.data_pipelines.degradations.chain import Chain
from dsr.experiments import conversion
from dsr.experiments.adaptations.base import Adaptation, seed_of
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.domain import Domain
from dsr.experiments.fleet.alike import Alike
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.tfrecords.conversions import recompressed_identity

if TYPE_CHECKING:
    from dsr.experiments.study import Study


@dataclass(frozen=True)
class Mixed(Adaptation):
    """Each training image as it came, or compressed again, harder: at each draw one of these, all as likely.

    The harder rates are the next on the codec's own ladder. Easier ones cannot be had of what a fleet sent, and would
    be other data than its rivals have.

    Attributes:
      rungs: how many harder rates there are, at most.
    """

    name = "mixed"
    label = "trained on several rates mixed"
    needs = "no originals; the training images are compressed again, then as many steps"

    rungs: int = 2

    def adapt(self, study: Study, trained: Artefact) -> Artefact:
        domain = trained.of
        assert isinstance(domain, Domain) and domain.degradation is not None
        again = [
            _recompressed(study, trained.inputs["shards"], codec) for codec in harder(domain.degradation, self.rungs)
        ]

        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.mixed import build_mixed

            build_mixed(study.config.segmenter, seed_of(trained), study.source.table, artefact, progress)

        inputs = {**trained.inputs, **{f"shards{number}": one for number, one in enumerate(again, start=1)}}
        return self.derived(trained, trained.identity.config, inputs, build=build)


def harder(degradation: Degradation, rungs: int) -> list[Codec]:
    """The codec of an operating point at the next qualities of its ladder that are harder, the nearest first.

    Raises:
      ConfigError: there are none.
    """
    codec = _codec_of(degradation)
    scale = codec.scale if codec else None
    qualities: list[float] = []
    if codec is not None and scale is not None:
        sign = 1 if scale.higher_is_better else -1
        qualities = sorted((q for q in codec.ladder if sign * q < sign * codec.quality), key=lambda q: -sign * q)
    if codec is None or not qualities:
        raise ConfigError(
            f"adaptation {Mixed.name} compresses training images once more, harder, and {degradation.point} has no "
            "codec with a harder quality on its ladder: leave the adaptation out, or take another point"
        )
    return [dataclasses.replace(codec, quality=quality) for quality in qualities[:rungs]]


def _codec_of(degradation: Degradation) -> Optional[Codec]:
    if isinstance(degradation, Chain):
        return _codec_of(degradation.stages[-1])
    if isinstance(degradation, Alike):
        return degradation.codecs[0] if len(degradation.codecs) == 1 else None
    return degradation if isinstance(degradation, Codec) else None


def _recompressed(study: Study, shards: Artefact, codec: Codec) -> Artefact:
    """Compressed shards, compressed once more."""
    return dataclasses.replace(
        shards,
        identity=recompressed_identity(shards.identity, codec),
        of=Domain("C", codec),
        inputs={"original": shards},
        build=partial(conversion.build_recompressed, codec, convert=study.converting),
        notes=(),
    )
