"""The networks that a restorer may be, by the name in their configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from dsr.models.restorers.gan_config import GeneratorConfig
from dsr.models.restorers.rdn_config import RdnConfig

if TYPE_CHECKING:
    import tensorflow as tf


NetworkConfig = Union[GeneratorConfig, RdnConfig]


NETWORKS: dict[str, type[NetworkConfig]] = {config.NETWORK: config for config in (GeneratorConfig, RdnConfig)}


def build_network(config: NetworkConfig) -> tf.keras.Model:
    """The untrained network of a configuration."""
    from dsr.models.restorers.generator import build_generator
    from dsr.models.restorers.rdn import build_rdn

    return build_generator(config) if isinstance(config, GeneratorConfig) else build_rdn(config)
