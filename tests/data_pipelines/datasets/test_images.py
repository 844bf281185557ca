from __future__ import annotations

import io
import random
import re
import struct
import zlib
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, TiffImagePlugin

from dsr.data_pipelines.datasets import DatasetError, Label, LabelTable
from dsr.data_pipelines.datasets.images import Picture, read_labels, read_picture, read_rgb, read_size
from dsr.models.errors import ReadError
from tests.data_pipelines.datasets.files import (
    chunk,
    ids,
    picture,
    save,
    save_bmp,
    save_palette_png,
    save_raw_png,
    save_raw_tiff,
)

TABLE = LabelTable(tuple(Label(i, i, f"class {i}", (40 * i + 10, 20, 200 - 40 * i)) for i in range(5)))
COLOURLESS = LabelTable(TABLE.labels, coloured=False)


@pytest.mark.parametrize("suffix, options", [("png", {}), ("webp", {"lossless": True}), ("tif", {}), ("bmp", {})])
def test_lossless_files_give_their_pixels_back(tmp_path, suffix, options):
    pixels = picture(0, 20, 30)
    path = save(tmp_path / f"a.{suffix}", pixels, **options)
    np.testing.assert_array_equal(read_rgb(path), pixels)
    assert read_size(path) == (30, 20)


def test_what_is_in_a_file_counts_and_not_its_suffix(tmp_path):
    pixels = picture(0, 20, 30)
    np.testing.assert_array_equal(read_rgb(save(tmp_path / "a.png", pixels).rename(tmp_path / "a.jpg")), pixels)


def test_grey_and_palette_files_become_rgb(tmp_path):
    grey = picture(0, 8, 9)[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_rgb(save(tmp_path / "grey.png", grey)), expected)
    palette = Image.fromarray(grey).convert("P")
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "palette.png"), expected)


def test_opaque_alpha_is_dropped_and_transparency_is_refused(tmp_path):
    pixels = np.dstack([picture(0, 8, 9), np.full((8, 9), 255, np.uint8)])
    np.testing.assert_array_equal(read_rgb(save(tmp_path / "opaque.png", pixels)), pixels[..., :3])
    pixels[3, 3, 3] = 254
    with pytest.raises(DatasetError, match=r"clear\.png.*transparent"):
        read_rgb(save(tmp_path / "clear.png", pixels))
    np.testing.assert_array_equal(read_picture(tmp_path / "clear.png").rgb(drop_alpha=True), pixels[..., :3])
    np.testing.assert_array_equal(read_picture(tmp_path / "clear.png").alpha(), pixels[..., 3])


def test_files_without_one_8_bit_rgb_meaning_are_refused(tmp_path):
    save(tmp_path / "grey16.png", np.full((4, 5), 3000, np.uint16))
    Image.new("CMYK", (5, 4)).save(tmp_path / "cmyk.jpg")
    Image.new("F", (5, 4)).save(tmp_path / "float.tif")
    # Pillow alone would read these as 8-bit without a word.
    save_raw_png(tmp_path / "rgb16.png", 5, 4, 16, 2, struct.pack(">60H", *range(60)))
    save_raw_tiff(tmp_path / "rgb16.tif", np.arange(60, dtype=np.uint16).reshape(4, 5, 3), {})
    (tmp_path / "rgb16.ppm").write_bytes(b"P6 5 4 65535\n" + struct.pack(">60H", *range(60)))
    (tmp_path / "rgb10.ppm").write_bytes(b"P6 5 4 1023\n" + struct.pack(">60H", *range(60)))
    names = ("grey16.png", "cmyk.jpg", "float.tif", "rgb16.png", "rgb16.tif", "rgb16.ppm", "rgb10.ppm")
    for name in names:
        with pytest.raises(DatasetError, match=f"{name}.*convert the file to 8-bit RGB"):
            read_rgb(tmp_path / name)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "suffix, options",
    [
        ("png", {}),
        ("webp", {"lossless": True}),
        ("tif", {}),
        ("tif", {"compression": "tiff_lzw"}),
        ("tif", {"big_tiff": True}),
    ],
)
def test_orientation_turns_images_labels_and_sizes_as_pillow_turns_them(tmp_path, suffix, options, orientation):
    pixels, values = picture(0, 8, 12), ids(0, 8, 12, [0, 1, 2, 3])
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = {}
    for name, array in (("image", pixels), ("label", values)):
        save(tmp_path / f"{name}.{suffix}", array, exif=exif, **options)
        with Image.open(save(tmp_path / "same.png", array, exif=exif)) as opened:
            upright[name] = np.asarray(ImageOps.exif_transpose(opened))
    path = tmp_path / f"image.{suffix}"
    np.testing.assert_array_equal(read_rgb(path), upright["image"])
    assert read_size(path) == read_picture(path).size == upright["image"].shape[1::-1]
    label = read_labels(tmp_path / f"label.{suffix}", COLOURLESS)
    np.testing.assert_array_equal(label, upright["label"])


