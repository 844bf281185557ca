"""What a plan by the scaling law is worth where the truth is known: coverage of its intervals, and regret.

    python -m dsr.experiments.benchmarks.planning [--repetitions 20]

The truth is a power, arctan or logarithmic law with noise between trainings of 1 point of mIoU, as seeds leave it. From
the nine trainings of `dsr scaling`, and from all sixteen of the grid of four numbers of images and four rates, laws are
fitted. Coverage is how often the 95 % interval of mIoU holds the truth, over the sixteen cells. Regret is what the true
mIoU of the plan chosen for a budget lacks of the best there is, over three budgets; beside it the regret of the best
trained cell that fits, which is what one takes who only looks. docs/planning.md has the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, quantiles

import click
import numpy as np

from dsr.experiments.measurements.scaling import design
from dsr.experiments.planning.scaling import Observation, fit_laws, optimum

COUNTS = (100, 200, 400, 800)
SIZES = (2500.0, 5000.0, 10_000.0, 20_000.0)
BUDGETS = (1e6, 3e6, 8e6)
NOISE = 0.01

TRUTHS: dict[str, Callable[..., np.ndarray]] = {
    "power": lambda n, size: 0.2 + 1.5 * n**-0.4 + 30 * size**-0.6,
    "arctan": lambda n, size: (
        0.3 + 0.5 * (1 - 2 / np.pi * np.arctan(n / 150)) + 0.3 * (1 - 2 / np.pi * np.arctan(size / 4000))
    ),
    "logarithm": lambda n, size: 1.1 - 0.06 * np.log(n) - 0.03 * np.log(size),
}

CROSS = [(SIZES[point], COUNTS[count]) for point, count in design(len(SIZES), len(COUNTS), 9)]
WHOLE = [(size, count) for size in SIZES for count in COUNTS]


@click.command()
@click.option("--repetitions", type=click.IntRange(min=1), default=20, show_default=True)
def main(repetitions: int) -> None:
    """Print a row for each truth and set of trainings."""
    click.echo(f"{'truth':<11}{'trainings':>10}{'coverage':>10}{'regret':>8}{'worst tenth':>13}{'best cell':>11}")
    for name, truth in TRUTHS.items():
        for cells in (CROSS, WHOLE):
            held, lost, looked = [], [], []
            for seed in range(repetitions):
                random = np.random.default_rng(seed)
                seen = [Observation(n, size, float(truth(n, size)) + NOISE * random.normal()) for size, n in cells]
                law = fit_laws(seen, NOISE)[0]
                for size, count in WHOLE:
                    interval = law.score(count, size).interval
                    assert interval is not None
                    held.append(interval[0] <= 1 - float(truth(count, size)) <= interval[1])
                for budget in BUDGETS:
                    chosen = optimum(law, budget)
                    lost.append(_regret(truth, budget, chosen.images, chosen.bytes))
                    fits = [one for one in seen if one.images * one.bytes <= budget]
                    best = min(fits, key=lambda one: one.error)
                    looked.append(_regret(truth, budget, best.images, best.bytes))
            click.echo(
                f"{name:<11}{len(cells):>10}{100 * fmean(held):>9.0f}%{100 * fmean(lost):>8.2f}"
                f"{100 * _worst(lost):>13.2f}{100 * fmean(looked):>11.2f}"
            )


def _regret(truth: Callable[..., np.ndarray], budget: float, images: float, size: float) -> float:
    sizes = np.geomspace(SIZES[0], SIZES[-1], 1000)
    return float(truth(images, size) - truth(budget / sizes, sizes).min())


def _worst(values: Sequence[float]) -> float:
    return quantiles(values, n=10)[-1]


if __name__ == "__main__":
    main()
