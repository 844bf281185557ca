"""The mean-scale hyperprior as a codec of the registry."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsr.data_pipelines.codecs.base import Codec, CodecError, Inspection, QualityScale, option
from dsr.data_pipelines.codecs.msh import container
from dsr.models.hyperprior.config import HyperpriorError
from dsr.models.hyperprior.saved import WEIGHTS_FILE, SavedHyperprior, read_hyperprior, weights_path
from dsr.models.tensorflow_process import single_threaded

if TYPE_CHECKING:
    from dsr.data_pipelines.codecs.msh.coder import Coder

SHIPPED = Path(__file__).parent / "weights"
"""Models that come with the package."""

FINGERPRINT = "sha256:"


@dataclass(frozen=True)
class MshCodec(Codec):
    """A learned codec: the mean-scale hyperprior of Minnen et al. (2018), whose bitstreams decode alike everywhere.

    Attributes:
        quality: Index of the lambda that the model was trained for; with a model of one's own by default its own.
        model: File of a trained codec, or the folder that holds its `codec.npz`; by default the shipped one of the
            quality. Becomes `sha256:` and the fingerprint of the model, by which shipped models can be named too.
        file: Where the model lies.
    """

    name = "msh"
    scale = QualityScale("quality", 1, 8, 3, higher_is_better=True)
    ladder = (1, 3, 5, 6)
    suffix = ".msh"
    magic = (container.MAGIC,)
    largest_side = container.LARGEST_SIDE

    model: str = option("", "file of a codec that you trained, or its folder; by default the one that comes with dsr")
    file: str = dataclasses.field(default="", init=False, compare=False)

    def __post_init__(self) -> None:
        model = str(self.model)
        own = bool(model) and not model.startswith(FINGERPRINT)
        if not own:
            super().__post_init__()
        path = weights_path(model) if own else shipped_path(self.quality)
        saved = _read(path)
        found = FINGERPRINT + saved.fingerprint.hex()
        if own and self.quality is None:
            object.__setattr__(self, "quality", saved.quality)
        super().__post_init__()
        if saved.quality != self.quality:
            raise CodecError(f"codec msh: {path} was trained for quality {saved.quality}, not {self.quality}")
        if not own and model not in ("", found):
            raise CodecError(
                f"codec msh: the model {model} is not the one that comes with dsr for quality {self.quality}: "
                f"give its file as codec option model=FOLDER/{WEIGHTS_FILE}"
            )
        object.__setattr__(self, "model", found)
        object.__setattr__(self, "file", str(path.absolute()))

    @classmethod
    def offered(cls, model: str = "", **options: Any) -> Sequence[float]:
        """The qualities that are shipped, or the one of a model of one's own."""
        return [cls(model=model).quality] if model else list(shipped())

    @classmethod
    def inspect(cls, bitstream: bytes) -> Inspection:
        """What the header tells; the quality if the model comes with dsr. Details: `model`, the start of its fingerprint."""
        found = container.parse(bitstream)
        models = {quality: _read(path).fingerprint for quality, path in shipped().items()}
        quality = next((quality for quality, model in models.items() if model.startswith(found.model)), None)
        return Inspection(cls.name, found.width, found.height, quality=quality, details={"model": found.model.hex()})

    def chosen(self) -> dict[str, Any]:
        """A model of one's own, by the start of its fingerprint."""
        is_shipped = Path(self.file).parent == SHIPPED
        return {} if is_shipped else {"model": self.model[len(FINGERPRINT) :][:12]}

    def _encode(self, pixels: np.ndarray) -> bytes:
        return bytes(_coder(self.file, self.model).encode(pixels))

    def _decode(self, bitstream: bytes) -> np.ndarray:
        parsed = container.parse(bitstream)
        self.check_pixels(parsed.width, parsed.height)
        return _coder(self.file, self.model).decode(parsed)

    def versions(self) -> dict[str, str]:
        return {name: metadata.version(name) for name in ("tensorflow", "tensorflow-compression")}


def shipped() -> dict[int, Path]:
    """Quality -> file of the models that come with the package."""
    return {int(path.stem[len("quality") :]): path for path in sorted(SHIPPED.glob("quality?.npz"))}


def shipped_path(quality: int) -> Path:
    """File of the shipped model of a quality; raises CodecError, with those there are, if there is none."""
    models = shipped()
    if quality not in models:
        raise CodecError(
            f"codec msh: no model of quality {quality} comes with dsr, only of {', '.join(map(str, models))}: train one "
            f"with `dsr train-codec --quality {quality}` and give its file as codec option model=FOLDER/{WEIGHTS_FILE}"
        )
    return models[quality]


def _read(path: Path) -> SavedHyperprior:
    try:
        return read_hyperprior(path)
    except HyperpriorError as error:
        raise CodecError(f"codec msh: {error}") from error


@functools.lru_cache(maxsize=8)
def _coder(file: str, model: str) -> Coder:
    """The coder of a model, made once in a process. Workers compute with one thread, so that all give the same pixels;
    the main process, which may train afterwards, keeps its threads."""
    if multiprocessing.parent_process() is not None:
        single_threaded()
    from dsr.data_pipelines.codecs.msh.coder import Coder

    saved = _read(Path(file))
    if FINGERPRINT + saved.fingerprint.hex() != model:
        raise CodecError(f"codec msh: {file} has changed since the codec was made; make it anew")
    return Coder(saved)
