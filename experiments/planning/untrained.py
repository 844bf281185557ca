"""What a segmenter would lose at a point nobody trained at, told by the features of one trained on originals.

Features of a point's test images take minutes, a training hours. The loss is taken as a monotone curve of one constant
through the origin, c d or c sqrt(d), of one of the distances; which curve and distance, the trained points decide by
leaving each out. How wrong that is is told by leaving a point out of all of it, the choice too (nested), and nothing is
predicted where that is more than MOST_ERROR: a distance need not know what a training needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Optional

from dsr.experiments.analysis.seeds import t_reach
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.known import Score

MOST_ERROR = 0.015
"""Of mIoU, mean over the points left out."""

LEAST_POINTS = 3

CURVES: dict[str, Callable[[float], float]] = {"c d": lambda d: d, "c sqrt(d)": math.sqrt}


@dataclass(frozen=True)
class Seen:
    """A point whose features were measured: its distances to originals by name, and its loss of mIoU if trained at."""

    point: str
    distances: Mapping[str, float]
    loss: Optional[float] = None


@dataclass(frozen=True)
class Foretelling:
    """The curve that the trained points chose.

    Attributes:
      distance, curve, constant: It.
      error: Mean absolute error of mIoU over points left out of the choice and the fit.
      reach: Half the 95 % interval of a prediction: of Student's t, as those few errors say how wrong it is.
      points: How many it stands on.
      contradicted: Points that it would have score more than a finer one of their codec that was trained at, or less
        than a coarser one, and which; they are not predicted.
    """

    distance: str
    curve: str
    constant: float
    error: float
    reach: float
    points: int
    contradicted: Mapping[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether it may predict."""
        return self.error <= MOST_ERROR

    def loss(self, seen: Seen) -> float:
        """The loss of mIoU to expect at a point."""
        return self.constant * _bent(self.curve, seen.distances[self.distance])

    def score(self, seen: Seen, reference: Score) -> Score:
        """mIoU to expect, with an interval as wide as the errors on points left out say."""
        value = reference.value - self.loss(seen)
        own = 0.0 if reference.interval is None else (reference.interval[1] - reference.interval[0]) / 2
        reach = math.hypot(self.reach, own)
        return Score(max(value, 0.0), (max(value - reach, 0.0), min(value + reach, 1.0)))


def foretell(seen: Sequence[Seen]) -> Foretelling:
    """The curve that tells the losses of the trained points among these best.

    Raises:
      PlanningError: fewer than LEAST_POINTS of them are trained at.
    """
    trained = [one for one in seen if one.loss is not None]
    if len(trained) < LEAST_POINTS:
        raise PlanningError(
            f"what features foretell is judged by points that were trained at: there are {len(trained)} (CO), and it "
            f"takes {LEAST_POINTS}"
        )
    errors = []
    for out in range(len(trained)):
        others = trained[:out] + trained[out + 1 :]
        errors.append(_missed(trained[out], others, *_choose(others)))
    distance, curve = _choose(trained)
    reach = t_reach(len(trained) - 1) * math.sqrt(fmean(error * error for error in errors))
    return Foretelling(distance, curve, _constant(trained, distance, curve), fmean(errors), reach, len(trained))


def _choose(trained: Sequence[Seen]) -> tuple[str, str]:
    """Distance and curve that tell each point from the others best."""

    def error(choice: tuple[str, str]) -> float:
        return fmean(
            _missed(trained[out], [*trained[:out], *trained[out + 1 :]], *choice) for out in range(len(trained))
        )

    return min(((distance, curve) for distance in trained[0].distances for curve in CURVES), key=error)


def _missed(one: Seen, others: Sequence[Seen], distance: str, curve: str) -> float:
    assert one.loss is not None
    return abs(_constant(others, distance, curve) * _bent(curve, one.distances[distance]) - one.loss)


def _constant(trained: Sequence[Seen], distance: str, curve: str) -> float:
    """Least squares through the origin, and no gain for being far."""
    places = [_bent(curve, one.distances[distance]) for one in trained]
    squares = sum(place * place for place in places)
    return max(sum(place * (one.loss or 0.0) for place, one in zip(places, trained)) / squares, 0.0) if squares else 0.0


def _bent(curve: str, distance: float) -> float:
    return CURVES[curve](max(distance, 0.0))  # an unbiased estimate may fall below zero
