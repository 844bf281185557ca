"""The mean-scale hyperprior as a codec of the registry."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from dsr.data_pipelines.codecs.base import Codec, CodecError, Inspection, QualityScale, option
from dsr.data_pipelines.codecs.msh import container, process
from dsr.data_pipelines.codecs.msh.retired import source_of
from dsr.models.hyperprior.config import DIGITS, LAMBDAS, HyperpriorError
from dsr.models.hyperprior.saved import SavedHyperprior, read_hyperprior, weights_path
from dsr.tfrecords.files import Stamp, stamp
from dsr.tfrecords.manifest import check_if_told

SHIPPED = Path(__file__).parent / "weights" / "msh.npz"
"""The model that comes with the package."""

FINGERPRINT = "sha256:"

LIBRARIES = ("tensorflow", "tensorflow-compression")
"""Whose versions are part of its identity."""


@dataclass(frozen=True)
class MshCodec(Codec):
    """A learned codec whose bitstreams decode alike everywhere.

    It is the mean-scale hyperprior of Minnen et al. (2018) with gain units (Cui et al. 2021).

    Attributes:
        quality: Index of lambda, real between whole ones, rounded to thousandths. A model serves some, the shipped one
            1 to 6; the default is 3, or the nearest that the model serves.
        model: File of a trained codec, or the folder that holds its `codec.npz`; by default the shipped one. Becomes
            `sha256:` and the fingerprint of the model, by which the shipped one can be named too.
        file: Where the model lies.
    """

    name = "msh"
    scale = QualityScale("quality", 1, len(LAMBDAS["mse"]), 3, higher_is_better=True, integer=False)
    ladder = (1, 2, 3, 4, 5, 6)
    suffix = ".msh"
    magic = (container.MAGIC,)
    largest_side = container.LARGEST_SIDE

    model: str = option("", "file of a codec that you trained, or its folder; by default the one that comes with dsr")
    file: str = dataclasses.field(default="", init=False, compare=False)

    def __post_init__(self) -> None:
        path, saved = _model(str(self.model))
        if self.quality is None:
            object.__setattr__(self, "quality", _scale_of(saved).default)
        super().__post_init__()
        object.__setattr__(self, "quality", round(self.quality, DIGITS))
        if not saved.serves(self.quality):
            raise CodecError(
                f"codec msh: {path} serves {_range_of(saved)}, not {self.quality:g}: train a model of your own with "
                f"`dsr train-codec --quality {self.quality:g}`"
            )
        object.__setattr__(self, "model", FINGERPRINT + saved.fingerprint.hex())
        object.__setattr__(self, "file", str(path.absolute()))

    @classmethod
    def scale_with(cls, model: str = "", **options: Any) -> QualityScale:
        """What the model serves."""
        return _scale_of(_model(model)[1])

    @classmethod
    def inspect(cls, bitstream: bytes) -> Inspection:
        """What the header tells; the quality if the model comes with dsr.

        Details: `model`, the start of its fingerprint.
        """
        found = container.parse(bitstream)
        quality = _model("")[1].quality_of(found.model)
        return Inspection(
            cls.name, found.width, found.height, quality=quality, details={"model": found.model.hex()[:12]}
        )

    def chosen(self) -> dict[str, Any]:
        """A model of one's own, by the start of its fingerprint."""
        return {} if Path(self.file) == SHIPPED else {"model": self._fingerprint[:12]}

    def _encode(self, pixels: np.ndarray) -> bytes:
        return process.encode(self.file, self._fingerprint, self.quality, pixels)

    def _decode(self, bitstream: bytes) -> np.ndarray:
        parsed = container.parse(bitstream)
        self.check_pixels(parsed.width, parsed.height)
        return process.decode(self.file, self._fingerprint, bitstream)

    @property
    def _fingerprint(self) -> str:
        return self.model[len(FINGERPRINT) :]

    def versions(self) -> dict[str, str]:
        return {name: metadata.version(name) for name in LIBRARIES}


def _model(model: str) -> tuple[Path, SavedHyperprior]:
    """The file that `model` names and what it holds; raises CodecError if there is none."""
    own = bool(model) and not model.startswith(FINGERPRINT)
    path = weights_path(model) if own else SHIPPED
    if own:
        check_if_told(path.parent)
    try:
        saved = _read(path, stamp(path))
    except HyperpriorError as error:
        raise CodecError(f"codec msh: {error}") from error
    found = FINGERPRINT + saved.fingerprint.hex()
    if not own and model not in ("", found):
        given = model[len(FINGERPRINT) :]
        raise CodecError(f"codec msh: the model {given[:16]} is not the one that comes with dsr: {source_of(given)}")
    return path, saved


@functools.lru_cache(maxsize=2)  # each bitstream's header is compared with a model, whose file has megabytes
def _read(path: Path, written: Stamp | None) -> SavedHyperprior:
    return read_hyperprior(path)


def _scale_of(saved: SavedHyperprior) -> QualityScale:
    low, high = saved.qualities[0], saved.qualities[-1]
    return dataclasses.replace(MshCodec.scale, low=low, high=high, default=min(max(MshCodec.scale.default, low), high))


def _range_of(saved: SavedHyperprior) -> str:
    scale = _scale_of(saved)
    return f"quality {scale.low:g}" if scale.low == scale.high else f"qualities {scale.low:g} to {scale.high:g}"
