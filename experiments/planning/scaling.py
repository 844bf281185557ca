"""More images compressed harder, or fewer compressed less: how the error goes with both, from some ten trainings.

Three families, all of them a floor plus a term of the number of images n plus a term of the bytes of an image L:

    power      E + A n^-a + B L^-b
    arctan     E + A (1 - 2/pi arctan(n / n')) + B (1 - 2/pi arctan(L / L'))
    logarithm  E - A log n - B log L

The first is the storage scaling law of Mentzer and Montanari (KDD 2024, arXiv 2407.17954); the other two are among
those that Mahmood et al. (CVPR 2022) extrapolate accuracy with. The error is 1 - mIoU. All constants are bounded so
that more images or bytes never raise it. The family is the one that tells a training best which it was not fitted to
(leave one out). A bootstrap of residuals says how far constants, errors and optima move; where another family tells
trainings about as well, an interval goes as far as its own does too. Nothing here knows what an image is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.known import Score

Array = NDArray[np.float64]

DRAWS = 100
QUANTILES = (0.025, 0.975)
LEAST_NOISE = 0.002
"""Of mIoU: residuals smaller than this are no outliers, however well all else fits."""

AS_WELL = 1.5
"""A family is a rival if its error on trainings left out is at most so many times the best one's."""

GRID = 400
"""Sizes of an image that are tried for the optimum, by equal factors."""


@dataclass(frozen=True)
class Observation:
    """A training: on how many images, of how many bytes each, and its error, 1 - mIoU."""

    images: float
    bytes: float
    error: float


@dataclass(frozen=True)
class Family:
    """A form of the law.

    Attributes:
      name: Of it.
      term: That of images or bytes, at ratios to a middle (points,), for its constants; and its slopes in those,
        (points, constants).
      low, high: Bounds of those.
      starts: From which they are fitted.
    """

    name: str
    term: Callable[[Array, Array], tuple[Array, Array]]
    low: tuple[float, ...]
    high: tuple[float, ...]
    starts: tuple[tuple[float, ...], ...]

    @property
    def constants(self) -> int:
        """Of the law: the floor, and those of both terms."""
        return 1 + 2 * len(self.low)


def _power(ratios: Array, constants: Array) -> tuple[Array, Array]:
    shape = ratios ** -constants[1]
    return constants[0] * shape, np.stack([shape, -constants[0] * shape * np.log(ratios)], axis=-1)


def _arctan(ratios: Array, constants: Array) -> tuple[Array, Array]:
    shape = 1 - 2 / np.pi * np.arctan(ratios / constants[1])
    slope = 2 / np.pi * constants[0] * ratios / (constants[1] ** 2 + ratios**2)
    return constants[0] * shape, np.stack([shape, slope], axis=-1)


def _logarithm(ratios: Array, constants: Array) -> tuple[Array, Array]:
    shape = -np.log(ratios)
    return constants[0] * shape, shape[..., None]


FAMILIES = (
    Family("power", _power, (0.0, 0.05), (1.0, 2.0), ((0.1, 0.3), (0.1, 1.0))),
    Family("arctan", _arctan, (0.0, 0.02), (2.0, 50.0), ((0.1, 0.3), (0.1, 3.0))),
    Family("logarithm", _logarithm, (0.0,), (1.0,), ((0.05,),)),
)
"""Exponents from 0.05 to 2: nothing measured so far lies beyond, and few points do not hold them back."""


