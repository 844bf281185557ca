"""What a file holds, by its first bytes: the formats that are read, and the names of those that are not."""

from __future__ import annotations

from dsr.data_pipelines.datasets.errors import DatasetError

HEAD = 512
"""Bytes that `format_of` looks at."""

_READ = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"BM", "BMP")) + tuple(
    (magic, "TIFF") for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
)
_TEXT = bytes(range(32, 127)) + b"\t\n\r\f"

_CONVERT = "convert it to PNG or another format that is read"
_OTHERS: tuple[tuple[int, bytes, str, str], ...] = (  # offset, bytes there, what the file holds, what to do
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 codestream", _CONVERT),
    (4, b"jP  \r\n\x87\n", "JPEG 2000", _CONVERT),
    (0, b"\xff\x0a", "JPEG XL", _CONVERT),
    (4, b"JXL \r\n\x87\n", "JPEG XL", _CONVERT),
    (4, b"ftypcrx ", "a Canon raw photograph", "develop it to PNG or TIFF"),
    (0, b"GIF8", "GIF", _CONVERT),
    (0, b"BPG\xfb", "BPG", "decode it with dsr bpg decode"),
    (0, b"8BPS", "a Photoshop document", _CONVERT),
    (0, b"gimp xcf", "a GIMP document", _CONVERT),
    (0, b"\x76\x2f\x31\x01", "OpenEXR", _CONVERT),
    (0, b"#?RADIANCE", "Radiance HDR", _CONVERT),
    (0, b"DDS ", "a DirectDraw surface", _CONVERT),
    (0, b"qoif", "QOI", _CONVERT),
    (0, b"FUJIFILMCCD-RAW", "a Fujifilm raw photograph", "develop it to PNG or TIFF"),
    (0, b"IIRO", "an Olympus raw photograph", "develop it to PNG or TIFF"),
    (0, b"IIU\0", "a Panasonic raw photograph", "develop it to PNG or TIFF"),
    (8, b"CR\x02\0", "a Canon raw photograph", "develop it to PNG or TIFF"),
    (0, b"%!PS", "PostScript", _CONVERT),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript", _CONVERT),
    (0, b"%PDF", "a PDF document", _CONVERT),
    (0, b"\x93NUMPY", "a NumPy array", _CONVERT),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5 data", _CONVERT),
    (128, b"DICM", "DICOM", _CONVERT),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (0, b"\x1f\x8b", "gzip data", "unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
    (0, b"Rar!", "a RAR archive", "unpack it"),
    (0, b"\x1a\x45\xdf\xa3", "a video (Matroska)", "extract its frames"),
    (0, b"\0\5\x16\7", "metadata that macOS kept beside the image", "remove it"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the image", "fetch the image with git lfs pull"),
    (0, b"/annex/objects/", "a git-annex pointer, not the image", "fetch the image with git annex get"),
)
_BRANDS = {"avif": "AVIF", "avis": "AVIF", "qt  ": "a video (QuickTime)"} | dict.fromkeys(
    ("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"), "HEIC"
)
"""Major brand of an ISO base media file -> what it is; all others are videos."""


def format_of(path: object, head: bytes) -> str:
    """PNG, JPEG, WEBP, TIFF, BMP or PPM, whatever the file is called; `head` is its first `HEAD` bytes.

    Raises DatasetError for anything else, saying what the file holds instead.
    """
    for offset, magic, what, remedy in _OTHERS:
        if head.startswith(magic, offset):
            raise DatasetError(f"{path}: holds {what}; {remedy}.")
    for magic, name in _READ:
        if head.startswith(magic):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:1] == b"P" and b"1" <= head[1:2] <= b"6" and head[2:3].isspace():
        return "PPM"
    if head[4:8] == b"ftyp":
        raise DatasetError(f"{path}: holds {_media(head)}; {_CONVERT}.")
    raise DatasetError(f"{path}: cannot be decoded as an image: {_no_image(head)}.")


def _media(head: bytes) -> str:
    """AVIF files may give the general brand of HEIF first and their own among the compatible ones."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[at : at + 4].decode("latin-1") for at in (8, *range(16, length, 4))]
    if brands[0] in ("mif1", "msf1"):
        brands.sort(key=lambda brand: brand not in ("avif", "avis"))
    return _BRANDS.get(brands[0], "a video (MP4)")


def _no_image(head: bytes) -> str:
    if not head:
        return "it is empty; copy it from its source again"
    if not head.strip(b"\0"):
        return "it begins with zeros, as a file does that was never written to disk; copy it from its source again"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "it holds an HTML page, such as an error page saved in place of the image; download the image again"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return f"it holds SVG; {_CONVERT}"
    if not text.translate(None, _TEXT):
        return "it holds text; copy the image from its source again"
    return "it holds no format that is known; copy it from its source again, or convert it to PNG"
