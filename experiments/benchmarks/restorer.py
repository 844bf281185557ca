"""Step time and restoring time of the adversarial restorer, and their share of the rate of a matrix product.

    python -m experiments.benchmarks.restorer [--preset small] [--vgg FILE.npz] [--precision bfloat16]

Multiply-adds are those of the convolutions alone, so a share counts normalisation, padding and losses as lost time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import click
import numpy as np
import tensorflow as tf

from models.adversarial import AdversarialRestorer
from models.restorer import restore
from models.restorer_config import AdversarialConfig, LossWeights

HEIGHT, WIDTH = 360, 480  # CamVid
SIDE = 2048  # of the matrices


def median_seconds(function: Callable[[], object], repetitions: int) -> float:
    """Of one call, after one that is not counted."""
    function()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def peak() -> float:
    """Floating-point operations a second in a float32 matrix product."""
    matrix = tf.random.normal((SIDE, SIDE))
    return 2 * SIDE**3 / median_seconds(lambda: tf.matmul(matrix, matrix).numpy(), 10)


def convolution_flops(network: tf.keras.Model, image: tf.Tensor) -> int:
    """Floating-point operations of the convolutions in one forward pass."""
    convolutions = [layer for layer in network.layers if isinstance(layer, tf.keras.layers.Conv2D)]
    shaped = tf.keras.Model(network.input, [(layer.input, layer.output) for layer in convolutions])
    total = 0
    for layer, (before, after) in zip(convolutions, shaped(image)):
        # Every kernel weight meets every position of the smaller side: the output, or a transposed convolution's input.
        positions = min(tf.size(before) // before.shape[-1], tf.size(after) // after.shape[-1])
        total += 2 * int(positions) * int(np.prod(layer.kernel.shape))
    return total


@click.command()
@click.option("--preset", type=click.Choice(["tiny", "small", "paper"]), default="small", show_default=True)
@click.option("--vgg", help="VGG weights: a file or imagenet; without it the VGG term is left out.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
@click.option("--repetitions", type=click.IntRange(1), default=10, show_default=True)
def main(preset: str, vgg: str | None, precision: str, repetitions: int) -> None:
    """Measure one preset."""
    config = getattr(AdversarialConfig, preset)()
    weights = LossWeights() if vgg else LossWeights(vgg=0.0)
    config = dataclasses.replace(config, vgg=vgg, weights=weights, vgg_precision=precision)
    model = AdversarialRestorer(config)
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (2, config.batch, config.patch, config.patch, 3), np.uint8)
    batch = {"compressed": tf.constant(crops[0]), "original": tf.constant(crops[1])}
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    flops_per_second = peak()
    print(f"matrix product {flops_per_second / 1e9:.0f} GFLOP/s")

    step = tf.function(model.train_step)
    seconds = median_seconds(lambda: step(batch)["l1"].numpy(), repetitions)
    print(
        f"{preset} step: {config.batch} x {config.patch} x {config.patch}, VGG {precision if vgg else 'left out'}, "
        f"{seconds * 1e3:.0f} ms, {config.batch / seconds:.1f} images/s"
    )

    seconds = median_seconds(lambda: restore(model.generator, image), repetitions)
    flops = convolution_flops(model.generator, tf.zeros((1, HEIGHT, WIDTH, 3)))
    print(
        f"{preset} restoring: {WIDTH} x {HEIGHT}, {config.generator.parameters / 1e6:.2f} M parameters, "
        f"{flops / 1e9:.1f} GFLOP, {seconds * 1e3:.0f} ms, {flops / seconds / flops_per_second:.0%} of that rate"
    )


if __name__ == "__main__":
    main()
