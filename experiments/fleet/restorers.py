"""Which restorer is meant, and what it was trained for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from dsr.data_pipelines.codecs.base import Inspection
from dsr.data_pipelines.received import describe_header
from dsr.experiments.fleet.errors import FleetError
from dsr.models.restorers.registry import RESTORERS
from dsr.tfrecords.integrity import damages
from dsr.tfrecords.layout import MANIFEST
from dsr.tfrecords.manifest import Manifest

TRAINED_ON = "trained_on"
"""Where a restorer's manifest says what it was trained for: see `Point.to_json`."""

QP_TOLERANCE = 1
"""Qualities that differ by no more are alike."""


@dataclass(frozen=True)
class Point:
    """A codec at a quality, as headers tell it: what a share of a fleet's images was compressed with.

    quality and chroma are None where files do not tell.
    """

    codec: str
    quality: Optional[float]
    chroma: Optional[str]
    share: float

    def to_json(self) -> dict[str, Any]:
        return {"codec": self.codec, "quality": self.quality, "chroma": self.chroma, "share": self.share}

    def __str__(self) -> str:
        return describe_header(self.codec, self.quality, self.chroma)

    def covers(self, header: Inspection) -> bool:
        """Whether a file is like those."""
        if header.codec != self.codec or None not in (header.chroma, self.chroma) and header.chroma != self.chroma:
            return False
        if header.quality is None or self.quality is None:
            return True
        return abs(header.quality - self.quality) <= QP_TOLERANCE


def points_of(config: Mapping[str, Any]) -> list[Point]:
    """What the images of compressed shards, whose identity has this configuration, are compressed with."""
    if "codec" in config:
        codec = config["codec"]
        described = [{"codec": codec["stages"][-1] if "stages" in codec else codec, "files": 1}]
    else:
        described = config["degradation"].get("points", [])
    files = sum(point["files"] for point in described)
    return [
        Point(
            point["codec"]["name"],
            point["codec"]["quality"],
            point["codec"]["options"].get("chroma"),
            round(point["files"] / files, 4),
        )
        for point in described
    ]


def find_restorer(text: str) -> Path:
    """The folder of a restorer: the one named, or that of a restorer that comes with dsr. Raises FleetError."""
    if Path(text).is_dir():
        return Path(text)
    there = {restorer.name: restorer.folder for restorer in RESTORERS.values() if restorer.folder is not None}
    if text not in there:
        raise FleetError(
            f"{text} is no folder of a trained restorer: dsr train-restorer makes one, {', '.join(there)} comes "
            "with dsr"
        )
    return there[text]


def trained_on(folder: Path) -> Optional[list[Point]]:
    """What a restorer was trained for; None if its folder does not say. Raises ArtefactError for a damaged manifest."""
    if not (folder / MANIFEST).is_file():
        return None
    found = Manifest.load(folder).summary.get(TRAINED_ON)
    if not isinstance(found, list):
        return None
    try:
        return [Point(**point) for point in found]
    except TypeError as error:
        raise FleetError(f"{folder / MANIFEST} does not say what the restorer was trained for ({error})") from error


def check_restorer(folder: Path) -> None:
    """Raise FleetError if a restorer that says what it is made of is not whole."""
    if (folder / MANIFEST).is_file():
        manifest = Manifest.load(folder)
        for sentence in damages(folder, manifest.files, digests=True).values():
            raise FleetError(f"{sentence}; copy {folder} again")


def strangers(headers: Sequence[Inspection], points: Sequence[Point]) -> dict[str, int]:
    """What a restorer that was trained for `points` does not know: a header as text -> how many files have it."""
    found: dict[str, int] = {}
    for header in headers:
        if not any(point.covers(header) for point in points):
            kind = describe_header(header.codec, header.quality, header.chroma)
            found[kind] = found.get(kind, 0) + 1
    return found
