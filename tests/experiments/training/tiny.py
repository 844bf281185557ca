"""A study so small that a training takes seconds, and a training that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import h5py
import numpy as np

from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Meter, Progress
from tests.experiments.studies import FEW_LAYERS

TINY = [
    "points=jpeg-quality10",
    "dataset.options.height=128",
    "dataset.options.width=128",
    "dataset.options.restore=3",
    "dataset.options.train=4",
    "dataset.options.test=3",
    "samples=2",
    "restorer.gan.generator.width=4",
    "restorer.gan.generator.blocks=1",
    "restorer.gan.discriminator.width=4",
    "restorer.gan.batch=1",
    "restorer.gan.steps=6",
    "restorer.checkpoint_every=2",
    "restorer.log_every=2",
    *FEW_LAYERS,
    "segmenter.network.aspp_width=8",
    "segmenter.network.decoder_width=8",
    "segmenter.network.low_level_width=8",
    "segmenter.batch=2",
    "segmenter.crop_height=64",
    "segmenter.crop_width=64",
    "segmenter.steps=6",
    "segmenter.checkpoint_every=2",
    "segmenter.log_every=2",
]


class Killed(Exception):
    pass


class KilledAt(Progress):
    """Dies in the middle of a window, between two checkpoints."""

    def __init__(self, step: int) -> None:
        self.step = step

    @contextmanager
    def meter(self, label: str, total: int) -> Iterator[Meter]:
        yield self

    def update(self, done: int, note: str = "") -> None:
        if done == self.step:
            raise Killed


def weights(artefact: Artefact) -> list[np.ndarray]:
    """Of all networks that a training leaves: a segmenter's one, a generator and its discriminators."""
    paths = sorted([*artefact.folder.glob("*.h5"), *artefact.folder.glob("*.npz")])
    assert paths
    found: list[np.ndarray] = []
    for path in paths:
        if path.suffix == ".npz":
            with np.load(path) as archive:
                found.extend(archive[name] for name in archive)
        else:
            with h5py.File(path) as file:
                file.visititems(lambda _, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return found
