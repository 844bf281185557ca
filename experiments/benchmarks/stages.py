"""What each stage of a study costs a megapixel, in CPU seconds of one thread.

    python -m dsr.experiments.benchmarks.stages ~/camvid/test [--codec bpg-qp40] [--codec jpeg-quality10] [--preset
    small]

Pictures are made as in `dsr.experiments.benchmarks.converter`; networks get patches of --patch pixels of them.
Start-up, tracing and the first call do not count; medians over repetitions, in which the stages take turns.
docs/scale.md holds what was measured.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf
from PIL import Image

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.benchmarks.pictures import tiled
from dsr.models.metrics.fidelity import ms_ssim, psnr
from dsr.models.pixels import to_unit
from dsr.models.restorers.gan_config import GeneratorConfig
from dsr.models.restorers.generator import build_generator
from dsr.models.segmenter.config import DeepLabConfig
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.models.segmenter.training import Segmenter, build_optimizer
from dsr.tfrecords.png import decode_png, encode_png

CLASSES = 19
Stages = dict[str, tuple[Callable[[], Any], float]]
"""What to call, and of how many megapixels that is."""


def image_stages(pixels: np.ndarray, points: tuple[str, ...]) -> Stages:
    """The stages of a conversion."""
    height, width = pixels.shape[:2]
    png, buffer = encode_png(pixels), io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    stages: dict[str, Callable[[], Any]] = {
        "read a dataset's PNG": lambda: np.array(Image.open(io.BytesIO(buffer.getvalue()))),
        "write an original (PNG)": lambda: encode_png(pixels),
        "read an original (PNG)": lambda: decode_png(png, height, width, "RGB"),
        "read an original in TensorFlow": lambda: tf.io.decode_png(png),
    }
    for point in points:
        name, _, quality = point.partition("-")
        codec = make_codec(name, float(quality.strip("abcdefghijklmnopqrstuvwxyz")))
        bitstream = codec.encode(pixels)
        decoded = codec.decode(bitstream)
        stages |= {
            f"{point}: encode": partial(codec.encode, pixels),
            f"{point}: decode": partial(codec.decode, bitstream),
            f"{point}: PSNR": partial(psnr, pixels, decoded),
            f"{point}: MS-SSIM": partial(ms_ssim, pixels, decoded),
            f"{point}: write what it decodes to (PNG)": partial(encode_png, decoded),
        }
    return {name: (call, height * width / 1e6) for name, call in stages.items()}


def network_stages(pixels: np.ndarray, preset: str, patch: int) -> Stages:
    """Restoring, training a segmenter and evaluating it."""
    image = tf.constant(pixels[None, :patch, :patch])
    generator = tf.function(build_generator(getattr(GeneratorConfig, preset)()))
    config = dataclasses.replace(getattr(DeepLabConfig, preset)(), weights="none")
    segmenter = Segmenter(build_deeplab(config, CLASSES), CLASSES)
    segmenter.compile(optimizer=build_optimizer("sgd", 1e-4, 10**6))
    step = tf.function(segmenter.train_step)
    batch = {"image": image, "label": tf.zeros(image.shape[:3], tf.uint8)}
    unit = to_unit(image)
    stages: dict[str, Callable[[], Any]] = {
        f"{preset}: restore": lambda: generator(unit).numpy(),
        f"{preset}: segmenter, a training step": lambda: step(batch),
        f"{preset}: segmenter, evaluation": lambda: segmenter.label_map(image).numpy(),
    }
    return {name: (call, patch * patch / 1e6) for name, call in stages.items()}


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--codec", "points", multiple=True, default=("bpg-qp40", "jpeg-quality10"), show_default=True)
@click.option("--preset", "presets", multiple=True, default=("small",), show_default=True)
@click.option("--size", type=int, nargs=2, default=(2048, 1024), show_default=True, metavar="WIDTH HEIGHT")
@click.option("--scale", default=2.0, show_default=True, help="How much the images are enlarged.")
@click.option("--patch", default=512, show_default=True, help="Side of what networks get.")
@click.option("--repeats", default=3, show_default=True)
def main(
    folder: Path,
    points: tuple[str, ...],
    presets: tuple[str, ...],
    size: tuple[int, int],
    scale: float,
    patch: int,
    repeats: int,
) -> None:
    """Measure with a picture made of the images in FOLDER."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    (pixels,) = tiled(folder, 1, size, scale)
    stages = image_stages(pixels, points)
    for preset in presets:
        stages |= network_stages(pixels, preset, patch)
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(1 + repeats):
        for name, (call, megapixels) in stages.items():
            started = time.process_time()
            call()
            seconds[name].append((time.process_time() - started) / megapixels)
    click.echo("| stage | CPU s a megapixel |\n| --- | --- |")
    for name, times in seconds.items():
        click.echo(f"| {name} | {np.median(times[1:]):.4f} |")


if __name__ == "__main__":
    main()
