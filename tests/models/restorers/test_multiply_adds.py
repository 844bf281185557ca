"""What configurations say that their networks compute is what TensorFlow's graphs compute."""

from __future__ import annotations

from typing import Any

import pytest

from dsr.models.restorers.discriminator import build_discriminator
from dsr.models.restorers.gan_config import VGG_MULTIPLY_ADDS, AdversarialConfig, DiscriminatorConfig, GeneratorConfig
from dsr.models.restorers.rdn_config import DenseConfig, RdnConfig
from dsr.models.restorers.vgg import BLOCKS
from tests.models.multiply_adds import counted

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    "config",
    [
        GeneratorConfig.tiny(),
        GeneratorConfig(width=4, downsamplings=3, blocks=2),
        GeneratorConfig(width=4, downsamplings=1, blocks=3, upsampling="resize"),
        RdnConfig.tiny(),
        RdnConfig(blocks=3, layers=2, growth=5, features=7),
    ],
)
def test_a_restorer_computes_what_its_configuration_says(config: Any) -> None:
    assert counted(config.build(), 64, 64, 3) == pytest.approx(config.multiply_adds, rel=1e-9)


@pytest.mark.parametrize("config", [DiscriminatorConfig.tiny(), DiscriminatorConfig(width=4, scales=(1,))])
def test_discriminators_compute_what_their_configuration_says(config: DiscriminatorConfig) -> None:
    network = build_discriminator(config)
    each = counted(lambda a, b: network([a, b]), 64, 64, 3, 3)
    assert sum(each / scale**2 for scale in config.scales) == pytest.approx(config.multiply_adds, rel=1e-9)


def test_vgg_computes_what_its_blocks_say() -> None:
    total, channels = 0.0, 3
    for level, (filters, count) in enumerate(BLOCKS):
        total += (9 * channels * filters + (count - 1) * 9 * filters**2) / 4**level
        channels = filters
    assert total == VGG_MULTIPLY_ADDS


def test_the_shipped_restorer_computes_what_its_card_says() -> None:
    assert round(AdversarialConfig.base().network.multiply_adds / 1e6, 2) == 0.22  # docs/restorer.md


def test_a_step_without_vgg_is_cheaper_by_vgg_alone() -> None:
    with_vgg, without = AdversarialConfig.small(), AdversarialConfig.tiny()
    assert with_vgg.multiply_adds > 3 * VGG_MULTIPLY_ADDS > without.multiply_adds
    assert DenseConfig.paper().multiply_adds == 3 * RdnConfig.paper().multiply_adds
