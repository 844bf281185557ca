"""Rate-distortion curves: a ladder of operating points for each codec, converted like any other."""

from __future__ import annotations

from dsr.data_pipelines.codecs import CodecError, codec_class
from dsr.experiments.analysis.rate_distortion import RatePoint
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.summaries import ShardsSummary


def ladder(codec: str) -> tuple[OperatingPoint, ...]:
    """The operating points of a codec's curve; raises CodecError for a codec that has none."""
    qualities = codec_class(codec).ladder
    if not qualities:
        raise CodecError(f"codec {codec} has no qualities to draw a curve of")
    return tuple(OperatingPoint(codec, quality) for quality in qualities)


def rate_point(compressed: Artefact) -> RatePoint:
    """What a conversion measured."""
    domain, found = compressed.of, compressed.summary(ShardsSummary)
    assert isinstance(domain, Domain) and domain.degradation is not None
    degradation = domain.degradation
    assert found.bpp is not None and found.ms_ssim is not None, "a codec has a rate, and what it decodes is measured"
    fidelity = found.psnr, found.ms_ssim, found.ms_ssim_db, found.identical
    return RatePoint(degradation.name, degradation.point, found.bpp, *fidelity)
