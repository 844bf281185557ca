"""What defines a mean-scale hyperprior codec.

Network size, rate-distortion weight and optimisation, as data (no TensorFlow here).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Optional

from dsr.models.errors import UserError

LAMBDAS: dict[str, tuple[float, ...]] = {
    "mse": (0.0018, 0.0035, 0.0067, 0.0130, 0.0250, 0.0483, 0.0932, 0.1800),
    "ms-ssim": (2.40, 4.58, 8.73, 16.64, 31.73, 60.50, 115.37, 220.00),
}
"""lambda of quality 1 to 8 by distortion, those of CompressAI (Begaint et al. 2020), which fit the points that Minnen
et al. published: the weight of 255^2 x MSE, or of 1 - MS-SSIM, of pixels in [0, 1] against bits per pixel."""

QUALITIES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
"""The whole qualities of a codec that is trained for all: it serves every real one between the first and the last."""

DIGITS = 3
"""Decimal places of a quality: a thousandth changes the rate by less than 0.05 %, and names stay short."""

SCALES = 64
"""Number of standard deviations that a latent can be coded with."""

MIDDLE_SCALE = SCALES // 4
"""The scale index where the hyper-synthesis gives zero, because untrained outputs are around zero."""

LEAK = 0.25
"""Slope of the leaky ReLU below zero: a power of two, by which integers are divided exactly."""


MAX_CHANNELS = 1024
"""Of a network: bounds what a codec's file can make its reader allocate."""


class HyperpriorError(UserError):
    """A learned codec that cannot be built, trained or loaded as asked."""


def weight_of(quality: float, distortion: str = "mse") -> float:
    """lambda of a real quality from 1 to 8: between whole ones it is interpolated in the logarithm."""
    weights = LAMBDAS[distortion]
    below = min(int(quality), len(weights) - 1)
    share = quality - below
    return math.exp((1 - share) * math.log(weights[below - 1]) + share * math.log(weights[below]))


@dataclass(frozen=True)
class HyperpriorConfig:
    """Channels of the network.

    Attributes:
      filters: inside the transforms (N).
      latents: of the representation y (M).
    """

    filters: int = 128
    latents: int = 192

    DOWNSAMPLING = 64  # a pixel of the hyper-latents z stands for 64 x 64 pixels of the image

    def __post_init__(self) -> None:
        for name, multiple in (("filters", 1), ("latents", 2)):
            value = getattr(self, name)
            if not 1 <= value <= MAX_CHANNELS or value % multiple:
                raise HyperpriorError(
                    f"{name} is {value}: set it to a positive multiple of {multiple}, at most {MAX_CHANNELS}"
                )

    @property
    def multiply_adds(self) -> float:
        """Of the four transforms, for each pixel."""
        n, m = self.filters, self.latents
        convolutions = 25 * (3 * n / 4 + n * n / 16 + n * n / 64 + n * m / 256)
        normalizations = n * n * (1 / 4 + 1 / 16 + 1 / 64)
        hyper_analysis = 9 * m * n / 256 + 25 * n * n * (1 / 1024 + 1 / 4096)
        hyper_synthesis = 25 * (n * m / 4096 + m * 1.5 * m / 1024) + 9 * 1.5 * m * 2 * m / 256
        return 2 * (convolutions + normalizations) + hyper_analysis + hyper_synthesis

    @classmethod
    def low_rate(cls) -> HyperpriorConfig:
        """N = 128, M = 192, as published for the lower rates: 7.0 M parameters."""
        return cls()

    @classmethod
    def high_rate(cls) -> HyperpriorConfig:
        """N = 192, M = 320, as published for the higher rates: 17.6 M parameters."""
        return cls(192, 320)


@dataclass(frozen=True)
class CodecTrainingConfig:
    """A learned codec and how it is trained.

    A training starts from one of natural photographs that is tuned to the dataset's own images (paper, section V-A), or
    from one of other qualities, or as `dsr.models.hyperprior.start` says.

    Attributes:
      network: what is trained.
      quality: the one that it is trained for, with up to three decimal places; none for all of `QUALITIES` and those
        between them at once.
      start: a trained codec's file to go on from, or shipped for the one that comes with dsr; none starts anew.
      distortion: what the rate is weighed against: mse (the paper) or ms-ssim.
      patch: side of the square training crops in pixels.
      batch: crops a step.
      steps: of training.
      learning_rate: of Adam, at the first step.
      decay_at: share of the steps after which the learning rate falls.
      decay_to: the share of itself that it falls to.
      gradient_norm: gradients longer than this are shortened to it.
      checkpoint_every: steps between two states that an interrupted training can go on from.
      log_every: steps between two points of the curves.
    """

    network: HyperpriorConfig = field(default_factory=HyperpriorConfig.low_rate)
    quality: Optional[float] = None
    start: Optional[str] = None
    distortion: Literal["mse", "ms-ssim"] = "mse"
    patch: int = 256
    batch: int = 8
    steps: int = 600_000
    learning_rate: float = 1e-4
    decay_at: float = 0.9
    decay_to: float = 0.1
    gradient_norm: float = 1.0
    checkpoint_every: int = 1000
    log_every: int = 100

    def __post_init__(self) -> None:
        if self.distortion not in LAMBDAS:
            raise HyperpriorError(f"distortion is '{self.distortion}': set it to {' or '.join(LAMBDAS)}")
        highest = len(LAMBDAS[self.distortion])
        quality = self.quality
        if quality is not None and not (1 <= quality <= highest and quality == round(quality, DIGITS)):
            raise HyperpriorError(
                f"quality is {quality}: set it to a number from 1 to {highest} with up to {DIGITS} decimal places, or "
                "to none for all"
            )
        if self.patch < 1 or self.patch % HyperpriorConfig.DOWNSAMPLING:
            raise HyperpriorError(f"patch is {self.patch}: set it to a multiple of {HyperpriorConfig.DOWNSAMPLING}")
        if self.batch < 1 or self.steps < 1:
            raise HyperpriorError(f"batch is {self.batch} and steps {self.steps}: set them to 1 or more")

    @property
    def name(self) -> str:
        return "msh" if self.quality is None else f"msh-quality{self.quality:g}"

    @property
    def qualities(self) -> tuple[float, ...]:
        """Those that have gains of their own in the network: the one, or the whole ones."""
        return QUALITIES if self.quality is None else (float(self.quality),)

    @property
    def weights(self) -> tuple[float, ...]:
        """lambda, the weight of the distortion, of each of `qualities`."""
        return tuple(weight_of(quality, self.distortion) for quality in self.qualities)

    @property
    def multiply_adds(self) -> float:
        """Of a training step, for each pixel of a patch: gradients take twice what the pass before them takes."""
        return 3 * self.network.multiply_adds

    @property
    def decay_step(self) -> int:
        """Number of steps at the full learning rate."""
        return round(self.steps * self.decay_at)
