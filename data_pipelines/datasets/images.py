"""Image files to arrays, the one reader of all that reads one.

Every file is taken for hostile, bounded before it is decoded, and what it means is defined.

`docs/reading.md` says the rules in words. In short:

| file holds | image | label map |
| --- | --- | --- |
| 8-bit RGB, YCbCr | RGB8 | colours; three equal channels are ids if the class list gives no colours |
| grey, bilevel | RGB8 | ids |
| palette | RGB8 | ids, by index or through the palette: see `LabelTable.resolve` |
| an alpha channel that is opaque everywhere | dropped | dropped |
| transparent pixels | refused: their colour is undefined | refused |
| 16 bits a sample | refused: which range matters is the owner's choice | ids if grey, else refused |
| 32-bit integers | refused | ids |
| floats, CMYK, CIELAB | refused | refused |
| JPEG, lossy WebP | RGB8 | refused: values are not kept |
| an EXIF or TIFF orientation | turned upright, as viewers and annotation tools show it | turned upright |
| several frames or pages | the first | the first |
| metadata, colour profiles | not looked at | not looked at |
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    ImagePalette,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from dsr.data_pipelines.datasets import ifd
from dsr.data_pipelines.datasets.containers import (
    check_jpeg,
    check_png,
    check_tiff,
    jpeg_parts,
    lossless_webp,
    png_parts,
)
from dsr.data_pipelines.datasets.errors import DatasetError, ReadError
from dsr.data_pipelines.datasets.files import no_memory, opened, read_bytes
from dsr.data_pipelines.datasets.formats import HEAD, format_of
from dsr.data_pipelines.datasets.labels import LabelTable

MAX_PIXELS = 200_000_000
"""Default bound on width x height of an input file: 600 MB decoded. Drone and INRIA images have 24 and 25 million."""

EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Suffixes of image files; what is in them is told by their first bytes."""

LABEL_EXTENSIONS = (".png", ".tif", ".tiff", ".bmp")

_BYTES_PER_PIXEL, _BYTES_BESIDES = 8, 1 << 26
"""A file may have so many for each pixel that may be read, and for metadata."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What shows an image upright, by its orientation."""

_PLAIN = {"RGB", "L", "1", "P", "YCbCr"}
_WITH_ALPHA = {"RGBA", "LA", "PA"}


