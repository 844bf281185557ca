"""What defines the residual dense restorer: network, objective and optimisation, as data (no TensorFlow here).

The figures of `.paper()` are those of appendix C; what it leaves open is that of Zhang et al. and says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Optional

from dsr.models.restorers.errors import RestorerError

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from dsr.models.restorers.rdn import DenseRestorer

Objective = Literal["mse", "ms-ssim"]


@dataclass(frozen=True)
class RdnConfig:
    """Residual dense network: `blocks` dense blocks of `layers` 3x3 convolutions that add `growth` channels each.

    The paper does not give `features`; Zhang et al. take 64 throughout.

    Attributes:
      blocks: dense blocks (D).
      layers: 3x3 convolutions of a block (C).
      growth: channels that each of them adds (G).
      features: channels between the blocks (G0).
    """

    NETWORK: ClassVar[str] = "rdn"

    blocks: int = 16
    layers: int = 6
    growth: int = 32
    features: int = 64

    def __post_init__(self) -> None:
        for name in ("blocks", "layers", "growth", "features"):
            if getattr(self, name) < 1:
                raise RestorerError(f"rdn.network.{name} is {getattr(self, name)}: set it to 1 or more")

    @property
    def multiple(self) -> int:
        """The network never changes the resolution: it takes any height and width as they are."""
        return 1

    @property
    def margin(self) -> int:
        """How many pixels away an output value can depend on its input: one for each 3x3 convolution in a row."""
        return 2 + self.blocks * self.layers + 2

    @property
    def widest(self) -> int:
        """Values a pixel that the largest feature map holds: the end of a dense block."""
        return self.features + self.layers * self.growth

    @property
    def parameters(self) -> int:
        """Trainable values: kernels and biases of all convolutions."""
        g0, g = self.features, self.growth
        shallow = (9 * 3 + 1) * g0 + (9 * g0 + 1) * g0
        dense = self.layers * (9 * g0 + 1) * g + 9 * g * g * self.layers * (self.layers - 1) // 2
        block = dense + (self.widest + 1) * g0
        fusion = (self.blocks * g0 + 1) * g0 + (9 * g0 + 1) * g0
        return shallow + self.blocks * block + fusion + (9 * g0 + 1) * 3

    @property
    def multiply_adds(self) -> float:
        """Of its convolutions, for each pixel: each kernel is used once at every one."""
        biases = (2 + self.blocks + 2) * self.features + self.blocks * self.layers * self.growth + 3
        return float(self.parameters - biases)

    def build(self) -> tf.keras.Model:
        """See `dsr.models.restorers.rdn.build_rdn`."""
        from dsr.models.restorers.rdn import build_rdn

        return build_rdn(self)

    def restore_tiled(self, network: tf.keras.Model, pixels: np.ndarray, most: int) -> np.ndarray:
        """See `dsr.models.restorers.tiling.convolved`."""
        from dsr.models.restorers.tiling import convolved

        return convolved(network, self, pixels, most)

    @classmethod
    def paper(cls) -> RdnConfig:
        """16 blocks of 6 layers, growth 32: 4.39 M parameters, all at full resolution."""
        return cls()

    @classmethod
    def small(cls) -> RdnConfig:
        """4 blocks of 4 layers, growth 16, 24 features: 0.13 M parameters, for two CPU cores."""
        return cls(blocks=4, layers=4, growth=16, features=24)

    @classmethod
    def tiny(cls) -> RdnConfig:
        """2 blocks of 3 layers, growth 8, 16 features: 0.02 M parameters, for a demonstration in minutes."""
        return cls(blocks=2, layers=3, growth=8, features=16)


@dataclass(frozen=True)
class DenseConfig:
    """A residual dense restorer and how it is trained; the objective comes with the restorer's name.

    Attributes:
      network: what restores.
      patch: side of the square training crops in pixels.
      batch: crops a step.
      steps: of training.
      learning_rate: of Adam, at the first step.
      decay_at: shares of the steps after each of which the learning rate falls; empty if it never does.
      decay_to: the share of itself that it falls to.
      beta_1: Adam's decay of the mean of gradients; neither paper gives it, this is its authors'.
      beta_2: Adam's decay of the mean of their squares; the same.
    """

    network: RdnConfig = field(default_factory=RdnConfig.paper)
    patch: int = 256
    batch: int = 1
    steps: int = 200_000
    learning_rate: float = 1e-3
    decay_at: tuple[float, ...] = (80 / 200, 150 / 200)
    decay_to: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999

    def __post_init__(self) -> None:
        if self.patch < 11:
            raise RestorerError(f"rdn.patch is {self.patch}: set it to 11 or more, the window of MS-SSIM")
        if self.batch < 1 or self.steps < 1:
            raise RestorerError(f"rdn.batch is {self.batch} and rdn.steps {self.steps}: set them to 1 or more")
        if list(self.decay_at) != sorted(self.decay_at) or not all(0 < share < 1 for share in self.decay_at):
            raise RestorerError(
                f"rdn.decay_at is {self.decay_at}: set it to rising shares of the steps, between 0 and 1"
            )

    @property
    def multiply_adds(self) -> float:
        """Of a training step, for each pixel of a patch: gradients take twice what the pass before them takes."""
        return 3 * self.network.multiply_adds

    @property
    def weight_file(self) -> Optional[str]:
        """It reads nothing beside its data."""
        return None

    def identity(self) -> dict[str, Any]:
        """What the outcome depends on, ready for JSON."""
        return asdict(self)

    def build(self, objective: Objective) -> DenseRestorer:
        """What trains the network for the objective."""
        from dsr.models.restorers.rdn import DenseRestorer

        return DenseRestorer(self, objective)

    @property
    def decay_steps(self) -> list[int]:
        """After how many steps the learning rate falls: 80 000 and 150 000 of the paper's 200 000."""
        return [round(self.steps * share) for share in self.decay_at]

    @classmethod
    def paper(cls) -> DenseConfig:
        """Appendix C: 200 000 steps of one patch of 256 x 256."""
        return cls()

    @classmethod
    def small(cls) -> DenseConfig:
        """For two CPU cores."""
        return cls(network=RdnConfig.small(), patch=128, batch=1, steps=4000)

    @classmethod
    def tiny(cls) -> DenseConfig:
        """A demonstration in minutes on two CPU cores."""
        return cls(network=RdnConfig.tiny(), patch=96, batch=1, steps=600)
