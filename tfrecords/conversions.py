"""What each stage of the offline conversion makes of what: dataset, original, compressed and restored shards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from dsr.tfrecords import files
from dsr.tfrecords.building import begun
from dsr.tfrecords.converter import Conversion
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.layout import MANIFEST, SCRATCH, partial_of
from dsr.tfrecords.ledger import Result
from dsr.tfrecords.manifest import Identity, Manifest, check, release
from dsr.tfrecords.plan import IMAGES_PER_SHARD, Part, Shard, plan_shards, select_samples, shards_in_all
from dsr.tfrecords.stages import (
    Compressed,
    DegradationLike,
    Originals,
    Received,
    ReceivedLike,
    Restored,
    RestorerLike,
    SourceLike,
)


def original_identity(
    source: SourceLike, split: str, *, limit: int | None = None, images_per_shard: int = IMAGES_PER_SHARD
) -> Identity:
    """What `to_originals` makes."""
    config = {
        "domain": "original",
        "dsr": release(),
        "dataset": source.describe(),
        "split": split,
        "listing": source.fingerprint(split),
        "limit": limit,
        "images_per_shard": images_per_shard,
    }
    return Identity("shards", f"{source.name}/{split}/original", config)


def received_identity(
    source: SourceLike, split: str, *, limit: int | None = None, images_per_shard: int = IMAGES_PER_SHARD
) -> Identity:
    """What `to_received` makes."""
    original = original_identity(source, split, limit=limit, images_per_shard=images_per_shard)
    config = {**original.config, "domain": "compressed", "headers": True}  # 0.4.0 did not keep what headers say
    return Identity("shards", f"{source.name}/{split}/received", config)


def compressed_identity(original: Identity, degradation: DegradationLike) -> Identity:
    """What `to_compressed` makes of shards that are `original`."""
    config = {"domain": "compressed", "dsr": release(), degradation.kind: degradation.describe()}
    return Identity("shards", f"{_parent(original)}/{degradation.point}", config, {"original": original.fingerprint})


def recompressed_identity(compressed: Identity, degradation: DegradationLike) -> Identity:
    """What `to_compressed` makes of shards that are `compressed` already."""
    config = {"domain": "compressed", "dsr": release(), degradation.kind: degradation.describe()}
    return Identity("shards", f"{compressed.name}+{degradation.point}", config, {"original": compressed.fingerprint})


def restored_identity(compressed: Identity, original: Identity | None, restorer: Identity, word: str) -> Identity:
    """What `to_restored` makes of `compressed` shards; `word` is what the restorer is called in the name.

    `original` is None where there are no originals: the images came compressed.

    Raises ArtefactError if `compressed` was not made from `original`.
    """
    if compressed.inputs.get("original") != (original and original.fingerprint):
        raise ArtefactError(
            f"{compressed.name!r} was not made from this {original and original.name!r}; give the original "
            "shards it was made from"
        )
    inputs = {"compressed": compressed.fingerprint, "restorer": restorer.fingerprint}
    if original is not None:
        inputs["original"] = original.fingerprint
    return Identity("shards", f"{compressed.name}-{word}", {"domain": "restored", "dsr": release()}, inputs)


def to_originals(
    source: SourceLike,
    split: str,
    *,
    limit: int | None = None,
    images_per_shard: int = IMAGES_PER_SHARD,
    identity: Identity | None = None,
) -> Conversion:
    """Store the split's images and labels losslessly as shards.

    Args:
      limit: take so many images, spread evenly over the sorted keys (a video's first frames would be all alike).
      images_per_shard: at most so many in a shard; sizes differ by one at most.
      identity: by which the artefact is known, by default `original_identity` of the arguments.

    Raises:
      ArtefactError: the split is empty (when the conversion is planned).
      DatasetError, or what else the source raises, if its folder is not what it should be.
    """
    identity = identity or original_identity(source, split, limit=limit, images_per_shard=images_per_shard)
    return Conversion(identity, Originals(source, split), _of_source(source, split, limit, images_per_shard))


def to_received(
    source: ReceivedLike,
    split: str,
    *,
    limit: int | None = None,
    images_per_shard: int = IMAGES_PER_SHARD,
    identity: Identity | None = None,
) -> Conversion:
    """Store bitstreams as they came, what they decode to, and labels as compressed shards; see `to_originals`."""
    identity = identity or received_identity(source, split, limit=limit, images_per_shard=images_per_shard)
    return Conversion(identity, Received(source, split), _of_source(source, split, limit, images_per_shard))


def _of_source(
    source: SourceLike, split: str, limit: int | None, images_per_shard: int
) -> Callable[[Part | None], list[Shard]]:
    """The shards to be made of a split's samples."""

    def shards(part: Part | None) -> list[Shard]:
        samples = select_samples(source.samples(split), limit)
        if not samples:
            raise ArtefactError(f"split {split!r} of {source.name} has no images to convert")
        return [shard for shard in plan_shards(samples, images_per_shard) if part is None or part.owns(shard)]

    return shards


def to_compressed(
    originals: Path, degradation: DegradationLike, *, identity: Identity | None = None, domain: str = "original"
) -> Conversion:
    """Degrade every image of original shards, and store its bitstream, if it has one, and what that decodes to.

    `domain` "compressed" degrades images that were compressed already; its `identity` has to be given then.

    Raises ArtefactError if `originals` is no such artefact, or damaged.
    """
    identity = identity or compressed_identity(_opened(originals, domain).identity, degradation)
    stage = Compressed(files.location(originals), degradation)
    return Conversion(identity, stage, partial(_mirrored, stage.originals, domain))


def to_restored(compressed: Path, originals: Path | None, restorer: RestorerLike, identity: Identity) -> Conversion:
    """Restore every image of compressed shards; the originals, if there are any, only serve to measure.

    The rate in the statistics is that of the compressed image: a restored one costs no more bits.
    """
    stage = Restored(files.location(compressed), originals and files.location(originals), restorer)
    return Conversion(identity, stage, partial(_mirrored, stage.compressed, "compressed"))


def _parent(identity: Identity) -> str:
    return identity.name.rpartition("/")[0]


def _opened(folder: Path, domain: str) -> Manifest:
    manifest = check(folder)
    _check_domain(folder, manifest.identity, domain)
    return manifest


def _check_domain(folder: Path, identity: Identity, domain: str) -> None:
    if identity.config.get("domain") != domain:
        raise ArtefactError(f"{folder} is {identity.name!r}, not {domain} shards; give the folder of those")


def _mirrored(folder: Path, domain: str, part: Part | None) -> list[Shard]:
    """The shards to be made of those in `folder`; a part of them also while others of that folder are still made."""
    if part is None or files.exists(folder / MANIFEST):
        manifest = _opened(folder, domain)
        entries = [manifest.files[name] for name in manifest.shards]
        shards = [Shard(index, len(entries), entry["records"], entry["errors"]) for index, entry in enumerate(entries)]
        return [shard for shard in shards if part is None or part.owns(shard)]
    scratch = partial_of(folder) / SCRATCH
    _check_domain(folder, begun(partial_of(folder)), domain)
    of = next(filter(None, map(shards_in_all, files.names(scratch))), 0)
    mirrored = []
    for index in range(part.number - 1, of, part.of):
        result = Result.load(scratch, Shard(index, of, 0))
        if result is None:
            raise ArtefactError(f"part {part} of {folder} is not finished; convert that first")
        mirrored.append(Shard(index, of, result.entry["records"], result.entry["errors"]))
    return mirrored
