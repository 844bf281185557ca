"""Trained restorers as folders, and as a function from pixels to pixels that worker processes can be given.

See `dsr.models.restorers.folder` for what a folder holds. Importing this module does not import TensorFlow.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsr.models.arrays import UNREADABLE, read_array
from dsr.models.restorers.errors import RestorerError
from dsr.models.restorers.folder import (
    DISCRIMINATORS,
    GENERATOR,
    START_FROM,
    check_described,
    description_file,
    digest,
    read_json,
    start_folder,
    weights_file,
)
from dsr.models.restorers.gan_config import AdversarialConfig, DiscriminatorConfig, GeneratorConfig
from dsr.models.restorers.registry import NETWORKS, NetworkConfig
from dsr.models.tensorflow_process import single_threaded

if TYPE_CHECKING:
    import tensorflow as tf

TYPES = ("<f4", "<f2")
"""Of the arrays: what a training writes, and what takes half the room."""

HEADER = 1024
"""Bytes that the header of an array in a file may take."""


def save_network(network: tf.keras.Model, config: NetworkConfig, folder: Path) -> None:
    """Write the part that restores into an existing folder. The same weights give the same bytes."""
    _save(folder, GENERATOR, {"network": config.NETWORK, **asdict(config)}, _by_name(network))


def save_discriminators(discriminators: Sequence[tf.keras.Model], config: DiscriminatorConfig, folder: Path) -> None:
    """Write the part that goes on training into an existing folder. The same weights give the same bytes."""
    _save(folder, DISCRIMINATORS, asdict(config), _named(discriminators))


def load_network(folder: Path) -> tuple[tf.keras.Model, NetworkConfig]:
    """The network that `save_network` wrote. Raises RestorerError for a missing or damaged file."""
    config = read_config(folder)
    path = weights_file(folder, GENERATOR)
    try:
        with np.load(path, allow_pickle=False) as archive:
            _check_size(archive.zip, config)
            network = config.build()
            _assign(archive, _by_name(network))
    except UNREADABLE as error:
        beside = description_file(folder, GENERATOR).name
        raise RestorerError(f"{path}: not the weights of the network in {beside} ({error}): train it again") from error
    return network, config


def load_start(config: AdversarialConfig, generator: tf.keras.Model, discriminators: Sequence[tf.keras.Model]) -> None:
    """Put the weights that a training starts from into its networks.

    Raises:
      RestorerError: a file of `config.start` is missing or damaged, or its networks are not those of `config`.
    """
    assert config.start is not None
    folder = start_folder(config.start)
    variables = {GENERATOR: _by_name(generator), DISCRIMINATORS: _named(discriminators)}
    for part, wanted in config.parts.items():
        check_described(folder, part, wanted)
        path = weights_file(folder, part)
        try:
            with np.load(path, allow_pickle=False) as archive:
                _assign(archive, variables[part])
        except UNREADABLE as error:
            raise RestorerError(f"{path}: not the weights of the {part} beside it ({error}): {START_FROM}") from error


def read_config(folder: Path) -> NetworkConfig:
    """The configuration of the network in a saved folder. Raises RestorerError for a missing or damaged file."""
    path = description_file(folder, GENERATOR)
    try:
        fields = read_json(path)
        return NETWORKS[fields.pop("network")](**fields)
    except (OSError, ValueError, KeyError, TypeError, RestorerError) as error:
        raise RestorerError(f"{path}: not a restorer's configuration ({error}): give a trained one's folder") from error


def read_start(start: str) -> tuple[GeneratorConfig, DiscriminatorConfig]:
    """The configurations of generator and discriminators that a training can start from.

    Args:
      start: 'shipped', or the folder of a trained restorer.

    Raises:
      RestorerError: a file is missing or damaged, its weights are not as many as its description says, or it is no
        adversarial restorer.
    """
    folder = start_folder(start)
    generator = read_config(folder)
    if not isinstance(generator, GeneratorConfig):
        raise RestorerError(f"{folder} holds a restorer of the kind {generator.NETWORK}: {START_FROM}")
    path = description_file(folder, DISCRIMINATORS)
    try:
        fields = read_json(path)
        discriminator = DiscriminatorConfig(**{**fields, "scales": tuple(fields["scales"])})
    except (OSError, ValueError, KeyError, TypeError, RestorerError) as error:
        raise RestorerError(f"{path}: no description of {DISCRIMINATORS} ({error}): {START_FROM}") from error
    described: dict[str, GeneratorConfig | DiscriminatorConfig] = {GENERATOR: generator, DISCRIMINATORS: discriminator}
    for part, config in described.items():
        path = weights_file(folder, part)
        try:
            with zipfile.ZipFile(path) as archive:
                _check_size(archive, config)
        except UNREADABLE as error:
            raise RestorerError(f"{path}: not the weights of the {part} beside it ({error}): {START_FROM}") from error
    return generator, discriminator


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
        path = weights_file(self.folder, GENERATOR)
        if not path.is_file():
            raise RestorerError(f"{self.folder}: no {path.name} here: give the folder of a trained restorer")
        read_config(self.folder)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_loaded": None}

    def describe(self) -> dict[str, Any]:
        """JSON-able identity: network, configuration and SHA-256 of the weights; says nothing of where they lie."""
        config = read_config(self.folder)
        weights = digest(weights_file(self.folder, GENERATOR))
        return {"network": config.NETWORK, "config": asdict(config), "weights_sha256": weights}

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Restore one image of any size. Raises RuntimeError where TensorFlow already runs with more threads."""
        from dsr.models.restorers.tiling import restore

        if self._loaded is None:
            single_threaded()
            self._loaded = load_network(self.folder)
        return restore(*self._loaded, pixels)


def _save(folder: Path, part: str, described: dict[str, Any], variables: dict[str, tf.Variable]) -> None:
    description_file(folder, part).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    np.savez(weights_file(folder, part), **{name: variable.numpy() for name, variable in variables.items()})


def _by_name(network: tf.keras.Model) -> dict[str, tf.Variable]:
    return {variable.name: variable for variable in network.variables}


def _named(discriminators: Iterable[tf.keras.Model]) -> dict[str, tf.Variable]:
    """Their variables by names that tell the discriminators apart: `discriminator_1/c1/kernel:0`."""
    return {f"{model.name}/{variable.name}": variable for model in discriminators for variable in model.variables}


def _check_size(archive: zipfile.ZipFile, config: NetworkConfig | DiscriminatorConfig) -> None:
    """Raise ValueError unless the arrays may be those of the network: no file may ask for more memory than it fills."""
    entries = archive.infolist()
    stored = sum(entry.file_size for entry in entries)
    if not 2 * config.parameters <= stored <= 4 * config.parameters + HEADER * len(entries):
        raise ValueError(f"{stored} bytes for {config.parameters} weights")
    # An archive may claim any size, and zeros pack to nothing; trained weights do not pack to half of float16.
    assert archive.fp is not None  # it is open
    size = os.fstat(archive.fp.fileno()).st_size
    if size < config.parameters:
        raise ValueError(f"a file of {size} bytes for {config.parameters} weights")


def _assign(archive: Any, variables: dict[str, tf.Variable]) -> None:
    """Put arrays into variables. Raises ValueError or KeyError where they are not finite numbers of their shapes."""
    for name, variable in variables.items():
        variable.assign(read_array(archive, name, variable.shape, TYPES).astype(np.float32))
