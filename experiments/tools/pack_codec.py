"""Packs trained weights of the learned codec into the file that the codec `msh` reads, and measures what that costs.

    python -m dsr.experiments.tools.pack_codec weights.npz --calibrate ~/photographs/train \
        --measure ~/photographs/held-out --output msh.npz

WEIGHTS holds float arrays by the names that they have in `codec.npz` (`analysis.0.kernel`, `prior.bias_0`, `gain.log`),
and `hyper_synthesis.0.kernel` and so on, not yet in integers; its gains are those of qualities 1, 2 and so on. For a
training that `dsr train-codec` has finished this is done already: its folder holds `codec.npz`, which can be given as
WEIGHTS too, to measure it (--calibrate and --output are then not needed).

Printed for each image of --measure and for all, at each --quality: bits per pixel as estimated with the float32
hyper-synthesis, how many more the one in integers costs, bits per pixel of the real bitstream and how many more those
are than estimated; PSNR of rounded latents in float32, and after decoding the bitstream.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import click
import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import open_source
from dsr.models.hyperprior.config import SCALES, HyperpriorConfig
from dsr.models.hyperprior.integer import IntegerHyperSynthesis
from dsr.models.hyperprior.network import HyperpriorNetwork, bits_of, scale_of, to_float
from dsr.models.hyperprior.saved import float_weights, load_hyperprior, read_hyperprior, save_hyperprior
from dsr.models.metrics.fidelity import psnr

CALIBRATION_PATCHES = 64
PATCH = 256
SHORT_SIDE = 768  # to which larger photographs are reduced, as those of the training were


def estimated_bits(
    network: HyperpriorNetwork, pixels: np.ndarray, quality: float, integers: IntegerHyperSynthesis | None = None
) -> tuple[float, np.ndarray]:
    """Bits that the distributions give to an image's rounded latents, and what it decodes to.

    A latent counts at most `dsr.models.hyperprior.network.DEAREST`.

    Args:
      pixels: uint8 (H, W, 3), height and width multiples of 64.
      quality: one that the network serves.
      integers: in place of the network's own hyper-synthesis.
    """
    x = to_float(pixels[None])
    y = network.latents(x, quality)
    z = tf.round(network.hyper_analysis(y))
    mean, index = (integers or network.entropy_parameters)(z)
    index = tf.clip_by_value(tf.round(tf.cast(index, tf.float32)), 0, SCALES - 1)
    residual = tf.round(y - mean)
    likelihoods = [tfc.NoisyNormal(loc=0.0, scale=scale_of(index)).log_prob(residual), network.prior.log_prob(z)]
    bits = sum(float(tf.reduce_sum(bits_of(likelihood))) for likelihood in likelihoods)
    decoded = tf.clip_by_value(network.pixels(residual + mean, quality)[0], 0, 1)
    return bits, tf.cast(tf.round(255 * decoded), tf.uint8).numpy()


@dataclass
class Measurement:
    """Of one image.

    Bits by the float and the integer hyper-synthesis and in the bitstream, and PSNR before and after.
    """

    pixels: int
    float_bits: float
    integer_bits: float
    real_bits: int
    float_psnr: float
    real_psnr: float

    @classmethod
    def of(cls, network: HyperpriorNetwork, codec_file: Path, quality: float, pixels: np.ndarray) -> Measurement:
        """Measure a float network beside what it was packed to."""
        codec = make_codec("msh", quality, model=str(codec_file))
        float_bits, float_decoded = estimated_bits(network, pixels, quality)
        integer_bits, _ = estimated_bits(network, pixels, quality, read_hyperprior(codec_file).hyper_synthesis)
        bitstream = codec.encode(pixels)
        return cls(
            pixels.size // 3,
            float_bits,
            integer_bits,
            8 * len(bitstream),
            psnr(float_decoded, pixels),
            psnr(codec.decode(bitstream), pixels),
        )

    def row(self, name: str) -> str:
        """A line of the table."""
        return (
            f"| {name} | {self.float_bits / self.pixels:.4f} | {self.integer_bits / self.float_bits - 1:+.3%} | "
            f"{self.real_bits / self.pixels:.4f} | {self.real_bits / self.integer_bits - 1:+.2%} | "
            f"{self.float_psnr:.3f} | {self.real_psnr:.3f} |"
        )


def total(measurements: list[Measurement]) -> Measurement:
    """Sums of bits and pixels, means of PSNR."""

    def column(name: str) -> list:
        return [getattr(one, name) for one in measurements]

    return Measurement(
        sum(column("pixels")),
        sum(column("float_bits")),
        sum(column("integer_bits")),
        sum(column("real_bits")),
        float(np.mean(column("float_psnr"))),
        float(np.mean(column("real_psnr"))),
    )


def load_images(folder: Path, limit: int) -> list[np.ndarray]:
    """Up to `limit` images spread over a folder, cut to multiples of 64."""
    source = open_source("photos", str(folder), short_side=SHORT_SIDE)
    samples = source.samples("all")
    images = [source.read(sample)[0] for sample in samples[:: max(1, len(samples) // limit)][:limit]]
    side = HyperpriorConfig.DOWNSAMPLING
    return [image[: image.shape[0] // side * side, : image.shape[1] // side * side] for image in images]


def patches(images: list[np.ndarray]) -> np.ndarray:
    """The middle of each image."""
    corners = [((image.shape[0] - PATCH) // 2, (image.shape[1] - PATCH) // 2) for image in images]
    return np.stack([image[y : y + PATCH, x : x + PATCH] for image, (y, x) in zip(images, corners)])


def trained_network(weights: Path) -> HyperpriorNetwork:
    """The network whose float arrays a file holds."""
    with np.load(weights, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    config = HyperpriorConfig(arrays["analysis.0.bias"].size, arrays["analysis.3.bias"].size)
    network = HyperpriorNetwork(config, [1.0 + row for row in range(len(arrays["gain.log"]))])
    names = [f"hyper_synthesis.{layer}.{kind}" for layer in range(3) for kind in ("kernel", "bias")]
    for name, variable in [*float_weights(network).items(), *zip(names, network.hyper_synthesis.weights)]:
        variable.assign(arrays[name].astype(np.float32))
    return network


@click.command()
@click.argument("weights", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--calibrate", type=click.Path(exists=True, path_type=Path), help="Images that the quantisation is fitted to."
)
@click.option("--measure", type=click.Path(exists=True, path_type=Path), required=True, help="Other images.")
@click.option("--quality", "qualities", type=float, multiple=True, help="At these.  [default: those with gains]")
@click.option("--limit", default=24, show_default=True, help="So many images of --measure.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
def main(
    weights: Path,
    calibrate: Optional[Path],
    measure: Path,
    qualities: tuple[float, ...],
    limit: int,
    output: Optional[Path],
) -> None:
    """Pack WEIGHTS and measure the codec on images it was not fitted to."""
    if bool(calibrate) != bool(output):
        raise click.UsageError("give --calibrate and --output together, to pack, or neither, to measure a codec.npz")
    if calibrate and output:
        network = trained_network(weights)
        written = save_hyperprior(
            network, output.parent, patches(load_images(calibrate, CALIBRATION_PATCHES)), output.name
        )
    else:
        written = weights
        saved = read_hyperprior(weights)
        network = HyperpriorNetwork(saved.config, saved.qualities)
        load_hyperprior(weights, network)
    click.echo(f"{written}: {os.path.getsize(written)} bytes, {read_hyperprior(written).fingerprint.hex()}\n")
    click.echo("| image | estimated bpp | in integers | real bpp | over estimate | PSNR float32 | PSNR |")
    click.echo("| --- | --- | --- | --- | --- | --- | --- |")
    images = load_images(measure, limit)
    for quality in qualities or network.qualities:
        measurements = []
        for number, pixels in enumerate(images):
            measurements.append(Measurement.of(network, written, quality, pixels))
            click.echo(measurements[-1].row(f"quality {quality:g}: {number} ({pixels.shape[1]}x{pixels.shape[0]})"))
        click.echo(total(measurements).row(f"**quality {quality:g}: all**"))


if __name__ == "__main__":
    main()
