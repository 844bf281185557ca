"""Speed and memory of a segmenter's training and labelling, beside the same network in PyTorch.

    python -m dsr.experiments.benchmarks.segmenter --torch ~/torch/bin/python

`--torch` is the Python of an environment of its own with `torch==2.13.0` (CPU). The network, batch and crops are those
of the preset camvid. The sides take turns, each in a process of its own with `--threads` threads, on random images.
Measured are a step of training (weighted cross-entropy with smoothing, penalty, Adam), and labelling one image.
Printed are medians: wall and CPU seconds of a call and the ratio of CPU seconds. CPU time is what to look at on a
machine that others use too. PyTorch's memory is laid out channels last.

On one core of an AMD EPYC (AVX-512), the other busy with tests, dsr and PyTorch 2.13.0 took 0.90 and 1.22 CPU seconds a
step of training, 0.085 and 0.095 to label an image. In its default layout PyTorch took 1.43 and 0.112.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Optional

import click
import numpy as np

from dsr.experiments.benchmarks import sides
from dsr.experiments.benchmarks.sides import Side
from dsr.experiments.config.presets import preset
from dsr.experiments.config.schema import SegmenterConfig

CLASSES = 11
IMAGE = 360, 480


def serve(config: SegmenterConfig, threads: int) -> None:
    """This project's side, with the protocol of `segmenter_torch`."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from dsr.models.segmenter.deeplab import build_deeplab
    from dsr.models.segmenter.training import Segmenter, build_optimizer

    network = build_deeplab(dataclasses.replace(config.network, weights="none"), CLASSES)
    rng = np.random.default_rng(0)
    weights = rng.random(CLASSES).astype(np.float32) + 0.5
    model = Segmenter(network, CLASSES, config.weight_decay, weights, config.label_smoothing)
    optimizers = [build_optimizer(config.optimizer, config.learning_rate, config.steps) for _ in range(2)]
    model.compile(*optimizers)
    model.build_optimizers()
    step = tf.function(model.train_step)

    def prepare(action: str, height: int, width: int) -> Callable[[], object]:
        count = config.batch if action == "train" else 1
        image = tf.constant(rng.integers(0, 256, (count, height, width, 3), np.uint8))
        label = tf.constant(rng.integers(0, CLASSES, (count, height, width), np.uint8))
        if action == "train":
            return lambda: step({"image": image, "label": label})["loss"].numpy()
        return lambda: model.label_map(image).numpy()

    sides.serve(prepare, sum(int(np.prod(weights.shape)) for weights in network.trainable_weights))


@click.command()
@click.option("--threads", default=1, show_default=True)
@click.option("--torch", type=click.Path(exists=True, dir_okay=False), help="The Python that has PyTorch.")
@click.option("--repetitions", type=click.IntRange(1), default=10, show_default=True)
@click.option("--side", is_flag=True, hidden=True)
def main(threads: int, torch: Optional[str], repetitions: int, side: bool) -> None:
    """Measure the preset's segmenter."""
    config = preset("camvid").segmenter
    if side:
        serve(config, threads)
        return
    asked = [Side([sys.executable, "-m", "dsr.experiments.benchmarks.segmenter", "--side", f"--threads={threads}"])]
    if torch:
        network = config.network
        widths = (CLASSES, network.aspp_width, network.decoder_width, network.low_level_width)
        numbers = [str(number) for number in (*widths, config.batch, threads)]
        asked.append(Side([torch, __file__.replace(".py", "_torch.py"), *numbers]))
        if len({one.parameters for one in asked}) > 1:
            raise click.ClickException("the networks differ: " + ", ".join(str(one.parameters) for one in asked))
    for call in (("train", config.crop_height, config.crop_width), ("label", *IMAGE)):
        action, height, width = call
        medians = sides.take_turns([(one, call) for one in asked], repetitions)
        for one, taken in zip(asked, medians):
            click.echo(sides.row(f"{action} {width}x{height}", one, taken, medians[0]))
    for one in asked:
        one.close()


if __name__ == "__main__":
    main()
