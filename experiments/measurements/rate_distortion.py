"""Rate-distortion curves: a ladder of operating points for each codec, converted like any other."""

from __future__ import annotations

from collections.abc import Sequence

from dsr.data_pipelines.codecs.msh import shipped
from dsr.experiments.analysis.rate_distortion import RatePoint
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.summaries import ShardsSummary

LADDERS: dict[str, Sequence[float]] = {
    "bpg": (24, 28, 32, 36, 40, 44, 48),
    "msh": tuple(shipped()),
    "jpeg2000": (0.1, 0.2, 0.4, 0.8, 1.2, 2.0),
    "webp": (0, 10, 30, 50, 70, 85, 92),
    "jpeg": (5, 10, 20, 40, 60, 80, 90),
    "avif": (10, 25, 40, 55, 70, 80),
}
"""Codec -> qualities from about 0.1 to 2 bpp."""


def ladder(codec: str) -> tuple[OperatingPoint, ...]:
    """The operating points of a codec's curve."""
    return tuple(OperatingPoint(codec, quality) for quality in LADDERS[codec])


def rate_point(compressed: Artefact) -> RatePoint:
    """What a conversion measured."""
    domain, found = compressed.of, compressed.summary(ShardsSummary)
    assert isinstance(domain, Domain) and domain.degradation is not None
    degradation = domain.degradation
    assert found.bpp is not None and found.ms_ssim is not None, "a codec has a rate, and what it decodes is measured"
    return RatePoint(degradation.name, degradation.point, found.bpp, found.psnr, found.ms_ssim, found.ms_ssim_db)
