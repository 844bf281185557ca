"""Memory grows with the listing of a dataset, and with nothing that is in its images."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tfrecords.fakes import FakeSample, inline
from tests.tfrecords.writing import write_originals

pytestmark = pytest.mark.slow

FEW, MANY = 500, 4000
BYTES_AN_IMAGE = 700
"""Of the listing: a sample of three strings. A row as Python holds it takes 500 more, an image 1000."""


@dataclass(frozen=True)
class Small:
    """`count` images of 16x16 pixels."""

    count: int
    name: str = "small"

    def samples(self, split: str) -> list[FakeSample]:
        return [FakeSample(f"{split}/{number:08d}", f"{split}/{number:08d}.png") for number in range(self.count)]

    def read(self, sample: FakeSample) -> tuple[np.ndarray, None]:
        return np.random.default_rng(int(sample.key[-8:])).integers(0, 256, (16, 16, 3), np.uint8), None

    def describe(self) -> dict[str, Any]:
        return {"count": self.count}

    def fingerprint(self, split: str) -> str:
        return str(self.count)


def peak(count: int, folder: Path) -> int:
    """Bytes that Python allocates at most, in what is both the calling process and the worker."""
    gc.collect()
    tracemalloc.start()
    write_originals(Small(count), "test", folder, images_per_shard=50, engine=inline)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    peak(100, tmp_path / "warm")  # what is loaded once
    few, many = peak(FEW, tmp_path / "few"), peak(MANY, tmp_path / "many")
    assert (many - few) / (MANY - FEW) < BYTES_AN_IMAGE
