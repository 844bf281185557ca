"""What a study has measured that a plan can stand on: rates, scores with intervals, times."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Optional, Protocol

from dsr.data_pipelines.degradations import Degradation
from dsr.experiments.analysis.seeds import BySeed, t_reach
from dsr.experiments.analysis.tables import images_used, miou, restorers
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.units import Size
from dsr.experiments.results import InferenceTimes, Results
from dsr.experiments.stored_json import from_json
from dsr.experiments.trained_codec import planned


@dataclass(frozen=True)
class Score:
    """A mean IoU in [0, 1], measured or expected, with its 95 % interval; None where nothing says how wide it is."""

    value: float
    interval: Optional[tuple[float, float]] = None

    def moved(self, by: Score) -> Score:
        """What it is after a change, whose own uncertainty is independent of it; within [0, 1]."""
        value = _within(self.value + by.value)
        if self.interval is None or by.interval is None:
            return Score(value)
        below = math.hypot(self.value - self.interval[0], by.value - by.interval[0])
        above = math.hypot(self.interval[1] - self.value, by.interval[1] - by.value)
        return Score(value, (_within(value - below), _within(value + above)))


class Growth(Protocol):
    """What more or fewer training images change, as `dsr scaling` finds it."""

    @property
    def images(self) -> tuple[int, int]:
        """The fewest and the most images that were trained on."""

    def change(self, before: int, after: int) -> Score:
        """What training on `after` images instead of `before` adds to mIoU; more never take away."""


@dataclass(frozen=True)
class Family:
    """Operating points that differ in the quality alone: one codec, its options, and what comes before it.

    Attributes:
      name: What their points have in common, which is the same however their options were spelled.
      member: One of them.
    """

    name: str
    member: OperatingPoint = field(compare=False)

    @classmethod
    def of(cls, member: OperatingPoint) -> Family:
        """The family of an operating point that ends in a codec."""
        return cls(planned(member).family, member)

    @property
    def plain(self) -> bool:
        """Whether codec and quality say it all."""
        return self.name == self.member.codec

    def at(self, quality: float) -> Degradation:
        """One of its points. Raises UserError for a quality that it does not have."""
        return planned(dataclasses.replace(self.member, quality=quality))


@dataclass(frozen=True)
class Rated:
    """An operating point whose rate was measured, in bits a pixel of training images.

    Where only test images were converted, that of those, times what training images take of test images' bits at the
    points that have both.

    `family` is None for one that cannot be made at other qualities.
    """

    point: str
    codec: str
    quality: Optional[float]
    family: Optional[Family]
    bpp: float

    @property
    def curve(self) -> str:
        """What points that differ in the quality alone have in common; the point itself, if it has no other quality."""
        return self.family.name if self.family else self.point


@dataclass(frozen=True)
class Times:
    """Seconds a pixel of encoding and decoding at each point, and of each restorer, on `device`."""

    device: str
    encode: Mapping[str, float]
    decode: Mapping[str, float]
    restore: Mapping[str, float]


@dataclass(frozen=True)
class Known:
    """All that a plan stands on.

    Attributes:
      images: How many images the scores' segmenters were trained on.
      size: Of the study's images.
      reference: Of training on originals (OO).
      rated: Each point once, with its rate.
      scores: (point, repair) -> of segmenters for original images trained on what the point leaves (CO, repair None),
        or on what a restorer makes of that (RO, its name).
      seeds: (point, repair) -> how many segmenters that is the mean of.
      times: None if not measured.
      growth: None if not measured.
      growth_note: What is to be said of that.
      predicted: point -> of CO, told by features alone, see `dsr.experiments.planning.untrained`.
    """

    images: int
    size: Size
    reference: Optional[Score]
    rated: list[Rated]
    scores: Mapping[tuple[str, Optional[str]], Score]
    seeds: Mapping[tuple[str, Optional[str]], int]
    times: Optional[Times] = None
    growth: Optional[Growth] = None
    growth_note: str = ""
    predicted: Mapping[str, Score] = field(default_factory=dict)


def known(results: Results, growth: Optional[Growth] = None) -> Known:
    """What results of a study say to a plan.

    Raises:
      PlanningError: no point with a bitstream has a score.
    """
    points = {planned(made).point: made for made in _points(results)}
    rates = [(found, found.compressed.train_bpp, found.compressed.bpp) for found in results.points]
    both = [train / test for _, train, test in rates if train and test]
    of_test = median(both) if both else 1.0
    rated = []
    for found, train, test in rates:
        bpp = train or (test or 0.0) * of_test
        if bpp:
            made = points.get(found.point)
            rated.append(Rated(found.point, found.codec, found.quality, Family.of(made) if made else None, bpp))
    by_seed: dict[tuple[str, Optional[str]], BySeed] = {}
    for entry in rated:
        for repair in (None, *restorers(results)):
            scored = miou(results, "RO" if repair else "CO", entry.point, repair)
            if scored:
                by_seed[entry.point, repair] = scored
    if not by_seed:
        raise PlanningError(
            f"study {results.study.name} has no segmenter trained on compressed or restored images yet, "
            "so nothing can be planned from it: run dsr train --config CO first"
        )
    trained_on = images_used(results).get("train")
    if trained_on is None:
        raise PlanningError(f"study {results.study.name} trains nothing, so nothing can be planned from it")
    originals = miou(results, "OO", "")
    spread = pooled([*by_seed.values(), *([originals] if originals else [])])
    return Known(
        images=trained_on,
        size=Size(results.dataset.width, results.dataset.height),
        reference=score_of(originals, spread) if originals else None,
        rated=rated,
        scores={case: score_of(found, spread) for case, found in by_seed.items()},
        seeds={case: found.n for case, found in by_seed.items()},
        times=_times(results.inference_times),
        growth=growth,
    )


def pooled(found: Sequence[BySeed]) -> Optional[tuple[float, int]]:
    """Standard deviation between seeds, and its degrees of freedom, taken as equal in all domains.

    A study has two to six seeds of a domain: each one's own deviation is known too badly to say anything. None if no
    domain has two.
    """
    squares = [(value - one.mean) ** 2 for one in found for value in one.values.values()]
    freedom = sum(one.n - 1 for one in found)
    return (math.sqrt(sum(squares) / freedom), freedom) if freedom else None


def score_of(found: BySeed, spread: Optional[tuple[float, int]]) -> Score:
    """The mean with its t-interval, from a spread as `pooled` gives it."""
    if spread is None:
        return Score(found.mean)
    deviation, freedom = spread
    reach = t_reach(freedom) * deviation / math.sqrt(found.n)
    return Score(found.mean, (_within(found.mean - reach), _within(found.mean + reach)))


def _points(results: Results) -> list[OperatingPoint]:
    return [from_json(OperatingPoint, point) for point in results.study.config.get("points", [])]


def _times(times: Optional[InferenceTimes]) -> Optional[Times]:
    if times is None:
        return None
    pixels = times.height * times.width
    taken: dict[str, dict[str, float]] = {"encode": {}, "decode": {}, "restore": {}}
    for stage in times.stages:
        of = stage.restorer if stage.stage == "restore" else stage.point
        if stage.stage in taken and of is not None and stage.seconds:
            taken[stage.stage][of] = median(stage.seconds) / pixels
    return Times(times.device, **taken)


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)
