"""Between what a number of a configuration must lie, wherever it stands in the tree: checked before any work."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dsr.experiments.config.overrides import ConfigError, flatten

MOST = 1_000_000_000
"""Of anything that is counted."""

BOUNDS: Mapping[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "seeds": (1, 1000),
    "samples": (0, 1000),
    "batch": (1, 65_536),
    "patch": (1, 16_384),
    "crop_height": (1, 16_384),
    "crop_width": (1, 16_384),
    "learning_rate": (1e-12, 100),
    "label_smoothing": (0, 1),
    "warmup": (0, 1),
    "backbone_rate": (0, 100),
    "scale_min": (0.05, 20),
    "scale_max": (0.05, 20),
    "decay_at": (0, 1),
    "decay_to": (0, 1),
    "beta_1": (0, 0.999999),
    "beta_2": (0, 0.999999),
    "gradient_norm": (1e-6, MOST),
}
"""Last part of a key -> smallest and largest value. Other whole numbers go from 1 to MOST, other numbers from 0 to
MOST."""


def check_numbers(config: Any) -> None:
    """Raise ConfigError, which names the key, for the first number of a nested configuration that is out of its bounds.

    Free keys (`dataset.options`) are checked by what they belong to.
    """
    leaves = flatten(config)
    for key, value in leaves.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                _check(key, number)
    if leaves.get("segmenter.scale_min", 0) > leaves.get("segmenter.scale_max", math.inf):
        raise ConfigError(
            "segmenter.scale_min is larger than segmenter.scale_max: crops are scaled by what lies between"
        )


def _check(key: str, number: float) -> None:
    whole = isinstance(number, int)
    low, high = BOUNDS.get(key.rpartition(".")[2], (1 if whole else 0, MOST))
    if not low <= number <= high:
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"{key} is {number}: set it to {kind} from {low:g} to {high:g}")
