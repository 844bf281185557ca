"""Shards as PyTorch reads them: random access without TensorFlow, in an order that a training can go on in.

PyTorch is no part of dsr: `pip install torch`. A training that stopped after `step` batches goes on with the next one:

    from torch.utils.data import DataLoader
    from dsr.torch import ShardDataset, Steps

    def crop(sample, random):
        top, left = (random.integers(0, side - 255) for side in sample["image"].shape[:2])
        return {name: array[top : top + 256, left : left + 256] for name, array in sample.items()}

    data = ShardDataset("dsr-work/shards/camvid/train/bpg-qp36-gan-1a2b3c4d", crop)
    for batch in DataLoader(data, batch_sampler=Steps(len(data), batch=8, seed=0, start=step), num_workers=2):
        loss = cross_entropy(network(batch["image"] / 255), batch["label"], ignore_index=255)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Optional, Union

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from dsr.data_pipelines.datasets import IGNORE
from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import find_records
from dsr.tfrecords.manifest import check
from dsr.tfrecords.schema import read_record

Sample = dict[str, np.ndarray]
Draw = tuple[int, int, int]
"""Number of an image, and what seeds its augmentation: the seed of the training, and the number of the sample in it."""


class ShardDataset(Dataset):
    """Images and labels of shards, each found where it lies; for a `DataLoader` with any number of workers.

    Item n, or the one that `Steps` draws, is {"image": uint8 tensor (3, H, W), "label": int64 tensor (H, W)} with train
    ids, 255 where there is none.

    Args:
        folder: Of shards, as `dsr convert` prints it.
        augment: Given {"image": uint8 (H, W, 3), "label": uint8 (H, W)} and a random generator, returns such arrays.
            Images of several sizes need one that makes them equal, to be put into batches.

    Raises:
        ArtefactError: they are missing, damaged or not whole; an item that is damaged raises it too.
    """

    def __init__(
        self,
        folder: Union[str, os.PathLike[str]],
        augment: Optional[Callable[[Sample, np.random.Generator], Sample]] = None,
    ) -> None:
        place = files.location(folder)
        manifest = check(place)
        self.augment = augment
        self.paths = [place / name for name in manifest.shards]
        found = [(number, start) for number, path in enumerate(self.paths) for start, _ in find_records(path)]
        self.places = np.array(found, np.int64).reshape(-1, 2)  # one array, so that workers share its memory
        if len(self.places) != manifest.summary.get("images"):
            raise ArtefactError(f"{folder} holds {len(self.places)} records; run dsr convert again, which repairs it")

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, drawn: Union[int, Draw]) -> dict[str, torch.Tensor]:
        image, *seeds = drawn if isinstance(drawn, tuple) else (drawn, drawn)
        path, start = self.places[image]
        record = read_record(self.paths[path], int(start))
        label = record.train_ids()
        empty = np.full((record.height, record.width), IGNORE, np.uint8)
        sample = {"image": record.pixels(), "label": empty if label is None else label}
        if self.augment is not None:
            sample = self.augment(sample, np.random.default_rng(seeds))
        pixels = np.ascontiguousarray(sample["image"].transpose(2, 0, 1))
        return {"image": torch.from_numpy(pixels), "label": torch.from_numpy(sample["label"].astype(np.int64))}


class Steps(Sampler[Any]):
    """Batches of draws from a step on: every image once an epoch, in an order that follows from seed and epoch.

    Args:
        images: How many there are.
        batch: Images of a batch, which may be of two epochs.
        seed: Of order and augmentation.
        start: The first step, from 0: how many batches a training has had already.
        end: The step after the last; None goes on for ever.

    Raises:
        ValueError: there are no images, a batch would have none, or `start` is below 0.
    """

    def __init__(self, images: int, *, batch: int, seed: int = 0, start: int = 0, end: Optional[int] = None) -> None:
        if images < 1 or batch < 1 or start < 0:
            raise ValueError(f"images={images} and batch={batch} must be 1 at least, start={start} 0 at least")
        self.images, self.batch, self.seed, self.start, self.end = images, batch, seed, start, end

    def __iter__(self) -> Iterator[list[Draw]]:
        step, drawn, order = self.start, -1, np.empty(0, np.int64)
        while self.end is None or step < self.end:
            batch = []
            for number in range(step * self.batch, (step + 1) * self.batch):
                epoch, place = divmod(number, self.images)
                if epoch != drawn:
                    drawn, order = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.images)
                batch.append((int(order[place]), self.seed, number))
            yield batch
            step += 1

    def __len__(self) -> int:
        if self.end is None:
            raise TypeError("there is no last step")
        return max(0, self.end - self.start)
