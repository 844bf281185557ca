r"""The offline conversion: a dataset to original shards, originals to compressed, compressed to restored ones.

    source --write_originals--> originals --write_compressed--> compressed --write_restored--> restored
                                    \______________________________________________/ (only to measure)

Which image goes to which shard follows from the sorted keys and `images_per_shard` alone, and derived shards mirror
those they come from, so a shard is a unit of work that gives the same bytes whenever and wherever it is done. Worker
processes convert one shard at a time; a finished shard is on disk under its name before its statistics are, and a later
run takes every shard that has both.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from models.fidelity import ms_ssim, psnr, to_db
from tfrecords.errors import ArtefactError
from tfrecords.framing import frame
from tfrecords.manifest import (
    Build,
    Identity,
    Manifest,
    building,
    canonical_json,
    check,
    finished,
    write_atomically,
)
from tfrecords.schema import Record, encode_png, encode_record, read_shard
from tfrecords.workers import run

# Some 100 MB at 2048x1024; shards enough to keep all cores busy, each so short that a kill costs minutes at most.
IMAGES_PER_SHARD = 16
STATISTICS = "images.json"
MB = 1e6

Pixels = NDArray[np.uint8]


class SampleLike(Protocol):
    """See `data_pipelines.datasets.Sample`."""

    @property
    def key(self) -> str: ...

    @property
    def image(self) -> str: ...

    @property
    def part(self) -> int: ...


class SourceLike(Protocol):
    """See `data_pipelines.datasets.Source`."""

    @property
    def name(self) -> str: ...

    def samples(self, split: str) -> Sequence[Any]: ...

    def read(self, sample: Any) -> tuple[Pixels, Pixels | None]: ...

    def describe(self) -> dict[str, Any]: ...

    def fingerprint(self, split: str) -> str: ...


class CodecLike(Protocol):
    """See `data_pipelines.codecs.Codec`."""

    @property
    def point(self) -> str: ...

    def encode(self, pixels: Pixels) -> bytes: ...

    def decode(self, bitstream: bytes) -> Pixels: ...

    def describe(self) -> dict[str, Any]: ...


class RestorerLike(Protocol):
    """Compressed uint8 (H, W, 3) to restored of the same size; picklable, and loads its weights when first called."""

    def __call__(self, pixels: Pixels) -> Pixels: ...

    def describe(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Progress:
    """How far a conversion is, told after every image.

    `images` of `total` are in finished shards or done in those under way, `earlier` of them by earlier runs; `pixels`
    and `bytes` (of bitstreams; PNGs for originals) sum over `images`; `seconds` is the time of this run alone.
    """

    images: int
    total: int
    earlier: int
    pixels: int
    bytes: int
    seconds: float

    @property
    def images_per_s(self) -> float:
        return (self.images - self.earlier) / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None as long as this run has no image to go by."""
        return (self.total - self.images) / self.images_per_s if self.images > self.earlier else None


ProgressCallback = Callable[[Progress], None]


def original_identity(
    source: SourceLike, split: str, *, limit: int | None = None, images_per_shard: int = IMAGES_PER_SHARD
) -> Identity:
    """What `write_originals` would make."""
    config = {
        "domain": "original",
        "dataset": source.describe(),
        "split": split,
        "listing": source.fingerprint(split),
        "limit": limit,
        "images_per_shard": images_per_shard,
    }
    return Identity("shards", f"{source.name}/{split}/original", config)


def compressed_identity(original: Identity, codec: CodecLike) -> Identity:
    """What `write_compressed` would make of shards that are `original`."""
    config = {"domain": "compressed", "codec": codec.describe()}
    return Identity("shards", f"{_parent(original)}/{codec.point}", config, {"original": original.fingerprint})


def restored_identity(compressed: Identity, original: Identity, restorer: RestorerLike) -> Identity:
    """What `write_restored` would make."""
    config = {"domain": "restored", "restorer": restorer.describe()}
    inputs = {"compressed": compressed.fingerprint, "original": original.fingerprint}
    return Identity("shards", f"{compressed.name}-restored", config, inputs)


