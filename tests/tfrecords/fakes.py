"""A dataset, codec and restorer that take milliseconds; in a module, because worker processes must import them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dsr.models.errors import UserError
from dsr.tfrecords.engine import How
from dsr.tfrecords.manifest import fingerprint
from tests.tfrecords.writing import write_compressed, write_originals, write_restored


@dataclass(frozen=True)
class FakeSample:
    key: str
    image: str
    part: int = 0


def inline(work: Callable[[Any], Iterator[Any]], tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """The simplest engine: one shard after another, in this process."""
    for task in tasks:
        for item in work(task):
            yield task, item


INLINE = How(engine=inline)


def in_worker() -> bool:
    """Not so where a few images are read beforehand to estimate what all will take."""
    return multiprocessing.parent_process() is not None


@dataclass(frozen=True)
class FakeSource:
    """`count` smooth random images of slightly different sizes; every third one has no label, those in `broken` cannot
    be read. They are listed in an order that `shuffled` draws.
    """

    count: int = 10
    seed: int = 0
    delay: float = 0.0
    broken: tuple[int, ...] = ()
    shuffled: int = 0
    name: str = field(default="fake", init=False)
    root: Path = field(default=Path("/somewhere"), init=False)

    def samples(self, split: str) -> list[FakeSample]:
        order = np.random.default_rng(self.shuffled).permutation(self.count)
        return [FakeSample(f"{split}/image {i:03d}", f"{split}/{i:03d}.png") for i in order]

    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        if in_worker():
            time.sleep(self.delay)
        number = int(sample.key.rpartition(" ")[2])
        if number in self.broken:
            raise UserError(f"/somewhere/{sample.image}: cannot be read <decoder object at {id(self):#x}>")
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
    kind: ClassVar[str] = "codec"

    @property
    def point(self) -> str:
        return f"fake-step{self.step}"

    def degrade(self, pixels: np.ndarray, key: str) -> tuple[np.ndarray, bytes]:
        bitstream = self.encode(pixels)
        return self.decode(bitstream), bitstream

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
class BuggyCodec(FakeCodec):
    def encode(self, pixels: np.ndarray) -> bytes:
        raise ZeroDivisionError("a bug")


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
    """Worker processes are killed while reading, as by a lack of memory."""

    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        if in_worker():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(sample)


@dataclass(frozen=True)
class BuggySource(FakeSource):
    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        if in_worker():
            raise ZeroDivisionError("a bug")
        return super().read(sample)


@dataclass(frozen=True)
class CountingSource(FakeSource):
    """Notes in a file every image that a worker process reads."""

    log: str = ""

    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        if in_worker():
            with Path(self.log).open("a") as file:
                file.write(f"{sample.key}\n")
        return super().read(sample)


@dataclass(frozen=True)
class TracedSource(FakeSource):
    """Leaves a file for each image that is read, named after the process, and gives the others time to take a shard."""

    delay: float = 0.1
    trace: str = ""

    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        (Path(self.trace) / f"{os.getpid()} {sample.key.rpartition(' ')[2]} {time.monotonic_ns()}").touch()
        if not in_worker():  # of a cluster: its workers are nobody's children
            time.sleep(self.delay)
        return super().read(sample)


def readers(trace: Path) -> set[int]:
    """The processes that read, other than this one."""
    return {int(path.name.split()[0]) for path in trace.iterdir()} - {os.getpid()}


def convert_everything(work: Path, images: int = 6) -> None:
    """All three stages into folders of `work`, two images a shard, in this process."""
    write_originals(
        FakeSource(images, broken=(4,)), "test", work / "o", images_per_shard=2, max_errors=1, engine=inline
    )
    write_compressed(work / "o", FakeCodec(8), work / "c", engine=inline)
    write_restored(work / "c", work / "o", FakeRestorer(8), work / "r", engine=inline)


def convert_until(work: Path, last: int, operations: Any = None) -> None:
    """`convert_everything`, killed in front of operation number `last` on a file; `operations.value` becomes their
    number."""
    count = 0

    def operate() -> None:
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in OPERATIONS and str(work) in repr(arguments):
            operate()

    def fsync(descriptor: int) -> None:
        operate()
        really_fsync(descriptor)

    really_fsync, os.fsync = os.fsync, fsync
    sys.addaudithook(hook)
    convert_everything(work)
    if operations is not None:
        operations.value = count


OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.scandir", "os.listdir")