TURNS = {
    1: lambda array: array,
    2: np.fliplr,
    3: lambda array: np.rot90(array, 2),
    4: np.flipud,
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: np.rot90(array, -1),
    7: lambda array: np.rot90(array, 2).swapaxes(0, 1),
    8: np.rot90,
}
"""What shows samples (H, W, ...) upright, by their orientation."""


def stored_as(mode: str, values: np.ndarray) -> Image.Image:
    """A picture of a mode; transparent here and there where it has an alpha channel."""
    if mode in ("I", "I;16"):
        return Image.fromarray(values.astype(np.int32 if mode == "I" else np.uint16) * 257)
    if mode in ("P", "PA"):
        indexed = Image.fromarray(values)
        indexed.putpalette([channel for n in range(256) for channel in (n, 255 - n, n // 2)])
        return indexed if mode == "P" else indexed.convert("PA")
    colours = values if values.ndim == 3 else np.dstack([values, values.T.reshape(values.shape), values[::-1]])
    image = Image.fromarray(colours).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(values))
    return image


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("mode", ["1", "L", "P", "PA", "LA", "RGB", "RGBA", "I", "I;16"])
def test_every_mode_is_turned_sample_by_sample(tmp_path, mode, orientation):
    values = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
    image = stored_as(mode, values)
    assert image.mode == mode
    depth = 16 if mode.startswith("I") else 1 if mode == "1" else 8
    stored, turned = (Picture(tmp_path / "a.png", image, depth, False, n, False, b"") for n in (1, orientation))
    turn = TURNS[orientation]
    assert turned.size == turn(values).shape[1::-1]
    if depth <= 8:
        np.testing.assert_array_equal(turned.rgb(drop_alpha=True), turn(stored.rgb(drop_alpha=True)))
    if mode.endswith("A"):
        np.testing.assert_array_equal(turned.alpha(), turn(np.asarray(image.getchannel("A"))))
        image.putalpha(255)
    np.testing.assert_array_equal(turned.labels(COLOURLESS), turn(stored.labels(COLOURLESS)))
    if depth == 16:
        np.testing.assert_array_equal(turned.labels(COLOURLESS), turn(values.astype(np.int64) * 257))
    if mode != "PA":  # which PNG does not have
        with Image.open(io.BytesIO(turned.upright_png())) as written:
            np.testing.assert_array_equal(np.asarray(written), turn(np.asarray(image)))
            assert written.getpalette() == image.getpalette()


@pytest.mark.parametrize("mode, clear", [("P", bytes(range(256))), ("P", 7), ("L", 7), ("RGB", (7, 7, 7))])
def test_a_transparent_value_is_turned_too(tmp_path, mode, clear):
    values = np.random.default_rng(0).integers(6, 9, (5, 7), np.uint8)
    image = stored_as(mode, values if mode == "P" else np.dstack([values] * 3))
    image.save(tmp_path / "a.png", transparency=clear)
    stored = read_picture(tmp_path / "a.png")
    expected = values if isinstance(clear, bytes) else np.where(values == 7, 0, 255)
    for orientation, turn in TURNS.items():
        np.testing.assert_array_equal(replace(stored, orientation=orientation).alpha(), turn(expected))


def test_16_bit_grey_with_a_transparent_value_is_turned_too(tmp_path):
    values = np.random.default_rng(0).integers(0, 3, (5, 7)).astype(np.uint16)
    image = Image.fromarray(values)
    image.info["transparency"] = 2
    for orientation, turn in TURNS.items():
        turned = Picture(tmp_path / "a.png", image, 16, False, orientation, False, b"")
        np.testing.assert_array_equal(turned.alpha(), turn(np.where(values == 2, 0, 255)))


def _tiff_block(*entries: bytes, values: bytes = b"") -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4) + values


def test_an_orientation_behind_any_number_of_headers_is_found_in_one_go(tmp_path):
    # Each header taken off by itself would copy the rest: for so many that takes the better part of an hour.
    exif = b"Exif\0\0" * 2_000_000 + b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 0)
    save(tmp_path / "plain.png", picture(0, 4, 6))
    plain = (tmp_path / "plain.png").read_bytes()
    (tmp_path / "a.png").write_bytes(plain[:33] + chunk(b"eXIf", exif) + plain[33:])
    read = read_picture(tmp_path / "a.png")
    assert (read.orientation, read.size) == (6, (4, 6))
    assert read.upright_exif() == b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 1, 0)


