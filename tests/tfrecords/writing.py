"""Each conversion in one call, as tests want it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dsr.tfrecords.conversions import restored_identity, to_compressed, to_originals, to_restored
from dsr.tfrecords.engine import How
from dsr.tfrecords.manifest import Identity, Manifest, check
from dsr.tfrecords.plan import IMAGES_PER_SHARD
from dsr.tfrecords.stages import DegradationLike, RestorerLike, SourceLike


def write_originals(
    source: SourceLike,
    split: str,
    folder: Path,
    *,
    limit: int | None = None,
    images_per_shard: int = IMAGES_PER_SHARD,
    **how: Any,
) -> Manifest:
    return to_originals(source, split, limit=limit, images_per_shard=images_per_shard).write(folder, How(**how))


def write_compressed(originals: Path, degradation: DegradationLike, folder: Path, **how: Any) -> Manifest:
    return to_compressed(originals, degradation).write(folder, How(**how))


def write_restored(compressed: Path, originals: Path, restorer: RestorerLike, folder: Path, **how: Any) -> Manifest:
    identity = restored(check(compressed).identity, check(originals).identity, restorer)
    return to_restored(compressed, originals, restorer, identity).write(folder, How(**how))


def restored(compressed: Identity, original: Identity, restorer: RestorerLike) -> Identity:
    return restored_identity(compressed, original, Identity("restorer", "fake", restorer.describe()), "restored")


def files_of(folder: Path) -> dict[str, dict[str, object]]:
    """Name -> bytes and SHA-256, of all files of an artefact."""
    return Manifest.load(folder).files


@contextmanager
def resign(folder: Path) -> Iterator[dict[str, Any]]:
    """The content of a manifest, to be changed; it is then written as if dsr had written it."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    yield content
    content = {name: value for name, value in content.items() if name not in ("format", "sha256")}
    Manifest(**content).save(folder)
