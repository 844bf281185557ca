"""How often a bootstrap over few images says where the truth is: why fewer than ten images have no interval.

    python -m dsr.experiments.benchmarks.coverage [--sets 1500]

Sets of n images are drawn from a population that is known. Coverage is the share of them whose middle 95 % of the
draws hold the truth: the mean of one number an image, normal or exponential, and the IoU of a class, of which some
images hold far more than others (lognormal), with the counts that `dsr score` keeps. docs/decisions.md has the numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import click
import numpy as np
from numpy.typing import NDArray

from dsr.experiments.scoring.counts import LEVEL, REPLICATES, Counts

IMAGES = (2, 3, 5, 8, 10, 15, 20, 30)

Draws = NDArray[np.float64]
"""What is asked, of each draw of images with replacement, (REPLICATES,)."""


def normal(random: np.random.Generator, images: int) -> tuple[Draws, float]:
    """Means of a normal number an image, and the truth."""
    return _means(random, random.standard_normal(images)), 0.0


def exponential(random: np.random.Generator, images: int) -> tuple[Draws, float]:
    """Means of an exponential number an image, and the truth."""
    return _means(random, random.exponential(1.0, images)), 1.0


def class_iou(random: np.random.Generator, images: int) -> tuple[Draws, float]:
    """IoU of a class whose size is lognormal and of which a Beta(6, 4) share is right, and the truth.

    The two do not depend on each other, so the mean share, 0.6, is the IoU of all images that there could be.
    """
    union = np.ceil(random.lognormal(8.0, 1.0, images)).astype(np.int64)
    right = np.rint(union * random.beta(6.0, 4.0, images)).astype(np.int64)
    counts = Counts(tuple(map(str, range(images))), right[:, None], union[:, None], union[:, None])
    return counts.replicates[0], 0.6


Ask = Callable[[np.random.Generator, int], "tuple[Draws, float]"]

ASKED: dict[str, Ask] = {
    "normal": normal,
    "exponential": exponential,
    "IoU of a class": class_iou,
}


@click.command()
@click.option("--sets", type=click.IntRange(min=1), default=1500, show_default=True)
def main(sets: int) -> None:
    """Print a row for each thing that is asked, a column for each number of images."""
    click.echo(f"{'images':<16}" + "".join(f"{images:>6}" for images in IMAGES))
    for name, ask in ASKED.items():
        random = np.random.default_rng(0)
        shares = (share_held(ask, random, images, sets) for images in IMAGES)
        click.echo(f"{name:<16}" + "".join(f"{share:>6.0%}" for share in shares))


def share_held(ask: Ask, random: np.random.Generator, images: int, sets: int) -> float:
    """The share of so many sets of images whose draws hold the truth."""
    return float(np.mean([_held(*ask(random, images)) for _ in range(sets)]))


def _means(random: np.random.Generator, numbers: NDArray[np.float64]) -> Draws:
    places = random.integers(0, numbers.size, (REPLICATES, numbers.size))
    return numbers[places].mean(axis=1)


def _held(draws: Draws, truth: float) -> bool:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return bool(low <= truth <= high)


if __name__ == "__main__":
    main()
