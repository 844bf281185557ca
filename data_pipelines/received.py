"""Received files: which codec's they are by their bytes, whether their names agree, and the pictures that they show."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from dsr.data_pipelines.codecs import CODECS, Codec, CodecError, codec_class, identify, make_codec
from dsr.data_pipelines.codecs.base import MAX_PIXELS, Inspection
from dsr.data_pipelines.codecs.bpg import container, read_bpg
from dsr.data_pipelines.codecs.pillow import PillowCodec
from dsr.data_pipelines.datasets import ifd, images
from dsr.data_pipelines.datasets.containers import Parts, jpeg_parts, png_parts
from dsr.data_pipelines.datasets.errors import DatasetError
from dsr.data_pipelines.datasets.files import opened

OTHER_SUFFIXES = {"jpeg": (".jpeg", ".jpe", ".jfif"), "jpeg2000": (".j2k", ".jpc", ".j2c", ".jpf", ".jpx")}
"""What files of a codec are called besides; the codec's own suffix is what is written."""

MAX_BYTES = 1 << 30
"""More than any image file has."""

_EXIF = 1
"""Tag of a BPG file's extension."""

_IMAGES = frozenset({"none", "jpeg", "webp"})
"""Codecs whose files are those that datasets hold: the reader of these reads them, by its rules."""

_PARTS: dict[str, Callable[[bytes], Parts]] = {"none": png_parts, "jpeg": jpeg_parts}
"""Codecs -> what takes their files apart: Pillow stumbles over metadata that have nothing to do with the picture."""


def suffixes(codec: str) -> tuple[str, ...]:
    """Of a codec's files, lower-case; the first one is what is written."""
    return (codec_class(codec).suffix or f".{codec}", *OTHER_SUFFIXES.get(codec, ()))


@functools.cache
def all_suffixes() -> tuple[str, ...]:
    """Of all codecs' files."""
    return tuple(suffix for codec in CODECS for suffix in suffixes(codec))


def read_header(name: str, bitstream: bytes) -> Inspection:
    """What the file `name` says of itself, its pixels not decoded.

    Raises:
        CodecError: it is no codec's bitstream, or of another codec than its suffix says, or it is seen to be damaged.
    """
    codec = identify(bitstream)
    if codec is None:
        raise CodecError(
            f"{name}: no bitstream of a known codec, its {len(bitstream)} bytes start with {bitstream[:8]!r}"
        )
    if PurePosixPath(name).suffix.lower() not in suffixes(codec.name):
        raise CodecError(f"{name}: holds a {codec.name} bitstream; give it the suffix {suffixes(codec.name)[0]}")
    try:
        return codec.inspect(_PARTS[codec.name](bitstream).picture if codec.name in _PARTS else bitstream)
    except CodecError as error:
        raise CodecError(f"{name}: {error}") from error
    except MemoryError:  # no damage
        raise
    except Exception as error:  # libraries raise whatever the damage makes them trip over
        raise CodecError(f"{name}: cannot be read ({error or type(error).__name__})") from error


def describe_header(codec: str, quality: float | None, chroma: str | None) -> str:
    """As people read it: `bpg qp 36 4:2:0`."""
    scale = codec_class(codec).scale
    said = "" if quality is None or scale is None else f"{scale.name} {quality:g}"
    return " ".join(filter(None, (codec, said, chroma)))


def read_bitstream(path: Path) -> bytes:
    """All of a file.

    Raises:
        CodecError: it is no regular file, or larger than any image; then nothing of it is read.
        ReadError: it cannot be read now.
    """
    try:
        with opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise CodecError(f"{path} has {size} bytes, more than any image")
            return file.read(size)
    except DatasetError as error:
        raise CodecError(str(error)) from error


def decode(header: Inspection, bitstream: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The picture that a bitstream shows, uint8 RGB (H, W, 3), turned upright where its EXIF says so.

    Raises:
        CodecError: it is cut or damaged, transparent, or claims more than `max_pixels`.
    """
    if header.width * header.height > max_pixels:
        raise CodecError(
            f"a {header.codec} bitstream claims {header.width}x{header.height} pixels, more than {max_pixels}"
        )
    if header.codec in _IMAGES:
        try:
            return images.picture_of(Path(f"the {header.codec} bitstream"), bitstream, max_pixels).rgb()
        except DatasetError as error:
            raise CodecError(str(error)) from error
    pixels = _opaque_bpg(bitstream) if header.codec == "bpg" else _decoder(header).decode(bitstream)
    if (pixels.shape[1], pixels.shape[0]) != (header.width, header.height):
        raise CodecError(
            f"a {header.codec} bitstream whose header says {header.width}x{header.height} pixels decodes to "
            f"{pixels.shape[1]}x{pixels.shape[0]}"
        )
    turned = orientation(header.codec, bitstream)
    return pixels if turned == 1 else np.asarray(images.turned_upright(Image.fromarray(pixels), turned))


def _opaque_bpg(bitstream: bytes) -> np.ndarray:
    """What the codec decodes, but of a picture that is transparent: the codec drops alpha."""
    picture = read_bpg(bitstream)
    if picture.alpha is not None and (picture.alpha < 255).any():
        raise CodecError("has transparent pixels, whose colour is undefined; dsr bpg decode keeps them")
    return picture.rgb


def _decoder(header: Inspection) -> Codec:
    if header.codec != "msh":
        return make_codec(header.codec)
    if header.quality is None:
        raise CodecError(
            f"an msh bitstream of the model {header.details['model']}, which does not come with dsr: whoever has its "
            'file decodes it in Python, by make_codec("msh", model=FILE)'
        )
    return make_codec("msh", header.quality)


def orientation(codec: str, bitstream: bytes, max_pixels: int = MAX_PIXELS) -> int:
    """1 (upright) to 8, as EXIF numbers them, of a bitstream that `decode` takes."""
    if codec in _IMAGES:
        return images.orientation_of(Path(f"the {codec} bitstream"), bitstream, max_pixels)
    cls = codec_class(codec)
    exif = b""
    if codec == "bpg":
        exif = dict(container.parse(bitstream)[0].extensions).get(_EXIF, b"")
    elif issubclass(cls, PillowCodec):
        exif = cls.reader(io.BytesIO(bitstream)).info.get("exif", b"")
    return ifd.exif_orientation(exif)
