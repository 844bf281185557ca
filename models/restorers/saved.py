"""A trained restorer as a folder, and as a function from pixels to pixels that worker processes can be given.

The folder holds `generator.json` (which network, and its configuration) and `generator.npz` (its weights by variable
name): plain data, so that reading a folder from elsewhere runs nothing. Importing this module does not import TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsr.models.arrays import UNREADABLE
from dsr.models.restorers.gan_config import RestorerError
from dsr.models.restorers.networks import NETWORKS, NetworkConfig, build_network
from dsr.models.tensorflow_process import single_threaded

if TYPE_CHECKING:
    import tensorflow as tf

CONFIG_FILE = "generator.json"
WEIGHTS_FILE = "generator.npz"


def save_network(network: tf.keras.Model, config: NetworkConfig, folder: Path) -> None:
    """Write the two files into an existing folder. The same weights give the same bytes."""
    text = json.dumps(_described(config), indent=2) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    np.savez(folder / WEIGHTS_FILE, **{variable.name: variable.numpy() for variable in network.variables})


def load_network(folder: Path) -> tuple[tf.keras.Model, NetworkConfig]:
    """The network that `save_network` wrote. Raises RestorerError for a missing or damaged file."""
    config = read_config(folder)
    path = folder / WEIGHTS_FILE
    try:
        with np.load(path, allow_pickle=False) as archive:
            _check_size(archive.zip, config)
            network = build_network(config)
            for variable in network.variables:
                variable.assign(archive[variable.name])
    except UNREADABLE as error:
        raise RestorerError(f"{path}: not the weights of {CONFIG_FILE}'s network ({error}): train it again") from error
    return network, config


def _described(config: NetworkConfig) -> dict[str, Any]:
    return {"network": config.NETWORK, **asdict(config)}


def _check_size(archive: zipfile.ZipFile, config: NetworkConfig) -> None:
    """Raise ValueError unless the arrays fill as many bytes as the network: no file may ask for any more memory."""
    stored, expected = sum(entry.file_size for entry in archive.infolist()), 4 * config.parameters
    headers = 1024 * len(archive.infolist())
    if not expected <= stored <= expected + headers:
        raise ValueError(f"{stored} bytes for {config.parameters} weights")


def read_config(folder: Path) -> NetworkConfig:
    """The configuration in a saved folder. Raises RestorerError for a missing or damaged file."""
    path = folder / CONFIG_FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return NETWORKS[fields.pop("network")](**fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RestorerError) as error:
        raise RestorerError(f"{path}: not a restorer's configuration ({error}): give a trained one's folder") from error


class SavedRestorer:
    """A saved network as a picklable function: uint8 (H, W, 3) compressed -> uint8 (H, W, 3) restored.

    Pickled, it is the folder's name; every process that calls it loads the network on its first call. Its arithmetic
    then has one thread: sums over an image are split among threads and so depend on their number, and the restored
    bytes must not. That is a setting of the whole process which TensorFlow takes only before it starts, so call it in
    a process of its own, as the converter's workers are. On a GPU, processes share its memory and only algorithms
    that give the same result every time are used.
    """

    def __init__(self, folder: Path) -> None:
        """Raises RestorerError where the folder holds no saved network."""
        self.folder = Path(folder)
        self._loaded: tuple[tf.keras.Model, NetworkConfig] | None = None
        if not (self.folder / WEIGHTS_FILE).is_file():
            raise RestorerError(f"{self.folder}: no {WEIGHTS_FILE} here: give the folder of a trained restorer")
        read_config(self.folder)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_loaded": None}

    def describe(self) -> dict[str, Any]:
        """JSON-able identity: network, configuration and SHA-256 of the weights; says nothing of where they lie."""
        digest = hashlib.sha256((self.folder / WEIGHTS_FILE).read_bytes()).hexdigest()
        config = read_config(self.folder)
        return {"network": config.NETWORK, "config": asdict(config), "weights_sha256": digest}

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Restore one image of any size. Raises RuntimeError where TensorFlow already runs with more threads."""
        from dsr.models.restorers.tiling import restore

        if self._loaded is None:
            single_threaded()
            self._loaded = load_network(self.folder)
        return restore(*self._loaded, pixels)