@pytest.mark.parametrize(
    "odd",
    [
        struct.pack("<HHIhH", 0x0100, 8, 1, -3, 0),  # a negative SHORT
        struct.pack("<HHII", 0x829A, 10, 1, 38),  # a signed rational, -1/0
        struct.pack("<HHII", 0x010F, 12, 1, 38),  # NaN where a name should be
        struct.pack("<HHII", 0x8769, 4, 1, 0xFFFFFFF0),  # a directory beyond the end
        struct.pack("<HHII", 0x010F, 2, 0xFFFFFFFF, 38),  # a name of 4 GB
        struct.pack("<HHII", 0x010F, 99, 1, 0),  # of no known type
    ],
)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_no_other_value_in_exif_however_odd_spoils_picture_or_orientation(tmp_path, suffix, odd):
    pixels = np.repeat(np.repeat(picture(0, 2, 3), 8, 0), 8, 1)
    turn = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    values = struct.pack("<ii", -1, 0) if odd[2:4] == b"\x0a\0" else struct.pack("<d", float("nan"))
    block = _tiff_block(*sorted([odd, turn], key=lambda entry: entry[:2][::-1]), values=values)
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    path = save(tmp_path / f"a.{suffix}", pixels, exif=b"Exif\0\0" + block, **options)
    read = read_rgb(path)
    assert read.shape == (24, 16, 3) and read_size(path) == (16, 24)
    np.testing.assert_allclose(read.astype(int), np.rot90(pixels, -1), atol=9 if suffix == "jpg" else 0)


@given(st.binary(max_size=80))
def test_no_exif_block_keeps_an_image_from_being_read(tmp_path_factory, block):
    pixels = picture(0, 3, 3)
    path = save_raw_png(
        tmp_path_factory.mktemp("exif") / "a.png", 3, 3, 8, 2, pixels.tobytes(), chunk(b"eXIf", b"II*\0" + block)
    )
    assert sorted(read_rgb(path).ravel()) == sorted(pixels.ravel())


