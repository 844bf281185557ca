"""A trained hyperprior codec as one file, `codec.npz`: all that encoder and decoder must have in common.

The transforms' weights are float16; the hyper-synthesis is quantised (`dsr.models.hyperprior.integer`), and the range
coder's tables are stored as they are, because a second computation of either elsewhere could differ in the last bit,
and then nothing decodes. Plain arrays, whose types and shapes follow from the two sizes of the network: reading a file
from elsewhere runs nothing and allocates nothing beyond them. Equal weights give equal bytes. Importing this module
does not import TensorFlow.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dsr.models.arrays import UNREADABLE, read_array
from dsr.models.hyperprior.config import DIGITS, LAMBDAS, SCALES, HyperpriorConfig, HyperpriorError, weight_of
from dsr.models.hyperprior.integer import (
    LARGEST_ACTIVATION,
    LARGEST_Z,
    IntegerConvolution,
    IntegerHyperSynthesis,
    quantize,
)

if TYPE_CHECKING:
    import tensorflow as tf

    from dsr.models.hyperprior.network import HyperpriorNetwork

WEIGHTS_FILE = "codec.npz"
VERSION = 2
"""Of the file. Version 1, up to release 0.3, has no gains: it serves the one quality that its header names."""

PRECISION = 16
"""Bits of a probability in the range coder's tables, all that its ops offer."""

TAIL_MASS = 2**-8
"""Probability of the values that a table leaves to its escape code."""

MAX_TABLE = 1 << 20
"""Entries of a stored table: bounds what a file can make its reader allocate."""

LARGEST_LOG_GAIN = 20.0
"""Bound on the logarithm of a gain; those of the model that comes with dsr are below 4."""

_AT_ONCE = 8
"""Images that the calibration computes in one call."""

_FLOAT_PARTS = ("analysis", "synthesis", "hyper_analysis")
_Form = tuple[tuple[int, ...], str]
"""Shape, of which a negative number is the largest, and type of an array."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Cumulative distributions of some symbols, as tensorflow-compression's range coder takes them.

    Attributes:
      cdf: int32 (sum of lengths,): of each distribution minus the precision, then 0 up to 2^precision; the last step is
        the escape.
      offset: int32 (distributions,): the smallest symbol of each.
    """

    cdf: np.ndarray
    offset: np.ndarray

    def check(self, distributions: int) -> None:
        """Raises ValueError unless they are `distributions` well-formed ones."""
        starts = np.flatnonzero(self.cdf == -PRECISION)
        if len(starts) != distributions or len(self.offset) != distributions or starts[0] != 0:
            raise ValueError(f"tables of {len(starts)} distributions, not {distributions}")
        for table in np.split(self.cdf, starts[1:]):
            if (
                len(table) < 4
                or table[1] != 0
                or table[-1] != 1 << PRECISION
                or not (np.diff(table[1:].astype(np.int64)) > 0).all()
            ):
                raise ValueError("a table that is no cumulative distribution")