@dataclass(frozen=True)
class Law:
    """A fitted family.

    Attributes:
      family: Which.
      observations: What it was fitted to.
      noise: Beyond which a residual counts less.
      seed: Of the bootstrap.
      constants: Floor, those of the images' term, those of the bytes' term.
      left_out: Mean absolute error of mIoU on each training by the law of all others.
      rivals: Other families that tell trainings about as well.
    """

    family: Family
    observations: tuple[Observation, ...]
    noise: float
    seed: int
    constants: Array
    left_out: float
    rivals: tuple[Law, ...] = ()

    @property
    def images(self) -> tuple[int, int]:
        """What it was fitted to, fewest and most."""
        counts = [one.images for one in self.observations]
        return int(min(counts)), int(max(counts))

    @property
    def bytes(self) -> tuple[float, float]:
        """The same of the bytes of an image."""
        sizes = [one.bytes for one in self.observations]
        return min(sizes), max(sizes)

    @cached_property
    def middle(self) -> tuple[float, float]:
        """Images and bytes whose ratios the terms see."""
        return _middle(self.observations)

    @cached_property
    def draws(self) -> Array:
        """The constants in each bootstrap draw, (DRAWS, constants)."""
        ratios, errors = _ratios(self.observations, self.middle)
        fitted, _ = _model(self.family, ratios, self.constants)
        # Residuals of a fit are smaller than errors by what its constants took up.
        freedom = max(len(errors) - self.family.constants, 1)
        residuals = (errors - fitted) * np.sqrt(len(errors) / freedom)
        random = np.random.default_rng(self.seed)
        drawn = (fitted + random.choice(residuals, len(errors)) for _ in range(DRAWS))
        return np.array([_fit(self.family, ratios, one, self.noise, [self.constants]) for one in drawn])

    def error(self, images: Array | float, of_bytes: Array | float, constants: Optional[Array] = None) -> Array:
        """1 - mIoU at numbers of images and bytes that broadcast together."""
        theta = self.constants if constants is None else constants
        return theta[0] + self._term(0, images, theta) + self._term(1, of_bytes, theta)

    def score(self, images: float, of_bytes: float) -> Score:
        """mIoU with its interval, from 0 to 1 wherever the law would leave them."""
        return self._with_rivals(lambda law, theta: min(max(1 - float(law.error(images, of_bytes, theta)), 0.0), 1.0))

    def change(self, before: int, after: int) -> Score:
        """What training on `after` images instead of `before` adds to mIoU, whatever their bytes."""
        return self._with_rivals(lambda law, theta: float(law._term(0, before, theta) - law._term(0, after, theta)))

    def _with_rivals(self, told: Callable[[Law, Array], float]) -> Score:
        """What is told of the constants, and from where to where it goes in the bootstraps of all families."""
        value = told(self, self.constants)
        ends = [
            float(end)
            for law in (self, *self.rivals)
            for end in np.quantile([told(law, theta) for theta in law.draws], QUANTILES)
        ]
        return Score(value, (min(*ends, value), max(*ends, value)))

    def _term(self, which: int, amount: Array | float, theta: Array) -> Array:
        each = len(self.family.low)
        own = theta[1 + which * each : 1 + (which + 1) * each]
        return self.family.term(np.asarray(amount, np.float64) / self.middle[which], own)[0]


@dataclass(frozen=True)
class Optimum:
    """What to keep of a budget.

    Attributes:
      images, bytes: How many, of how many bytes each.
      score: mIoU to expect.
      images_interval: Where the optimum is in 95 % of the bootstrap draws.
      beyond: What of it the law was not fitted to: `images`.
      at_end: Whether the best bytes are the fewest or the most that were trained on; None if they lie between.
    """

    images: int
    bytes: float
    score: Score
    images_interval: tuple[int, int]
    beyond: bool
    at_end: Optional[str]


def fit_laws(observations: Sequence[Observation], noise: Optional[float] = None, seed: int = 0) -> list[Law]:
    """All families, the one that tells left-out trainings best first.

    Args:
      observations: Six or more, of three different numbers of images and three different bytes.
      noise: Standard deviation of an error, where seeds tell it; residuals much larger count less.
      seed: Of the bootstrap.

    Raises:
      PlanningError: there are too few to fit.
    """
    images, sizes = ({getattr(one, name) for one in observations} for name in ("images", "bytes"))
    if len(observations) < 6 or len(images) < 3 or len(sizes) < 3:
        raise PlanningError(
            f"{len(observations)} trainings with {len(images)} numbers of images at {len(sizes)} rates fit no scaling "
            "law: it takes six, of three numbers of images and three rates"
        )
    laws = [_fit_law(family, tuple(observations), max(noise or 0.0, LEAST_NOISE), seed) for family in FAMILIES]
    laws.sort(key=lambda law: (round(law.left_out, 6), law.family.constants))
    rivals = tuple(law for law in laws[1:] if law.left_out <= AS_WELL * laws[0].left_out)
    return [replace(laws[0], rivals=rivals), *laws[1:]]


