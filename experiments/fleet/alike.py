"""What a fleet's files are, by their headers, and the same done to other images."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsr.data_pipelines.codecs import Codec, CodecError, codec_class, make_codec
from dsr.data_pipelines.codecs.base import Inspection
from dsr.data_pipelines.codecs.search import find_quality
from dsr.data_pipelines.degradations import Degradation, Degraded
from dsr.data_pipelines.received import describe_header
from dsr.experiments.fleet.errors import FleetError


@dataclass(frozen=True)
class File:
    """A received file: what its header says, and its bytes."""

    header: Inspection
    length: int


@dataclass(frozen=True)
class Alike(Degradation):
    """Compresses images as those of a fleet were: each by one of its codecs and qualities, as often as it has them.

    Which one is drawn by the image's key alone, so that the same image always gets the same.

    codecs: Sorted, so that equal fleets give equal results.
    counts: How many of the fleet's files each stands for.
    """

    name = "alike"

    codecs: tuple[Codec, ...]
    counts: tuple[int, ...]

    @property
    def level(self) -> None:
        return None

    @property
    def point(self) -> str:
        """The operating point if there is one, else how many there are."""
        return self.codecs[0].point if len(self.codecs) == 1 else f"alike{len(self.codecs)}"

    def codec_of(self, key: str) -> Codec:
        """What an image is compressed with."""
        digest = hashlib.sha256(f"alike/{key}".encode()).digest()
        drawn = int.from_bytes(digest[:8], "big") * sum(self.counts) >> 64
        return self.codecs[int(np.searchsorted(np.cumsum(self.counts), drawn, side="right"))]

    def degrade(self, pixels: np.ndarray, key: str) -> Degraded:
        return self.codec_of(key).degrade(pixels, key)

    def describe(self) -> dict[str, Any]:
        points = [{"codec": codec.describe(), "files": count} for codec, count in zip(self.codecs, self.counts)]
        return {"name": self.name, "points": points}


def alike(files: Sequence[File], originals: Sequence[np.ndarray]) -> Alike:
    """What compresses images as a fleet's were.

    Files that tell their quality are taken at their word. For the others (WebP, AVIF, JPEG 2000) it is the
    quality at which the originals get the same rate.

    Args:
      files: The fleet's; one or more.
      originals: A few images, uint8 (H, W, 3), like those that the fleet's files show.

    Raises:
      FleetError: there are no files, or a kind of file that dsr can decode and not write.
      CodecError: no quality gives the originals the fleet's rate.
    """
    if not files:
        raise FleetError("no file of the fleet can be read, so what it is compressed with is not known")
    groups: dict[tuple[str, float | None, str | None], list[File]] = defaultdict(list)
    for file in files:
        header = file.header
        groups[header.codec, header.quality, header.chroma].append(file)
    counted: dict[Codec, int] = defaultdict(int)
    for (name, quality, chroma), group in groups.items():
        known = {option.name for option in codec_class(name).options()}
        options: dict[str, Any] = {} if chroma is None or "chroma" not in known else {"chroma": chroma}
        try:
            if name == "msh" and quality is None:
                raise CodecError("their model does not come with dsr")
            if codec_class(name).scale is None or quality is not None:
                codec = make_codec(name, quality, **options)
            else:
                pixels = sum(file.header.width * file.header.height for file in group)
                bpp = 8 * sum(file.length for file in group) / pixels
                codec = find_quality(name, bpp, originals, **options).codec
        except CodecError as error:
            kind = describe_header(name, quality, chroma)
            raise FleetError(f"{len(group)} files of the fleet are {kind}, which cannot be made: {error}") from error
        counted[codec] += len(group)
    ordered = sorted(counted.items(), key=lambda item: (item[0].point, str(item[0].describe())))
    return Alike(tuple(codec for codec, _ in ordered), tuple(count for _, count in ordered))