@dataclass(frozen=True, eq=False)
class SavedHyperprior:
    """A codec's file in memory.

    Attributes:
      config: size of the network.
      qualities: those that have gains of their own, ascending in steps of one; it serves all from the first to the
      last.
      arrays: every array of the file but the header, by name; see `_forms`.
    """

    config: HyperpriorConfig
    qualities: tuple[float, ...]
    arrays: dict[str, np.ndarray]

    @functools.cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of configuration and arrays: 32 bytes that encoder and decoder must share."""
        digest = hashlib.sha256(self.header.tobytes())
        for name, array in self.arrays.items():
            digest.update(f"{name} {array.shape} ".encode() + array.tobytes())
        return digest.digest()

    @property
    def header(self) -> np.ndarray:
        """What the file says first: version, filters, latents, the first quality, and how many there are."""
        sizes, first = [self.config.filters, self.config.latents], self.qualities[0]
        if not self.has_gains:
            return np.array([1, *sizes, first], "<i4")
        return np.array([VERSION, *sizes, round(first * 10**DIGITS), len(self.qualities)], "<i4")

    @property
    def has_gains(self) -> bool:
        """Not so in files of version 1."""
        return "gain.log" in self.arrays

    def serves(self, quality: float) -> bool:
        return self.qualities[0] <= quality <= self.qualities[-1]

    def log_gains(self, quality: float) -> tuple[np.ndarray, np.ndarray]:
        """Logarithms of what y's channels are multiplied by before and after rounding, float64 (M,).

        At a quality between those that have their own, they are interpolated.
        """
        if not self.has_gains:
            return np.zeros(self.config.latents), np.zeros(self.config.latents)
        shares = np.clip(1 - np.abs(quality - np.array(self.qualities)), 0, None)
        return shares @ self.arrays["gain.log"], shares @ self.arrays["gain.log_inverse"]

    def identity(self, quality: float) -> bytes:
        """What a bitstream names the model and its quality by, 8 bytes.

        The start of the fingerprint, and the quality in thousandths; in version 1 the fingerprint alone.
        """
        if not self.has_gains:
            return self.fingerprint[:8]
        return self.fingerprint[:6] + struct.pack("<H", round(quality * 10**DIGITS))

    def quality_of(self, identity: bytes) -> float | None:
        """The quality at which the model has this identity; None if it has at none that it serves."""
        quality = struct.unpack("<H", identity[6:])[0] / 10**DIGITS if self.has_gains else self.qualities[0]
        return quality if self.serves(quality) and identity == self.identity(quality) else None

    @functools.cached_property
    def hyper_synthesis(self) -> IntegerHyperSynthesis:
        """The exact path from z to the entropy parameters."""
        return IntegerHyperSynthesis([self._convolution(layer) for layer in range(3)])

    @property
    def z_tables(self) -> Tables:
        """Distributions of the N channels of z."""
        return Tables(self.arrays["z.cdf"], self.arrays["z.offset"])

    @property
    def y_tables(self) -> Tables:
        """Distributions of y - mean for the `SCALES` scale indexes."""
        return Tables(self.arrays["y.cdf"], self.arrays["y.offset"])

    def floats(self, part: str) -> list[np.ndarray]:
        """The float32 weights of `analysis`, `synthesis`, `hyper_analysis` or `prior` in the order of the network."""
        return [array.astype(np.float32) for name, array in self.arrays.items() if name.startswith(f"{part}.")]

    def _convolution(self, layer: int) -> IntegerConvolution:
        names = ("kernel", "bias", "shift", "step")
        return IntegerConvolution(
            **{name: self.arrays[f"hyper_synthesis.{layer}.{name}"] for name in names},
            upsampling=layer < 2,
            largest_input=LARGEST_ACTIVATION if layer else LARGEST_Z,
        )


def weights_path(path: str | Path) -> Path:
    """The file itself where `path` is a training's folder."""
    return Path(path) / WEIGHTS_FILE if os.path.isdir(path) else Path(path)


def read_hyperprior(path: str | Path) -> SavedHyperprior:
    """Read a codec's file, or that of a folder. Raises HyperpriorError for a missing or damaged one."""
    path = weights_path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            config, qualities, has_gains = _parsed(read_array(archive, "header", (-5,), ["<i4"]))
            forms = _forms(config, len(qualities) if has_gains else 0)
            arrays = {name: read_array(archive, name, shape, [dtype]) for name, (shape, dtype) in forms.items()}
        saved = SavedHyperprior(config, qualities, arrays)
        if any(np.abs(arrays[name]).max() > LARGEST_LOG_GAIN for name in arrays if name.startswith("gain.")):
            raise ValueError("a gain that is no number to compute with")
        saved.z_tables.check(config.filters)
        saved.y_tables.check(SCALES)
        saved.hyper_synthesis  # noqa: B018 (proves the bound of its sums)
    except (*UNREADABLE, HyperpriorError) as error:
        raise HyperpriorError(
            f"{path}: not a trained codec's file ({error}): give another, or train it again"
        ) from error
    return saved


def save_hyperprior(
    network: HyperpriorNetwork, folder: Path, images: np.ndarray | tf.Tensor, name: str = WEIGHTS_FILE
) -> Path:
    """Write `codec.npz`, or a file called `name`, into an existing folder.

    Args:
      network: a trained one.
      images: of the kind it is for, uint8 (B, H, W, 3), height and width multiples of 64: the quantisation is fitted to
        them.

    Returns:
      The file.

    Raises:
      HyperpriorError: the weights are not finite numbers, as after a training that diverged.
    """
    saved = pack(network, images)
    path = folder / name
    np.savez(path, header=saved.header, **saved.arrays)
    return path