def test_metadata_of_any_length_and_with_wrong_checksums_do_not_matter(tmp_path):
    pixels = picture(0, 5, 4)
    profile = b"name\0\0" + zlib.compress(bytes(3_000_000))
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 3_000_000)
    broken = bytearray(chunk(b"iCCP", profile))
    broken[-1] ^= 1
    for name, extra in (
        ("itxt", chunk(b"iTXt", text)),
        ("ztxt", chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 3_000_000))),
        ("iccp", chunk(b"iCCP", profile)),
        ("broken", bytes(broken)),
        ("time", chunk(b"tIME", b"")),
    ):
        path = save_raw_png(tmp_path / f"{name}.png", 4, 5, 8, 2, pixels.tobytes(), extra)
        np.testing.assert_array_equal(read_rgb(path), pixels)
        assert read_size(path) == (4, 5)


def test_a_colour_profile_is_kept_as_the_file_has_it(tmp_path):
    for name, profile in (("no", b""), ("srgb", b"desc sRGB IEC"), ("p3", b"desc Display P3")):
        packed = chunk(b"iCCP", b"name\0\0" + zlib.compress(profile))
        path = save_raw_png(tmp_path / f"{name}.png", 2, 2, 8, 2, bytes(12), *([packed] if profile else []))
        assert read_picture(path).icc == profile
    save(tmp_path / "p3.jpg", picture(0, 8, 8), icc_profile=b"desc Display P3" * 9000)  # in several segments
    assert read_picture(tmp_path / "p3.jpg").icc == b"desc Display P3" * 9000


def test_a_header_that_claims_too_many_pixels_is_refused_before_decoding(tmp_path):
    path = tmp_path / "bomb.png"
    save_raw_png(path, 2_000_000_000, 100, 8, 2, b"")  # 600 GB, if anything decoded it
    for reader in (read_rgb, lambda path: read_labels(path, TABLE), read_size):
        with pytest.raises(DatasetError, match=r"bomb\.png: 2000000000x100 .*max_pixels"):
            reader(path)
    save_raw_tiff(tmp_path / "bomb.tif", np.zeros((1, 1, 3), np.uint8), {256: [65535], 257: [65535]})
    with pytest.raises(DatasetError, match=r"65535x65535 .*max_pixels"):
        read_size(tmp_path / "bomb.tif")


def test_the_bound_is_ours_and_pillows_global_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    path = save(tmp_path / "a.png", picture(0, 20, 30))
    assert read_rgb(path, max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(DatasetError, match="more than 599 pixels"):
        read_rgb(path, max_pixels=599)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(
    "suffix, options", [("png", {}), ("jpg", {}), ("webp", {}), ("tif", {}), ("bmp", {}), ("ppm", {})]
)
def test_every_truncation_of_a_file_is_an_error_and_never_wrong_pixels(tmp_path, suffix, options):
    whole = save(tmp_path / f"whole.{suffix}", picture(0, 16, 16), **options).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match=rf"cut\.{suffix}: cannot be decoded"):
            read_rgb(path)


def test_every_changed_byte_of_a_png_is_found_or_harmless(tmp_path):
    pixels = picture(0, 7, 9)
    whole = save(tmp_path / "whole.png", pixels).read_bytes()
    path = tmp_path / "changed.png"
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(DatasetError, match="changed.png: "):
            read_rgb(path)


JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimized": {"optimize": True},
    "4:4:4": {"subsampling": 0, "quality": 100},
    "4:2:2": {"subsampling": 1},
    "restart": {"restart_marker_blocks": 5},
    "progressive with restart": {"restart_marker_rows": 1, "progressive": True},
    "poor": {"quality": 1},
}


