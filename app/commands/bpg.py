"""`dsr bpg`: single BPG files."""

from __future__ import annotations

import io
import os
from pathlib import Path

import click
import numpy as np
from PIL import Image

from dsr.data_pipelines.codecs import CodecError, make_codec
from dsr.data_pipelines.codecs.base import MAX_PIXELS
from dsr.data_pipelines.codecs.bpg import container, read_bpg
from dsr.data_pipelines.codecs.bpg.codec import CHROMAS, DEFAULT_PRESET, PRESETS
from dsr.data_pipelines.datasets.images import read_picture
from dsr.models.errors import UserError

EXTENSIONS = {1: "EXIF", 2: "ICC profile", 3: "XMP", 4: "thumbnail", 5: "animation control"}

input_file = click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
output_file = click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
force = click.option("--force", is_flag=True, help="Overwrite the output file if it exists.")


@click.group("bpg")
def command() -> None:
    """Encode, decode or inspect a single BPG file.

    \b
    Examples:
      dsr bpg encode photo.png photo.bpg --qp 30
      dsr bpg decode photo.bpg photo.png
      dsr bpg info photo.bpg
    """


@command.command()
@input_file
@output_file
@click.option(
    "--qp", type=click.IntRange(0, 51), default=40, show_default=True, help="Higher is smaller, as bpgenc -q."
)
@click.option(
    "--chroma", type=click.Choice(CHROMAS), help="Chroma resolution.  [default: 4:2:0, gray for a gray image]"
)
@click.option(
    "--preset",
    metavar="NAME",
    default="",
    help=f"Effort: {', '.join(PRESETS['x265'])}; for libbpg 1 to 9.  "
    f"[default: {DEFAULT_PRESET['x265']}; {DEFAULT_PRESET['libbpg']}]",
)
@click.option(
    "--chroma-qp-offset", type=click.IntRange(-12, 12), default=0, show_default=True, help="QP of chroma planes."
)
@click.option("--encoder", type=click.Choice(tuple(PRESETS)), default="x265", show_default=True, help="libbpg: bpgenc.")
@force
def encode(
    source: Path,
    target: Path,
    qp: int,
    chroma: str | None,
    preset: str,
    chroma_qp_offset: int,
    encoder: str,
    force: bool,
) -> None:
    """Encode the image SOURCE (PNG, JPEG, WebP, ...) to the BPG file TARGET. An alpha channel is left out.

    \b
    Examples:
      dsr bpg encode photo.png photo.bpg --qp 30
      dsr bpg encode photo.png photo.bpg --qp 40 --chroma 4:4:4 --preset medium --force
    """
    _refuse_overwriting(target, force)
    picture = read_picture(source)
    if picture.alpha() is not None:
        click.echo(f"{source}: the alpha channel is left out", err=True)
    if picture.has_other_colours:
        click.echo(f"{source}: its colour profile is left out, so its colours will be taken for sRGB", err=True)
    pixels = picture.rgb(drop_alpha=True)
    codec = make_codec(
        "bpg",
        qp,
        chroma=chroma or ("gray" if picture.gray else "4:2:0"),
        preset=preset,
        chroma_qp_offset=chroma_qp_offset,
        encoder=encoder,
    )
    bitstream = codec.encode(pixels)
    _write(target, bitstream)
    height, width, _ = pixels.shape
    click.echo(f"{target}: {_rate(len(bitstream), width, height)}")


@command.command()
@input_file
@output_file
@click.option("--drop-alpha", is_flag=True, help="Leave out the alpha channel, if there is one.")
@click.option(
    "--max-pixels", type=click.IntRange(1), default=MAX_PIXELS, show_default=True, help="Refuse larger pictures."
)
@force
def decode(source: Path, target: Path, drop_alpha: bool, max_pixels: int, force: bool) -> None:
    """Decode the BPG file SOURCE to the PNG file TARGET; of an animation the first picture.

    \b
    Example:
      dsr bpg decode photo.bpg photo.png
    """
    _refuse_overwriting(target, force)
    if target.suffix.lower() != ".png":
        raise UserError(f"decoded pixels are written as PNG, so give {target} the suffix .png")
    try:
        picture = read_bpg(source.read_bytes(), max_pixels)
    except CodecError as error:
        raise CodecError(f"{source}: {error}") from error
    pixels = picture.rgb
    if picture.alpha is not None and not drop_alpha:
        pixels = np.dstack((pixels, picture.alpha))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    _write(target, buffer.getvalue())
    click.echo(f"{target}: {picture.header.width}x{picture.header.height} {'RGBA' if pixels.shape[2] == 4 else 'RGB'}")


@command.command()
@input_file
def info(source: Path) -> None:
    """Show what the header of the BPG file SOURCE says. The picture data is not decoded.

    \b
    Example:
      dsr bpg info photo.bpg
    """
    data = source.read_bytes()
    try:
        header, hevc = container.parse(data)
    except CodecError as error:
        raise CodecError(f"{source}: {error}") from error
    extensions = [f"{EXTENSIONS.get(tag, f'tag {tag}')} ({len(payload)} bytes)" for tag, payload in header.extensions]
    rows = {
        "picture": f"{header.width}x{header.height} pixels, {header.depth} bits a sample",
        "chroma": header.pixel_format,
        "colour": f"{header.colour_space}, {'limited' if header.limited_range else 'full'} range",
        "alpha": header.alpha or "none",
        "animation": "yes" if header.animation else "no",
        "extensions": ", ".join(extensions) or "none",
        "file": _rate(len(data), header.width, header.height),
        "picture data": f"{len(hevc)} bytes, {'length given' if header.has_length else 'to the end of the file'}",
    }
    for name, value in rows.items():
        click.echo(f"{name:<14}{value}")


def _rate(length: int, width: int, height: int) -> str:
    return f"{length} bytes, {8 * length / (width * height):.4f} bits per pixel"


def _refuse_overwriting(target: Path, force: bool) -> None:
    if target.exists() and not force:
        raise UserError(f"{target} exists: choose another name, or overwrite it with --force")


def _write(target: Path, data: bytes) -> None:
    """Writes the file whole or not at all."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"cannot write {target}: {error.strerror}") from error
