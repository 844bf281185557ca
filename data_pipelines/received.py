"""What a received file is, by its bytes: codec, quality, chroma, size; and the pixels that it shows.

Nothing here imports TensorFlow unless a bitstream of the learned codec is decoded.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Optional

import numpy as np
from PIL import ExifTags, Image, ImageFile, JpegImagePlugin

from dsr.data_pipelines.codecs import Codec, CodecError, codec_class, make_codec
from dsr.data_pipelines.codecs.base import MAX_PIXELS
from dsr.data_pipelines.codecs.bpg import container, hevc
from dsr.data_pipelines.codecs.bpg.bits import BitReader, unescape
from dsr.data_pipelines.codecs.bpg.parameter_sets import PPS, SequenceHeader
from dsr.data_pipelines.codecs.msh import container as msh_container
from dsr.data_pipelines.codecs.msh import shipped
from dsr.data_pipelines.codecs.msh.container import MAGIC as MSH
from dsr.data_pipelines.codecs.pillow import PillowCodec
from dsr.models.hyperprior.saved import read_hyperprior

SUFFIXES: dict[str, tuple[str, ...]] = {
    "bpg": (".bpg",),
    "msh": (".msh",),
    "jpeg": (".jpg", ".jpeg"),
    "jpeg2000": (".jp2", ".j2k", ".jpc"),
    "webp": (".webp",),
    "avif": (".avif",),
    "none": (".png",),
}
"""Codec -> suffixes of its files, lower-case; the first one is what is written."""

RECEIVED = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)

BPG_QP_OFFSET = 3
"""The encoders of BPG files set an intra picture's own QP so much lower than the one they are asked for."""

MAX_BYTES = 1 << 30
"""More than any image file has."""

_EXIF = 1
"""Tag of a BPG file's extension."""

_UPRIGHT = 1

_CHROMAS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
"""Pillow's numbers of JPEG's chroma resolutions."""


@dataclass(frozen=True)
class Header:
    """What a bitstream says of itself.

    Attributes:
        codec: Name in the registry of codecs.
        quality: On the codec's scale: BPG's QP is that of its first slice, JPEG's the IJG quality whose tables are
            nearest to the file's, the rate of JPEG 2000 is that of the bytes. None where a file does not tell (WebP,
            AVIF, lossless PNG).
        chroma: Chroma resolution, as the codec's option has it; None where a file does not tell.
        width, height: In pixels, as coded: an orientation is not applied.
    """

    codec: str
    quality: Optional[float]
    chroma: Optional[str]
    width: int
    height: int

    def __str__(self) -> str:
        parts = [self.codec]
        if self.quality is not None:
            scale = codec_class(self.codec).scale
            parts.append(f"{scale.name if scale else 'quality'} {self.quality:g}")
        if self.chroma is not None:
            parts.append(self.chroma)
        return " ".join(parts)


def identify(bitstream: bytes) -> Optional[str]:
    """Whose bitstream it is, by its first bytes: a codec's name, or None."""
    head = bitstream[:32]
    if head[4:8] == b"ftyp" and (head[8:12] in (b"avif", b"avis") or b"avif" in head):
        return "avif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    magics = {
        container.MAGIC: "bpg",
        MSH: "msh",
        b"\xff\xd8\xff": "jpeg",
        b"\xff\x4f\xff\x51": "jpeg2000",
        b"\0\0\0\x0cjP  \r\n\x87\n": "jpeg2000",
        b"\x89PNG\r\n\x1a\n": "none",
    }
    return next((codec for magic, codec in magics.items() if head.startswith(magic)), None)


def inspect(bitstream: bytes) -> Header:
    """Read the headers, and decode nothing.

    Raises:
        CodecError: no bitstream of a codec that there is, or its headers are cut or damaged.
    """
    codec = identify(bitstream)
    if codec is None:
        raise CodecError(f"no bitstream of a known codec: {len(bitstream)} bytes that start with {bitstream[:8]!r}")
    readers: dict[str, Callable[[bytes], Header]] = {"bpg": _bpg, "msh": _msh, "jpeg": _jpeg}
    try:
        return readers.get(codec, functools.partial(_by_pillow, codec))(bitstream)
    except CodecError:
        raise
    except Exception as error:  # Pillow's readers raise whatever the damage makes them trip over
        raise CodecError(
            f"the header of a {codec} bitstream cannot be read: {error or type(error).__name__}"
        ) from error


def read_header(name: str, bitstream: bytes) -> Header:
    """What the file `name` holds.

    Raises:
        CodecError: its suffix is another codec's, or as `inspect`.
    """
    header = inspect(bitstream)
    suffix = PurePosixPath(name).suffix
    if suffix.lower() not in SUFFIXES[header.codec]:
        raise CodecError(f"{name}: holds a {header.codec} bitstream; give it the suffix {SUFFIXES[header.codec][0]}")
    return header


def read_bitstream(path: Path) -> bytes:
    """All of a file. Raises CodecError if it is larger than any image, OSError if it cannot be read."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise CodecError(f"{path.name} has {size} bytes, more than any image")
    return path.read_bytes()


def decode(header: Header, bitstream: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The picture that a bitstream shows, uint8 RGB (H, W, 3), turned upright where its EXIF says so.

    Raises:
        CodecError: it is cut or damaged, or claims more than `max_pixels`.
    """
    if header.width * header.height > max_pixels:
        raise CodecError(
            f"a {header.codec} bitstream claims {header.width}x{header.height} pixels, more than {max_pixels}"
        )
    pixels = _decoder(header, bitstream).decode(bitstream)
    if (pixels.shape[1], pixels.shape[0]) != (header.width, header.height):
        raise CodecError(
            f"a {header.codec} bitstream whose header says {header.width}x{header.height} pixels decodes to "
            f"{pixels.shape[1]}x{pixels.shape[0]}"
        )
    return _upright(pixels, _orientation(header.codec, bitstream))