def jpeg(options: dict, grey: bool = False) -> bytes:
    """A photograph-like picture: noise on a slope."""
    y, x = np.mgrid[:120, :160]
    pixels = np.stack([x, y, x + y], -1) * 0.9 + np.random.default_rng(0).normal(0, 9, (120, 160, 3))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    (image.convert("L") if grey else image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_whole_jpegs_of_every_kind_are_read_as_pillow_reads_them(tmp_path, options, grey):
    data = jpeg(options, grey)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    for name, content in (
        ("whole", data),
        ("trailer", data + b"\0" * 500),
        ("odd byte", data[:-2] + b"\x5a" + data[-2:]),
    ):
        (tmp_path / f"{name}.jpg").write_bytes(content)
        np.testing.assert_array_equal(read_rgb(tmp_path / f"{name}.jpg"), expected)


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_a_jpeg_that_lost_data_is_refused_though_libjpeg_only_warns(tmp_path, options):
    data, draw, path = jpeg(options), random.Random(0), tmp_path / "a.jpg"
    start = data.index(b"\xff\xda") + 40
    passed = 0
    for _ in range(50):
        at = draw.randrange(start, len(data) - 100)
        for lost in (
            data[:at] + b"\xff\xd9",
            data[:at] + bytes(len(data) - at),
            data[:at] + bytes(len(data) - at - 2) + b"\xff\xd9",
            data[:-2],
        ):
            path.write_bytes(lost)
            try:
                read_rgb(path)
                passed += 1
            except DatasetError as error:
                assert re.search(r"a\.jpg: cannot be decoded .*copy it from its source", str(error))
    # A progressive one that ends between two of its scans is whole, and coarser.
    assert passed <= (4 if options.get("progressive") else 0)


def test_most_jpegs_whose_data_are_overwritten_are_refused(tmp_path):
    # Not all: what was overwritten may say by chance how many blocks it has, and JPEG has no checksum.
    data, draw, found = jpeg({}), random.Random(0), 0
    for _ in range(100):
        at = draw.randrange(700, len(data) - 100)
        (tmp_path / "a.jpg").write_bytes(data[:at] + draw.randbytes(64) + data[at + 64 :])
        try:
            read_rgb(tmp_path / "a.jpg")
        except DatasetError:
            found += 1
    assert found >= 60


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "jpeg"])
def test_damage_inside_a_tiff_is_found_though_libtiff_says_nothing(tmp_path, compression):
    whole = Image.open(io.BytesIO(jpeg({})))
    path = tmp_path / "a.tif"
    whole.save(path, compression=compression, strip_size=8192)
    data, draw = path.read_bytes(), random.Random(0)
    expected = read_rgb(path)
    assert expected.shape == (120, 160, 3)
    wrong = 0
    for _ in range(60):
        at = draw.randrange(8, len(data) * 6 // 10)
        path.write_bytes(data[:at] + draw.randbytes(64) + data[at + 64 :])
        with suppress(DatasetError):
            wrong += not np.array_equal(read_rgb(path), expected)
    assert wrong <= (0 if compression == "tiff_adobe_deflate" else 25)


def test_an_uncompressed_tiff_that_lacks_strips_or_tiles_is_refused_and_never_filled_up(tmp_path):
    pixels = picture(0, 64, 64)
    for layout in ({278: 16}, {322: 16, 323: 64}):  # RowsPerStrip; TileWidth, TileLength
        whole = save_in_blocks(tmp_path / "whole.tif", pixels, layout)
        np.testing.assert_array_equal(read_rgb(whole), pixels)
        with pytest.raises(DatasetError, match=r"it has 3 of 4 strips or tiles"):
            read_rgb(save_in_blocks(tmp_path / "fewer.tif", pixels, layout, left_out=1))
        with pytest.raises(DatasetError, match=r"a strip or tile of it has no data"):
            read_rgb(save_in_blocks(tmp_path / "sparse.tif", pixels, layout, sparse=True))
    with pytest.raises(DatasetError, match=r"it has 1 of 2 strips or tiles"):
        read_rgb(save_raw_tiff(tmp_path / "a.tif", pixels, {257: [96], 278: [64]}))
    with pytest.raises(DatasetError, match=r"it has 1 of 64 strips or tiles"):
        read_rgb(save_raw_tiff(tmp_path / "b.tif", pixels, {278: [0]}))


def save_in_blocks(path, pixels, layout, left_out=0, sparse=False):
    """An uncompressed TIFF of four strips or tiles, of which the last are left out or the second lies nowhere."""
    blocks = np.split(pixels, 4, axis=0 if 278 in layout else 1)
    data = b"".join(block.tobytes() for block in blocks)
    starts = [8 + number * blocks[0].nbytes for number in range(4)]
    lengths = [blocks[0].nbytes] * 4
    if sparse:
        starts[1] = lengths[1] = 0
    kept = 4 - left_out
    fields = {256: [64], 257: [64], 258: [8] * 3, 259: [1], 262: [2], 277: [3], **{k: [v] for k, v in layout.items()}}
    fields |= dict(zip((273, 279) if 278 in layout else (324, 325), (starts[:kept], lengths[:kept])))
    place, entries, values = 8 + len(data) + 2 + 12 * len(fields) + 4, b"", b""
    for tag, numbers in sorted(fields.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        inline = packed if len(numbers) == 1 else struct.pack("<I", place + len(values))
        entries += struct.pack("<HHI4s", tag, 4, len(numbers), inline)
        values += b"" if len(numbers) == 1 else packed
    directory = struct.pack("<H", len(fields)) + entries + bytes(4) + values
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory)
    return path


def test_of_a_tiff_no_more_is_unpacked_than_its_picture_needs(tmp_path):
    # Unpacked as often as the directory says, these few bytes would take the better part of an hour.
    packed, strips = zlib.compress(bytes(1 << 24), 9), 60_000
    data = struct.pack(f"<{2 * strips}I", *[8] * strips, *[len(packed)] * strips)
    place = 8 + len(packed) + 2 + 11 * 12 + 4
    fields = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 278: 64, 284: 1, 339: 1}
    entries = {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items()}
    entries[273] = struct.pack("<HHII", 273, 4, strips, place)
    entries[279] = struct.pack("<HHII", 279, 4, strips, place + 4 * strips)
    directory = struct.pack("<H", 11) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + directory + data)
    assert read_rgb(path).shape == (64, 64, 3)


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DatasetError, match=r"a\.png: holds PostScript"):
        read_rgb(tmp_path / "a.png")
    with pytest.raises(ReadError, match=r"b\.png: no such file"):
        read_rgb(tmp_path / "b.png")


