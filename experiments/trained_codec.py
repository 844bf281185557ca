"""The learned codec that a study trains itself, as an operating point that can be planned before its model exists."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsr.data_pipelines.codecs.base import Codec
from dsr.data_pipelines.codecs.msh.codec import LIBRARIES, MshCodec
from dsr.data_pipelines.degradations import Degradation, Degraded
from dsr.experiments.config.overrides import ConfigError
from dsr.models.hyperprior.config import DIGITS, CodecTrainingConfig
from dsr.tfrecords.layout import MANIFEST

if TYPE_CHECKING:
    from dsr.experiments.config.schema import OperatingPoint

TRAINED = "trained"
"""The `model` of a point of msh that means the codec which the study trains: `msh-quality2+model=trained`."""


@dataclass(frozen=True)
class TrainedCodec(Degradation):
    """Msh at a quality, with the model that the study trains on the images set apart (paper, section V-A).

    Which model that is, shards know by the artefact that they are made from, not by this identity.

    Attributes:
        quality: As `MshCodec` takes it.
        folder: Where the model is, once it is trained.
    """

    name = MshCodec.name
    kind = Codec.kind

    quality: float
    folder: Path

    @classmethod
    def at(cls, point: OperatingPoint, training: CodecTrainingConfig, folder: Path) -> TrainedCodec:
        """The codec of a point which says `model=trained`.

        Args:
            point: Has no quality for the nearest to the default that the training serves.
            training: What the model is trained for.
            folder: Of the trained model.

        Raises:
            ConfigError: The point has other options or stages too, or a quality that the training does not serve.
        """
        low, high = training.qualities[0], training.qualities[-1]
        quality = min(max(MshCodec.scale.default, low), high) if point.quality is None else point.quality
        quality = round(float(quality), DIGITS)
        if set(point.options) != {"model"} or point.before:
            raise ConfigError(
                f"a codec that the study trains stands alone in an operating point: write msh-quality{quality:g}"
                f"+model={TRAINED} without other options, and nothing before it"
            )
        if not low <= quality <= high:
            served = f"quality {low:g}" if low == high else f"qualities {low:g} to {high:g}"
            raise ConfigError(
                f"the codec that the study trains serves {served}, not {quality:g}: take another point, or set "
                "codec.quality"
            )
        return cls(quality, folder)

    @property
    def level(self) -> float:
        return self.quality

    @property
    def point(self) -> str:
        return f"{self.name}-{MshCodec.scale.name}{self.quality:g}+model={TRAINED}"

    @property
    def family(self) -> str:
        return f"{self.name}+model={TRAINED}"

    @cached_property
    def codec(self) -> MshCodec:
        """The codec itself; raises ConfigError before its model is trained."""
        if not (self.folder / MANIFEST).is_file():
            raise ConfigError(
                f"{self.folder}: the codec that this study trains is not trained yet: run the study, or dsr convert at "
                "one of its points, first"
            )
        return MshCodec(self.quality, model=str(self.folder))

    def degrade(self, pixels: np.ndarray, key: str) -> Degraded:
        return self.codec.degrade(pixels, key)

    def describe(self) -> dict[str, Any]:
        versions = {name: metadata.version(name) for name in LIBRARIES}
        return {"name": self.name, "quality": self.quality, "options": {"model": TRAINED}, "versions": versions}


def planned(point: OperatingPoint) -> Degradation:
    """What a point names, which for the codec that a study trains need not be there to be used yet.

    Raises UserError for a level or option that there is not.
    """
    if not is_trained(point):
        return point.make()
    quality = MshCodec.scale.default if point.quality is None else point.quality
    return TrainedCodec(round(float(quality), DIGITS), Path())


def is_trained(point: OperatingPoint) -> bool:
    """Whether a point asks for the codec that the study trains."""
    return point.codec == MshCodec.name and point.options.get("model") == TRAINED