def pack(network: HyperpriorNetwork, images: np.ndarray | tf.Tensor) -> SavedHyperprior:
    """What `save_hyperprior` writes."""
    if not all(np.isfinite(variable).all() for variable in network.weights):
        raise HyperpriorError("the codec's weights are not finite: its training diverged; take a lower learning rate")
    arrays = {name: variable.numpy() for name, variable in float_weights(network).items()}
    weights = [variable.numpy() for variable in network.hyper_synthesis.weights]
    integers = quantize(weights, _calibration(network, images))
    for layer, convolution in enumerate(integers.convolutions):
        for name in ("kernel", "bias", "shift", "step"):
            arrays[f"hyper_synthesis.{layer}.{name}"] = getattr(convolution, name)
    arrays["digest"] = np.frombuffer(integers.digest(), np.uint8)
    for name, tables in (("z", _z_tables(network)), ("y", _y_tables())):
        arrays[f"{name}.cdf"], arrays[f"{name}.offset"] = tables.cdf, tables.offset
    forms = _forms(network.config, len(network.qualities))
    arrays = {name: arrays[name].astype(dtype) for name, (_, dtype) in forms.items()}
    return SavedHyperprior(network.config, network.qualities, arrays)


def float_weights(network: HyperpriorNetwork) -> dict[str, tf.Variable]:
    """All variables but those of the hyper-synthesis, by the names that they have in the file."""
    variables = [
        variable for part in (*_FLOAT_PARTS, "prior") for variable in getattr(network, part).trainable_variables
    ]
    forms = _float_forms(network.config, len(network.qualities))
    return dict(zip(forms, [*variables, network.log_gain, network.log_inverse_gain]))


def load_hyperprior(path: str | Path, network: HyperpriorNetwork) -> None:
    """Put the weights of a codec's file into a network of its size, to go on training.

    The network's qualities need not be those of the file. Beyond them its nearest gains serve, times the root of the
    ratio of lambdas: at high rate the best step is proportional to lambda^-0.5.

    Raises HyperpriorError for a missing or damaged file, or one of another size.
    """
    saved = read_hyperprior(path)
    if saved.config != network.config:
        raise HyperpriorError(
            f"{path} has {saved.config.filters} filters and {saved.config.latents} latents, not "
            f"{network.config.filters} and {network.config.latents}: set network to the same, or start from another, "
            "or from none"
        )
    for name, variable in float_weights(network).items():
        if not name.startswith("gain."):
            variable.assign(saved.arrays[name].astype(np.float32))
    log_gains = np.stack([_log_gains_beyond(saved, quality) for quality in network.qualities], axis=1)
    for variable, rows in zip((network.log_gain, network.log_inverse_gain), log_gains):
        variable.assign(rows.astype(np.float32))
    for variable, array in zip(network.hyper_synthesis.weights, saved.hyper_synthesis.dequantized()):
        variable.assign(array)


def _log_gains_beyond(saved: SavedHyperprior, quality: float) -> np.ndarray:
    """(2, M): `log_gains`, of any quality."""
    nearest = min(max(quality, saved.qualities[0]), saved.qualities[-1])
    moved = 0.5 * math.log(weight_of(quality) / weight_of(nearest))
    log_gain, log_inverse_gain = saved.log_gains(nearest)
    return np.stack([log_gain + moved, log_inverse_gain - moved])


def _calibration(network: HyperpriorNetwork, images: np.ndarray | tf.Tensor) -> np.ndarray:
    """z of the images at each of the network's qualities, a few images at once."""
    import tensorflow as tf

    found = []
    for start in range(0, len(images), _AT_ONCE):
        pixels = tf.cast(images[start : start + _AT_ONCE], tf.float32) / 255
        for quality in network.qualities:
            found.append(tf.round(network.hyper_analysis(network.latents(pixels, quality))).numpy())
    return np.concatenate(found)


