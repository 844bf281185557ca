"""What a study is: a dataset, operating points, restorers, a segmenter. Typed, frozen, printable, free of TensorFlow."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any, Literal, Optional

from dsr.data_pipelines.codecs import CODECS, Codec, make_codec
from dsr.data_pipelines.datasets import Source, dataset_class, open_source
from dsr.experiments.config.overrides import nearest
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
"""What a study uses images for: codec and restorer, segmenter training, segmenter test. The three never share an image."""


@dataclass(frozen=True)
class DatasetConfig:
    """Which images. `root` is a folder in the dataset's own layout; `streets` is made here and needs none."""

    name: str = "streets"
    root: Optional[str] = None
    restore: str = "restore"  # the dataset's split that plays each role
    train: str = "train"
    test: str = "test"
    restore_limit: Optional[int] = None  # use only the first N images of the role's split
    train_limit: Optional[int] = None
    test_limit: Optional[int] = None
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, root: Optional[str] = None) -> DatasetConfig:
        """A dataset with the splits that the paper gives to the three roles (section V-A)."""
        splits: dict[str, Any] = dict(dataset_class(name).roles)
        return cls(name, root, **splits)

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
    """A codec at one quality: `bpg-qp40`, `jpeg-quality10`, `none`."""

    codec: str
    quality: Optional[float] = None
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> OperatingPoint:
        """Read `bpg-qp40` (as `dsr` prints it), `bpg:40` or `none`.

        Raises:
          ValueError: no such codec, or not of this form.
        """
        match = re.fullmatch(r"([a-z0-9]+)(?:(?:-[a-z_]+|:)(\d+(?:\.\d+)?))?", text)
        if not match:
            raise ValueError("expected codec and quality, for example bpg-qp40")
        codec, quality = match.groups()
        if codec not in CODECS:
            raise ValueError(f'no codec "{codec}"{nearest(codec, CODECS)}')
        return cls(codec, float(quality) if quality else None)

    def make(self) -> Codec:
        """The codec, ready to use; raises CodecError for a quality or option it does not have."""
        return make_codec(self.codec, self.quality, **self.options)


@dataclass(frozen=True)
class RestorerConfig:
    """How restorers are trained, `gan` with the settings of that name, both `rdn-` with those of `rdn`; and how often that is
    written down."""

    gan: AdversarialConfig = field(default_factory=AdversarialConfig.paper)
    rdn: DenseConfig = field(default_factory=DenseConfig.paper)
    images: Optional[int] = None  # train on the first N of the images set apart (paper, Fig. 8), not on all
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
    """DeepLabv3+ and how it is trained (the paper follows Chen et al. 2018)."""

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
    checkpoint_every: int = 1000
    log_every: int = 100

    @property
    def name(self) -> str:
        return f"deeplab-{self.network.backbone}".replace(":", "-")  # of keras_cv:NAME


@dataclass(frozen=True)
class StudyConfig:
    """A dataset x operating points x restorers x the six configurations."""

    name: str
    dataset: DatasetConfig
    points: tuple[OperatingPoint, ...]
    restorer: RestorerConfig
    segmenter: SegmenterConfig
    restorers: tuple[RestorerName, ...] = ("gan",)
    codec: CodecTrainingConfig = field(default_factory=CodecTrainingConfig)  # of the learned codec, if one is trained
    seed: int = 0
    seeds: int = (
        1  # segmenters for each training domain, from the seeds seed, seed + 1, ...: their spread is the error bar
    )
    images_per_shard: int = 32
    samples: int = 3  # test images shown in the report

    def to_json(self) -> dict[str, Any]:
        """Nested plain dictionary, as it stands in manifests and reports."""
        return dataclasses.asdict(self)
