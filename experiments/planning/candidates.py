"""Which operating points and repairs a plan chooses among, and what is known of each: measured, or told by neighbours.

Scores rise with the rate, up to chance: of a quality between two that were trained on, the score lies between theirs.
The value is taken on the line over the logarithm of the rate, the interval from the lower one's lower end to the higher
one's upper end. Beyond the finest that was trained on, the score is at least the finest one's; below the coarsest,
nothing bounds the loss, and no number is given unless features tell one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from dsr.data_pipelines.codecs import codec_class
from dsr.experiments.planning.known import Family, Known, Rated, Score
from dsr.models.errors import UserError

PARTS_OF_A_CONTINUOUS_SCALE = 4
"""Qualities looked at between two neighbours on a scale of real numbers."""


class Basis(str, Enum):
    """Where an expected score comes from."""

    MEASURED = "measured"
    INTERPOLATED = "interpolated"
    PREDICTED = "predicted from features"
    EXTRAPOLATED = "extrapolated"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Candidate:
    """An operating point with a repair (None: trained on as it is), at the study's number of images.

    `measured_rate` tells a rate that was measured from one that its neighbours tell, and points of one `curve` differ
    in the quality alone.
    """

    point: str
    codec: str
    curve: str
    quality: Optional[float]
    repair: Optional[str]
    bpp: float
    measured_rate: bool
    score: Optional[Score]
    basis: Basis
    seeds: int
    named: tuple[str, ...]


def candidates(known: Known) -> list[Candidate]:
    """Each point with each repair that was tried anywhere, and the qualities between points of a family."""
    repairs = list(dict.fromkeys(repair for _, repair in known.scores))
    places = [(rated, True) for rated in known.rated]
    places += [(rated, False) for rated in between(known.rated)]
    found = []
    for rated, measured_rate in places:
        for repair in repairs:
            score, basis = _score(known, rated, repair)
            found.append(
                Candidate(
                    rated.point,
                    rated.codec,
                    rated.curve,
                    rated.quality,
                    repair,
                    rated.bpp,
                    measured_rate,
                    score,
                    basis,
                    known.seeds.get((rated.point, repair), 0),
                    _named(rated),
                )
            )
    return found


def _named(rated: Rated) -> tuple[str, ...]:
    if rated.family is None:
        return ()  # what came compressed has the one point
    if not rated.family.plain:
        return ("--set", f"points={rated.point}")
    return ("--codec", rated.codec, *(() if rated.quality is None else ("--quality", f"{rated.quality:g}")))


def between(rated: list[Rated]) -> list[Rated]:
    """The qualities between neighbours of each family, with rates on the line of log bpp over the quality."""
    families: dict[Family, list[Rated]] = {}
    for one in rated:
        if one.family is not None and one.quality is not None:
            families.setdefault(one.family, []).append(one)
    found = []
    for family, members in families.items():
        members.sort(key=lambda one: one.quality or 0.0)
        for low, high in zip(members, members[1:]):
            for quality in _qualities(family, low, high):
                assert low.quality is not None and high.quality is not None
                share = (quality - low.quality) / (high.quality - low.quality)
                bpp = math.exp((1 - share) * math.log(low.bpp) + share * math.log(high.bpp))
                try:
                    point = family.at(quality).point
                except UserError:
                    continue  # a learned codec has not every quality of its scale
                found.append(Rated(point, low.codec, quality, family, bpp))
    return found


def _qualities(family: Family, low: Rated, high: Rated) -> list[float]:
    assert low.quality is not None and high.quality is not None
    scale = codec_class(family.member.codec).scale
    if scale is not None and scale.integer:
        return [float(quality) for quality in range(int(low.quality) + 1, int(high.quality))]
    parts = PARTS_OF_A_CONTINUOUS_SCALE
    return [low.quality + (high.quality - low.quality) * part / parts for part in range(1, parts)]


def _score(known: Known, rated: Rated, repair: Optional[str]) -> tuple[Optional[Score], Basis]:
    measured = known.scores.get((rated.point, repair))
    if measured is not None:
        return measured, Basis.MEASURED
    same = [
        (other.bpp, known.scores[other.point, repair])
        for other in known.rated
        if rated.family is not None and other.family == rated.family and (other.point, repair) in known.scores
    ]
    below = max((pair for pair in same if pair[0] <= rated.bpp), key=lambda pair: pair[0], default=None)
    above = min((pair for pair in same if pair[0] >= rated.bpp), key=lambda pair: pair[0], default=None)
    if below is not None and above is not None:
        return _interpolated(rated.bpp, below, above), Basis.INTERPOLATED
    if repair is None and rated.point in known.predicted:
        return known.predicted[rated.point], Basis.PREDICTED
    if below is not None:
        return _at_least(below[1], known.reference), Basis.EXTRAPOLATED
    return None, Basis.UNKNOWN


def _interpolated(bpp: float, below: tuple[float, Score], above: tuple[float, Score]) -> Score:
    (low_rate, low), (high_rate, high) = below, above
    span = math.log(high_rate / low_rate)
    share = math.log(bpp / low_rate) / span if span > 0 else 0.5
    value = (1 - share) * low.value + share * high.value
    if low.interval is None or high.interval is None:
        return Score(value)
    return Score(value, (min(low.interval[0], high.interval[0]), max(low.interval[1], high.interval[1])))


def _at_least(finest: Score, reference: Optional[Score]) -> Score:
    """Of more bits than the finest that was trained on: at least its score, and at most that without compression."""
    if finest.interval is None:
        return Score(finest.value)
    top = 1.0 if reference is None or reference.interval is None else max(reference.interval[1], finest.interval[1])
    return Score(finest.value, (finest.interval[0], top))