@dataclass(frozen=True)
class Picture:
    """What an image file holds, decoded as it is stored.

    depth: bits of a sample, which the image's mode does not tell.
    changed: whether decoding gives other numbers than those written: inverted, or stretched so that they end at 255.
        (Grey of 1, 2 and 4 bits is stretched too, and can be taken back; it does not count.)
    orientation: 1 (upright) to 8, as EXIF numbers them.
    lossy: whether the file keeps the values of samples only about.
    icc: the colour profile, which is not applied; empty if there is none.
    exif: the EXIF block as the file has it, which says how the stored samples lie; empty if there is none.
    """

    path: Path
    image: ImageFile.ImageFile
    depth: int
    changed: bool
    orientation: int
    lossy: bool
    icc: bytes
    exif: bytes = b""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright picture."""
        return self.image.size[::-1] if self.orientation >= 5 else self.image.size

    @property
    def upright(self) -> Image.Image:
        """The image as it is shown: of the same mode, palette and samples, but turned."""
        return turned_upright(self.image, self.orientation)

    @property
    def gray(self) -> bool:
        """Whether it is of a kind that has no colours."""
        return self.image.mode in ("1", "L", "LA")

    def upright_exif(self) -> bytes:
        """The EXIF block of the picture as it is shown, without the header that JPEG puts before it."""
        exif = ifd.without_header(self.exif)
        try:
            return ifd.upright(exif, ifd.first_directory(io.BytesIO(exif)))
        except ValueError:
            return exif

    def alpha(self) -> np.ndarray | None:
        """The alpha channel, uint8 (H, W), 255 is opaque; None if there is none. Of what `rgb` or `labels` read."""
        if self.image.mode not in _WITH_ALPHA and "transparency" not in self.image.info:
            return None
        if self.depth > 8:  # one of its values is transparent, and Pillow does not convert it
            opaque = np.asarray(self.upright) != self.image.info["transparency"]
            return np.where(opaque, 255, 0).astype(np.uint8)
        return np.asarray(self.upright.convert("RGBA").getchannel("A"))

    def rgb(self, drop_alpha: bool = False) -> np.ndarray:
        """uint8 RGB (H, W, 3), by the table above; with `drop_alpha` also of transparent pixels.

        Raises DatasetError.
        """
        with _decoding(self.path):
            mode = self.image.mode
            if mode not in _PLAIN | _WITH_ALPHA or self.depth > 8:
                raise DatasetError(
                    f"{self.path}: holds {mode} pixels of {self.depth} bits a sample, whose meaning as 8-bit RGB is "
                    "not defined; convert the file to 8-bit RGB."
                )
            if not drop_alpha:
                self._refuse_transparency()
            return np.asarray(self.upright if mode == "RGB" else self.upright.convert("RGB"))

    def labels(self, table: LabelTable) -> np.ndarray:
        """Ids, integer (H, W), or colours, uint8 (H, W, 3), by the table above. Raises DatasetError."""
        with _decoding(self.path):
            self._check_keeps_values()
            label, by_index = self._values(table)
            if not by_index:
                self._refuse_transparency()
            if label.ndim == 3 and not table.coloured and (label[..., :1] == label[..., 1:]).all():
                label = label[..., 0]
            return np.ascontiguousarray(label)

    def upright_png(self) -> bytes:
        """A PNG file with the same samples, and the same palette, of the picture as it is shown.

        Raises DatasetError, also where PNG cannot keep them.
        """
        with _decoding(self.path):
            self._check_keeps_values()
            image, mode, file = self.upright, self.image.mode, io.BytesIO()
            if mode.startswith("I"):
                samples = np.asarray(image)
                kept = samples.min() >= 0 and samples.max() <= 65535
                image = Image.fromarray(samples.astype(np.uint16))
            else:
                kept = mode in ("1", "P", "RGB", "RGBA", "LA") or (mode == "L" and self.depth == 8)
            if not kept:
                raise DatasetError(
                    f"{self.path}: is turned by its orientation, and its {mode} samples of {self.depth} bits cannot be "
                    "written upright as they are; save it upright, as 8-bit grey PNG."
                )
            image.save(file, "PNG")
            return file.getvalue()

    def _check_keeps_values(self) -> None:
        """Raise DatasetError if what was decoded need not be what was written."""
        if self.lossy:
            raise DatasetError(
                f"{self.path}: is compressed with loss, which changes ids and colours; export the labels as PNG."
            )
        mode = self.image.mode
        plain = self.depth <= 8 and mode in _PLAIN - {"YCbCr"} | _WITH_ALPHA
        if self.changed or not (plain or mode == "I" or mode.startswith("I;16")):
            raise DatasetError(
                f"{self.path}: a label file must hold ids (8 or 16-bit grey, palette) or 8-bit RGB colours, and this "
                f"one holds {mode} of {self.depth} bits{', inverted or stretched' if self.changed else ''}; save it as "
                "8-bit grey PNG."
            )

    def _values(self, table: LabelTable) -> tuple[np.ndarray, bool]:
        """Ids or colours as stored, and whether they are indexes of a palette.

        Such indexes stand for themselves, however the palette looks.
        """
        mode, array = self.image.mode, np.asarray(self.upright)
        if mode in ("P", "PA"):
            palette = np.array(self.image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            index = array if mode == "P" else array[..., 0]
            label = table.resolve(index, palette, self.path)
            return label, label is index
        if mode in ("1", "L") and self.depth < 8:
            factor = 255 // (2**self.depth - 1)
            written = array.astype(np.uint8) if mode == "1" else array // factor
            return table.resolve(written, np.arange(0, 256, factor, np.uint8), self.path), False
        if mode == "LA":
            return array[..., 0], False
        return array if array.ndim == 2 else array[..., :3], False

    def _refuse_transparency(self) -> None:
        alpha = self.alpha()
        if alpha is not None and (alpha < 255).any():
            raise DatasetError(
                f"{self.path}: has transparent pixels, whose colour is undefined; flatten it onto a background."
            )


def turned_upright(image: Image.Image, orientation: int) -> Image.Image:
    """An image as it is shown, whose samples lie as an orientation says, 1 (upright) to 8 as EXIF numbers them."""
    return image.transpose(_TURNS[orientation]) if orientation > 1 else image


def max_bytes(max_pixels: int) -> int:
    """How long the file of an image may be that has at most so many pixels."""
    return _BYTES_PER_PIXEL * max_pixels + _BYTES_BESIDES


def read_picture(path: Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read and decode an image file.

    Raises:
      DatasetError: it is no image of a format that is read, larger than `max_pixels` or damaged.
      ReadError: it cannot be read now.
    """
    return picture_of(path, read_bytes(path, max_bytes(max_pixels)), max_pixels)


