"""Which image goes to which shard, and whose work a shard is: from sorted keys and numbers alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# Some 100 MB at 2048x1024; shards enough to keep all cores busy, each so short that a kill costs minutes at most.
IMAGES_PER_SHARD = 16


class SampleLike(Protocol):
    """See `dsr.data_pipelines.datasets.Sample`."""

    @property
    def key(self) -> str: ...

    @property
    def image(self) -> str: ...

    @property
    def part(self) -> int: ...


@dataclass(frozen=True)
class Shard:
    """A planned shard: the `index`-th (from 0) of `of`, and how many images are to be put into it.

    `left_out` is how many more the stage before had, and could not convert. For originals `samples` says which images,
    and `repeated` which of their keys the dataset has more than once.
    """

    index: int
    of: int
    images: int
    left_out: int = 0
    samples: tuple[Any, ...] = ()
    repeated: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """`shard-00003-of-00012.tfrecord`: names in order of the index, whatever the number of shards."""
        digits = max(5, len(str(self.of)))
        return f"shard-{self.index:0{digits}d}-of-{self.of:0{digits}d}.tfrecord"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Part:
    """The `number`-th (from 1) of `of` parts of an artefact's shards: every `of`-th shard."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read `3/16`; ValueError if it is nothing of this form, or no such part."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise ValueError("expected a part such as 3/16, the third of sixteen")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def owning(cls, shard: Shard, of: int) -> Part:
        """The one of `of` parts that the shard belongs to."""
        return cls(shard.index % of + 1, of)

    def owns(self, shard: Shard) -> bool:
        return self == Part.owning(shard, self.of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def select_samples(samples: Sequence[Any], limit: int | None) -> list[Any]:
    """The samples in order of their keys.

    With `limit` so many of them, spread evenly (a video's first are all alike).
    """
    ordered = sorted(samples, key=lambda sample: (sample.key, sample.image, sample.part))
    return ordered if limit is None else [ordered[number] for number in evenly(limit, len(ordered))]


def evenly(count: int, of: int) -> list[int]:
    """So many of the numbers 0 to `of` - 1, in order and spread evenly; all if there are no more.

    Which images are in limited shards follows from it.
    """
    count = min(count, of)
    return [i * of // count for i in range(count)]


def plan_shards(samples: Sequence[Any], images_per_shard: int) -> list[Shard]:
    """The shards of samples that are in order of their keys.

    At most `images_per_shard` in each, sizes differ by one at most.
    """
    repeated = {sample.key for sample, following in zip(samples, samples[1:]) if sample.key == following.key}
    count = -(-len(samples) // images_per_shard)
    bounds = [i * len(samples) // count for i in range(count + 1)]
    shards = []
    for index, (start, end) in enumerate(zip(bounds, bounds[1:])):
        own = tuple(samples[start:end])
        shards.append(Shard(index, count, len(own), 0, own, frozenset(repeated & {sample.key for sample in own})))
    return shards


def shards_in_all(name: str) -> int | None:
    """How many shards there are, from the name of one of them or of a file beside it; None for other names."""
    match = re.match(r"shard-\d+-of-(\d+)\.tfrecord", name)
    return int(match[1]) if match else None
