"""What a study is: a dataset, operating points, restorers, a segmenter.

Typed, frozen, printable, free of TensorFlow.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any, Literal, Optional
from urllib.parse import quote

import numpy as np

from dsr.data_pipelines.codecs import CODECS, codec_class, make_codec, parse_point
from dsr.data_pipelines.datasets import Source, dataset_class, open_source, text_options
from dsr.data_pipelines.degradations import DEGRADATIONS, Degradation, DegradationError, make_degradation
from dsr.data_pipelines.degradations.chain import Chain
from dsr.experiments.adaptations import AdaptationConfig, AdaptationName
from dsr.experiments.config.overrides import FreeKeys, guess
from dsr.models.errors import UserError
from dsr.models.hyperprior.config import CodecTrainingConfig
from dsr.models.restorers.errors import RestorerError
from dsr.models.restorers.gan_config import AdversarialConfig
from dsr.models.restorers.rdn_config import DenseConfig
from dsr.models.restorers.registry import RESTORERS, NetworkConfig, RestorerName, TrainingConfig
from dsr.models.restorers.saved import read_config
from dsr.models.segmenter.config import DeepLabConfig

CONFIGURATIONS = ("OO", "CO", "RO", "CC", "OC", "OR")
"""Train domain, then test domain: O original, C compressed, R restored (paper, Table I)."""

ROLES = ("restore", "train", "test")
"""What a study uses images for: codec and restorer, segmenter training, segmenter test. The three never share an
image."""


@dataclass(frozen=True)
class DatasetConfig(FreeKeys):
    """Which images.

    Attributes:
      name: the dataset, by its name in `DATASETS`.
      root: the folder that it lies in, in its own layout; `streets` is made here and needs none.
      restore: the dataset's split that codecs and restorers are trained on.
      train: the split that segmenters are trained on.
      test: the split that segmenters are tested on.
      restore_limit: use only N images of the split to restore, spread evenly over its sorted names.
      train_limit: use only N images of the split to train, spread evenly over its sorted names.
      test_limit: use only N images of the split to test, spread evenly over its sorted names.
      options: the dataset's own.
    """

    name: str = "streets"
    root: Optional[str] = None
    restore: str = "restore"
    train: str = "train"
    test: str = "test"
    restore_limit: Optional[int] = None
    train_limit: Optional[int] = None
    test_limit: Optional[int] = None
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, root: Optional[str] = None) -> DatasetConfig:
        """A dataset with the splits that the paper gives to the three roles (section V-A)."""
        splits: dict[str, Any] = dict(dataset_class(name).roles)
        return cls(name, root, **splits)

    def read_option(self, key: str, text: str) -> Any:
        """The value of an option: int, float, bool or text; always text if the dataset has text there by default.

        Raises:
          DatasetError: there is no dataset of this name. ValueError: the number is not finite, or huge.
        """
        return text if key in text_options(self.name) else guess(text)

    def open(self) -> Source:
        """The source of pixels; raises DatasetError for an unknown name or option, or a wrong root."""
        return open_source(self.name, self.root, **self.options)

    def split(self, role: str) -> str:
        """The dataset's own split behind a role."""
        return getattr(self, role)

    def limit(self, role: str) -> int | None:
        """How many images of the split the role takes; None for all."""
        return getattr(self, f"{role}_limit")


@dataclass(frozen=True)
class OperatingPoint:
    """A codec at one quality, or another degradation at one level, and what is done to the image before it.

    Attributes:
      codec: its name, or that of another degradation.
      quality: on its own scale; None for its default.
      options: its other fields.
      before: operating points that come first, as texts: `downsample2`.
    """

    codec: str
    quality: Optional[float] = None
    options: dict[str, Any] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> OperatingPoint:
        """Read an operating point as `dsr` prints it.

        These are some: `bpg-qp40`, `bpg:40`, `none`, `bpg-qp40+chroma=4:4:4`, `blur-gaussian2`, `downsample2+bpg-qp40`.

        Raises:
          ValueError: no such codec or degradation, or not of this form.
        """
        stages: list[str] = []
        for part in text.split("+"):
            if "=" in part and stages:
                stages[-1] += f"+{part}"
            else:
                stages.append(part)
        *before, last = stages
        try:
            for stage in before:
                cls._parse_one(stage)
            return dataclasses.replace(cls._parse_one(last), before=before)
        except UserError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def _parse_one(cls, text: str) -> OperatingPoint:
        head = text.partition("+")[0]
        found = re.fullmatch(r"([a-z-]*[a-z])(\d+(?:\.\d+)?)", head)
        if found and found[1] in DEGRADATIONS:
            options = dict(option.partition("=")[::2] for option in text.split("+")[1:])
            return cls(found[1], float(found[2]), {key: guess(value) for key, value in options.items()})
        if head in DEGRADATIONS:
            raise DegradationError(f"{head} needs a level, as {head}2")
        return cls(*parse_point(text))

    @property
    def stages_before(self) -> list[OperatingPoint]:
        """What `before` names, which is stored as texts; raises UserError for what is no operating point."""
        return [self._parse_one(stage) for stage in self.before]

    @property
    def text(self) -> str:
        """The operating point as `parse` reads it, with the options that it was given."""
        level = ""
        if self.quality is not None:
            scale = codec_class(self.codec).scale if self.codec in CODECS else None
            level = (f"-{scale.name}" if scale else "") + np.format_float_positional(self.quality, trim="-")
        options = (f"{key}={quote(str(value), safe='/:')}" for key, value in self.options.items())
        return "+".join((*self.before, f"{self.codec}{level}", *options))

    def make(self) -> Degradation:
        """The degradation, ready to use; raises UserError for a level or option that it does not have."""
        made: Degradation
        if self.codec in DEGRADATIONS:
            if self.quality is None:
                raise DegradationError(f"{self.codec} needs a level, as {self.codec}2")
            made = make_degradation(self.codec, self.quality, **self.options)
        else:
            made = make_codec(self.codec, self.quality, **self.options)
        return Chain((*(stage.make() for stage in self.stages_before), made)) if self.before else made