def picture_of(path: Path, data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode an image file with this content; `path` is what messages call it. Raises as `read_picture`."""
    with _decoding(path):
        picture = _parsed(path, data, max_pixels)
        if picture.image.format == "JPEG" and picture.image.mode in _PLAIN:
            check_jpeg(data)
        if picture.image.format == "PNG":
            check_png(data)
        if isinstance(picture.image, TiffImagePlugin.TiffImageFile):
            check_tiff(data, picture.image.tag_v2)
        picture.image.load()
        if isinstance(picture.image, TiffImagePlugin.TiffImageFile):
            _check_signs(path, picture.image)
    return picture


def read_size(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) of what `read_rgb` gives; of TIFF files nothing but the header is read.

    Raises as `read_picture`.
    """
    return read_size_and_orientation(path, max_pixels)[0]


def read_size_and_orientation(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[tuple[int, int], int]:
    """See `read_size` and `orientation_of`."""
    with opened(path) as file, _decoding(path):
        if format_of(path, file.read(HEAD)) == "TIFF":
            directory = ifd.first_directory(file)
            size = directory.first(ifd.WIDTH, 0), directory.first(ifd.HEIGHT, 0)
            check_size(path, size, max_pixels)
            return size[::-1] if directory.orientation >= 5 else size, directory.orientation
    data = read_bytes(path, max_bytes(max_pixels))
    with _decoding(path):
        picture = _parsed(path, data, max_pixels)
        return picture.size, picture.orientation


def size_of(path: Path, data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) of the image that a file with this content shows. Raises DatasetError."""
    with _decoding(path):
        return _parsed(path, data, max_pixels).size


def orientation_of(path: Path, data: bytes, max_pixels: int = MAX_PIXELS) -> int:
    """How the image lies in a file with this content, 1 (upright) to 8 as EXIF numbers them. Raises DatasetError."""
    with _decoding(path):
        return _parsed(path, data, max_pixels).orientation


def read_rgb(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The image as uint8 RGB (H, W, 3), by the table above. Raises as `read_picture`."""
    return read_picture(path, max_pixels).rgb()


def read_labels(path: Path, table: LabelTable, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Ids, integer (H, W), or colours, uint8 (H, W, 3), by the table above. Raises as `read_picture`."""
    return read_picture(path, max_pixels).labels(table)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file's bytes becomes a DatasetError."""
    try:
        yield
    except (DatasetError, ReadError):
        raise
    except MemoryError:
        raise no_memory(path) from None
    except Exception as error:  # Pillow's decoders let nearly any exception out when a file is broken
        raise DatasetError(
            f"{path}: cannot be decoded as an image ({error}); copy it from its source again."
        ) from error


def _parsed(path: Path, data: bytes, max_pixels: int) -> Picture:
    """The picture that is in a file, bounded, and not decoded yet.

    Pillow's plugins are called directly, not through `Image.open`, which tries formats that start other programs (EPS:
    Ghostscript) and has a bound of its own that is global to the process.
    """
    return _PARSERS[format_of(path, data[:HEAD])](path, data, max_pixels)


def _png(path: Path, data: bytes, max_pixels: int) -> Picture:
    parts = png_parts(data)
    image = _bounded(path, PngImagePlugin.PngImageFile(io.BytesIO(parts.picture)), max_pixels)
    depth = data[24]
    if image.mode == "L" and "transparency" in image.info:
        image.info["transparency"] *= 255 // (2**depth - 1)  # stretched as the pixels will be
    return Picture(path, image, depth, False, ifd.exif_orientation(parts.exif), False, parts.icc, parts.exif)


def _jpeg(path: Path, data: bytes, max_pixels: int) -> Picture:
    parts = jpeg_parts(data)
    image = _bounded(path, JpegImagePlugin.JpegImageFile(io.BytesIO(parts.picture)), max_pixels)
    return Picture(path, image, 8, False, ifd.exif_orientation(parts.exif), True, parts.icc, parts.exif)


def _webp(path: Path, data: bytes, max_pixels: int) -> Picture:
    image = _bounded(path, WebPImagePlugin.WebPImageFile(io.BytesIO(data)), max_pixels)
    exif, icc = image.info.get("exif", b""), image.info.get("icc_profile", b"")
    return Picture(path, image, 8, False, ifd.exif_orientation(exif), not lossless_webp(data), icc, exif)


def _tiff(path: Path, data: bytes, max_pixels: int) -> Picture:
    directory = ifd.first_directory(io.BytesIO(data))
    _check_tiff(path, directory)
    image = _bounded(path, TiffImagePlugin.TiffImageFile(io.BytesIO(ifd.upright(data, directory))), max_pixels)
    image.info.pop("xmp", None)  # Pillow looks for an orientation there too
    return Picture(
        path,
        image,
        depth=max(directory.get(ifd.BITS, [1])),
        changed=image.mode in ("1", "L") and directory.first(ifd.PHOTOMETRIC, ifd.MIN_IS_WHITE) == ifd.MIN_IS_WHITE,
        orientation=directory.orientation,
        lossy=directory.first(ifd.COMPRESSION, 1) in (ifd.OLD_JPEG, ifd.JPEG),
        icc=image.info.get("icc_profile", b""),
    )


def _bmp(path: Path, data: bytes, max_pixels: int) -> Picture:
    image = _bounded(path, BmpImagePlugin.BmpImageFile(io.BytesIO(data)), max_pixels)
    header = int.from_bytes(data[14:18], "little")
    core = header == 12  # of OS/2, with shorter fields
    bits = int.from_bytes(data[24:26] if core else data[28:30], "little")
    if (image.mode, bits) in (("1", 4), ("1", 8), ("L", 4)):
        # Pillow drops a palette of greys, and then reads 4 or 8 bits as if they were 1, or 4 as if they were 8.
        entry, entries = ("BGR", 0) if core else ("BGRX", int.from_bytes(data[46:50], "little"))
        palette = data[14 + header :][: len(entry) * (entries or 1 << bits)]
        image._mode, image.palette = "P", ImagePalette.raw(entry, palette)
        tile: Any = image.tile[0]
        image.tile = [tile._replace(args=("P" if bits == 8 else "P;4", *tile.args[1:]))]
    return Picture(path, image, min(bits, 8), bits == 16, 1, False, b"")


def _pnm(path: Path, data: bytes, max_pixels: int) -> Picture:
    image = _bounded(path, PpmImagePlugin.PpmImageFile(io.BytesIO(data)), max_pixels)
    # Pillow's own decoders, which stretch, are given the largest value that the file says its samples have.
    args: Any = image.tile[0].args
    maximum = args[1] if isinstance(args, tuple) and args[1] else 65535 if image.mode == "I" else 255
    changed = image.mode == "1" or maximum not in (255, 65535)
    return Picture(path, image, 16 if maximum > 255 else 8, changed, 1, False, b"")


_PARSERS: dict[str, Callable[[Path, bytes, int], Picture]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "WEBP": _webp,
    "TIFF": _tiff,
    "BMP": _bmp,
    "PPM": _pnm,
}


def _bounded(path: Path, image: ImageFile.ImageFile, max_pixels: int) -> ImageFile.ImageFile:
    check_size(path, image.size, max_pixels)
    return image


def check_size(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    """Raise DatasetError for more pixels than may be decoded."""
    width, height = size
    if width < 1 or height < 1:
        raise DatasetError(f"{path}: has no pixels ({width}x{height}); copy it from its source again.")
    if width * height > max_pixels:
        raise DatasetError(
            f"{path}: {width}x{height} is more than {max_pixels} pixels; raise max_pixels if you trust it."
        )


def _check_tiff(path: Path, directory: ifd.Directory) -> None:
    """Raise DatasetError for what decoders guess at, or give up on without saying why."""
    samples, extra = directory.first(ifd.SAMPLES, 1), len(directory.get(ifd.EXTRA_SAMPLES, []))
    photometric = directory.first(ifd.PHOTOMETRIC, ifd.MIN_IS_WHITE)
    if directory.first(ifd.SUBFILE_TYPE, 0) & ifd.REDUCED:
        raise DatasetError(f"{path}: its first page is a thumbnail, as in raw photographs; save the picture alone.")
    if photometric in (ifd.MIN_IS_WHITE, ifd.MIN_IS_BLACK) and samples - extra > 1:
        raise DatasetError(
            f"{path}: has {samples} samples a pixel and says that they are grey (PhotometricInterpretation "
            f"{photometric}), as some tools write RGB; save it with PhotometricInterpretation RGB, or as PNG."
        )
    if photometric == ifd.RGB and samples - extra > 3:
        raise DatasetError(
            f"{path}: has {samples} samples a pixel, RGB and {samples - 3} that it does not describe (near infrared?); "
            "keep red, green and blue alone."
        )


def _check_signs(path: Path, image: TiffImagePlugin.TiffImageFile) -> None:
    """Raise DatasetError for negative bytes, which Pillow reads as 128 to 255."""
    signed = ifd.SIGNED in image.tag_v2.get(ifd.SAMPLE_FORMAT, ())
    if signed and image.mode == "L" and np.asarray(image).max() > 127:
        raise DatasetError(f"{path}: holds negative samples, whose meaning is not defined; save it without a sign.")
