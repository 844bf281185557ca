"""Conversions as artefacts: the converter, called with what the study says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsr.data_pipelines.codecs import CODECS, Codec, CodecError, make_codec
from dsr.data_pipelines.datasets import DatasetError, Source
from dsr.data_pipelines.degradations import Degradation
from dsr.experiments import sources
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Meter, Progress
from dsr.experiments.trained_codec import TRAINED, TrainedCodec
from dsr.models.restorers.saved import SavedRestorer
from dsr.tfrecords import conversions, engine
from dsr.tfrecords.converter import HERE, Conversion
from dsr.tfrecords.engine import How
from dsr.tfrecords.errors import ArtefactError, one_sentence
from dsr.tfrecords.manifest import Manifest, check_if_told
from dsr.tfrecords.plan import Part, evenly, select_samples

SAMPLE_IMAGES = 8
"""On which the quality for a rate is found."""


@dataclass(frozen=True)
class Converting:
    """What of each conversion is done, and how; what it makes does not depend on it.

    `part` makes that part of each artefact's shards alone, `finish` joins the parts.
    """

    how: How = HERE
    part: Part | None = None
    finish: bool = False

    def __call__(self, conversion: Conversion, artefact: Artefact, progress: Progress) -> None:
        """Make the artefact, or what was asked for of it."""
        if self.finish:
            conversion.finish(artefact.folder, self.how)
            return
        with progress.meter(artefact.label, artefact.units) as meter:
            how = dataclasses.replace(self.how, progress=_shown_on(meter))
            if self.part is None:
                conversion.write(artefact.folder, how)
            else:
                conversion.write_part(artefact.folder, self.part, how)


def build_originals(source: Source, artefact: Artefact, progress: Progress, convert: Converting) -> None:
    """Dataset -> original shards. The work folder then remembers the contents they were made from."""
    _build_from_files(conversions.to_originals, source, artefact, progress, convert)


def build_received(source: Source, artefact: Artefact, progress: Progress, convert: Converting) -> None:
    """Dataset that came compressed -> compressed shards. The work folder remembers their contents, too."""
    _build_from_files(conversions.to_received, source, artefact, progress, convert)


def _build_from_files(
    convert_to: Callable[..., Conversion], source: Source, artefact: Artefact, progress: Progress, convert: Converting
) -> None:
    config = artefact.identity.config
    samples = select_samples(source.samples(config["split"]), config["limit"])
    before = sources.stamps(source, samples)
    conversion = convert_to(
        source,
        config["split"],
        limit=config["limit"],
        images_per_shard=config["images_per_shard"],
        identity=artefact.identity,
    )
    convert(conversion, artefact, progress)
    if artefact.exists:
        after = sources.stamps(source, samples)
        with one_sentence(artefact.folder):
            sources.remember(artefact.root, artefact.folder, artefact.identity, before, after)


def build_compressed(degradation: Degradation, artefact: Artefact, progress: Progress, convert: Converting) -> None:
    """Original shards -> compressed shards."""
    if isinstance(degradation, TrainedCodec):
        degradation = degradation.codec  # so that records name the model itself
    conversion = conversions.to_compressed(artefact.inputs["original"].folder, degradation, identity=artefact.identity)
    convert(conversion, artefact, progress)


def build_recompressed(degradation: Degradation, artefact: Artefact, progress: Progress, convert: Converting) -> None:
    """Compressed shards -> shards that were compressed once more."""
    folder = artefact.inputs["original"].folder
    convert(
        conversions.to_compressed(folder, degradation, identity=artefact.identity, domain="compressed"),
        artefact,
        progress,
    )


def build_restored(artefact: Artefact, progress: Progress, convert: Converting) -> None:
    """Compressed shards -> restored shards."""
    inputs = artefact.inputs
    check_if_told(inputs["restorer"].folder)
    restorer = SavedRestorer(inputs["restorer"].folder)
    conversion = conversions.to_restored(
        inputs["compressed"].folder,
        inputs["original"].folder if "original" in inputs else None,
        restorer,
        artefact.identity,
    )
    convert(conversion, artefact, progress)


def stored_codec(manifest: Manifest, trained: Mapping[str, Path]) -> Codec | None:
    """The codec that compressed shards were made with, of what their manifest says; None for other artefacts.

    Args:
      manifest: of an artefact.
      trained: codecs that studies have trained, fingerprint -> folder.

    Raises:
      CodecError: there is no such codec, or it is not among those trained.
    """
    codec = manifest.config.get("codec") if manifest.config.get("domain") == "compressed" else None
    if codec is None or codec["name"] not in CODECS:
        return None  # a chain's pixels are not only what its bitstream decodes to
    options = codec["options"]
    if options.get("model") == TRAINED:
        fingerprint = manifest.inputs.get("codec", "")
        if fingerprint not in trained:
            raise CodecError(
                f"the codec that it was made with ({fingerprint[:12]}) is not among what is verified: name the folder "
                "that it lies in too"
            )
        options = {"model": str(trained[fingerprint])}
    return make_codec(codec["name"], codec["quality"], **options)


def trained_codecs(folders: Iterable[Path]) -> dict[str, Path]:
    """Those of these artefacts that are learned codecs, fingerprint -> folder; what is damaged is left out."""
    found = {}
    for folder in folders:
        with suppress(ArtefactError):
            manifest = Manifest.load(folder)
            if manifest.kind == "codec":
                found[manifest.fingerprint] = folder
    return found


def sample_pixels(source: Source, split: str, most: int = SAMPLE_IMAGES) -> list[np.ndarray]:
    """A few images, uint8 (H, W, 3), spread evenly over a split: what a rate is estimated on.

    None that cannot be read.
    """
    samples = source.samples(split)
    pixels = []
    for number in evenly(most, len(samples)):
        with suppress(DatasetError):
            pixels.append(source.read(samples[number])[0])
    return pixels


def _shown_on(meter: Meter) -> Callable[[engine.ConversionState], None]:
    def show(state: engine.ConversionState) -> None:
        rate = f"{8 * state.bytes / state.pixels:.3f} bpp" if state.pixels else ""
        meter.update(state.images, rate)

    return show
