"""Rate, fidelity and speed of the BPG codec's presets and options.

    python -m dsr.experiments.benchmarks.bpg ~/camvid/test --limit 6
    python -m dsr.experiments.benchmarks.bpg ~/photographs --limit 4 --crop 2048x1024 --preset slow --preset medium

Each variant is encoded at a few QPs. The tables give its BD-rate against the first one (how many more bytes it takes
for equal PSNR, of RGB and of luma; per image, then the mean), CPU seconds a megapixel at the third QP, 40, beside those
that FFmpeg takes to decode the picture once, without its colours and without proof that it is whole, and with
`--throughput` how many images all cores get through. Where `bpgenc` and `bpgdec` are on PATH, they stand beside it.
Six CamVid images take about 5 seconds a variant on one core. The measured tables are in docs/bpg.md.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import resource
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import av
import click
import numpy as np
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from dsr.data_pipelines.codecs import Codec, make_codec
from dsr.data_pipelines.codecs.bpg import container, hevc
from dsr.data_pipelines.codecs.bpg.codec import CHROMAS
from dsr.data_pipelines.codecs.bpg.colour import rgb_to_ycbcr
from dsr.data_pipelines.codecs.bpg.hevc import PRESETS
from dsr.data_pipelines.codecs.bpg.parameter_sets import SequenceHeader, write_parameter_sets
from dsr.experiments.analysis.bjontegaard import RateCurve, bd_rate

QPS = (28, 34, 40, 46)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass
class Curve:
    """What one variant does to one image: rates in bpp and PSNR in dB, one each a QP."""

    bpp: list[float] = field(default_factory=list)
    rgb: list[float] = field(default_factory=list)
    luma: list[float] = field(default_factory=list)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR of uint8 arrays in dB."""
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))


