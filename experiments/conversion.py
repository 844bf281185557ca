"""Conversions as artefacts: the converter, called with what the study says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data_pipelines.codecs import Codec
from data_pipelines.datasets import Source
from experiments.artefacts import Artefact
from experiments.progress import Meter, Progress
from models.saved_restorer import SavedRestorer
from tfrecords import converter

SAMPLE_IMAGES = 8


def build_originals(source: Source, artefact: Artefact, progress: Progress, workers: int | None) -> None:
    """Dataset -> original shards."""
    config = artefact.identity.config
    with progress.meter(artefact.label, artefact.units) as meter:
        converter.write_originals(
            source,
            config["split"],
            artefact.folder,
            limit=config["limit"],
            images_per_shard=config["images_per_shard"],
            identity=artefact.identity,
            workers=workers,
            progress=_shown_on(meter),
        )


def build_compressed(codec: Codec, artefact: Artefact, progress: Progress, workers: int | None) -> None:
    """Original shards -> compressed shards."""
    with progress.meter(artefact.label, artefact.units) as meter:
        converter.write_compressed(
            artefact.inputs["original"].folder,
            codec,
            artefact.folder,
            identity=artefact.identity,
            workers=workers,
            progress=_shown_on(meter),
        )


def build_restored(artefact: Artefact, progress: Progress, workers: int | None) -> None:
    """Compressed shards -> restored shards."""
    with progress.meter(artefact.label, artefact.units) as meter:
        converter.write_restored(
            artefact.inputs["compressed"].folder,
            artefact.inputs["original"].folder,
            SavedRestorer(artefact.inputs["restorer"].folder),
            artefact.folder,
            identity=artefact.identity,
            workers=workers,
            progress=_shown_on(meter),
        )


def sample_pixels(source: Source, split: str) -> list[np.ndarray]:
    """A few images, uint8 (H, W, 3), spread evenly over a split: what a rate is estimated on."""
    samples = source.samples(split)
    count = min(SAMPLE_IMAGES, len(samples))
    return [source.read(samples[i * len(samples) // count])[0] for i in range(count)]


def _shown_on(meter: Meter) -> Callable[[converter.Progress], None]:
    def show(state: converter.Progress) -> None:
        rate = f"{8 * state.bytes / state.pixels:.3f} bpp" if state.pixels else ""
        meter.update(state.images, rate)

    return show
