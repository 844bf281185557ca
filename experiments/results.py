"""What a study found, as values.

What is collected from its artefacts, stored as results.json, and shown by every table and page.

Scores are fractions in [0, 1], rates are bits per pixel of the real bitstreams, PSNR and MS-SSIM dB are decibels.
`point` names an operating point (`bpg-qp40`) and is None where nothing was compressed, `restorer` names what restored
(`gan`) and is None where nothing was, `seed` is that of the training (of an evaluation: of its segmenter). A number
that was not measured, or that is not finite, is None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Optional


@dataclass
class StudyFacts:
    """Which study it is; `seconds` is what all of its artefacts took, `seed` the first of its seeds."""

    name: str
    created: str  # ISO time of the newest artefact
    seconds: float
    command: str
    config: dict[str, Any]
    seed: int


@dataclass
class ClassFacts:
    """A class that segmenters learn; `small` after the paper's footnote 5."""

    name: str
    color: list[int]
    small: bool


@dataclass
class DatasetFacts:
    """What the images are; `teaching` if they are drawn, not photographed.

    `photographs` is how many the test images are cut from; None if that is not known. `unlabelled` are the classes that
    no label of a test image has. `labelled_images` is how many test images have a label of any class, `class_images`
    how many have one of each class; None and empty of studies, which have no intervals over images.
    """

    name: str
    teaching: bool
    classes: list[ClassFacts]
    images: dict[str, int]  # role -> how many
    height: int
    width: int
    file_bpp: Optional[float] = None  # bits per pixel of the files that were read; None if there were none
    photographs: Optional[int] = None
    unlabelled: list[str] = field(default_factory=list)
    labelled_images: Optional[int] = None
    class_images: dict[str, int] = field(default_factory=dict)


@dataclass
class Fidelity:
    """Test images against their originals.

    `psnr` is the mean without the images that are `identical` to theirs; so many are.
    """

    psnr: Optional[float]
    ms_ssim: Optional[float]
    ms_ssim_db: Optional[float]
    identical: int = 0  # as results before 0.4.5 have it


@dataclass
class Rated(Fidelity):
    """Compressed test images: fidelity, and the rate over all, of the cheapest and of the dearest image.

    None without a bitstream.

    `train_bpp` is the rate of the training images.
    """

    bpp: Optional[float] = None
    bpp_min: Optional[float] = None
    bpp_max: Optional[float] = None
    train_bpp: Optional[float] = None


@dataclass
class PointResult:
    """An operating point: the degradation with its level, and what it and each restorer leave of test images.

    Points of one `family` differ in the level alone. `measured` says on which test images all of this is.
    """

    point: str
    codec: str
    quality: Optional[float]
    compressed: Rated
    restored: dict[str, Fidelity]
    family: str = ""  # as results before 0.4.4 have it
    measured: Optional[ScoredOn] = None  # as results before 0.4.5 have it

    @property
    def curve(self) -> str:
        """What the points of one curve have in common."""
        return self.family or self.codec

    @property
    def place(self) -> float:
        """Where it stands on the axis of a chart: at its rate, or at its level if it has no rate."""
        return next((value for value in (self.compressed.bpp, self.quality) if value is not None), 0.0)

    @property
    def ease(self) -> tuple[bool, float]:
        """Sorts operating points, the hardest first: by rate, then those without one by their PSNR.

        Levels do not sort: some degrade more as they grow, some less, some either way from 1.
        """
        rate, psnr = self.compressed.bpp, self.compressed.psnr
        if rate is not None:
            return False, rate
        return True, math.inf if psnr is None else psnr


@dataclass
class ScoredOn:
    """On how many images, and the keys of the originals that were not among them, as they could not be converted.

    `missing` is empty where the images are no longer there to tell.
    """

    images: int
    missing: list[str]


