"""The perceptual indexes of every image of shards, as an artefact. Nothing here imports TensorFlow."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.models.metrics.perceptual import INDEXES, PerceptualIndex, load_index
from dsr.tfrecords.building import building
from dsr.tfrecords.files import write_atomically
from dsr.tfrecords.manifest import check
from dsr.tfrecords.schema import read_shard
from dsr.tfrecords.workers import run

SCORES = "scores.json"
"""[{"key": ..., "niqe": ..., "hosa": ...}, ...] in order of keys; null where an image is too small for an index."""


def build_perceptual(workers: int | None, artefact: Artefact, progress: Progress) -> None:
    """Score every image of `artefact.inputs["shards"]` in as many processes, by default one a core.

    The folder then holds `scores.json`, and the manifest's summary the mean of each index over the images that have
    one.

    Raises:
      ArtefactError: damaged shards. PerceptualError: damaged weights.
    """
    folder = artefact.inputs["shards"].folder
    manifest = check(folder)
    shards = [_Shard(folder / name, manifest.files[name]["records"]) for name in manifest.shards]
    rows: dict[_Shard, list[dict[str, Any]]] = {shard: [] for shard in shards}
    with (
        building(artefact.folder, artefact.identity) as build,
        progress.meter(artefact.label, sum(shard.records for shard in shards)) as meter,
        closing(run(_Scorer(), shards, workers)) as scored,
    ):
        for done, (shard, row) in enumerate(scored, start=1):
            rows[shard].append(row)
            meter.update(done)
        scores = [row for shard in shards for row in rows[shard]]
        write_atomically(build.path / SCORES, json.dumps(scores, indent=1).encode())
        build.summary.update(images=len(scores), **{name: _mean(row[name] for row in scores) for name in INDEXES})


@dataclass(frozen=True)
class _Shard:
    path: Path
    records: int

    def __str__(self) -> str:
        return str(self.path)


class _Scorer:
    """What a worker does: yields the scores of a shard's images. The indexes are loaded once a process."""

    @cached_property
    def indexes(self) -> dict[str, PerceptualIndex]:
        return {name: load_index(name) for name in INDEXES}

    def __call__(self, shard: _Shard) -> Iterator[dict[str, Any]]:
        for record in read_shard(shard.path, shard.records):
            pixels = record.pixels()
            yield {"key": record.key, **{name: index.score(pixels) for name, index in self.indexes.items()}}


def _mean(scores: Iterator[float | None]) -> float | None:
    found = [score for score in scores if score is not None]
    return statistics.fmean(found) if found else None