@dataclass(frozen=True)
class RestorerConfig:
    """How restorers are trained, `gan` with the settings of that name, both `rdn-` with those of `rdn`.

    Attributes:
      gan: of the adversarial one.
      rdn: of both residual dense ones.
      images: train on the first N of the images set apart (paper, Fig. 8); none for all.
      checkpoint_every: steps between two states that an interrupted training can go on from.
      log_every: steps between two points of the curves.
    """

    gan: AdversarialConfig = field(default_factory=AdversarialConfig.paper)
    rdn: DenseConfig = field(default_factory=DenseConfig.paper)
    images: Optional[int] = None
    checkpoint_every: int = 1000
    log_every: int = 100

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 1:
            raise RestorerError(f"restorer.images is {self.images}: set it to 1 or more, or to none for all")

    def training(self, name: RestorerName) -> TrainingConfig:
        """Network and optimisation of a restorer. Raises RestorerError for one that comes trained."""
        settings = RESTORERS[name].settings
        if settings is None:
            raise RestorerError(f"{name} comes trained: to tune it to a dataset, train gan with --start {name}")
        return getattr(self, settings)

    def network(self, name: RestorerName) -> NetworkConfig:
        """The network that restores."""
        folder = RESTORERS[name].folder
        return self.training(name).network if folder is None else read_config(folder)


@dataclass(frozen=True)
class SegmenterConfig:
    """DeepLabv3+ and how it is trained (the paper follows Chen et al. 2018).

    Class weights, label smoothing, warm-up and the backbone's rate are not in the paper's recipe; what each is worth
    stands in docs/segmenter.md.

    Attributes:
      network: what is trained.
      steps: of training.
      batch: crops a step.
      crop_height: of a training crop, pixels.
      crop_width: of a training crop, pixels.
      scale_min: smallest factor that an image is resized by before it is cropped.
      scale_max: largest factor that an image is resized by before it is cropped.
      optimizer: what changes the weights.
      learning_rate: at the first step, or where it is highest; it falls to zero.
      weight_decay: weight of the squares of the weights in the loss.
      class_weights: of the loss: all alike, or 1 / sqrt(frequency in the training labels).
      label_smoothing: the share of a label that is spread over all classes.
      warmup: the share of the steps in which the learning rate rises to its full height.
      backbone_rate: learning rate of the backbone, in that of the heads.
      images: train on so many images, drawn by the seed; all if none.
      checkpoint_every: steps between two states that an interrupted training can go on from.
      log_every: steps between two points of the curves.
    """

    network: DeepLabConfig = field(default_factory=DeepLabConfig.paper)
    steps: int = 90_000
    batch: int = 8
    crop_height: int = 513
    crop_width: int = 513
    scale_min: float = 0.5
    scale_max: float = 2.0
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 0.007
    weight_decay: float = 4e-5
    class_weights: Literal["none", "inverse_sqrt"] = "none"
    label_smoothing: float = 0.0
    warmup: float = 0.0
    backbone_rate: float = 1.0
    images: Optional[int] = None
    checkpoint_every: int = 1000
    log_every: int = 100

    def identity(self) -> dict[str, Any]:
        """What the outcome depends on, ready for JSON; of what came after the first release only what is used.

        So segmenters that were trained before stay what they are called.
        """
        later = {"class_weights", "label_smoothing", "warmup", "backbone_rate", "images"}
        unused = {f.name for f in dataclasses.fields(self) if f.name in later and getattr(self, f.name) == f.default}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in unused}

    @property
    def name(self) -> str:
        return f"deeplab-{self.network.backbone}".replace(":", "-")  # of keras_cv:NAME


@dataclass(frozen=True)
class StudyConfig:
    """A dataset x operating points x restorers x the six configurations.

    Attributes:
      name: of the study, and of its report's folder.
      dataset: which images.
      points: operating points, as bpg-qp40 or downsample2+bpg-qp36.
      restorer: how restorers are trained.
      segmenter: what is segmented with, and how it is trained.
      restorers: which restorers are compared.
      codec: how the learned codec is trained, if one is.
      seed: of all that is random but dropout, which follows from the step; of segmenters the first one.
      seeds: segmenters for each training domain, from the seeds seed, seed + 1, ...: their spread is the error bar.
      images_per_shard: of a file of records.
      samples: test images shown in the report.
      adaptations: rivals of restoring, for the report's table of them.
      adaptation: the settings of each.
    """

    name: str
    dataset: DatasetConfig
    points: tuple[OperatingPoint, ...]
    restorer: RestorerConfig
    segmenter: SegmenterConfig
    restorers: tuple[RestorerName, ...] = ("gan",)
    codec: CodecTrainingConfig = field(default_factory=CodecTrainingConfig)
    seed: int = 0
    seeds: int = 1
    images_per_shard: int = 32
    samples: int = 3
    adaptations: tuple[AdaptationName, ...] = ()
    adaptation: AdaptationConfig = field(default_factory=AdaptationConfig)

    def to_json(self) -> dict[str, Any]:
        """Nested plain dictionary, as it stands in manifests and reports."""
        return dataclasses.asdict(self)
