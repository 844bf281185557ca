"""A dataset, codec and restorer that take milliseconds; in a module, because worker processes must import them."""

from __future__ import annotations

import os
import signal
import struct
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import UserError
from tfrecords.manifest import fingerprint


@dataclass(frozen=True)
class FakeSample:
    key: str
    image: str
    part: int = 0


@dataclass(frozen=True)
class FakeSource:
    """`count` smooth random images of slightly different sizes; every third one has no label."""

    count: int = 10
    seed: int = 0
    delay: float = 0.0
    name: str = field(default="fake", init=False)

    def samples(self, split: str) -> list[FakeSample]:
        return [FakeSample(f"{split}/image {i:03d}", f"{split}/{i:03d}.png") for i in reversed(range(self.count))]

    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        time.sleep(self.delay)
        number = int(sample.key[-3:])
        rng = np.random.default_rng([self.seed, number])
        height, width = 20 + number % 3, 24 + number % 2
        pixels = np.cumsum(rng.integers(0, 9, (height, width, 3)), axis=1).astype(np.uint8)
        label = None if number % 3 == 2 else rng.integers(0, 12, (height, width)).astype(np.uint8)
        return pixels, label

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "count": self.count, "seed": self.seed}

    def fingerprint(self, split: str) -> str:
        return fingerprint([self.describe(), split])


@dataclass(frozen=True)
class FakeCodec:
    """Rounds values to multiples of `step` and deflates them: lossy, and lossless for step 1."""

    step: int = 8
    fails_at: int = -1  # the height at which encoding fails

    @property
    def point(self) -> str:
        return f"fake-step{self.step}"

    def encode(self, pixels: np.ndarray) -> bytes:
        if len(pixels) == self.fails_at:
            raise UserError("the codec does not like it")
        return struct.pack("<II", *pixels.shape[:2]) + zlib.compress((pixels // self.step).tobytes())

    def decode(self, bitstream: bytes) -> np.ndarray:
        shape = struct.unpack("<II", bitstream[:8])
        return np.frombuffer(zlib.decompress(bitstream[8:]), np.uint8).reshape(*shape, 3) * np.uint8(self.step)

    def describe(self) -> dict[str, Any]:
        return {"name": "fake", "step": self.step}


@dataclass(frozen=True)
class OtherDecoder(FakeCodec):
    """Says that it is FakeCodec, and decodes something else."""

    def decode(self, bitstream: bytes) -> np.ndarray:
        return super().decode(bitstream) ^ 1


@dataclass(frozen=True)
class FakeRestorer:
    """Puts values into the middle of the interval that was rounded."""

    step: int = 8
    crop: int = 0

    def describe(self) -> dict[str, Any]:
        return {"network": "fake", "step": self.step}

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return (pixels + np.uint8(self.step // 2))[self.crop :]


@dataclass(frozen=True)
class DyingSource(FakeSource):
    """Its process is killed while reading, as by a lack of memory."""

    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("dead processes read nothing")


@dataclass(frozen=True)
class BuggySource(FakeSource):
    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        raise ZeroDivisionError("a bug")


@dataclass(frozen=True)
class CountingSource(FakeSource):
    """Notes every image that it reads in a file."""

    log: str = ""

    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        with Path(self.log).open("a") as file:
            file.write(f"{sample.key}\n")
        return super().read(sample)
