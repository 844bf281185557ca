"""What trainings that differ in nothing but the seed say together: means, spreads, and differences paired by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from dsr.experiments.results import ScoredOn

CONFIDENCE = 0.95


@dataclass(frozen=True)
class BySeed:
    """One number from each seed: `values` {seed: number}, at least one; `tested` on which images, None if unknown.

    `fewer`: whether they are differences, and one of their sides has more seeds.
    """

    values: Mapping[int, float]
    tested: Optional[ScoredOn] = None
    fewer: bool = False

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values.values())

    @property
    def deviation(self) -> Optional[float]:
        """Standard deviation (n - 1 in the denominator); None for one seed."""
        return statistics.stdev(self.values.values()) if self.n > 1 else None

    @property
    def interval(self) -> Optional[tuple[float, float]]:
        """The mean's two-sided t-interval at CONFIDENCE over the seeds; None for one seed."""
        return self.interval_at(CONFIDENCE)

    def interval_at(self, confidence: float) -> Optional[tuple[float, float]]:
        """The same at another confidence."""
        return t_interval(list(self.values.values()), confidence)

    def alike(self, other: BySeed) -> bool:
        """Whether both are of the same test images, as far as is known."""
        return None in (self.tested, other.tested) or self.tested == other.tested

    def why_no_difference(self, other: BySeed) -> str:
        """What the two do, or do not, if there is no difference of them: the end of a sentence."""
        return "share no seed" if self.alike(other) else "were not tested on the same images"

    def minus(self, other: Optional[BySeed]) -> Optional[BySeed]:
        """The differences, seed by seed, where both have one.

        Equal seeds start equal and see the same crops, so that what a seed does to both cancels. None without a common
        seed, or where test images differ: hard ones may be missing from one side.
        """
        if other is None or not self.alike(other):
            return None
        paired = {seed: value - other.values[seed] for seed, value in self.values.items() if seed in other.values}
        return BySeed(paired, fewer=len(paired) < max(self.n, other.n)) if paired else None


def jointly(comparisons: int) -> float:
    """The confidence of each of so many intervals that all hold together at CONFIDENCE (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / max(comparisons, 1)


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Optional[tuple[float, float]]:
    """The two-sided t-interval of the mean of `values`; None for a single one."""
    if len(values) < 2:
        return None
    reach = t_reach(len(values) - 1, confidence) * statistics.stdev(values) / math.sqrt(len(values))
    middle = statistics.fmean(values)
    return middle - reach, middle + reach


def t_reach(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Half the two-sided interval of Student's t, in standard errors, with so many degrees of freedom."""
    from scipy.special import stdtrit  # a tenth of a second, for which no --help should wait

    return float(stdtrit(freedom, (1 + confidence) / 2))
