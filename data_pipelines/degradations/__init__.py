"""What may happen to an image between the camera and the server: codecs, and what else the paper's outlook names.

`make_degradation("blur-gaussian", 2).degrade(pixels, key)` gives what arrives of an image. The names are in
`DEGRADATIONS`; a codec is a degradation too (`dsr.data_pipelines.codecs`), and `Chain` does several in a row.
"""

from __future__ import annotations

import importlib
from typing import Any

from dsr.data_pipelines.degradations.base import Degradation, DegradationError, Degraded, Distortion, LevelScale
from dsr.data_pipelines.names import did_you_mean

DEGRADATIONS: dict[str, str] = {
    "blur-gaussian": "dsr.data_pipelines.degradations.blur:GaussianBlur",
    "blur-defocus": "dsr.data_pipelines.degradations.blur:DefocusBlur",
    "blur-motion": "dsr.data_pipelines.degradations.blur:MotionBlur",
    "noise-shot": "dsr.data_pipelines.degradations.noise:ShotNoise",
    "noise-read": "dsr.data_pipelines.degradations.noise:ReadNoise",
    "downsample": "dsr.data_pipelines.degradations.sampling:Downsample",
    "gamma": "dsr.data_pipelines.degradations.tone:Gamma",
    "white-balance": "dsr.data_pipelines.degradations.tone:WhiteBalance",
    "bit-depth": "dsr.data_pipelines.degradations.tone:BitDepth",
}
"""Name -> `module:class`, imported on use."""

__all__ = [
    "DEGRADATIONS",
    "Degradation",
    "DegradationError",
    "Degraded",
    "Distortion",
    "LevelScale",
    "degradation_class",
    "make_degradation",
]


def degradation_class(name: str) -> type[Distortion]:
    """The class of the degradation called `name`; raises DegradationError, with the nearest name, if there is none."""
    if name not in DEGRADATIONS:
        near = did_you_mean(name, DEGRADATIONS)
        raise DegradationError(f"no degradation is called {name!r}{near}; there are {', '.join(DEGRADATIONS)}")
    module, attribute = DEGRADATIONS[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def make_degradation(name: str, strength: float, **options: Any) -> Distortion:
    """Makes a degradation.

    Args:
        name: A name in `DEGRADATIONS`.
        strength: A number on its `scale`.
        **options: Its other fields, such as `seed`.

    Raises:
        DegradationError: There is no such degradation or option, or the strength is not on the scale.
    """
    try:
        return degradation_class(name)(strength, **options)
    except TypeError:
        raise DegradationError(f"degradation {name} has no option {', '.join(options)}") from None
