"""What trainings that differ in nothing but the seed say together: means, spreads, and differences paired by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class BySeed:
    """One number from each seed: `values` {seed: number}, at least one."""

    values: Mapping[int, float]

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
        if self.deviation is None:
            return None
        half = float(stdtrit(self.n - 1, (1 + CONFIDENCE) / 2)) * self.deviation / math.sqrt(self.n)
        return self.mean - half, self.mean + half

    def minus(self, other: Optional[BySeed]) -> Optional[BySeed]:
        """The differences, seed by seed, where both have one: equal seeds start equal and see the same crops, so that what a seed
        does to both cancels. None without a common seed."""
        if other is None:
            return None
        paired = {seed: value - other.values[seed] for seed, value in self.values.items() if seed in other.values}
        return BySeed(paired) if paired else None
