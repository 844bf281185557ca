"""Speed and memory of the learned codec, beside CompressAI's and beside the machine's limit.

    python -m dsr.experiments.benchmarks.msh --filters 128 --latents 192 --compressai ~/compressai/bin/python

`--compressai` is the Python of an environment with `compressai==1.2.8` and `torch==2.13.0` (CPU), where the same
network (`mbt2018-mean`, random weights) does the same work; neither side is trained, so their rates mean nothing. The
two sides take turns, each in a process of its own with `--threads` threads. Printed are the medians: wall and CPU
seconds of a call, the ratio of CPU seconds, and the distance to the limit: CPU seconds over those that the
convolutions' multiply-adds would take at the rate of a 2048 x 2048 matrix product in the same process. CPU time is what
to look at on a machine that others use too. The measured tables are in docs/msh.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import click
import numpy as np

from dsr.experiments.benchmarks import sides
from dsr.experiments.benchmarks.sides import MATRIX, Side
from dsr.models.hyperprior.config import CodecTrainingConfig, HyperpriorConfig

SIZES = ((512, 384), (2048, 1024))
"""Multiples of 64, which CompressAI asks for: 480x360 is padded to the first."""

PATCHES, PATCH = 8, 256
QUALITY = 3


def convolutions(config: HyperpriorConfig) -> Iterator[tuple[str, int, int]]:
    """Of each convolution: its part, the multiply-adds at one position, and how many pixels a position is wide."""
    n, m = config.filters, config.latents
    for part, channels in (("analysis", (3, n, n, n, m)), ("synthesis", (3, n, n, n, m))):
        for layer, (before, after) in enumerate(zip(channels, channels[1:])):
            yield part, 25 * before * after, 2 << layer
            if layer < 3:
                yield part, n * n, 2 << layer
    yield from (
        ("hyper_analysis", 9 * m * n, 16),
        ("hyper_analysis", 25 * n * n, 32),
        ("hyper_analysis", 25 * n * n, 64),
    )
    yield from (("hyper_synthesis", 25 * n * m, 64), ("hyper_synthesis", 25 * m * 3 * m // 2, 32))
    yield "hyper_synthesis", 9 * 3 * m // 2 * 2 * m, 16


def multiply_adds(config: HyperpriorConfig, action: str, first: int, second: int) -> float:
    """Of the convolutions, GDN's included, in one call."""
    parts = {
        "encode": ("analysis", "hyper_analysis", "hyper_synthesis"),
        "decode": ("hyper_synthesis", "synthesis"),
        "train": ("analysis", "hyper_analysis", "hyper_synthesis", "synthesis"),
    }[action]
    # A training step computes each product forward, and one for each of two gradients.
    pixels = 3 * first * second**2 if action == "train" else first * second
    return sum(count * pixels / step**2 for part, count, step in convolutions(config) if part in parts)


def serve(config: HyperpriorConfig, threads: int) -> None:
    """This project's side, with the protocol of `msh_compressai`, and `matrix`."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from dsr.data_pipelines.codecs.msh.coder import Coder
    from dsr.data_pipelines.codecs.msh.container import Bitstream
    from dsr.models.hyperprior.network import HyperpriorNetwork, HyperpriorTraining
    from dsr.models.hyperprior.saved import pack

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1, PATCH, PATCH, 3), np.uint8)
    coder = Coder(pack(HyperpriorNetwork(config), images))
    coder.encode(images[0], QUALITY)
    bitstreams: dict[tuple[int, int], Bitstream] = {}
    training: Callable[[Any], Any] | None = None

    def prepare(action: str, first: int, second: int) -> Callable[[], object]:
        nonlocal training
        if action == "train":
            step = training = training or tf.function(HyperpriorTraining(CodecTrainingConfig(config)).train_step)
            patches = rng.integers(0, 256, (first, second, second, 3), np.uint8)
            return lambda: step({"image": tf.constant(patches)})["loss"].numpy()
        if action == "decode":
            return lambda: coder.decode(bitstreams[first, second])
        pixels = rng.integers(0, 256, (second, first, 3), np.uint8)

        def encode() -> None:
            bitstreams[first, second] = coder.encode(pixels, QUALITY)

        return encode

    sides.serve(prepare)


@click.command()
@click.option("--filters", default=128, show_default=True)
@click.option("--latents", default=192, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--compressai", type=click.Path(exists=True, dir_okay=False), help="The Python that has CompressAI.")
@click.option("--repetitions", type=click.IntRange(1), default=3, show_default=True)
@click.option("--train/--no-train", default=True, show_default=True, help="Also measure training steps.")
@click.option("--side", is_flag=True, hidden=True)
def main(
    filters: int, latents: int, threads: int, compressai: Optional[str], repetitions: int, train: bool, side: bool
) -> None:
    """Measure one network size."""
    config = HyperpriorConfig(filters, latents)
    if side:
        serve(config, threads)
        return
    sizes = [str(number) for number in (filters, latents, threads)]
    options = [f"--{name}={number}" for name, number in zip(("filters", "latents", "threads"), sizes)]
    asked = [Side([sys.executable, "-m", "dsr.experiments.benchmarks.msh", "--side", *options])]
    if compressai:
        asked.append(Side([compressai, str(Path(__file__).with_name("msh_compressai.py")), *sizes]))
    click.echo(
        f"{filters} filters, {latents} latents, {threads} threads; {' beside '.join(one.name for one in asked)}\n"
    )
    click.echo(
        "| call | wall s | CPU s | x the limit | GFLOP | memory MB | CompressAI wall s | CPU s | MB | CPU ratio |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    calls = [(action, *size) for size in SIZES for action in ("encode", "decode")]
    for call in [*calls, ("train", PATCHES, PATCH)] if train else calls:
        turns = [(one, call) for one in asked]
        matrix, ours, *theirs = sides.take_turns([(asked[0], ("matrix", 0, 0)), *turns], repetitions)
        rate = 2 * MATRIX**3 / matrix["cpu"]
        flop = 2 * multiply_adds(config, *call)
        row = (
            f"| {call[0]} {call[1]}x{call[2]} | {ours['wall']:.3f} | {ours['cpu']:.3f} | "
            f"{ours['cpu'] / (flop / rate):.2f} | {flop / 1e9:.1f} | {ours['memory']:.0f} |"
        )
        for other in theirs:
            ratio = other["cpu"] / ours["cpu"]
            row += f" {other['wall']:.3f} | {other['cpu']:.3f} | {other['memory']:.0f} | {ratio:.2f} |"
        click.echo(row)
    click.echo(f"\nmatrix product: {rate / 1e9:.0f} GFLOP per CPU second")
    for one in asked:
        one.close()


if __name__ == "__main__":
    main()
