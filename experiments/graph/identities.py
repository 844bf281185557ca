"""The part of a configuration that the result of a training depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dsr.experiments.config.overrides import ConfigError
from dsr.tfrecords.integrity import sha256

NOT_IN_THE_RESULT = ("checkpoint_every", "log_every")
"""Training settings that change what is written down on the way but not the trained network."""


def training_identity(config: dict[str, Any], weights: str | None, seed: int) -> dict[str, Any]:
    """The part of a training's configuration that its result depends on.

    A weight file counts by content, not by place. Raises ConfigError if it cannot be read.
    """
    config = {k: v for k, v in config.items() if k not in NOT_IN_THE_RESULT}
    return {**_by_content(config, weights), "seed": seed}


def _by_content(config: dict[str, Any], weights: str | None) -> dict[str, Any]:
    """`config` with the path of a weight file replaced by its SHA-256.

    `imagenet` and `none` stay, Keras checks its downloads.
    """
    if weights in (None, "none", "imagenet"):
        return config
    try:
        digest = sha256(Path(weights))
    except OSError as error:
        raise ConfigError(
            f"cannot read the weight file {weights}: {error.strerror}; give imagenet, none or a file"
        ) from None

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replace(item) for key, item in value.items()}
        return f"sha256:{digest}" if value == weights else value

    return replace(config)
