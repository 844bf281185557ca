"""Several degradations in a row, as a device does them: `downsample2+bpg-qp36`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from dsr.data_pipelines.degradations.base import Degradation, DegradationError, Degraded
from dsr.data_pipelines.degradations.sampling import Downsample

Sizes = list[tuple[Downsample, tuple[int, int]]]
"""What made an image small, in order, with its height and width before."""


@dataclass(frozen=True)
class Chain(Degradation):
    """What goes through all `stages`, first to last; its bitstream, and hence its rate, is that of its codec.

    A `Downsample` before others makes the picture small for them; at the end it is enlarged to its size again.

    Attributes:
        stages: At least two, none of them a chain; a codec is the last, if there is one, because what is done to its
          pictures later has no bitstream.
    """

    name = "chain"

    stages: tuple[Degradation, ...]

    def __post_init__(self) -> None:
        if len(self.stages) < 2:
            raise DegradationError("a chain has two degradations or more")
        inner = [stage.point for stage in self.stages if isinstance(stage, Chain)]
        if inner:
            raise DegradationError(f"{inner[0]} is a chain itself: give its stages")
        early = [stage.point for stage in self.stages[:-1] if stage.kind == "codec"]
        if early:
            raise DegradationError(
                f"{early[0]} must be the last of a chain: what comes behind a codec has no bitstream"
            )

    @property
    def kind(self) -> str:  # type: ignore[override]  # of a chain it depends on what is in it
        """That of its last stage."""
        return self.stages[-1].kind

    @property
    def level(self) -> Optional[float]:
        return self.stages[-1].level

    @property
    def point(self) -> str:
        return "+".join(stage.point for stage in self.stages)

    @property
    def family(self) -> str:
        return "+".join((*(stage.point for stage in self.stages[:-1]), self.stages[-1].family))

    def degrade(self, pixels: np.ndarray, key: str) -> Degraded:
        (pixels, bitstream), sizes = through(self.stages, pixels, key)
        return Degraded(enlarged(pixels, sizes), bitstream)

    def describe(self) -> dict[str, Any]:
        stages = [stage.describe() for stage in self.stages]
        last = stages[-1]
        described: dict[str, Any] = {"name": self.name, "quality": last.get("quality"), "options": {}, "stages": stages}
        # Random stages of one family once drew the same: what was made of them then is something else.
        return (
            {**described, "draws": "own"} if len({stage.family for stage in self.stages}) < len(stages) else described
        )


def sent(stages: Sequence[Degradation], pixels: np.ndarray, key: str) -> np.ndarray:
    """What a codec behind these stages gets of an image, uint8 (height, width, 3), which may be smaller."""
    return through(stages, pixels, key)[0].pixels


def enlarged(pixels: np.ndarray, sizes: Sizes) -> np.ndarray:
    """An image, uint8 (height, width, 3), at the size that it had before it was made small."""
    for stage, size in reversed(sizes):
        pixels = stage.enlarge(pixels, *size)
    return pixels


def through(stages: Sequence[Degradation], pixels: np.ndarray, key: str) -> tuple[Degraded, Sizes]:
    """What comes out of stages, still small; and what `enlarged` takes."""
    sizes: Sizes = []
    found = Degraded(pixels, None)
    for number, stage in enumerate(stages):
        # What is random in a stage that came before is drawn anew: keys have no "#", so no other image has it.
        before = [one.family for one in stages[:number]].count(stage.family)
        own = f"{key}#{before}" if before else key
        if isinstance(stage, Downsample):
            sizes.append((stage, (found.pixels.shape[0], found.pixels.shape[1])))
            found = Degraded(stage.shrink(found.pixels), None)
        else:
            found = stage.degrade(found.pixels, own)
    return found, sizes
