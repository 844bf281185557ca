"""Saved restorers: the same bytes in every process, plain data on disk, clear words for damaged folders."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.models.restorers.gan_config import GeneratorConfig, RestorerError
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.registry import NetworkConfig
from dsr.models.restorers.saved import SavedRestorer, load_network, save_network
from dsr.models.restorers.tiling import restore

CONFIGS = {
    "gan": GeneratorConfig(width=4, downsamplings=2, blocks=1),
    "rdn": RdnConfig(blocks=2, layers=2, growth=4, features=4),
}


@pytest.fixture(scope="module", params=CONFIGS)
def config(request) -> NetworkConfig:
    return CONFIGS[request.param]


@pytest.fixture(scope="module")
def network(config) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(3)
    network = config.build()
    for variable in network.variables:
        variable.assign(tf.random.normal(variable.shape, stddev=0.3))
    return network


@pytest.fixture
def folder(network, config, tmp_path) -> Path:
    save_network(network, config, tmp_path)
    return tmp_path


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (61, 90, 3), np.uint8)


def test_loaded_networks_have_the_saved_weights(network, config, folder):
    loaded, loaded_config = load_network(folder)
    assert loaded_config == config
    assert all(np.array_equal(a, b) for a, b in zip(loaded.variables, network.variables))


def test_saving_twice_gives_the_same_bytes(network, config, folder, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    save_network(network, config, again)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {p.name: p.read_bytes() for p in again.iterdir()}


def _restore_and_hide_state(restorer: SavedRestorer) -> tuple[np.ndarray, int]:
    restored = restorer(image())
    return restored, len(pickle.dumps(restorer))


def test_every_worker_process_restores_the_same_bytes(network, config, folder):
    restorer = SavedRestorer(folder)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        (first, size), (second, _) = pool.map(_restore_and_hide_state, [restorer] * 2, chunksize=1)
    np.testing.assert_array_equal(first, second)
    assert size < 1000, "a restorer that has loaded its network must still be pickled by the name of its folder"
    here = restore(network, config, image())  # with as many threads as this process has
    assert np.abs(first.astype(int) - here).max() <= 1
    assert np.abs(first.astype(int) - image()).mean() > 1


def test_a_description_names_the_network_and_not_the_place(network, config, folder, tmp_path_factory):
    described = SavedRestorer(folder).describe()
    assert json.loads(json.dumps(described)) == described and str(folder) not in json.dumps(described)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save_network(network, config, elsewhere)
    assert SavedRestorer(elsewhere).describe() == described
    other = tf.keras.models.clone_model(network)
    save_network(other, config, elsewhere)
    assert SavedRestorer(elsewhere).describe() != described


def test_constructing_and_describing_need_no_tensorflow(folder):
    script = (
        "import sys; from dsr.models.restorers.saved import SavedRestorer; from pathlib import Path;"
        f"SavedRestorer(Path({str(folder)!r})).describe(); print('tensorflow' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"network": "other"}',
        '{"network": ["gan"]}',
        '{"network": "gan", "width": 0}',
        '{"network": "gan", "downsamplings": 1000000000}',
        '{"network": "rdn", "width": 3}',
        '{"network": "rdn", "layers": "6"}',
    ],
)
def test_a_damaged_configuration_is_refused_by_its_name(folder, text):
    (folder / "generator.json").write_text(text)
    with pytest.raises(RestorerError, match="generator.json"):
        SavedRestorer(folder)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def _pickle_inside(path: Path) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    bias = next(name for name in arrays if name in ("o/bias:0", "out/bias:0"))
    np.savez(path, **{**arrays, bias: np.array([{}, {}, {}], object)})


def _other_shape(path: Path) -> None:
    np.savez(path, **{"c/kernel:0": np.zeros((7, 7, 3, 5), np.float32)})


@pytest.mark.parametrize("damage", [Path.unlink, _truncate, _flip, _pickle_inside, _other_shape])
def test_damaged_weights_are_refused_by_their_name(folder, damage):
    damage(folder / "generator.npz")
    with pytest.raises(RestorerError, match="generator.npz"):
        load_network(folder)


def test_a_configuration_beyond_its_weights_is_refused_before_anything_of_that_size_is_made(folder):
    path = folder / "generator.json"
    saved = json.loads(path.read_text())
    for key in set(saved) - {"network", "upsampling"}:
        path.write_text(json.dumps({**saved, key: 8 if key == "downsamplings" else 1_000_000_000}))
        with pytest.raises(RestorerError, match="generator.npz"):
            load_network(folder)


def test_a_folder_without_weights_is_refused_at_once(tmp_path):
    with pytest.raises(RestorerError, match="trained restorer"):
        SavedRestorer(tmp_path)