def test_tiffs_that_others_guess_at_are_refused_with_the_cause(tmp_path):
    rgbn = picture(0, 4, 5)[..., [0, 1, 2, 0]]
    for name, pixels, fields, cause in (
        ("minisblack", rgbn[..., :3], {262: [1]}, "says that they are grey"),
        ("rgbn", rgbn, {}, "that it does not describe"),
        ("raw", rgbn[..., :3], {254: [1]}, "first page is a thumbnail"),
    ):
        path = save_raw_tiff(tmp_path / f"{name}.tif", pixels, fields)
        with pytest.raises(DatasetError, match=rf"{name}\.tif: .*{cause}"):
            read_rgb(path)
    path = save_raw_tiff(tmp_path / "described.tif", rgbn, {338: [0]})
    np.testing.assert_array_equal(read_rgb(path), rgbn[..., :3])


def test_a_tiff_of_signed_bytes_is_read_unless_it_has_negative_ones(tmp_path):
    masks = LabelTable((Label(0, 0, "ground", (0, 0, 0)), Label(255, 1, "building", (255, 255, 255))))
    signed = {262: [1], 339: [2]}  # grey; SampleFormat: two's complement
    positive = save_raw_tiff(tmp_path / "positive.tif", np.array([[0, 1, 127]], np.uint8), signed)
    assert read_labels(positive, masks).tolist() == [[0, 1, 127]]
    negative = save_raw_tiff(tmp_path / "negative.tif", np.array([[0, 1, -1]], np.int8).view(np.uint8), signed)
    for read in (lambda: read_labels(negative, masks), lambda: read_rgb(negative)):
        with pytest.raises(DatasetError, match=r"negative\.tif: holds negative samples"):
            read()


