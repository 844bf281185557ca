"""`dsr bpg`: single BPG files."""

from __future__ import annotations

import io
from pathlib import Path

import click
import numpy as np
from PIL import Image

from dsr.app.console import show
from dsr.app.help import Group, dry_run_option, json_option
from dsr.app.made import write_file
from dsr.data_pipelines.codecs import CodecError
from dsr.data_pipelines.codecs.base import MAX_PIXELS
from dsr.data_pipelines.codecs.bpg import container, read_bpg, write_bpg
from dsr.data_pipelines.codecs.bpg.codec import CHROMAS, DEFAULT_PRESET, PRESETS, BpgCodec
from dsr.data_pipelines.codecs.bpg.hevc import DEPTHS
from dsr.data_pipelines.datasets.images import Picture, read_picture
from dsr.data_pipelines.received import read_bitstream
from dsr.models.errors import UserError

EXTENSIONS = {
    container.EXIF: "EXIF",
    container.ICC: "ICC profile",
    container.XMP: "XMP",
    container.THUMBNAIL: "thumbnail",
    container.ANIMATION: "animation control",
}

input_file = click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
output_file = click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
force = click.option("--force", is_flag=True, help="Overwrite the output file if it exists.")


@click.group("bpg", cls=Group)
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
@click.option("--lossless", is_flag=True, help="Keep the pixels as they are, whatever the QP.")
@click.option(
    "--chroma", type=click.Choice(CHROMAS), help="Chroma resolution.  [default: 4:2:0, gray for a gray image]"
)
@click.option(
    "--depth",
    type=click.Choice([str(depth) for depth in DEPTHS]),
    default="8",
    show_default=True,
    help="Bits a sample: 10 lose less to rounding, and not every decoder takes them.",
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
@click.option("--drop-alpha", is_flag=True, help="Leave out the alpha channel, if there is one.")
@click.option(
    "--drop-metadata", is_flag=True, help="Leave out the colour profile and EXIF, which tells place and time."
)
@click.option("--encoder", type=click.Choice(tuple(PRESETS)), default="x265", show_default=True, help="libbpg: bpgenc.")
@force
@dry_run_option
@json_option
def encode(
    source: Path,
    target: Path,
    qp: int,
    lossless: bool,
    chroma: str | None,
    depth: str,
    preset: str,
    chroma_qp_offset: int,
    drop_alpha: bool,
    drop_metadata: bool,
    encoder: str,
    force: bool,
) -> None:
    """Encode the image SOURCE (PNG, JPEG, WebP, ...) to the BPG file TARGET.

    It is turned upright, and keeps its alpha channel, colour profile (ICC) and EXIF.

    \b
    Examples:
      dsr bpg encode photo.png photo.bpg --qp 30
      dsr bpg encode photo.png photo.bpg --qp 40 --chroma 4:4:4 --preset medium --force
      dsr bpg encode scan.png scan.bpg --lossless
    """
    _refuse_overwriting(target, force)
    if lossless and chroma is not None:
        raise CodecError("--lossless keeps the pixels as they are, chroma too: leave it or --chroma out")
    picture = read_picture(source)
    pixels = picture.rgb(drop_alpha=True)  # refuses what has more than 8 bits
    alpha = None if drop_alpha else picture.alpha()
    if alpha is not None and (alpha == 255).all():
        alpha = None
    # Checks the options too.
    codec = BpgCodec(
        None if lossless else qp,
        chroma=chroma or ("gray" if picture.gray and not lossless else "4:2:0"),
        preset=preset,
        chroma_qp_offset=chroma_qp_offset,
        encoder=encoder,
        lossless=lossless,
    )
    samples = pixels[:, :, 0] if picture.gray and chroma in (None, "gray") else pixels
    gray = samples.ndim == 2 or codec.chroma == "gray"
    extensions = [] if drop_metadata else _metadata(source, picture, gray)
    if encoder == "libbpg":
        if depth != "8":
            raise CodecError("--encoder libbpg writes 8 bits: leave it or --depth out")
        if alpha is not None or extensions:
            click.echo(f"{source}: alpha and metadata are left out, which --encoder libbpg does not keep", err=True)
        bitstream = codec.encode(pixels)
    else:
        bitstream = write_bpg(
            samples,
            codec.quality,
            "gray" if gray else codec.chroma,
            codec.preset,
            chroma_qp_offset,
            depth=int(depth),
            lossless=lossless,
            alpha=alpha,
            extensions=extensions,
        )
    write_file(target, bitstream)
    height, width, _ = pixels.shape
    value = {"file": target, "bytes": len(bitstream), "bpp": 8 * len(bitstream) / (width * height)}
    show(value, lambda: click.echo(f"{target}: {_rate(len(bitstream), width, height)}"))


def _metadata(source: Path, picture: Picture, gray: bool) -> list[tuple[int, bytes]]:
    """The extensions that keep the picture's metadata."""
    extensions = []
    if exif := picture.upright_exif():
        extensions.append((container.EXIF, exif))
    if picture.icc[16:20] == (b"GRAY" if gray else b"RGB "):
        extensions.append((container.ICC, picture.icc))
    elif picture.icc:
        click.echo(f"{source}: its colour profile is left out, it is none of such pixels", err=True)
    return extensions


@command.command()
@input_file
@output_file
@click.option("--drop-alpha", is_flag=True, help="Leave out the alpha channel, if there is one.")
@click.option(
    "--max-pixels", type=click.IntRange(1), default=MAX_PIXELS, show_default=True, help="Refuse larger pictures."
)
@force
@dry_run_option
@json_option
def decode(source: Path, target: Path, drop_alpha: bool, max_pixels: int, force: bool) -> None:
    """Decode the BPG file SOURCE to the PNG file TARGET; of an animation the first picture.

    \b
    Example:
      dsr bpg decode photo.bpg photo.png
    """
    _refuse_overwriting(target, force)
    if target.suffix.lower() != ".png":
        raise UserError(f"decoded pixels are written as PNG, so give {target} the suffix .png")
    bitstream = read_bitstream(source)
    try:
        picture = read_bpg(bitstream, max_pixels)
    except CodecError as error:
        raise CodecError(f"{source}: {error}") from error
    pixels = picture.rgb[:, :, :1] if picture.header.pixel_format == "gray" else picture.rgb
    if picture.alpha is not None and not drop_alpha:
        pixels = np.dstack((pixels, picture.alpha))
    metadata = dict(reversed(picture.header.extensions))
    left_out = [tag for tag, _ in picture.header.extensions if tag not in (container.EXIF, container.ICC)]
    if left_out:
        names = ", ".join(EXTENSIONS.get(tag, f"tag {tag}") for tag in left_out)
        click.echo(f"{source}: {names} left out", err=True)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=metadata.get(container.ICC), exif=metadata.get(container.EXIF, b""))
    write_file(target, buffer.getvalue())
    value = {"file": target, "width": picture.header.width, "height": picture.header.height, "mode": image.mode}
    show(value, lambda: click.echo(f"{target}: {picture.header.width}x{picture.header.height} {image.mode}"))


@command.command()
@input_file
@json_option
def info(source: Path) -> None:
    """Show what the header of the BPG file SOURCE says. The picture data is not decoded.

    \b
    Example:
      dsr bpg info photo.bpg
    """
    data = read_bitstream(source)
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

    def text() -> None:
        for name, value in rows.items():
            click.echo(f"{name:<14}{value}")

    show(rows, text)


def _rate(length: int, width: int, height: int) -> str:
    return f"{length} bytes, {8 * length / (width * height):.4f} bits per pixel"


def _refuse_overwriting(target: Path, force: bool) -> None:
    if (target.exists() or target.is_symlink()) and not force:
        raise UserError(f"{target} exists: choose another name, or overwrite it with --force")
