"""What looked right and was wrong: each is read right, or refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.codecs import CodecError
from dsr.data_pipelines.datasets import DatasetError, Label, LabelTable
from dsr.data_pipelines.datasets.classes import read_classes
from dsr.data_pipelines.datasets.images import read_labels, read_rgb
from dsr.data_pipelines.datasets.labels import voc_color
from dsr.data_pipelines.received import decode, read_header


def table(ids: int) -> LabelTable:
    return LabelTable(tuple(Label(i, i, f"class {i}", voc_color(i)) for i in range(ids)), coloured=False)


def paletted(path: Path, index: np.ndarray, colors: list[tuple[int, int, int]]) -> Path:
    image = Image.fromarray(index.astype(np.uint8), "P")
    image.putpalette([value for color in colors for value in color])
    image.save(path)
    return path


def test_a_colour_palette_of_which_only_grey_entries_are_used_still_means_its_index(tmp_path: Path) -> None:
    """VOC's colour of 7 is the grey 128."""
    index = np.array([[0, 7], [7, 0]])
    path = paletted(tmp_path / "a.png", index, [voc_color(i) for i in range(256)])
    np.testing.assert_array_equal(read_labels(path, table(150)), index)


def test_vocs_colours_at_other_places_are_refused(tmp_path: Path) -> None:
    path = paletted(tmp_path / "a.png", np.array([[0, 1], [2, 1]]), [voc_color(i) for i in (0, 15, 5)])
    with pytest.raises(DatasetError, match="index 1 the colour that PASCAL VOC gives to 15"):
        read_labels(path, table(21))


@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_png_whose_picture_data_end_early_is_refused(tmp_path: Path, interlaced: int) -> None:
    """All checksums are right: Pillow leaves the missing rows black."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, interlaced)
    for rows, whole in ((bytes(9 * 5), False), (bytes(200), True)):
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        (tmp_path / "a.png").write_bytes(data)
        if whole:
            assert read_rgb(tmp_path / "a.png").shape == (8, 8, 3)
        else:
            with pytest.raises(DatasetError, match="picture data end after 45 of"):
                read_rgb(tmp_path / "a.png")


def test_a_quote_that_is_not_closed_and_a_void_that_would_be_learned_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text('id,name\n0,"road\n1,car\n2,pole\n')
    with pytest.raises(DatasetError, match="line break in its name"):
        read_classes(path)
    for text in ('id,name\n0,"' + "1,car\n" * 30_000, "x" * 200_000 + ",name\n0,road\n"):
        path.write_text(text)
        with pytest.raises(DatasetError, match="field larger than field limit"):
            read_classes(path)
    path.write_text("id,name\n0,void\n1,car\n")
    with pytest.raises(DatasetError, match="'void' .*would be a class that is learned"):
        read_classes(path)


def encoded(format: str, image: Image.Image, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


def test_received_files_follow_the_same_rules() -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    whole = encoded("JPEG", picture, quality=90)
    half = len(whole) // 2
    clear = picture.copy()
    clear.putalpha(128)
    damaged = {
        "cut.jpg": whole[:half] + b"\xff\xd9",
        "zeroed.jpg": whole[:half] + bytes(200) + whole[half + 200 :],
        "cmyk.jpg": encoded("JPEG", picture.convert("CMYK")),
        "clear.webp": encoded("WEBP", clear, lossless=True),
        "clear.avif": encoded("AVIF", clear),
        "clear.png": encoded("PNG", clear),
        "deep.png": encoded("PNG", Image.fromarray(np.full((8, 8), 40000, np.uint16))),
    }
    for name, bitstream in damaged.items():
        with pytest.raises(CodecError):
            decode(read_header(name, bitstream), bitstream)
    np.testing.assert_array_equal(
        decode(read_header("whole.jpg", whole), whole), np.asarray(Image.open(io.BytesIO(whole)))
    )