def _parsed(header: np.ndarray) -> tuple[HyperpriorConfig, tuple[float, ...], bool]:
    """Size, qualities, and whether there are gains."""
    version, *rest = header.tolist()
    if (version, len(rest)) not in ((1, 3), (VERSION, 4)):
        raise ValueError(f"version {version}, not {VERSION}")
    filters, latents, first, count = rest if version == VERSION else (*rest[:2], rest[2] * 10**DIGITS, 1)
    first /= 10**DIGITS
    if count < 1 or not 1 <= first <= first + count - 1 <= len(LAMBDAS["mse"]):
        raise ValueError(f"{filters} filters, {latents} latents, {count} qualities from {first:g}")
    return HyperpriorConfig(filters, latents), tuple(first + row for row in range(count)), version == VERSION


def _forms(config: HyperpriorConfig, gains: int) -> dict[str, _Form]:
    """Every array of the file but the header; `gains` is for how many qualities, 0 in version 1."""
    n, m = config.filters, config.latents
    forms = _float_forms(config, gains)
    for layer, (side, before, after) in enumerate([(5, n, m), (5, m, 3 * m // 2), (3, 3 * m // 2, 2 * m)]):
        forms[f"hyper_synthesis.{layer}.kernel"] = (side, side, before, after), "|i1"
        forms[f"hyper_synthesis.{layer}.bias"] = (after,), "<i4"
        forms[f"hyper_synthesis.{layer}.shift"] = (after,), "|i1"
        forms[f"hyper_synthesis.{layer}.step"] = (after,), "<f4"
    forms["digest"] = (32,), "|u1"
    for name, distributions in (("z", n), ("y", SCALES)):
        forms[f"{name}.cdf"] = (-MAX_TABLE,), "<i4"
        forms[f"{name}.offset"] = (distributions,), "<i4"
    return forms


def _float_forms(config: HyperpriorConfig, gains: int) -> dict[str, _Form]:
    """Those of the transforms that stay floating point, of the prior and of the gains.

    They are in the order of their variables.
    """
    n, m = config.filters, config.latents
    convolutions = {
        "analysis": [(5, 3, n), (5, n, n), (5, n, n), (5, n, m)],
        "synthesis": [(5, m, n), (5, n, n), (5, n, n), (5, n, 3)],
        "hyper_analysis": [(3, m, n), (5, n, n), (5, n, n)],
    }
    forms: dict[str, _Form] = {}
    for part in _FLOAT_PARTS:
        for layer, (side, before, after) in enumerate(convolutions[part]):
            forms[f"{part}.{layer}.kernel"] = (side, side, before, after), "<f2"
            forms[f"{part}.{layer}.bias"] = (after,), "<f2"
            if part != "hyper_analysis" and layer < 3:
                forms[f"{part}.{layer}.beta"] = (after,), "<f2"
                forms[f"{part}.{layer}.gamma"] = (after, after), "<f2"
    for name, shape in {
        "bias_0": (n, 3, 1), "bias_1": (n, 3, 1), "bias_2": (n, 1, 1), "factor_0": (n, 3, 1), "factor_1": (n, 3, 1),
        "matrix_0": (n, 3, 1), "matrix_1": (n, 3, 3), "matrix_2": (n, 1, 3),
    }.items():  # fmt: skip
        forms[f"prior.{name}"] = shape, "<f4"
    if gains:
        forms |= {"gain.log": ((gains, m), "<f4"), "gain.log_inverse": ((gains, m), "<f4")}
    return forms


def _z_tables(network: HyperpriorNetwork) -> Tables:
    import tensorflow as tf
    import tensorflow_compression as tfc

    @tf.function  # the search for the tails takes 10 s when run eagerly, and 1 s in a graph
    def built() -> tuple[tf.Tensor, tf.Tensor]:
        model = tfc.ContinuousBatchedEntropyModel(
            network.prior, coding_rank=3, compression=True, stateless=True, tail_mass=TAIL_MASS,
            range_coder_precision=PRECISION, offset_heuristic=False,
        )  # fmt: skip
        return model.cdf, model.cdf_offset

    cdf, offset = built()
    return Tables(cdf.numpy(), offset.numpy())


def _y_tables() -> Tables:
    import tensorflow_compression as tfc

    from dsr.models.hyperprior.network import scale_of

    model = tfc.LocationScaleIndexedEntropyModel(
        tfc.NoisyNormal, SCALES, scale_of, coding_rank=3, compression=True, tail_mass=TAIL_MASS,
        range_coder_precision=PRECISION,
    )  # fmt: skip
    return Tables(model.cdf.numpy(), model.cdf_offset.numpy())