@dataclass
class EvaluationResult:
    """A segmenter's scores on the test images of a domain.

    `per_class` is the IoU by class. `confusion` is how many pixels of each class (rows, in the dataset's order) were
    said to be of each (columns); None of what was scored image by image. Both `confusion` and `tested` are None in
    results before 0.4.5.
    """

    configuration: str
    point: Optional[str]
    restorer: Optional[str]
    seed: int
    miou: Optional[float]
    pixel_accuracy: Optional[float]
    per_class: dict[str, Optional[float]]
    confusion: Optional[list[list[int]]]
    tested: Optional[ScoredOn]


@dataclass
class Estimate:
    """A value with its 95 % interval; without one if there are too few images for it."""

    value: float
    low: Optional[float]
    high: Optional[float]

    @property
    def clear(self) -> bool:
        """Whether it can be told from zero: its interval excludes that."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass
class OverImages:
    """A score, or how far it is above that of the configuration `minus`, with intervals over the test images."""

    configuration: str
    minus: Optional[str]
    point: Optional[str]
    restorer: Optional[str]
    seed: int
    miou: Optional[Estimate]
    per_class: dict[str, Optional[Estimate]]


@dataclass
class LeftOut:
    """Keys of images that a domain lacks, as they could not be compressed or restored: nothing is scored on them.

    So all that is compared is of the same images.
    """

    point: Optional[str]
    restorer: Optional[str]
    keys: list[str]


@dataclass
class AdaptedResult(EvaluationResult):
    """The same on originals of a segmenter that was adapted to them; `seconds` is what making it took."""

    adaptation: str
    seconds: Optional[float]


@dataclass
class ImageScores:
    """Perceptual indexes of the test images of a domain, one an image in the order of keys."""

    point: Optional[str]
    domain: str
    restorer: Optional[str]
    niqe: list[Optional[float]]
    hosa: list[Optional[float]]


@dataclass
class Distances:
    """Between the features of two sets of images."""

    frechet: Estimate
    kernel: Estimate


@dataclass
class Correlation:
    """How the mean activation of each channel goes with that in originals."""

    slope: float
    r2: float
    rms: float
    activations: list[float]


@dataclass
class DomainShift(Distances):
    """How far a domain is from originals; `change` is the same minus that of compressed images, for restored ones."""

    point: Optional[str]
    domain: str
    restorer: Optional[str]
    change: Optional[Distances]
    correlation: Correlation


@dataclass
class Halves:
    """Distances between two halves of the originals: what none at all looks like."""

    frechet: float
    kernel: float


@dataclass
class Shift:
    """How far each domain is from originals for the segmenter that `features` names."""

    features: str
    images: int
    channels: int
    halves: Halves
    domains: list[DomainShift]
    original: list[float]  # the mean activation of each channel


@dataclass
class CrossEntropy:
    """The cross-entropy of a segmenter on the test images of a domain, in bits a labelled pixel.

    `configuration` is one of the six, RR or CO recalibrated; `temperature` is None where there were no labels to fit it
    to; `per_class` is over the pixels of each class, None where there are none; `miou` is None where the case was
    tested on more images than the bits are of.
    """

    configuration: str
    point: Optional[str]
    restorer: Optional[str]
    seed: int
    temperature: Optional[float]
    bits: float
    miou: Optional[float]
    per_class: dict[str, Optional[float]]


@dataclass
class LossDifference:
    """The cross-entropy of `configuration` minus that of `minus`, mean over `seeds`, in bits a labelled pixel.

    The intervals are over images, and over the seeds if there are two or more. `per_class` is over the pixels of each
    class.
    """

    configuration: str
    minus: str
    point: str
    restorer: Optional[str]
    seeds: int
    bits: Estimate
    per_class: dict[str, Optional[Estimate]]


@dataclass
class ImageLosses:
    """What compression takes of each test image: CC minus OO, mean over seeds, in bits a labelled pixel.

    In the order of the keys of `Information`; None for an image without a label. `pictures` has small PNG files of some
    originals, of those that lose most, by key.
    """

    point: str
    bits: list[Optional[float]]
    pictures: dict[str, str]


@dataclass
class Information:
    """How much usable information segmenters lose, from their cross-entropies on the test images of `keys`.

    `pixels` is how many labelled pixels of each class these have.
    """

    keys: list[str]
    pixels: dict[str, int]
    losses: list[CrossEntropy]
    differences: list[LossDifference]
    images: list[ImageLosses]


@dataclass
class ImagesTrial:
    """mIoU, one a seed, with a restorer trained on so many images; of CO where `restorer` is None."""

    point: str
    restorer: Optional[str]
    images: int
    miou: list[float]


@dataclass
class ScalingTrial:
    """mIoU, one a seed, of CO (`restorer` None) or RO trained on so many images, which take so many bytes each."""

    point: str
    restorer: Optional[str]
    images: int
    bytes: float
    miou: list[float]


@dataclass
class StageTimes:
    """Seconds of a stage (encode, decode, restore, segment), one an image."""

    stage: str
    point: Optional[str]
    restorer: Optional[str]
    seconds: list[float]


@dataclass
class InferenceTimes:
    """What the stages of the configurations cost on a device, for images of about this size.

    Where `processor` is well below 1, other programs ran meanwhile, and all times are too long.
    """

    device: str
    height: int
    width: int
    stages: list[StageTimes]
    processor: Optional[float] = None  # the share of the networks' time in which they had a core; None on a GPU


@dataclass
class TrainingResult:
    """A restorer's or segmenter's training: `domain` is the letter of what it makes or learns from."""

    kind: str
    name: str
    point: Optional[str]
    domain: Optional[str]
    restorer: Optional[str]
    seed: int
    steps: int
    seconds: float
    parameters: int
    curves: dict[str, list[list[Optional[float]]]]  # name -> [[step, value], ...]
    adaptation: Optional[str] = None  # that a segmenter was trained with


@dataclass
class SampleImages:
    """PNG paths of a test image at an operating point, by what it shows; what is missing was not made.

    `images` has original, compressed, label and the predictions OO, CO, CC, OC of the first seed; `restored` for each
    restorer restored, RO and OR. `information` is a map of what compression takes, log2 p_OO(y|x) - log2 p_CC(y|x^) of
    each pixel, see `dsr.experiments.analysis.pictures.information_map`.
    """

    key: str
    point: str
    images: dict[str, str]
    restored: dict[str, dict[str, str]]
    bytes: Optional[int]
    psnr: Optional[float]
    information: Optional[str] = None


@dataclass
class GalleryImage:
    """A test image with the PNG path of a small picture of it, and its PSNR at each operating point, dB."""

    key: str
    picture: str
    psnr: dict[str, Optional[float]]


@dataclass
class StageTiming:
    """Wall time of making an artefact; a unit is an image, or a step of training."""

    stage: str
    images: int
    seconds: float
    per_image_ms: float


@dataclass
class ArtefactFacts:
    """Where a result came from; `inputs` are fingerprints by role."""

    kind: str
    name: str
    folder: str
    fingerprint: str
    created: str
    seconds: float
    inputs: dict[str, str]


@dataclass
class Results:
    """All that a study found."""

    study: StudyFacts
    versions: dict[str, str]
    dataset: DatasetFacts
    points: list[PointResult]
    original_bpp: Optional[float]  # of the test split as lossless PNG
    evaluations: list[EvaluationResult]
    over_images: list[OverImages] = field(default_factory=list)  # of what was trained elsewhere
    left_out: list[LeftOut] = field(default_factory=list)  # likewise
    adapted: list[AdaptedResult] = field(default_factory=list)
    perceptual: list[ImageScores] = field(default_factory=list)
    shift: Optional[Shift] = None
    information: Optional[Information] = None
    restorer_images: Optional[list[ImagesTrial]] = None
    inference_times: Optional[InferenceTimes] = None
    scaling: Optional[list[ScalingTrial]] = None
    # Of the three before: which settings have changed since, {measurement: {setting: [then, now]}}.
    changed: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    trainings: list[TrainingResult] = field(default_factory=list)
    samples: list[SampleImages] = field(default_factory=list)
    gallery: list[GalleryImage] = field(default_factory=list)
    timings: list[StageTiming] = field(default_factory=list)
    artefacts: list[ArtefactFacts] = field(default_factory=list)
