"""What the manifests of artefacts say in sum, as values: read by everything that shows or collects it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, TypeVar

from dsr.experiments.stored_json import from_json
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.layout import MANIFEST
from dsr.tfrecords.manifest import Manifest


@dataclass(frozen=True)
class SourceSummary:
    """Of the files that original shards were made from: how many, and bytes and pixels of the images among them."""

    files: int
    bytes: int
    pixels: int

    @property
    def bpp(self) -> Optional[float]:
        """Bits per pixel of the images, by their own pixels, which may have been resized or cut since."""
        return 8 * self.bytes / self.pixels if self.pixels else None


@dataclass(frozen=True)
class HeaderSummary:
    """What so many files that came compressed say of themselves; None where they do not tell."""

    codec: str
    quality: Optional[float]
    chroma: Optional[str]
    files: int


@dataclass(frozen=True)
class ShardsSummary:
    """Of shards.

    Images and what was left out of `inputs`, rates in bits per pixel (None without a bitstream), fidelity to originals,
    and how many images are identical to theirs, which `psnr` leaves out.
    """

    inputs: int
    images: int
    errors: int
    height: int
    width: int
    bpp: Optional[float]
    bpp_min: Optional[float]
    bpp_max: Optional[float]
    psnr: Optional[float]
    ms_ssim: Optional[float]
    ms_ssim_db: Optional[float]
    mb_per_s: float
    identical: int = 0
    source: Optional[SourceSummary] = None  # of originals that were read from files
    headers: Optional[list[HeaderSummary]] = None  # of images that came compressed, the most frequent first


@dataclass(frozen=True)
class TrainingSummary:
    """Of a codec, restorer or segmenter."""

    steps: int
    seconds: float
    parameters: int
    images: int


@dataclass(frozen=True)
class ShippedSummary:
    """Of a network that came trained."""

    parameters: int


@dataclass(frozen=True)
class CodecSummary(TrainingSummary):
    """Of a trained codec.

    Also its estimated rates, bits a pixel, and PSNR, dB, on patches of its training images, of each quality that has
    gains of its own.
    """

    qualities: list[float]
    rd_bpp: list[float]
    rd_psnr: list[float]


@dataclass(frozen=True)
class EvaluationSummary:
    """Of an evaluation: fractions in [0, 1], None where no pixel has the class.

    `confusion` counts pixels: rows are the labels, columns what was said. `samples` are keys of the images shown.
    """

    images: int
    miou: float
    pixel_accuracy: float
    per_class: dict[str, Optional[float]]
    samples: list[str]
    confusion: Optional[list[list[int]]] = None


@dataclass(frozen=True)
class ConfusionSummary:
    """Of an evaluation: pixels by class, rows truth and columns prediction; None of what was trained elsewhere."""

    confusion: Optional[list[list[int]]]


@dataclass(frozen=True)
class PerceptualSummary:
    """Means of the indexes over the images of a domain; None where all are too small for one."""

    images: int
    niqe: Optional[float]
    hosa: Optional[float]


@dataclass(frozen=True)
class TemperatureSummary:
    """Of a segmenter's temperature, which is 1 if none of the images has a labelled pixel to fit it to."""

    images: int
    pixels: int
    temperature: float


@dataclass(frozen=True)
class LossesSummary:
    """Of a segmenter's cross-entropy on the images of a domain, in bits a labelled pixel.

    Also its mean IoU there, in [0, 1], and the keys of the images whose pixels are kept.
    """

    images: int
    bits: float
    miou: float
    samples: list[str]


@dataclass(frozen=True)
class ImagesSummary:
    """Of all that goes over images."""

    images: int


Summary = TypeVar("Summary")


def summary_of(manifest: Manifest, kind: type[Summary], folder: Path) -> Summary:
    """What `manifest`, that of `folder`, says in sum; ArtefactError if it does not say all of that kind."""
    try:
        return from_json(kind, manifest.summary, strict=False)
    except ValueError as error:
        raise ArtefactError(f"{folder / MANIFEST} is damaged ({error}); delete {folder} and make it anew") from None
