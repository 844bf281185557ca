"""The restorers that there are: each is a file of its own and a line here.

The file defines two frozen dataclasses, a `NetworkConfig` and a `TrainingConfig`, and what they build. Importing this
module does not import TensorFlow, so those files must not either before something is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Optional, Protocol

from dsr.models.restorers.folder import SHIPPED, SHIPPED_FOLDER
from dsr.models.restorers.gan_config import AdversarialConfig, GeneratorConfig
from dsr.models.restorers.rdn_config import DenseConfig, RdnConfig

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


class NetworkConfig(Protocol):
    """What defines a network that restores: a frozen dataclass of numbers and text, so that it can stand in JSON."""

    NETWORK: ClassVar[str]
    """The network's name in saved folders."""
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def widest(self) -> int:
        """Values a pixel that the largest feature map holds."""

    @property
    def parameters(self) -> int:
        """How many values all of its variables hold."""

    @property
    def multiply_adds(self) -> float:
        """Of its convolutions, for each pixel."""

    def build(self) -> tf.keras.Model:
        """The untrained network compressed -> restored, both float32 (B, H, W, 3) in about [-1, 1], of any size."""

    def restore_tiled(self, network: tf.keras.Model, pixels: np.ndarray, most: int) -> np.ndarray:
        """What the network makes of uint8 (H, W, 3), about `most` pixels of it at a time: float32 (H, W, 3)."""


class TrainingConfig(Protocol):
    """What defines a network and its training: a frozen dataclass."""

    patch: int
    batch: int
    steps: int

    @property
    def network(self) -> NetworkConfig:
        """Of the network that restores; others may train it."""

    @property
    def weight_file(self) -> Optional[str]:
        """The path of weights that the training reads, 'imagenet' or None."""

    @property
    def multiply_adds(self) -> float:
        """Of a training step, for each pixel of a patch."""

    def identity(self) -> dict[str, Any]:
        """All that the outcome depends on beside its data, ready for JSON."""

    def build(self, objective: Any) -> Trainer:
        """What trains the network; its weights follow from TensorFlow's global seed."""


class Trainer(Protocol):
    """A Keras model that `fit` trains on batches {'compressed', 'original'} of pairs, uint8 (B, H, W, 3)."""

    @property
    def network(self) -> tf.keras.Model:
        """What restores."""

    def build_optimizers(self) -> None:
        """Make the optimizers' variables, so that a checkpoint can be restored into them."""

    def learning_rates(self) -> dict[str, float]:
        """Of the last step, by name."""

    def save_networks(self, folder: Path) -> None:
        """Write what restores, and what else it takes to go on training, into an existing folder."""


@dataclass(frozen=True)
class Restorer:
    """A restorer by its name.

    Attributes:
      name: as users write it and artefacts bear it.
      label: what it is, for people.
      network: the configuration's type of its network.
      settings: the group of a study's restorer settings that its training has; None if it needs none.
      objective: what it is trained for, where that is not one of the settings.
      seconds_per_megapixel: of training patches on two cores, a guess for plans until something is measured.
      multiply_adds: a pixel, of the training of which that is the cost; larger ones take longer.
      folder: of a network that is trained already; None for those that are trained on the images set apart.
    """

    name: str
    label: str
    network: type[NetworkConfig]
    settings: Optional[str] = None
    objective: Optional[str] = None
    seconds_per_megapixel: float = 0.0
    multiply_adds: float = 1e6
    folder: Optional[Path] = None

    def identity(self, training: TrainingConfig) -> dict[str, Any]:
        """What a trained one depends on beside data, seed and the content of the weight file, ready for JSON.

        Raises:
          RestorerError: the training's start cannot be read, or is of another size.
        """
        objective = {} if self.objective is None else {"objective": self.objective}
        return {"network": training.identity(), **objective}


DENSE = DenseConfig.small().multiply_adds

RESTORERS: dict[str, Restorer] = {
    restorer.name: restorer
    for restorer in (
        Restorer("gan", "adversarial", GeneratorConfig, "gan", None, 8.0, AdversarialConfig.small().multiply_adds),
        Restorer("rdn-psnr", "residual dense network for PSNR", RdnConfig, "rdn", "mse", 6.0, DENSE),
        Restorer("rdn-msssim", "residual dense network for MS-SSIM", RdnConfig, "rdn", "ms-ssim", 6.0, DENSE),
        Restorer(SHIPPED, "adversarial, comes trained with dsr", GeneratorConfig, folder=SHIPPED_FOLDER),
    )
}
"""Adversarial (paper, appendix B), one residual dense network with two objectives (appendix C), and an adversarial one
that was trained on photographs and is blind to codec and rate (docs/restorer.md)."""

NETWORKS: dict[str, type[NetworkConfig]] = {r.network.NETWORK: r.network for r in RESTORERS.values()}
"""Their networks, by the name in saved folders."""

if TYPE_CHECKING:
    RestorerName = str
else:
    RestorerName = Literal[tuple(RESTORERS)]
    """A name of `RESTORERS`, as the type of a setting."""
