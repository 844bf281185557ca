"""What defines the adversarial restorer: networks, loss weights and optimisation, as data (no TensorFlow here).

The figures of `.paper()` are those of appendix B; what the paper leaves open is named here and says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Optional

from dsr.models.restorers.errors import RestorerError
from dsr.models.restorers.folder import (
    DISCRIMINATORS,
    GENERATOR,
    check_described,
    digest,
    start_folder,
    weights_file,
)

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from dsr.models.restorers.gan import AdversarialRestorer


VGG_MULTIPLY_ADDS = 305_856
"""Of the 13 convolutions of VGG-16, for each pixel."""


@dataclass(frozen=True)
class GeneratorConfig:
    """Generator c(w) d(2w) .. d(w 2^n), blocks x r(w 2^n), u(w 2^(n-1)) .. u(w), o3: width w, n downsamplings.

    `upsampling`: "u: Conv 3x3 / up 2" may be a transposed convolution with stride 2, as in pix2pixHD, or a convolution
    of the map in which every value is repeated 2 x 2 times ('resize', four times the arithmetic). A transposed one
    starts with a checkerboard that it must learn to avoid: after 120 steps of `AdversarialConfig.small()` on CamVid
    (JPEG quality 8) the means of the residual over the 4 x 4 positions of its grid had a standard deviation of 2.3
    levels, half of all that the network changed, and of 0.04 with 'resize'.

    Attributes:
      width: channels at full resolution (w).
      downsamplings: how often the resolution is halved, and the channels are doubled (n).
      blocks: residual blocks at the lowest resolution.
      upsampling: transposed convolutions, or convolutions of a map in which every value is repeated.
    """

    NETWORK: ClassVar[str] = "gan"

    width: int = 64
    downsamplings: int = 3
    blocks: int = 9
    upsampling: Literal["transposed", "resize"] = "transposed"

    def __post_init__(self) -> None:
        if self.upsampling not in ("transposed", "resize"):
            raise RestorerError(f"generator.upsampling is '{self.upsampling}': set it to transposed or resize")
        for name in ("width", "downsamplings", "blocks"):
            if getattr(self, name) < 1:
                raise RestorerError(f"generator.{name} is {getattr(self, name)}: set it to 1 or more")
        if self.downsamplings > 8:
            raise RestorerError(f"generator.downsamplings is {self.downsamplings}: set it to 8 or less")

    @property
    def multiple(self) -> int:
        """Heights and widths that pass the network without padding are multiples of this number of pixels."""
        return 2**self.downsamplings

    @property
    def widest(self) -> int:
        """Values a pixel that the largest feature map holds: c's at full resolution, or what the last u resizes."""
        return self.width * (2 if self.upsampling == "resize" else 1)

    @property
    def parameters(self) -> int:
        """Trainable values: kernels, a scale and an offset for every normalised channel, and the bias of o."""
        widths = [self.width * 2**i for i in range(self.downsamplings + 1)]
        ends = 2 * 7 * 7 * 3 * self.width + 3
        resampling = 2 * 3 * 3 * sum(a * b for a, b in zip(widths, widths[1:]))
        body = 2 * self.blocks * 3 * 3 * widths[-1] ** 2
        normalized = sum(widths) + 2 * self.blocks * widths[-1] + sum(widths[:-1])
        return ends + resampling + body + 2 * normalized

    @property
    def multiply_adds(self) -> float:
        """Of its convolutions, for each pixel."""
        widths = [self.width * 2**i for i in range(self.downsamplings + 1)]
        resampling = 0.0
        for level, (fine, coarse) in enumerate(zip(widths, widths[1:])):
            down, up = level + 1, level if self.upsampling == "resize" else level + 1
            resampling += 9 * fine * coarse * (4.0**-down + 4.0**-up)
        body = 2 * self.blocks * 9 * widths[-1] ** 2 / 4.0**self.downsamplings
        return 2 * 7 * 7 * 3 * self.width + resampling + body

    def build(self) -> tf.keras.Model:
        """See `dsr.models.restorers.generator.build_generator`."""
        from dsr.models.restorers.generator import build_generator

        return build_generator(self)

    def restore_tiled(self, network: tf.keras.Model, pixels: np.ndarray, most: int) -> np.ndarray:
        """See `dsr.models.restorers.tiling.generated`."""
        from dsr.models.restorers.tiling import generated

        return generated(network, self, pixels, most)

    @classmethod
    def paper(cls) -> GeneratorConfig:
        """c64 d128 d256 d512 9 x r512 u256 u128 u64 o3: 45.6 M parameters."""
        return cls()

    @classmethod
    def base(cls) -> GeneratorConfig:
        """c32 d64 d128 9 x r128 u64 u32 o3: 2.9 M parameters, those of the restorer that comes with dsr."""
        return cls(width=32, downsamplings=2, blocks=9, upsampling="resize")

    @classmethod
    def small(cls) -> GeneratorConfig:
        """c24 d48 d96 4 x r96 u48 u24 o3: 0.78 M parameters, for two CPU cores.

        Two downsamplings, not three: the body then works on 4 x 4 pixel cells, smaller than the 8 x 8 transforms
        whose lost coefficients it replaces, and the finest details have a shorter way back.
        """
        return cls(width=24, downsamplings=2, blocks=4, upsampling="resize")

    @classmethod
    def tiny(cls) -> GeneratorConfig:
        """c12 d24 d48 2 x r48 u24 u12 o3: 0.12 M parameters, for a demonstration in minutes."""
        return cls(width=12, downsamplings=2, blocks=2, upsampling="resize")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Two discriminators C(w) C(2w) C(4w) C(8w) O1 with width w, one for each scale (1 = full resolution).

    `normalize_last`: the paper lists an instance normalisation in every C. In the last it fixes mean and variance of
    every channel just before O1 and the mean over the logits, so that little of a patch as a whole reaches the loss.
    On 128 x 128 crops of CamVid (JPEG quality 8, width 24, generator off) 400 steps bring the loss of the
    discriminator at full resolution from 1.39 (chance) to 1.17 with it and to 0.29 without it.

    Attributes:
      width: channels of the first layer (w).
      scales: one discriminator each, at 1/scale of the resolution.
      normalize_last: whether the last layer before the decision is normalised too, as in the paper.
    """

    width: int = 64
    scales: tuple[int, ...] = (1, 4)
    normalize_last: bool = True

    LAYERS: ClassVar[int] = 4  # C1..C4, whose outputs are the features of the distillation loss

    def __post_init__(self) -> None:
        if self.width < 1 or not self.scales or min(self.scales) < 1:
            raise RestorerError(
                f"discriminator.width is {self.width} and discriminator.scales {self.scales}: set them to 1 or more"
            )
        if len(set(self.scales)) < len(self.scales):  # by their scales they are told apart, in files and in curves
            raise RestorerError(f"discriminator.scales is {self.scales}: name each scale once")

    @property
    def smallest_patch(self) -> int:
        """Pixels a side.

        Below it a normalised feature map of the coarsest discriminator is a single value, which instance normalisation
        turns into a constant, and the discriminator sees nothing.
        """
        normalized = self.LAYERS if self.normalize_last else self.LAYERS - 1
        return 2 * max(self.scales) * 2**normalized

    @property
    def parameters(self) -> int:
        """Trainable values of all: kernels, a scale and an offset for every normalised channel, or else a bias."""
        widths = [self.width * 2**i for i in range(self.LAYERS)]
        kernels = 4 * 4 * sum(a * b for a, b in zip([6, *widths], widths)) + widths[-1]
        own = 2 * sum(widths[:-1]) + (2 if self.normalize_last else 1) * widths[-1] + 1
        return len(self.scales) * (kernels + own)

    @property
    def multiply_adds(self) -> float:
        """Of the convolutions of all discriminators, for each pixel at full resolution."""
        channels = [6, *(self.width * 2**i for i in range(self.LAYERS))]
        layers = sum(16 * a * b / 4.0**i for i, (a, b) in enumerate(zip(channels, channels[1:]), start=1))
        return sum((layers + channels[-1] / 4.0**self.LAYERS) / scale**2 for scale in self.scales)

    @classmethod
    def paper(cls) -> DiscriminatorConfig:
        return cls()

    @classmethod
    def base(cls) -> DiscriminatorConfig:
        """The paper's widths: 2.8 M parameters each, those that come with dsr."""
        return cls(normalize_last=False)

    @classmethod
    def small(cls) -> DiscriminatorConfig:
        return cls(width=24, normalize_last=False)

    @classmethod
    def tiny(cls) -> DiscriminatorConfig:
        return cls(width=8, normalize_last=False)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the generator's loss  L_GAN + 10 (2 L_1 + L_VGG + L_MS-SSIM + L_DIST)  (appendix B).

    Attributes:
      gan: of what the discriminators say.
      l1: of the mean absolute difference to the original.
      vgg: of the difference of VGG-16's features.
      ms_ssim: of 1 - MS-SSIM.
      dist: of the difference of the discriminators' features.
    """

    gan: float = 1.0
    l1: float = 20.0
    vgg: float = 10.0
    ms_ssim: float = 10.0
    dist: float = 10.0


@dataclass(frozen=True)
class AdversarialConfig:
    """An adversarial restorer and how it is trained.

    `vgg_precision`: bfloat16 halves the time of VGG, in which most of a small step is spent, on processors that know it
    (AVX512_BF16, AMX; GPUs) and changes the loss by about 0.1 %. On those that emulate it, it is several times slower,
    and without AVX-512 TensorFlow refuses it. The paper does not give `patch`; 256 is what it gives for RDN.

    Attributes:
      generator: what restores.
      discriminator: what tells restored from original images.
      weights: of the parts of the generator's loss.
      vgg: weights of the VGG-16 of the loss: imagenet (Keras downloads them), the path of an .npz file, or none, which
        needs weights.vgg = 0.
      vgg_precision: of VGG's convolutions.
      patch: side of the square training crops in pixels.
      batch: crops a step.
      steps: of training.
      learning_rate: of both Adams.
      decay_at: share of the steps after which the learning rate falls.
      decay_to: the share of itself that it falls to.
      beta_1: Adam's decay of the mean of gradients.
      beta_2: Adam's decay of the mean of their squares.
      start: where the networks start: shipped (those that come with dsr), the folder of a trained restorer of this kind
        and size, or none (random weights).
    """

    generator: GeneratorConfig = field(default_factory=GeneratorConfig.paper)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig.paper)
    weights: LossWeights = field(default_factory=LossWeights)
    vgg: Optional[str] = "imagenet"
    vgg_precision: Literal["float32", "bfloat16"] = "float32"
    patch: int = 256
    batch: int = 1
    steps: int = 135_000
    learning_rate: float = 2e-4
    decay_at: float = 80 / 135
    decay_to: float = 0.1
    beta_1: float = 0.1
    beta_2: float = 0.9
    start: Optional[str] = None

    def __post_init__(self) -> None:
        if self.vgg is None and self.weights.vgg:
            raise RestorerError(
                f"the VGG loss has weight {self.weights.vgg:g} but there are no VGG weights: set vgg to 'imagenet' or "
                "to an .npz file, or set weights.vgg to 0 to train without that term"
            )
        if self.vgg_precision not in ("float32", "bfloat16"):
            raise RestorerError(f"vgg_precision is '{self.vgg_precision}': set it to float32 or bfloat16")
        if self.patch % self.generator.multiple:
            raise RestorerError(
                f"patch is {self.patch}: set it to a multiple of {self.generator.multiple}, which "
                f"{self.generator.downsamplings} downsamplings divide evenly"
            )
        if self.patch < self.discriminator.smallest_patch:
            raise RestorerError(
                f"patch is {self.patch}: the discriminator at 1/{max(self.discriminator.scales)} resolution needs "
                f"{self.discriminator.smallest_patch} or more"
            )
        if self.batch < 1 or self.steps < 1:
            raise RestorerError(f"gan.batch is {self.batch} and gan.steps {self.steps}: set them to 1 or more")

    @property
    def network(self) -> GeneratorConfig:
        """Of the network that restores; the others only train it."""
        return self.generator

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """What a trained one's folder has, and how it is described there."""
        return {
            GENERATOR: {"network": self.generator.NETWORK, **asdict(self.generator)},
            DISCRIMINATORS: asdict(self.discriminator),
        }

    @property
    def weight_file(self) -> Optional[str]:
        """What the training reads beside its data and its start: VGG's weights."""
        return self.vgg

    def identity(self) -> dict[str, Any]:
        """What the outcome depends on, ready for JSON: all of this, where it starts by content.

        Raises:
          RestorerError: `start` cannot be read, or is of another size.
        """
        fields = asdict(self)
        start = fields.pop("start")
        if start is not None:
            folder = start_folder(start)
            for part, wanted in self.parts.items():
                check_described(folder, part, wanted)
            fields["start"] = {part: f"sha256:{digest(weights_file(folder, part))}" for part in self.parts}
        return fields

    def build(self, objective: None = None) -> AdversarialRestorer:
        """What trains the generator. Raises RestorerError where VGG's weights or the start cannot be had."""
        from dsr.models.restorers.gan import AdversarialRestorer

        return AdversarialRestorer(self)

    @property
    def multiply_adds(self) -> float:
        """Of a training step, for each pixel of a patch.

        Gradients take twice what the pass before them takes. Discriminators see original and restored image, and so
        does VGG, through which the gradient of one of them goes.
        """
        vgg = VGG_MULTIPLY_ADDS if self.weights.vgg else 0.0
        return 3 * self.generator.multiply_adds + 6 * self.discriminator.multiply_adds + 3 * vgg

    @property
    def decay_step(self) -> int:
        """Number of steps at the full learning rate: 80 000 of the paper's 135 000."""
        return round(self.steps * self.decay_at)

    @classmethod
    def paper(cls) -> AdversarialConfig:
        """Appendix B: 135 000 steps of one image."""
        return cls()

    @classmethod
    def base(cls) -> AdversarialConfig:
        """The restorer that comes with dsr, and its training: 12 minutes on a large GPU (docs/restorer.md)."""
        return cls(
            generator=GeneratorConfig.base(),
            discriminator=DiscriminatorConfig.base(),
            batch=12,
            steps=4162,
            learning_rate=2.5e-4,
        )

    @classmethod
    def small(cls) -> AdversarialConfig:
        """All five loss terms on two CPU cores."""
        return cls(
            generator=GeneratorConfig.small(),
            discriminator=DiscriminatorConfig.small(),
            patch=128,
            batch=2,
            steps=4000,
        )

    @classmethod
    def tiny(cls) -> AdversarialConfig:
        """From nothing but the data: no VGG, a small network, minutes on two CPU cores."""
        return cls(
            generator=GeneratorConfig.tiny(),
            discriminator=DiscriminatorConfig.tiny(),
            weights=LossWeights(vgg=0.0),
            vgg=None,
            patch=128,
            batch=2,
            steps=600,
        )