def _decoder(header: Header, bitstream: bytes) -> Codec:
    if header.codec == "msh":
        return _msh_codec(msh_container.parse(bitstream).model)
    return make_codec(header.codec)


@functools.lru_cache(maxsize=8)
def _msh_codec(model: bytes) -> Codec:
    return make_codec("msh", _msh_quality(model))


@functools.lru_cache(maxsize=8)
def _msh_quality(model: bytes) -> int:
    for quality, path in shipped().items():
        if read_hyperprior(path).fingerprint.startswith(model):
            return quality
    raise CodecError(f"an msh bitstream of the model {model.hex()}, which does not come with dsr")


def _msh(bitstream: bytes) -> Header:
    parsed = msh_container.parse(bitstream)
    return Header("msh", _msh_quality(parsed.model), None, parsed.width, parsed.height)


def _bpg(bitstream: bytes) -> Header:
    header, data = container.parse(bitstream)
    chroma = header.pixel_format.replace(" video", "")  # where chroma samples lie is no matter for what is lost
    return Header("bpg", _bpg_qp(header, data), chroma, header.width, header.height)


def _bpg_qp(header: container.Header, data: bytes) -> int:
    """The QP that was asked for, from that of the first slice (H.265 7.3.2.3 and 7.3.6.1)."""
    cursor = container.Cursor(data)
    if header.alpha:
        cursor.take(cursor.ue7("the HEVC header"), "the HEVC header")
    sequence = SequenceHeader.parse(cursor.take(cursor.ue7("the HEVC header"), "the HEVC header"))
    nals = [nal for nal in hevc.split_nals(data[cursor.position :]) if hevc.nal_layer(nal) == 0]
    parameters = next((nal for nal in nals if hevc.nal_type(nal) == PPS), None)
    picture = next((nal for nal in nals if hevc.is_slice(nal)), None)
    if parameters is None or picture is None:
        raise CodecError("BPG file holds no picture data")
    bits = BitReader(unescape(parameters[:64]))
    bits.u(16)  # NAL unit header
    bits.ue(), bits.ue()  # identifiers
    bits.u(1)
    output_flag, extra_bits = bits.u(1), bits.u(3)
    bits.u(2)
    bits.ue(), bits.ue()  # default numbers of references
    qp = 26 + bits.se()
    bits = BitReader(unescape(picture[:64]))
    bits.u(16)
    first, kind = bits.u(1), hevc.nal_type(picture)
    if 16 <= kind <= 23:
        bits.u(1)  # no output of prior pictures
    bits.ue()  # identifier of the PPS
    bits.u(extra_bits)
    if not first or bits.ue() != 2 or kind not in (19, 20):
        raise CodecError("BPG picture does not begin with an intra slice")
    bits.u(output_flag)
    bits.u(sequence.sao * (1 if header.pixel_format == "gray" else 2))
    return max(0, qp + bits.se()) + BPG_QP_OFFSET


def _jpeg(bitstream: bytes) -> Header:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(bitstream))
    _check_size(image)
    sampling = "gray" if image.mode == "L" else _CHROMAS.get(JpegImagePlugin.get_sampling(image))
    return Header("jpeg", _jpeg_quality(image.quantization), sampling, *image.size)


def _jpeg_quality(tables: dict[int, Any]) -> Optional[int]:
    """The quality whose luma table is nearest to the file's; None if that has none."""
    if not tables:
        return None
    luma = np.asarray(tables[min(tables)], np.int64)
    return min(_ijg_tables(), key=lambda quality: int(np.abs(_ijg_tables()[quality] - luma).sum()))


@functools.cache
def _ijg_tables() -> dict[int, np.ndarray]:
    """Quality -> the luma table that libjpeg writes."""
    tables = {}
    for quality in range(1, 101):
        buffer = io.BytesIO()
        Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
        buffer.seek(0)
        tables[quality] = np.asarray(JpegImagePlugin.JpegImageFile(buffer).quantization[0], np.int64)
    return tables


def _by_pillow(codec: str, bitstream: bytes) -> Header:
    image = _opened(codec, bitstream)
    _check_size(image)
    width, height = image.size
    quality = 8 * len(bitstream) / (width * height) if codec == "jpeg2000" else None
    return Header(codec, quality, None, width, height)


def _opened(codec: str, bitstream: bytes) -> ImageFile.ImageFile:
    found = codec_class(codec)
    assert issubclass(found, PillowCodec)
    return found.reader(io.BytesIO(bitstream))


def _check_size(image: Image.Image) -> None:
    if min(image.size) < 1:
        raise CodecError(f"a picture of {image.size[0]}x{image.size[1]} pixels")


def _orientation(codec: str, bitstream: bytes) -> int:
    """1 (upright) to 8, as EXIF numbers them."""
    if codec == "msh":
        return _UPRIGHT
    exif = Image.Exif()
    try:
        if codec == "bpg":
            extensions = dict(container.parse(bitstream)[0].extensions)
            exif.load(extensions.get(_EXIF, b""))
        else:
            exif = _opened(codec, bitstream).getexif()
        found = exif.get(ExifTags.Base.Orientation, _UPRIGHT)
    except Exception:  # noqa: BLE001 (damaged EXIF says nothing, as for viewers; the picture has been decoded)
        return _UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else _UPRIGHT


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: p[::-1].swapaxes(0, 1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: p[:, ::-1].swapaxes(0, 1),
    }
    return np.ascontiguousarray(turns[orientation](pixels)) if orientation in turns else pixels