def cpu_seconds() -> float:
    """CPU time of this process and of its finished children (bpgenc, bpgdec), with all their threads."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def middle(qps: Sequence[int]) -> int:
    """The QP that times and tables are taken at."""
    return qps[len(qps) // 2]


def load(folder: Path, limit: int, crop: tuple[int, int] | None) -> list[np.ndarray]:
    """Up to `limit` images spread over a folder, as RGB; with `crop` (width, height) the middle of those as large."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    images = []
    for path in paths[:: max(1, len(paths) // limit)]:
        with Image.open(path) as image:
            if crop is None:
                images.append(np.array(image.convert("RGB")))
            elif image.width >= crop[0] and image.height >= crop[1]:
                left, top = (image.width - crop[0]) // 2, (image.height - crop[1]) // 2
                images.append(np.array(image.convert("RGB"))[top : top + crop[1], left : left + crop[0]])
        if len(images) == limit:
            break
    return images


def ffmpeg_seconds(bitstream: bytes) -> float:
    """CPU time in which FFmpeg decodes the picture of a file once, to planes."""
    header, data = container.parse(bitstream)
    cursor = container.Cursor(data)
    sequence = SequenceHeader.parse(cursor.take(cursor.ue7("the HEVC header"), "the HEVC header"))
    chroma_format, _ = hevc.FORMATS[header.pixel_format]
    sets = write_parameter_sets(sequence, chroma_format, header.width, header.height, header.depth)
    packet = av.Packet(sets + b"\0\0\1" + data[cursor.position :] + bytes(64))
    start = cpu_seconds()
    decoder = VideoCodecContext.create("hevc", "r")
    decoder.thread_count = 1
    assert decoder.decode(packet) or decoder.decode(None)
    return cpu_seconds() - start


def measure(options: dict, images: Sequence[np.ndarray], qps: Sequence[int]) -> tuple[list[Curve], np.ndarray]:
    """Curves of a variant, one an image, and CPU seconds a megapixel at the middle QP, float64 (3,).

    Those are of encoding, of decoding, and of FFmpeg's part.
    """
    curves = [Curve() for _ in images]
    seconds = np.zeros(3)
    for qp in qps:
        codec = make_codec("bpg", qp, **options)
        for curve, pixels in zip(curves, images):
            start = cpu_seconds()
            bitstream = codec.encode(pixels)
            between = cpu_seconds()
            decoded = codec.decode(bitstream)
            if qp == middle(qps):
                seconds += between - start, cpu_seconds() - between, ffmpeg_seconds(bitstream)
            curve.bpp.append(8 * len(bitstream) / (pixels.size / 3))
            curve.rgb.append(psnr(decoded, pixels))
            curve.luma.append(psnr(rgb_to_ycbcr(decoded)[0], rgb_to_ycbcr(pixels)[0]))
    return curves, seconds / (sum(pixels.size for pixels in images) / 3e6)


def throughput(codec: Codec, images: Sequence[np.ndarray], repeats: int = 4) -> tuple[float, float]:
    """Images a second that one process a core encodes and decodes."""
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        bitstreams = list(pool.map(codec.encode, images))  # starts the workers too
        start = time.perf_counter()
        list(pool.map(codec.encode, list(images) * repeats))
        between = time.perf_counter()
        list(pool.map(codec.decode, bitstreams * repeats))
        end = time.perf_counter()
    count = repeats * len(images)
    return count / (between - start), count / (end - between)


def _size(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        width, height = map(int, value.lower().split("x"))
    except ValueError:
        raise click.BadParameter("give it as WIDTHxHEIGHT") from None
    return width, height


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--limit", default=6, show_default=True, help="So many images of the folder, spread over it.")
@click.option("--crop", callback=_size, metavar="WxH", help="Take the middle of larger images, leave out smaller ones.")
@click.option(
    "--preset", "presets", type=click.Choice(PRESETS), multiple=True, default=("slow", "medium"), show_default=True
)
@click.option("--chroma", "chromas", type=click.Choice(CHROMAS), multiple=True, default=("4:2:0",), show_default=True)
@click.option("--chroma-qp-offset", "offsets", type=int, multiple=True, default=(0,), show_default=True)
@click.option("--qp", "qps", type=int, multiple=True, default=QPS, show_default=True)
@click.option("--throughput", "with_throughput", is_flag=True, help="Also run one process a core.")
def main(
    folder: Path,
    limit: int,
    crop: tuple[int, int] | None,
    presets: Sequence[str],
    chromas: Sequence[str],
    offsets: Sequence[int],
    qps: Sequence[int],
    with_throughput: bool,
) -> None:
    """Compare presets and options of the BPG codec on the images of FOLDER."""
    images = load(folder, limit, crop)
    if not images:
        raise click.ClickException(f"no image of {folder} is large enough")
    variants = [
        {"chroma": chroma, "preset": preset, "chroma_qp_offset": offset}
        for chroma, preset, offset in itertools.product(chromas, presets, offsets)
    ]
    if shutil.which("bpgenc") and shutil.which("bpgdec"):
        variants += [{"chroma": chroma, "encoder": "libbpg"} for chroma in chromas]
    megapixels = sum(pixels.size for pixels in images) / 3e6
    click.echo(
        f"{len(images)} images, {megapixels:.1f} megapixels, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    click.echo(
        "| variant | bpp | PSNR RGB | PSNR Y | BD-rate RGB | BD-rate Y | encode s/MP | decode s/MP | FFmpeg s/MP |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    anchor: list[Curve] = []
    for options in variants:
        curves, (encoding, decoding, ffmpeg) = measure(options, images, qps)
        anchor = anchor or curves
        differences = {
            kind: np.mean([
                bd_rate(*(RateCurve(kind, one.bpp, getattr(one, kind)) for one in (base, curve)))
                for base, curve in zip(anchor, curves)
            ])
            for kind in ("rgb", "luma")
        }  # fmt: skip
        at = qps.index(middle(qps))
        bpp, rgb, luma = (np.mean([getattr(curve, kind)[at] for curve in curves]) for kind in ("bpp", "rgb", "luma"))
        click.echo(
            f"| {' '.join(str(value) for value in options.values())} | {bpp:.4f} | {rgb:.2f} | {luma:.2f} | "
            f"{differences['rgb']:+.2f} % | {differences['luma']:+.2f} % | {encoding:.3f} | {decoding:.4f} | "
            f"{ffmpeg:.4f} |"
        )
    if with_throughput:
        click.echo("\n| variant | encode images/s | decode images/s |\n| --- | --- | --- |")
        for options in variants:
            encoded, decoded = throughput(make_codec("bpg", middle(qps), **options), images)
            click.echo(f"| {' '.join(str(value) for value in options.values())} | {encoded:.1f} | {decoded:.1f} |")


if __name__ == "__main__":
    main()
