"""Any backbone of keras-cv that is a pyramid of convolutions, by the name of its preset.

keras-cv downloads configuration and weights of a preset from Kaggle on first use and keeps them in Kaggle's cache.
ResNet (both versions), MobileNetV3, EfficientNet V1 and Lite can be dilated; DenseNet, CSPDarkNet, YOLOV8 and
EfficientNetV2, whose layers hide their strides or pool over an even number of pixels, and transformers are refused with
the reason.
"""

from __future__ import annotations

import contextlib
import difflib
import io
from typing import Any

import tensorflow as tf

from dsr.models.segmenter.backbones.base import Backbone
from dsr.models.segmenter.errors import BackboneError, WeightsError

with contextlib.redirect_stdout(io.StringIO()):  # it says there which backend it has, and there belong results
    import keras_cv

LEVELS = ("P2", "P5")
"""Keras-cv's names of the features at strides 4 and 32."""


def check_preset(preset: str, weights: str) -> None:
    """Raise BackboneError unless keras-cv has this preset, WeightsError unless it has weights; downloads nothing."""
    kinds = _kinds()
    if preset not in kinds:
        near = difflib.get_close_matches(preset, kinds, 3) or sorted(kinds)
        raise BackboneError(f"keras-cv has no preset {preset!r}: take keras_cv: and {', '.join(near)}")
    if weights == "imagenet" and preset not in kinds[preset].presets_with_weights:
        raise WeightsError(
            f"the preset {preset} of keras-cv has no weights: take "
            f"{', '.join(sorted(kinds[preset].presets_with_weights)) or 'another one'}, a weight file, or 'none'"
        )


def build(width: float, weights: str | None, preset: str) -> Backbone:
    """The network of a preset, which has no width; `weights` is "imagenet" for the preset's, or None for random ones.

    Raises:
      BackboneError: there is no such preset, its configuration cannot be had, or it is no pyramid of features.
      WeightsError: the preset has no weights.
    """
    check_preset(preset, weights or "none")
    kind = _kinds()[preset]
    try:
        network = kind.from_preset(preset, load_weights=weights == "imagenet")
    except Exception as error:  # whatever the download, the file or its network raises
        raise BackboneError(
            f"cannot get the preset {preset} of keras-cv ({type(error).__name__}: {error}): it comes from Kaggle, and "
            "stays in its cache"
        ) from error
    levels = getattr(network, "pyramid_level_inputs", {})
    if not all(level in levels for level in LEVELS):
        raise BackboneError(
            f"the preset {preset} of keras-cv has no features {' and '.join(LEVELS)}, but {', '.join(levels) or 'none'}"
        )
    scale = 255.0 if network.include_rescaling else 1.0

    def prepare(image: tf.Tensor) -> tf.Tensor:
        """[-1, 1] to 0..255, which the network divides itself, or to [0, 1]."""
        return (image + 1.0) * (scale / 2)

    low, high = (levels[level] for level in LEVELS)
    return Backbone(network, low, high, prepare)


def _kinds() -> dict[str, Any]:
    """Name of a preset -> its class."""
    base = keras_cv.models.Backbone
    kinds: list[Any] = [
        kind for kind in vars(keras_cv.models).values() if isinstance(kind, type) and issubclass(kind, base)
    ]
    return {preset: kind for kind in kinds for preset in kind.presets}
