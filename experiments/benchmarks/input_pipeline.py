"""Share of a segmenter's training that is spent waiting for input.

    python -m dsr.experiments.benchmarks.input_pipeline SHARDS [--preset small] [--batch 8] [--crop 240 320] [--steps
    20]

SHARDS is a folder that `dsr convert` made. Three numbers are measured: the images a second that the pipeline delivers
when nothing else runs, those that the training step consumes when its batch is already there, and how long the step
waits for its batch when both run together. On two free cores, with CamVid (480x360), DeepLabConfig.small and --batch 4,
the pipeline delivers 269 images a second, 19 times what the step consumes, and waiting takes 0.6 % of the time.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from dsr.data_pipelines.input import training_dataset
from dsr.models.segmenter.config import DeepLabConfig
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.models.segmenter.training import Segmenter, build_optimizer
from dsr.tfrecords.reader import ShardSet

CLASSES = 20  # the time of a step hardly depends on it, but labels must be below


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--preset", choices=["paper", "small", "tiny"], default="small")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, nargs=2, default=[240, 320], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()

    config = dataclasses.replace(getattr(DeepLabConfig, arguments.preset)(), weights="none")
    model = Segmenter(build_deeplab(config, CLASSES), CLASSES)
    model.compile(optimizer=build_optimizer("sgd", 1e-4, 10**6))
    step = tf.function(model.train_step)
    batches = training_dataset(ShardSet(arguments.shards), batch=arguments.batch, crop=tuple(arguments.crop))

    pipeline = iter(batches)
    batch = next(pipeline)
    delivered = _rate(lambda: next(pipeline), arguments)
    del pipeline  # or it would go on filling its buffers while the step is measured
    step(batch)
    consumed = _rate(lambda: step(batch), arguments)

    waited, started, pipeline = 0.0, time.perf_counter(), iter(batches)
    for _ in range(arguments.steps):
        before = time.perf_counter()
        batch = next(pipeline)
        waited += time.perf_counter() - before
        step(batch)
    share = waited / (time.perf_counter() - started)

    print(f"pipeline alone     {delivered:8.1f} images/s")
    print(f"training step      {consumed:8.1f} images/s")
    print(f"ratio              {delivered / consumed:8.1f}")
    print(f"waiting for input  {share:8.1%} of the training's time, the first batch included")


def _rate(call: Callable[[], object], arguments: argparse.Namespace) -> float:
    started = time.perf_counter()
    for _ in range(arguments.steps):
        call()
    return arguments.steps * arguments.batch / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
