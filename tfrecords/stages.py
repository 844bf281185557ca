"""What is done to an image in each stage, and with which images a shard is filled.

A stage is picklable, and yields for each image of a shard its record, or why there is none. Damage of what it reads is
no image's failure: it raises ArtefactError and ends the conversion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Union

import numpy as np
from numpy.typing import NDArray

from dsr.models.errors import UserError
from dsr.models.metrics.fidelity import ms_ssim, psnr
from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.layout import partial_of
from dsr.tfrecords.ledger import Failure
from dsr.tfrecords.plan import Shard
from dsr.tfrecords.png import MAX_PIXELS, encode_png
from dsr.tfrecords.schema import Record, read_shard

Pixels = NDArray[np.uint8]
Outcome = Union[Record, Failure]

# An estimate of bytes needs neither many images nor all of their pixels.
ESTIMATE_SHARDS = 3
ESTIMATE_SIDE = 512


class SourceLike(Protocol):
    """See `dsr.data_pipelines.datasets.Source`.

    If its files lie in a folder, that is `root`, and it has `files` and `others`.
    """

    @property
    def name(self) -> str: ...

    def samples(self, split: str) -> Sequence[Any]: ...

    def read(self, sample: Any) -> tuple[Pixels, Pixels | None]: ...

    def describe(self) -> dict[str, Any]: ...

    def fingerprint(self, split: str) -> str: ...


class ReceivedLike(SourceLike, Protocol):
    """A source of which some splits came compressed: `bitstream` is what came, `read` gives what that decodes to.

    `header` is what a bitstream says of itself: its `codec`, `quality` and `chroma`, None where it does not tell.
    """

    def bitstream(self, sample: Any) -> bytes: ...

    def header(self, sample: Any, bitstream: bytes) -> dict[str, Any]: ...


class DegradationLike(Protocol):
    """See `dsr.data_pipelines.degradations.Degradation`."""

    @property
    def kind(self) -> str: ...

    @property
    def point(self) -> str: ...

    def degrade(self, pixels: Pixels, key: str) -> tuple[Pixels, bytes | None]: ...

    def describe(self) -> dict[str, Any]: ...


class RestorerLike(Protocol):
    """Compressed uint8 (H, W, 3) to restored of the same size; picklable, and loads its weights when first called."""

    def __call__(self, pixels: Pixels) -> Pixels: ...

    def describe(self) -> dict[str, Any]: ...


class Stage(Protocol):
    """What a conversion does to the images of a shard."""

    def outcomes(self, shard: Shard) -> Iterator[Outcome]:
        """Of the shard's images, in order of their keys."""

    def estimate(self, shards: Sequence[Shard]) -> float:
        """About how many bytes these shards will have."""

    def sources(self, shard: Shard) -> list[dict[str, Any]]:
        """The files that the shard is made from, as they are now: kind, name, bytes, sha256 and pixels."""
        return []

    def others(self) -> list[str]:
        """What lay beside those files and was left out."""
        return []