def test_label_ids_are_those_written_in_the_file(tmp_path):
    expected = ids(0, 6, 8, [0, 1, 2, 3])
    np.testing.assert_array_equal(read_labels(save(tmp_path / "grey.png", expected), TABLE), expected)
    grey16 = save(tmp_path / "grey16.png", expected.astype(np.uint16))
    np.testing.assert_array_equal(read_labels(grey16, TABLE), expected)
    palette = Image.fromarray(expected)
    palette.putpalette([200, 0, 0] * 256)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "palette.png", TABLE), expected)
    # 2 bits a pixel, four ids a byte, which Pillow would stretch to 0, 85, 170, 255.
    quads = expected.reshape(-1, 4).astype(int)
    packed = bytes((quads << np.array([6, 4, 2, 0])).sum(axis=1).tolist())
    np.testing.assert_array_equal(read_labels(save_raw_png(tmp_path / "two.png", 8, 6, 2, 0, packed), TABLE), expected)


@given(st.lists(st.integers(0, 255), min_size=2, max_size=30, unique=True), st.randoms(use_true_random=False))
def test_grey_ids_survive_what_png_optimisers_make_of_them(tmp_path_factory, values, draw):
    """They store the grey values that occur as a palette, in any order; every viewer shows the same."""
    table = LabelTable(tuple(Label(i, min(i, 254), str(i), (i, 1, 2)) for i in range(256)), coloured=False)
    raw = ids(draw.randrange(99), 9, 11, values)
    order = draw.sample(values, len(values))
    index = np.vectorize(order.index)(raw)
    path = save_palette_png(tmp_path_factory.mktemp("packed") / "a.png", index, [[value] * 3 for value in order])
    try:
        np.testing.assert_array_equal(read_labels(path, table), raw)
    except DatasetError as error:
        assert "two meanings" in str(error) and order in ([0, 255], [0, 85, 170, 255])
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert("L")), raw)


def test_bmps_of_few_greys_are_read_with_the_bits_they_have(tmp_path):
    index = ids(0, 9, 11, [0, 1])
    for bits in (1, 4, 8):
        path = save_bmp(tmp_path / f"mask{bits}.bmp", index, bits, [[0, 0, 0], [255, 255, 255]])
        np.testing.assert_array_equal(read_labels(path, TABLE), index)
        np.testing.assert_array_equal(read_rgb(path), np.repeat(index[..., None] * 255, 3, axis=2))
    values = ids(0, 9, 11, list(range(16)))
    path = save_bmp(tmp_path / "ramp.bmp", values, 4, [[i] * 3 for i in range(16)])
    np.testing.assert_array_equal(read_labels(path, TABLE), values)
    np.testing.assert_array_equal(read_rgb(path), np.repeat(values[..., None], 3, axis=2))


def test_colour_labels_come_as_colours_and_others_are_refused(tmp_path):
    pixels = picture(0, 6, 8)
    np.testing.assert_array_equal(read_labels(save(tmp_path / "rgb.png", pixels), TABLE), pixels)
    Image.new("F", (5, 4)).save(tmp_path / "float.tif")
    save_raw_png(tmp_path / "rgb16.png", 5, 4, 16, 2, bytes(120))
    save_raw_tiff(tmp_path / "inverted.tif", ids(0, 4, 5, [0, 1]), {262: [0]})
    (tmp_path / "stretched.pgm").write_bytes(b"P5 5 4 11\n" + bytes(20))
    (tmp_path / "bits.pbm").write_bytes(b"P4 5 4\n" + bytes(4))
    for name in ("float.tif", "rgb16.png", "inverted.tif", "stretched.pgm", "bits.pbm"):
        with pytest.raises(DatasetError, match=rf"{name}.*must hold ids"):
            read_labels(tmp_path / name, TABLE)


