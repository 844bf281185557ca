"""`dsr encode`: images to bitstreams, as a device sends them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import click

from dsr.app.console import Console
from dsr.app.help import Command, dry_run_option, json_option
from dsr.app.made import make_folder, write_one
from dsr.app.options import CODEC, LOCAL, QualityOf, codec_option, codec_options, with_quality, workers_option
from dsr.experiments.conversion import SAMPLE_IMAGES
from dsr.experiments.fleet.errors import FleetError
from dsr.tfrecords.plan import evenly


@click.command("encode", cls=Command)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target", type=LOCAL)
@click.option(
    "--codec", type=CODEC, default="bpg", show_default=True, help="bpg, msh, jpeg, jpeg2000, webp, avif or none (PNG)."
)
@with_quality
@click.option(
    "--target-bpp",
    type=click.FloatRange(min=0, min_open=True),
    help=f"One quality for all, found for this rate on {SAMPLE_IMAGES} of the images.",
)
@click.option(
    "--target-bytes",
    type=click.IntRange(min=1),
    help="For each image the finest quality whose file has at most so many bytes; takes about six times as long.",
)
@codec_option
@click.option("--psnr", "measured", is_flag=True, help="Of a folder: decode again, and put PSNR into rates.csv.")
@workers_option
@dry_run_option
@json_option
def command(
    source: Path,
    target: Path,
    codec: str,
    quality_of: QualityOf,
    target_bpp: Optional[float],
    target_bytes: Optional[int],
    options: tuple[str, ...],
    measured: bool,
    workers: Optional[int],
) -> None:
    """Encode an image file, or all images in a folder and below it, under the same names.

    Images are turned upright as their EXIF says. Links to folders are followed. Files of other kinds are not read, and
    are named, unless they can hold no image, as texts and tables. A folder holds, besides the bitstreams, rates.csv
    (bytes, bits per pixel and time of each), errors.jsonl (images that cannot be read, and why), sources.jsonl (SHA-256
    of every image) and manifest.json (SHA-256 of every file). It is TARGET.partial until it is whole; the same command
    goes on with it after a stop, as long as SOURCE has the same files of the same sizes; what else changed in them is
    taken as it is now. Nothing that exists is overwritten.

    \b
    Examples:
      dsr encode photo.png photo.bpg --qp 36
      dsr encode camera/ fleet/ --codec bpg --qp 36
      dsr encode camera/ fleet/ --codec bpg --target-bpp 0.2 --psnr
      dsr encode camera/ fleet/ --codec jpeg --target-bytes 20000
    """
    quality = quality_of(codec)
    if sum(given is not None for given in (quality, target_bpp, target_bytes)) > 1:
        raise click.UsageError("give one of --quality, --target-bpp and --target-bytes")
    if measured and not source.is_dir():
        raise click.UsageError("--psnr is for a folder, which has a rates.csv; leave it out for a single file")
    from dsr.data_pipelines.codecs import make_codec
    from dsr.data_pipelines.codecs.search import find_quality
    from dsr.data_pipelines.datasets import images
    from dsr.experiments.fleet import folders
    from dsr.experiments.fleet.encoding import encoded_folder
    from dsr.experiments.fleet.rates import AtMost, Fixed, Rate

    if source.is_dir():
        folders.check_apart(source, target)
    chosen = codec_options(codec, options)
    console = Console()
    rate: Rate
    if target_bytes is not None:
        rate = AtMost(codec, target_bytes, chosen)
    elif target_bpp is not None:
        found = find_quality(codec, target_bpp, _sample(source), **chosen)
        console.say(f"{found.codec.point} takes {found.bpp:.4f} bpp on a sample ({target_bpp:g} asked for)")
        rate = Fixed(found.codec)
    else:
        rate = Fixed(make_codec(codec, quality, **chosen))
    if source.is_dir():
        make_folder(encoded_folder(source, rate, measured), target, workers)
        return
    from dsr.data_pipelines.received import suffixes

    pixels = images.read_rgb(source)
    write_one(target, rate.encode(pixels)[1], suffixes(codec))


def _sample(source: Path) -> list[Any]:
    """Pixels of a few images, spread evenly over the folder; none that cannot be read."""
    from dsr.data_pipelines.datasets import DatasetError, images
    from dsr.experiments.fleet.items import find_items

    if not source.is_dir():
        return [images.read_rgb(source)]
    items = find_items(source, images.EXTENSIONS)
    chosen = evenly(SAMPLE_IMAGES, len(items))
    pixels, reason = [], ""
    for number in chosen:
        try:
            pixels.append(images.read_rgb(source / items[number].name))
        except DatasetError as error:
            reason = str(error)
    if not pixels:
        raise FleetError(f"--target-bpp: none of the {len(chosen)} images looked at can be read; {reason}")
    return pixels
