"""Rate-distortion curves: a ladder of operating points for each codec, converted like any other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Optional

from dsr.data_pipelines.codecs import CodecError, codec_class
from dsr.data_pipelines.degradations import Degradation
from dsr.experiments.analysis.rate_distortion import Comparison, RatePoint
from dsr.experiments.common_images import common_keys, keys_of, left_out, summary_of_images
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact


def ladder(codec: str) -> tuple[OperatingPoint, ...]:
    """The operating points of a codec's curve; raises CodecError for a codec that has none."""
    qualities = codec_class(codec).ladder
    if not qualities:
        raise CodecError(f"codec {codec} has no qualities to draw a curve of")
    return tuple(OperatingPoint(codec, quality) for quality in qualities)


def compare(targets: Sequence[Artefact]) -> Comparison:
    """What conversions of the same images measured of those that all of them have.

    Raises UserError if there are none.
    """
    images: dict[tuple[Optional[str], Optional[str]], list[str]] = {
        (_degradation(target).point, None): keys_of(target) for target in targets
    }
    original = targets[0].inputs.get("original")
    if original is not None and original.exists:  # what no codec could encode is left out too
        images[None, None] = keys_of(original)
    keys = common_keys(images.values())
    return Comparison(len(keys), [_rate_point(target, keys) for target in targets], left_out(images))


def _degradation(compressed: Artefact) -> Degradation:
    domain = compressed.of
    assert isinstance(domain, Domain) and domain.degradation is not None
    return domain.degradation


def _rate_point(compressed: Artefact, keys: Collection[str]) -> RatePoint:
    degradation, found = _degradation(compressed), summary_of_images(compressed, keys)
    assert found.bpp is not None and found.ms_ssim is not None, "a codec has a rate, and what it decodes is measured"
    fidelity = found.psnr, found.ms_ssim, found.ms_ssim_db, found.identical
    return RatePoint(degradation.name, degradation.point, found.bpp, *fidelity)