def test_labels_that_lost_their_values_are_refused_whatever_they_are_called(tmp_path):
    values = ids(0, 16, 16, [0, 1])
    save(tmp_path / "a.jpg", values).rename(tmp_path / "jpeg.png")
    save(tmp_path / "a.webp", np.repeat(values[..., None], 3, 2)).rename(tmp_path / "webp.png")
    save(tmp_path / "inside.tif", values, compression="jpeg")
    for name in ("jpeg.png", "webp.png", "inside.tif"):
        with pytest.raises(DatasetError, match=rf"{name}: is compressed with loss"):
            read_labels(tmp_path / name, TABLE)


def test_alpha_of_labels_follows_the_rule_of_images(tmp_path):
    values = ids(0, 6, 8, [0, 1, 2])
    for name, raw in (("rgba", picture(0, 6, 8)), ("la", values)):
        for opacity in (255, 254):
            alpha = np.full((6, 8), 255, np.uint8)
            alpha[2, 2] = opacity
            path = save(tmp_path / f"{name}{opacity}.png", np.dstack([raw, alpha]))
            if opacity == 255:
                np.testing.assert_array_equal(read_labels(path, TABLE), raw)
                continue
            with pytest.raises(DatasetError, match="transparent"):
                read_labels(path, TABLE)
    # The index of a palette is an id, also where it is shown as transparent; a grey that is shown must be opaque.
    colours = save_palette_png(
        tmp_path / "index.png", values, [[9, 9, 200], [1, 2, 3], [200, 9, 9]], chunk(b"tRNS", b"\0")
    )
    np.testing.assert_array_equal(read_labels(colours, TABLE), values)
    greys = save_palette_png(tmp_path / "grey.png", values, [[2] * 3, [1] * 3, [0] * 3], chunk(b"tRNS", b"\0"))
    with pytest.raises(DatasetError, match="transparent"):
        read_labels(greys, TABLE)


@pytest.mark.parametrize(
    "depth, row", [(1, b"\xa0"), (2, b"\x1b"), (4, b"\x01\x23"), (8, bytes(range(4))), (16, bytes(8))]
)
def test_a_grey_that_is_declared_transparent_is_refused_at_every_depth(tmp_path, depth, row):
    value = 1 if depth < 16 else 0
    path = save_raw_png(tmp_path / "a.png", 4, 1, depth, 0, row, chunk(b"tRNS", struct.pack(">H", value)))
    with pytest.raises(DatasetError, match="transparent"):
        read_labels(path, TABLE)
    if depth < 16:
        with pytest.raises(DatasetError, match="transparent"):
            read_rgb(path)
    unused = save_raw_png(tmp_path / "b.png", 4, 1, depth, 0, bytes(len(row)), chunk(b"tRNS", b"\0\1"))
    assert read_labels(unused, TABLE).tolist() == [[0, 0, 0, 0]]


def test_three_equal_channels_are_ids_where_the_list_gives_no_colours(tmp_path):
    values = ids(0, 6, 8, [0, 1, 2])
    path = save(tmp_path / "a.png", np.repeat(values[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_labels(path, COLOURLESS), values)
    with pytest.raises(DatasetError, match="three equal channels, grey ids saved as RGB"):
        TABLE.to_train_ids(read_labels(path, TABLE), path)


def test_a_tiff_is_not_turned_by_what_its_metadata_say_besides(tmp_path):
    pixels = picture(0, 4, 6)
    fields = TiffImagePlugin.ImageFileDirectory_v2()
    fields.tagtype[700] = 1
    fields[700] = b'<x tiff:Orientation="6"/>'
    np.testing.assert_array_equal(read_rgb(save(tmp_path / "a.tif", pixels, tiffinfo=fields)), pixels)
