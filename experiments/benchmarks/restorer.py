"""Speed and memory of the restorers, beside the same generator in PyTorch and beside the machine's limit.

    python -m dsr.experiments.benchmarks.restorer --restorer gan --preset paper --torch ~/torch/bin/python

`--torch` is the Python of an environment of its own with `torch==2.13.0` (CPU), where the same generator with random
weights does the same work. The sides take turns, each in a process of its own with `--threads` threads. Measured are
restoring an image, as a worker of the converter does it, and a step of training: the network forward and backward, an
L1 loss, Adam. Printed are medians: wall and CPU seconds of a call, the ratio of CPU seconds, and the share of the
limit: the CPU seconds that the convolutions' multiply-adds would take at the rate of a 2048 x 2048 matrix product in
the same process, over those taken. CPU time is what to look at on a machine that others use too.

On two cores of an AMD EPYC (AVX512), busy with other work, the paper's generator took in CPU seconds, beside PyTorch
2.13.0: 3.16 and 4.41 for 480x360, 36.5 and 47.9 for 2048x1024, 3.92 and 7.82 for a training step on 256x256: 83, 90 and
76 % of the limit. In memory 2048x1024 took 3.7 and 2.4 GB at most.

The generator that comes with dsr (`--preset base --threads 1`), there too, and busier: 1.11 and 1.11 for 480x360, 12.7
and 18.4 for 2048x1024, 1.11 and 1.18 for a training step on 256x256: 65, 68 and 74 % of the limit. In memory 2048x1024
took 2.7 and 1.7 GB at most.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Optional

import click
import numpy as np

from dsr.experiments.benchmarks import sides
from dsr.experiments.benchmarks.sides import MATRIX, Side
from dsr.models.restorers.gan_config import GeneratorConfig
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.registry import NETWORKS, NetworkConfig

PATCH = 256


def multiply_adds(config: NetworkConfig) -> float:
    """Of the convolutions, for each pixel of an image."""
    if isinstance(config, RdnConfig):
        # Every kernel meets every pixel, and all values but the biases are in kernels.
        biases = (
            3 * config.features + config.blocks * (config.layers * config.growth + config.features) + config.features
        )
        return config.parameters - biases - 3
    assert isinstance(config, GeneratorConfig)
    widths = [config.width * 2**i for i in range(config.downsamplings + 1)]
    total = 2.0 * 7 * 7 * 3 * config.width + 2 * config.blocks * 9 * widths[-1] ** 2 / config.multiple**2
    for i, (fine, coarse) in enumerate(zip(widths, widths[1:])):
        down = 9 * fine * coarse / 4 ** (i + 1)
        # A transposed convolution meets the positions of its input, a resized one those of its output.
        total += down + (down if config.upsampling == "transposed" else 4 * down)
    return total


def serve(config: NetworkConfig, threads: int) -> None:
    """This project's side, with the protocol of `restorer_torch`, and `matrix`."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from dsr.models.pixels import to_unit
    from dsr.models.restorers.tiling import restore

    network = config.build()
    optimizer = tf.keras.optimizers.Adam(2e-4, beta_1=0.1, beta_2=0.9)
    optimizer.build(network.trainable_weights)

    @tf.function
    def step(compressed: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(network(compressed, training=True) - original))
        optimizer.apply_gradients(zip(tape.gradient(loss, network.trainable_weights), network.trainable_weights))
        return loss

    rng = np.random.default_rng(0)

    def prepare(action: str, first: int, second: int) -> Callable[[], object]:
        if action == "train":
            patches = to_unit(rng.integers(0, 256, (2, first, second, second, 3), np.uint8))
            return lambda: step(*patches).numpy()
        image = rng.integers(0, 256, (second, first, 3), np.uint8)
        return lambda: restore(network, config, image)

    sides.serve(prepare, network.count_params())


@click.command()
@click.option("--restorer", "kind", type=click.Choice(list(NETWORKS)), default="gan", show_default=True)
@click.option("--preset", type=click.Choice(["tiny", "small", "base", "paper"]), default="paper", show_default=True)
@click.option("--size", "sizes", multiple=True, default=("480x360", "2048x1024"), show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--torch", type=click.Path(exists=True, dir_okay=False), help="The Python that has PyTorch.")
@click.option("--repetitions", type=click.IntRange(1), default=3, show_default=True)
@click.option("--train/--no-train", default=True, show_default=True, help="Also measure training steps.")
@click.option("--side", is_flag=True, hidden=True)
def main(
    kind: str,
    preset: str,
    sizes: tuple[str, ...],
    threads: int,
    torch: Optional[str],
    repetitions: int,
    train: bool,
    side: bool,
) -> None:
    """Measure one network."""
    if not hasattr(NETWORKS[kind], preset):
        raise click.UsageError(f"{kind} has no preset {preset}")
    config: NetworkConfig = getattr(NETWORKS[kind], preset)()
    if side:
        serve(config, threads)
        return
    options = [f"--restorer={kind}", f"--preset={preset}", f"--threads={threads}"]
    asked = [Side([sys.executable, "-m", "dsr.experiments.benchmarks.restorer", "--side", *options])]
    if torch:
        if not isinstance(config, GeneratorConfig):
            raise click.UsageError("--torch has the adversarial generator alone: --restorer gan")
        numbers = [str(number) for number in (config.width, config.downsamplings, config.blocks, threads)]
        asked.append(Side([torch, __file__.replace(".py", "_torch.py"), config.upsampling, *numbers]))
    else:
        click.echo(
            "PyTorch is left out; to compare: python -m venv ~/torch; ~/torch/bin/pip install torch==2.13.0 numpy"
        )

    calls: list[tuple[str, int, int]] = []
    for size in sizes:
        width, height = map(int, size.split("x"))
        calls.append(("restore", width, height))
    if train:
        calls.append(("train", 1, PATCH))
    for call in calls:
        action, first, second = call
        matrix, *medians = sides.take_turns(
            [(asked[0], ("matrix", 0, 0)), *((one, call) for one in asked)], repetitions
        )
        pixels = first * second if action == "restore" else first * second**2
        # A training step computes each product forward, and one for each of two gradients.
        products = multiply_adds(config) * pixels * (3 if action == "train" else 1)
        limit = matrix["cpu"] * products / MATRIX**3
        for one, taken in zip(asked, medians):
            share = f"  {limit / taken['cpu']:4.0%} of the limit"
            click.echo(sides.row(f"{action} {first}x{second}", one, taken, medians[0], share))
    for one in asked:
        one.close()


if __name__ == "__main__":
    main()