def write_originals(
    source: SourceLike,
    split: str,
    folder: Path,
    *,
    limit: int | None = None,
    images_per_shard: int = IMAGES_PER_SHARD,
    identity: Identity | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Write the split's images and labels, losslessly, as shards in `folder`.

    Args:
      limit: take so many images, spread evenly over the sorted keys (a video's first frames would be all alike).
      images_per_shard: at most so many in a shard; sizes differ by one at most.
      identity: by which the artefact is known, by default `original_identity` of the arguments.
      workers: number of processes, by default one a core.
      progress: called in this process.

    Returns:
      The manifest; of what is there if `folder` is that artefact already.

    Raises:
      ArtefactError: `folder` is something else or is being made by another process, the split is empty, keys repeat.
      DatasetError, or what else the source raises.
    """
    identity = identity or original_identity(source, split, limit=limit, images_per_shard=images_per_shard)
    samples = sorted(source.samples(split), key=lambda sample: sample.key)
    if limit is not None and limit < len(samples):
        samples = [samples[i * len(samples) // limit] for i in range(limit)]
    if not samples:
        raise ArtefactError(f"split {split!r} of {source.name} has no images to convert")
    if len({sample.key for sample in samples}) < len(samples):
        raise ArtefactError(f"split {split!r} of {source.name} has two images of one key; keys must be unique")
    count = -(-len(samples) // images_per_shard)
    bounds = [i * len(samples) // count for i in range(count + 1)]
    shards = [
        Shard(shard_name(i, count), tuple(samples[start:end]), end - start)
        for i, (start, end) in enumerate(zip(bounds, bounds[1:]))
    ]
    return _convert(_Originals(source, split), shards, folder, identity, workers, progress)


def write_compressed(
    originals: Path,
    codec: CodecLike,
    folder: Path,
    *,
    identity: Identity | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Encode every image of the original shards, and store bitstream and what it decodes to; see `write_originals`.

    Raises:
      ArtefactError: also if `originals` is no such artefact or damaged, or the codec fails on an image, which is named.
    """
    original = _opened(originals, "original")
    identity = identity or compressed_identity(original.identity, codec)
    return _convert(_Compressed(Path(originals), codec), _mirrored(original), folder, identity, workers, progress)


def write_restored(
    compressed: Path,
    originals: Path,
    restorer: RestorerLike,
    folder: Path,
    *,
    identity: Identity | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Restore every image of the compressed shards; the originals only serve to measure; see `write_originals`.

    The rate in the statistics is that of the compressed image: a restored one costs no more bits.

    Raises:
      ArtefactError: also if `compressed` was not made from `originals`, or the restorer fails on an image.
    """
    original, lossy = _opened(originals, "original"), _opened(compressed, "compressed")
    if lossy.inputs.get("original") != original.fingerprint:
        raise ArtefactError(f"{compressed} was not made from {originals}; give the original shards it was made from")
    identity = identity or restored_identity(lossy.identity, original.identity, restorer)
    stage = _Restored(Path(compressed), Path(originals), restorer)
    return _convert(stage, _mirrored(lossy), folder, identity, workers, progress)


def shard_name(index: int, count: int) -> str:
    """`shard-00003-of-00012.tfrecord`, index from 0."""
    return f"shard-{index:05d}-of-{count:05d}.tfrecord"


@dataclass(frozen=True)
class Shard:
    """A planned shard: its file name, the samples to read (originals only), and how many images it will hold."""

    name: str
    samples: tuple[Any, ...]
    count: int

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class _Originals:
    source: SourceLike
    split: str

    def records(self, shard: Shard) -> Iterator[tuple[Record, dict[str, Any]]]:
        for sample in shard.samples:
            pixels, label = self.source.read(sample)
            provenance = {
                "domain": "original",
                "dataset": self.source.name,
                "split": self.split,
                "image": sample.image,
                "part": sample.part,
            }
            image = encode_png(pixels)
            label_png = b"" if label is None else encode_png(label)
            height, width = pixels.shape[:2]
            record = Record(sample.key, height, width, image, label_png, b"", provenance)
            yield record, {"bytes": len(image)}


@dataclass(frozen=True)
class _Compressed:
    originals: Path
    codec: CodecLike

    def records(self, shard: Shard) -> Iterator[tuple[Record, dict[str, Any]]]:
        step = {"domain": "compressed", "codec": self.codec.describe()}
        path = self.originals / shard.name
        for original in read_shard(path, shard.count):
            with _naming(original.key, path):
                pixels = original.pixels()
                bitstream = self.codec.encode(pixels)
                decoded = self.codec.decode(bitstream)
                record = _derived(original, decoded, bitstream, step)
            yield record, {"bytes": len(bitstream), **_fidelity(decoded, pixels)}


@dataclass(frozen=True)
class _Restored:
    compressed: Path
    originals: Path
    restorer: RestorerLike

    def records(self, shard: Shard) -> Iterator[tuple[Record, dict[str, Any]]]:
        step = {"domain": "restored", "restorer": self.restorer.describe()}
        path = self.compressed / shard.name
        originals = read_shard(self.originals / shard.name, shard.count)
        for compressed, original in zip(read_shard(path, shard.count), originals):
            with _naming(compressed.key, path):
                if compressed.key != original.key:
                    raise ArtefactError(f"the original at its place is {original.key!r}")
                restored = self.restorer(compressed.pixels())
                record = _derived(compressed, restored, b"", step)
                pixels = original.pixels()
            yield record, {"bytes": len(compressed.bitstream), **_fidelity(restored, pixels)}


@contextmanager
def _naming(key: str, path: Path) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise ArtefactError(f"image {key!r} of {path}: {error}") from error


def _derived(parent: Record, pixels: Pixels, bitstream: bytes, step: dict[str, Any]) -> Record:
    if pixels.shape != (parent.height, parent.width, 3) or pixels.dtype != np.uint8:
        raise ArtefactError(
            f"{parent.width}x{parent.height} pixels became {pixels.dtype} of shape {pixels.shape}; "
            "codecs and restorers must keep the size"
        )
    provenance = {**parent.provenance, **step}
    return Record(parent.key, parent.height, parent.width, encode_png(pixels), parent.label, bitstream, provenance)


def _fidelity(pixels: Pixels, original: Pixels) -> dict[str, float | None]:
    """PSNR is None where it is infinite, which JSON has no number for. Digits beyond these are no information."""
    decibels, similarity = psnr(pixels, original), ms_ssim(pixels, original)
    return {"psnr": round(decibels, 4) if math.isfinite(decibels) else None, "ms_ssim": round(similarity, 6)}


def _parent(identity: Identity) -> str:
    return identity.name.rpartition("/")[0]


def _opened(folder: Path, domain: str) -> Manifest:
    manifest = check(folder)
    if manifest.config.get("domain") != domain:
        raise ArtefactError(f"{folder} is {manifest.name!r}, not {domain} shards; give the folder of those")
    return manifest


def _mirrored(parent: Manifest) -> list[Shard]:
    return [Shard(name, (), parent.files[name]["records"]) for name in parent.shards]


@dataclass(frozen=True)
class _ShardWriter:
    """What a worker does: convert a shard, yielding each image's statistics, then None when the shard is on disk."""

    stage: Any
    path: Path
    scratch: Path

    def __call__(self, shard: Shard) -> Iterator[dict[str, Any] | None]:
        # A worker that outlives its killed parent for a moment must not write into its successor's file.
        temporary = self.scratch / f"{shard.name}.{os.getpid()}.tmp"
        digest, size, rows = hashlib.sha256(), 0, []
        with temporary.open("wb") as file:
            for record, measured in self.stage.records(shard):
                data = frame(encode_record(record))
                file.write(data)
                digest.update(data)
                size += len(data)
                rows.append({"key": record.key, "height": record.height, "width": record.width, **measured})
                yield rows[-1]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path / shard.name)
        entry = {"bytes": size, "sha256": digest.hexdigest(), "records": len(rows)}
        write_atomically(_result(self.scratch, shard), canonical_json({"file": entry, "images": rows}).encode())
        yield None


def _result(scratch: Path, shard: Shard) -> Path:
    return scratch / f"{shard.name}.json"


def _convert(
    stage: Any,
    shards: Sequence[Shard],
    folder: Path,
    identity: Identity,
    workers: int | None,
    progress: ProgressCallback | None,
) -> Manifest:
    existing = finished(folder, identity)
    if existing is not None:
        return existing
    with building(folder, identity) as build:
        _write_shards(stage, shards, build, workers, progress or (lambda _: None))
        results = [json.loads(_result(build.scratch, shard).read_bytes()) for shard in shards]
        rows = [row for result in results for row in result["images"]]
        build.files = {shard.name: result["file"] for shard, result in zip(shards, results)}
        lines = ",\n".join(canonical_json(row) for row in rows)
        write_atomically(build.path / STATISTICS, f"[\n{lines}\n]\n".encode())
        build.summary = summarize(rows, build.seconds)
    return Manifest.load(folder)


def _write_shards(
    stage: Any, shards: Sequence[Shard], build: Build, workers: int | None, progress: ProgressCallback
) -> None:
    todo = []
    images = pixels = size = 0
    for shard in shards:
        result = _result(build.scratch, shard)
        if result.exists():
            rows = json.loads(result.read_bytes())["images"]
            images += len(rows)
            pixels += sum(row["height"] * row["width"] for row in rows)
            size += sum(row["bytes"] for row in rows)
        else:
            todo.append(shard)
    total, earlier, started = sum(shard.count for shard in shards), images, time.monotonic()
    try:
        with closing(run(_ShardWriter(stage, build.path, build.scratch), todo, workers)) as items:
            for _, row in items:
                if row is None:
                    build.keep_time()
                    continue
                images += 1
                pixels += row["height"] * row["width"]
                size += row["bytes"]
                progress(Progress(images, total, earlier, pixels, size, time.monotonic() - started))
    finally:
        for path in build.scratch.glob("*.tmp"):
            path.unlink(missing_ok=True)


def summarize(rows: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The statistics of all images, of the rows in `images.json`.

    images, pixels; height and width (the largest); bpp (all bits / all pixels), bpp_mean, bpp_min, bpp_max (over
    images); psnr (mean of the images' dB, without those that are identical to their original, None if all are) and
    how many are `identical`; ms_ssim (mean), ms_ssim_db (of the mean, None if it is 1); seconds, images_per_s, mb_per_s
    (10^6 bytes of raw RGB). For originals psnr, ms_ssim and ms_ssim_db are None.
    """
    sizes = np.array([row["bytes"] for row in rows], np.float64)
    pixels = np.array([row["height"] * row["width"] for row in rows], np.float64)
    rates = 8 * sizes / pixels
    finite = [row["psnr"] for row in rows if row.get("psnr") is not None]
    similarities = [row["ms_ssim"] for row in rows if "ms_ssim" in row]
    similarity = float(np.mean(similarities)) if similarities else None
    return {
        "images": len(rows),
        "pixels": int(pixels.sum()),
        "height": max(row["height"] for row in rows),
        "width": max(row["width"] for row in rows),
        "bpp": float(8 * sizes.sum() / pixels.sum()),
        "bpp_mean": float(rates.mean()),
        "bpp_min": float(rates.min()),
        "bpp_max": float(rates.max()),
        "psnr": float(np.mean(finite)) if finite else None,
        "identical": len(similarities) - len(finite),
        "ms_ssim": similarity,
        "ms_ssim_db": to_db(similarity) if similarity is not None and similarity < 1 else None,
        "seconds": seconds,
        "images_per_s": len(rows) / seconds,
        "mb_per_s": float(3 * pixels.sum() / MB / seconds),
    }