@dataclass(frozen=True)
class Originals(Stage):
    """Read an image and its label."""

    source: SourceLike
    split: str

    domain: ClassVar[str] = "original"

    def received(self, sample: Any) -> tuple[bytes, dict[str, Any]]:
        """What the record keeps besides the pixels: what came, and what that says of itself."""
        return b"", {}

    def outcomes(self, shard: Shard) -> Iterator[Outcome]:
        roots = [self.source.root] if hasattr(self.source, "root") else []
        for sample in shard.samples:
            try:
                pixels, label = self.source.read(sample)
                bitstream, header = self.received(sample)
                if sample.key in shard.repeated:
                    raise ArtefactError(f"{sample.image}: other images have this key too; each must have its own")
                if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
                    raise ArtefactError(f"{sample.image}: more than {MAX_PIXELS} pixels are not kept in a record")
            except UserError as error:
                yield Failure.of(sample.key, sample.image or sample.label, error, *roots)
                continue
            image = encode_png(pixels)
            provenance = {
                "domain": self.domain,
                "dataset": self.source.name,
                "split": self.split,
                "image": sample.image,
                "part": sample.part,
                "measured": {"bytes": len(bitstream or image), **header},
            }
            height, width = pixels.shape[:2]
            encoded = b"" if label is None else encode_png(label)
            yield Record(sample.key, height, width, image, encoded, bitstream, provenance)

    def estimate(self, shards: Sequence[Shard]) -> float:
        sizes = []
        for shard in shards[:: max(1, len(shards) // ESTIMATE_SHARDS)][:ESTIMATE_SHARDS]:
            with suppress(UserError):  # converting says what is wrong
                planes = self.source.read(shard.samples[0])
                windows = [_middle(plane) for plane in planes if plane is not None]
                sizes.append(sum(map(len, map(encode_png, windows))) * planes[0].size / windows[0].size)
        return sum(shard.images for shard in shards) * sum(sizes) / len(sizes) if sizes else 0.0

    def sources(self, shard: Shard) -> list[dict[str, Any]]:
        files_of = getattr(self.source, "files", None)
        return [asdict(file) for file in files_of(shard.samples)] if files_of else []

    def others(self) -> list[str]:
        others_of = getattr(self.source, "others", None)
        return others_of(self.split) if others_of else []


@dataclass(frozen=True)
class Received(Originals):
    """Keep a bitstream as it came, what its header says and it decodes to, and the label.

    What `Compressed` would, had there been an original.
    """

    source: ReceivedLike

    domain = "compressed"

    def received(self, sample: Any) -> tuple[bytes, dict[str, Any]]:
        bitstream = self.source.bitstream(sample)
        return bitstream, self.source.header(sample, bitstream)


@dataclass(frozen=True)
class Compressed(Stage):
    """Degrade an image, and keep the bitstream, if there is one, and what it decodes to."""

    originals: Path
    degradation: DegradationLike

    def outcomes(self, shard: Shard) -> Iterator[Outcome]:
        step = {"domain": "compressed", self.degradation.kind: self.degradation.describe()}
        for original in read_shard(place_of(self.originals, shard), shard.images):
            pixels = original.pixels()
            outcome: Outcome
            try:
                decoded, bitstream = self.degradation.degrade(pixels, original.key)
                outcome = _derived(original, pixels, decoded, bitstream, step, size_of(bitstream))
            except UserError as error:
                outcome = Failure.of(original.key, original.provenance["image"], error)
            yield outcome

    def estimate(self, shards: Sequence[Shard]) -> float:
        return _as_before(self.originals, shards)


@dataclass(frozen=True)
class Restored(Stage):
    """Restore what a bitstream decoded to. The rate stays that of the bitstream: a restored image costs no more bits.

    originals: Only serve to measure; None where there are none.
    """

    compressed: Path
    originals: Path | None
    restorer: RestorerLike

    def outcomes(self, shard: Shard) -> Iterator[Outcome]:
        step = {"domain": "restored", "restorer": self.restorer.describe()}
        path = place_of(self.compressed, shard)
        originals: Iterator[Record] = iter(())
        if self.originals is not None:
            originals = read_shard(place_of(self.originals, shard), shard.images + shard.left_out)
        for compressed in read_shard(path, shard.images):
            original = next((record for record in originals if record.key == compressed.key), None)
            if original is None and self.originals is not None:
                raise ArtefactError(f"{path} holds an image {compressed.key!r} that {self.originals} does not")
            given, pixels = compressed.pixels(), None if original is None else original.pixels()
            outcome: Outcome
            try:
                outcome = _derived(compressed, pixels, self.restorer(given), None, step, size_of(compressed.bitstream))
            except UserError as error:
                outcome = Failure.of(compressed.key, compressed.provenance["image"], error)
            yield outcome

    def estimate(self, shards: Sequence[Shard]) -> float:
        return _as_before(self.compressed, shards)


def place_of(folder: Path, shard: Shard) -> Path:
    """Where a finished shard lies: in its artefact, or in that artefact's partial folder while others are made."""
    path = folder / shard.name
    return path if files.exists(path) else partial_of(folder) / shard.name


def _as_before(folder: Path, shards: Sequence[Shard]) -> float:
    return float(sum(files.size(place_of(folder, shard)) for shard in shards))


def _middle(plane: Pixels) -> Pixels:
    top, left = (max(0, length - ESTIMATE_SIDE) // 2 for length in plane.shape[:2])
    return np.ascontiguousarray(plane[top : top + ESTIMATE_SIDE, left : left + ESTIMATE_SIDE])


def size_of(bitstream: bytes | None) -> int | None:
    """Bytes of a bitstream; None where there is none, which records keep as an empty one."""
    return len(bitstream) if bitstream else None


def _derived(
    parent: Record,
    original: Pixels | None,
    pixels: Pixels,
    bitstream: bytes | None,
    step: dict[str, Any],
    size: int | None,
) -> Record:
    """The record of `pixels`, which `step` made of `parent` and which cost `size` bytes.

    They are measured against `original`, if there is one.
    """
    if pixels.shape != (parent.height, parent.width, 3) or pixels.dtype != np.uint8:
        raise ArtefactError(
            f"{parent.width}x{parent.height} pixels became {pixels.dtype} of shape {pixels.shape}; "
            "codecs and restorers must keep the size"
        )
    measured: dict[str, Any] = {"bytes": size}
    if original is not None:
        # PSNR is None where it is infinite, which JSON has no number for. Digits beyond these are no information.
        decibels, similarity = psnr(pixels, original), ms_ssim(pixels, original)
        measured["psnr"] = round(decibels, 4) if math.isfinite(decibels) else None
        measured["ms_ssim"] = round(similarity, 6)
    provenance = {**parent.provenance, **step, "measured": measured}
    return Record(
        parent.key, parent.height, parent.width, encode_png(pixels), parent.label, bitstream or b"", provenance
    )
