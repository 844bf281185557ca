"""What whoever has a restorer's originals could do instead of restoring, or beside it.

Each adaptation is a file of its own, with a frozen dataclass below `Adaptation` whose fields are its settings, and a
line in `AdaptationConfig`. Nothing here imports TensorFlow; what an adaptation builds does, when it runs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dsr.experiments.adaptations.base import Adaptation
from dsr.experiments.adaptations.consistency import Consistency
from dsr.experiments.adaptations.mixed import Mixed
from dsr.experiments.adaptations.recalibrated import Recalibrated


@dataclass(frozen=True)
class AdaptationConfig:
    """The adaptations that there are, by name, with their settings.

    Attributes:
      recalibrated: of batch-norm statistics.
      mixed: of training on several rates.
      consistency: of training on pairs without labels.
    """

    recalibrated: Recalibrated = field(default_factory=Recalibrated)
    mixed: Mixed = field(default_factory=Mixed)
    consistency: Consistency = field(default_factory=Consistency)

    def of(self, name: AdaptationName) -> Adaptation:
        """The one of a name."""
        return getattr(self, name)


ADAPTATIONS: dict[str, Adaptation] = {
    one.name: AdaptationConfig().of(one.name) for one in dataclasses.fields(AdaptationConfig)
}
"""The same with their default settings."""

if TYPE_CHECKING:
    AdaptationName = str
else:
    AdaptationName = Literal[tuple(ADAPTATIONS)]
    """A name of `ADAPTATIONS`, as the type of a setting."""
