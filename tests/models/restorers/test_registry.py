"""The registry: what each restorer is, without TensorFlow; and that one more takes a file and a line."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from dsr.models.pixels import to_pixels, to_unit
from dsr.models.restorers import registry
from dsr.models.restorers.registry import NETWORKS, RESTORERS, NetworkConfig, Restorer
from dsr.models.restorers.saved import load_network, read_config, save_network
from dsr.models.restorers.tiling import MAPS, restore


@dataclass(frozen=True)
class BrightConfig:
    """A restorer of one's own: brightens by a learned amount."""

    NETWORK: ClassVar[str] = "bright"

    layers: int = 1

    @property
    def widest(self) -> int:
        return 3

    @property
    def parameters(self) -> int:
        return 12 * self.layers

    def build(self) -> tf.keras.Model:
        x = compressed = tf.keras.Input((None, None, 3))
        for i in range(self.layers):
            x = tf.keras.layers.Conv2D(3, 1, kernel_initializer="zeros", name=f"layer{i}")(x)
        return tf.keras.Model(compressed, compressed + x)

    def restore_tiled(self, network: tf.keras.Model, pixels: np.ndarray, most: int) -> np.ndarray:
        return np.concatenate([network(to_unit(row[None, None]))[0].numpy() for row in pixels])


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Restorer:
    """The line for it."""
    line = Restorer("bright", "brightens", BrightConfig, "gan")
    monkeypatch.setitem(registry.RESTORERS, line.name, line)
    monkeypatch.setitem(registry.NETWORKS, BrightConfig.NETWORK, BrightConfig)
    return line


def test_the_registry_needs_no_tensorflow():
    script = "import sys; import dsr.models.restorers.registry; print('tensorflow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"


def test_every_restorer_is_registered_under_its_name_and_comes_trained_or_is_trained():
    for name, restorer in RESTORERS.items():
        assert restorer.name == name and restorer.label
        assert (restorer.settings is None) == (restorer.folder is not None)
        assert (restorer.seconds_per_megapixel > 0) == (restorer.settings is not None)
        assert NETWORKS[restorer.network.NETWORK] is restorer.network
        if restorer.folder is not None:
            assert isinstance(read_config(restorer.folder), restorer.network)


def test_names_of_restorers_are_a_type_of_settings():
    assert registry.RestorerName.__args__ == tuple(RESTORERS)


def test_a_restorer_of_ones_own_is_saved_loaded_and_restores_whole_and_in_tiles(own, tmp_path):
    config: NetworkConfig = BrightConfig(layers=2)
    network = config.build()
    network.get_layer("layer1").bias.assign([10 / 127.5] * 3)
    save_network(network, config, tmp_path)
    loaded, described = load_network(tmp_path)
    assert described == config
    pixels = np.random.default_rng(0).integers(0, 240, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(restore(loaded, described, pixels), pixels + 10)
    memory = 4 * MAPS * config.widest * 30
    np.testing.assert_array_equal(restore(loaded, described, pixels, memory), pixels + 10)
    np.testing.assert_array_equal(to_pixels(config.restore_tiled(loaded, pixels, 30)), pixels + 10)