def optimum(law: Law, budget: float, most_images: Optional[int] = None) -> Optimum:
    """The numbers of images and bytes that a law says give the lowest error in `budget` bytes.

    Bytes of an image are those that the law was fitted to, from fewest to most: beyond, it says nothing about pictures.

    Raises:
      PlanningError: not one image fits.
    """
    sizes = np.geomspace(law.bytes[0], law.bytes[1], GRID)
    counts = np.floor(np.minimum(budget / sizes, np.inf if most_images is None else most_images))
    sizes, counts = sizes[counts >= 1], counts[counts >= 1]
    if not len(sizes):
        raise PlanningError(f"not one image of {law.bytes[0]:.0f} bytes fits into {budget:.0f}")

    def best(theta: Array) -> int:
        return int(np.argmin(law.error(counts, sizes, theta)))

    place = best(law.constants)
    drawn = np.quantile([counts[best(theta)] for theta in law.draws], QUANTILES)
    ends = {0: "fewest", GRID - 1: "most"}
    whole = len(sizes) == GRID
    return Optimum(
        int(counts[place]),
        float(sizes[place]),
        law.score(counts[place], sizes[place]),
        (int(drawn[0]), int(drawn[1])),
        not law.images[0] <= counts[place] <= law.images[1],
        ends.get(place) if whole else None,
    )


def _fit_law(family: Family, observations: tuple[Observation, ...], noise: float, seed: int) -> Law:
    ratios, errors = _ratios(observations, _middle(observations))
    starts = [np.array([errors.min(), *one, *one]) for one in family.starts]
    constants = _fit(family, ratios, errors, noise, starts)
    left_out = []
    for out in range(len(errors)):
        others = np.arange(len(errors)) != out
        theta = _fit(family, ratios[:, others], errors[others], noise, [constants, *starts])
        left_out.append(abs(float(_model(family, ratios, theta)[0][out]) - errors[out]))
    return Law(family, observations, noise, seed, constants, float(np.mean(left_out)))


def _middle(observations: Sequence[Observation]) -> tuple[float, float]:
    images = np.exp(np.mean([np.log(one.images) for one in observations]))
    return float(images), float(np.exp(np.mean([np.log(one.bytes) for one in observations])))


def _ratios(observations: Sequence[Observation], middle: tuple[float, float]) -> tuple[Array, Array]:
    """Of images and of bytes to their middle (2, trainings), and errors (trainings,)."""
    ratios = np.array([[one.images / middle[0], one.bytes / middle[1]] for one in observations]).T
    return ratios, np.array([one.error for one in observations])


def _model(family: Family, ratios: Array, theta: Array) -> tuple[Array, Array]:
    """Errors (trainings,) and their slopes in the constants, (trainings, constants)."""
    each = len(family.low)
    of_images, of_bytes = (family.term(ratios[i], theta[1 + i * each : 1 + (i + 1) * each]) for i in (0, 1))
    floor = np.ones((ratios.shape[1], 1))
    return theta[0] + of_images[0] + of_bytes[0], np.hstack([floor, of_images[1], of_bytes[1]])


def _fit(family: Family, ratios: Array, errors: Array, noise: float, starts: Sequence[Array]) -> Array:
    from scipy.optimize import least_squares  # half a second, for which no --help should wait

    low = np.array([0.0, *family.low, *family.low])
    high = np.array([1.0, *family.high, *family.high])
    inside = 1e-9
    fits = [
        least_squares(
            lambda theta: _model(family, ratios, theta)[0] - errors,
            np.clip(start, low + inside, high - inside),
            jac=lambda theta: _model(family, ratios, theta)[1],
            bounds=(low, high),
            loss="soft_l1",
            f_scale=2 * noise,
            x_scale=np.maximum(np.abs(start), 0.05),
        )
        for start in starts
    ]
    return min(fits, key=lambda found: found.cost).x
