"""What a DeepLabv3+ is made of; apart from its network, so that configurations are read without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dsr.models.errors import UserError
from dsr.models.segmenter.errors import BackboneError, WeightsError


@dataclass(frozen=True)
class KnownBackbone:
    """What is known of a backbone without TensorFlow.

    Attributes:
      module: has its `build`, see `dsr.models.segmenter.backbones`.
      multiply_adds: of DeepLabv3+ with it, at output stride 16 and with heads of the paper's widths, for each pixel.
      has_width: whether its channels can be scaled.
      no_imagenet: why Keras has no ImageNet weights of it, and what to do; empty if it has.
    """

    module: str
    multiply_adds: float
    has_width: bool = True
    no_imagenet: str = ""


BACKBONES: dict[str, KnownBackbone] = {
    "xception65": KnownBackbone(
        "dsr.models.segmenter.backbones.xception",
        206_000,
        no_imagenet="Keras has no ImageNet weights of xception65 (its Xception has other layers): give the path of "
        "model.ckpt.index from http://download.tensorflow.org/models/deeplabv3_xception_2018_01_04.tar.gz as weights, "
        "or 'none', or take resnet50 or mobilenet_v2",
    ),
    "resnet50": KnownBackbone("dsr.models.segmenter.backbones.resnet", 141_000, has_width=False),
    "mobilenet_v2": KnownBackbone("dsr.models.segmenter.backbones.mobilenet", 21_700),
    "keras_cv": KnownBackbone("dsr.models.segmenter.backbones.kerascv", 141_000, has_width=False),
}
"""Name -> what is known of it. `keras_cv:NAME` is the preset NAME of keras-cv."""


def split_name(backbone: str) -> tuple[str, str]:
    """`keras_cv:resnet18_v2` as its key in `BACKBONES` and the preset's name, which is empty for all others."""
    key, _, preset = backbone.partition(":")
    return key, preset


@dataclass(frozen=True)
class DeepLabConfig:
    """What a DeepLabv3+ is made of. Raises UserError if the values make no network.

    `freeze_batch_norm` is for batches of a few images, and for weight files whose statistics were folded into the
    kernels. Weight files: see `dsr.models.segmenter.backbones.build_backbone`.

    Attributes:
      backbone: one of `BACKBONES`, or keras_cv: and the name of a preset.
      output_stride: of the backbone, 8 or 16: image pixels for each of its outputs.
      aspp_width: channels of the spatial pyramid.
      decoder_width: channels of the decoder.
      low_level_width: channels that the decoder takes from the backbone's early layers.
      width: factor of the backbone's channels, where it has one.
      weights: of the backbone: imagenet (downloaded by Keras or keras-cv), none (random) or the path of a file.
      freeze_batch_norm: whether the backbone's batch normalisation keeps its pretrained statistics.
      dropout: share of the pyramid's outputs that a training step leaves out.
      batch_norm_momentum: of the running statistics of batch normalisation.
    """

    backbone: str = "xception65"
    output_stride: int = 16
    aspp_width: int = 256
    decoder_width: int = 256
    low_level_width: int = 48
    width: float = 1.0
    weights: str = "imagenet"
    freeze_batch_norm: bool = False
    dropout: float = 0.1
    batch_norm_momentum: float = 0.9997

    def __post_init__(self) -> None:
        key, preset = split_name(self.backbone)
        if key not in BACKBONES:
            nearest = get_close_matches(key, BACKBONES, 1) or BACKBONES
            raise BackboneError(f"there is no backbone {self.backbone!r}: take {' or '.join(nearest)}")
        if (key == "keras_cv") != bool(preset):
            raise BackboneError(
                f"there is no backbone {self.backbone!r}: keras_cv, and it alone, has presets, as "
                "keras_cv:resnet50_v2_imagenet"
            )
        if self.output_stride not in (8, 16):
            raise UserError(f"output_stride is {self.output_stride}: DeepLabv3+ has 8 or 16")
        if min(self.aspp_width, self.decoder_width, self.low_level_width) < 1 or self.width <= 0:
            raise UserError("aspp_width, decoder_width, low_level_width and width of the segmenter must be positive")
        if self.width != 1 and not BACKBONES[key].has_width:
            raise UserError(f"{self.backbone} has no width multiplier: set width to 1 instead of {self.width}")
        if not (0 <= self.dropout < 1 and 0 <= self.batch_norm_momentum < 1):
            raise UserError("dropout and batch_norm_momentum of the segmenter must be at least 0 and below 1")

    @property
    def multiply_adds(self) -> float:
        """About how many there are for each pixel of an image; keras-cv's are taken for ResNet-50."""
        key, _ = split_name(self.backbone)
        return BACKBONES[key].multiply_adds * self.width**2 * 16 / self.output_stride

    @property
    def rates(self) -> tuple[int, int, int]:
        """Atrous rates of the spatial pyramid: the same field of view at both output strides."""
        return (6, 12, 18) if self.output_stride == 16 else (12, 24, 36)

    def check_weights(self) -> None:
        """Raise WeightsError or BackboneError if weights or preset cannot be had, as far as is known offline."""
        key, preset = split_name(self.backbone)
        if self.weights == "imagenet" and BACKBONES[key].no_imagenet:
            raise WeightsError(BACKBONES[key].no_imagenet)
        if preset:
            # The one that needs TensorFlow to know its names.
            from dsr.models.segmenter.backbones.kerascv import check_preset

            check_preset(preset, self.weights)
        if self.weights not in ("imagenet", "none") and not Path(self.weights).is_file():
            raise WeightsError(f"there is no weight file {self.weights}: give a file, 'imagenet' or 'none'")

    @classmethod
    def paper(cls) -> DeepLabConfig:
        """The paper's segmenter: Xception-65 at output stride 16, 41 M parameters."""
        return cls()

    @classmethod
    def small(cls) -> DeepLabConfig:
        """MobileNetV2 with ImageNet weights and narrow heads, 2.0 M parameters.

        0.7 s a step on two cores for batches of 8 crops of 320x240.
        """
        return cls(
            backbone="mobilenet_v2",
            aspp_width=64,
            decoder_width=64,
            low_level_width=24,
            freeze_batch_norm=True,
            batch_norm_momentum=0.97,  # trained for hundreds of steps, not tens of thousands
        )

    @classmethod
    def tiny(cls) -> DeepLabConfig:
        """A third of MobileNetV2's width from random weights, 0.3 M parameters; downloads nothing.

        Learns simple scenes in a minute on two cores (0.14 s a step for batches of 8 images of 256x128).
        """
        return cls(
            backbone="mobilenet_v2",
            aspp_width=32,
            decoder_width=32,
            low_level_width=16,
            width=0.35,
            weights="none",
            batch_norm_momentum=0.9,
        )
