from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets import DatasetError
from dsr.data_pipelines.datasets.images import read_labels, read_rgb, read_size
from tests.data_pipelines.datasets.files import ids, picture, save, save_raw_png


@pytest.mark.parametrize("suffix, options", [("png", {}), ("webp", {"lossless": True}), ("tif", {}), ("bmp", {})])
def test_lossless_files_give_their_pixels_back(tmp_path, suffix, options):
    pixels = picture(0, 20, 30)
    path = save(tmp_path / f"a.{suffix}", pixels, **options)
    np.testing.assert_array_equal(read_rgb(path), pixels)
    assert read_size(path) == (30, 20)


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


def test_files_without_one_8_bit_rgb_meaning_are_refused(tmp_path):
    save(tmp_path / "grey16.png", np.full((4, 5), 3000, np.uint16))
    Image.new("CMYK", (5, 4)).save(tmp_path / "cmyk.jpg")
    Image.new("F", (5, 4)).save(tmp_path / "float.tif")
    # Pillow alone would read this one as 8-bit without a word.
    save_raw_png(tmp_path / "rgb16.png", 5, 4, 16, 2, struct.pack(">60H", *range(60)))
    for name in ("grey16.png", "cmyk.jpg", "float.tif", "rgb16.png"):
        with pytest.raises(DatasetError, match=f"{name}.*convert the file to 8-bit RGB"):
            read_rgb(tmp_path / name)


@pytest.mark.parametrize(
    "orientation, turned", [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1))]
)
def test_exif_orientation_is_applied_to_pixels_and_size(tmp_path, orientation, turned):
    pixels = picture(0, 8, 12)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", pixels, exif=exif)
    expected = turned(pixels)
    np.testing.assert_array_equal(read_rgb(path), expected)
    assert read_size(path) == (expected.shape[1], expected.shape[0])


def test_a_header_that_claims_too_many_pixels_is_refused_before_decoding(tmp_path):
    path = tmp_path / "bomb.png"
    save_raw_png(path, 2_000_000_000, 100, 8, 2, b"")  # 600 GB, if anything decoded it
    for reader in (read_rgb, read_labels, read_size):
        with pytest.raises(DatasetError, match=r"bomb\.png: 2000000000x100 .*max_pixels"):
            reader(path)


def test_the_bound_is_ours_and_pillows_global_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    path = save(tmp_path / "a.png", picture(0, 20, 30))
    assert read_rgb(path, max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(DatasetError, match="more than 599 pixels"):
        read_rgb(path, max_pixels=599)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_every_truncation_of_a_file_is_an_error_and_never_wrong_pixels(tmp_path):
    pixels = picture(0, 16, 16)
    whole = save(tmp_path / "whole.png", pixels).read_bytes()
    path = tmp_path / "cut.png"
    for length in range(0, len(whole) - 20, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match=r"cut\.png: cannot be decoded"):
            read_rgb(path)


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DatasetError, match=r"a\.png: cannot be decoded"):
        read_rgb(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=r"b\.png: no such file"):
        read_rgb(tmp_path / "b.png")


def test_label_ids_are_those_written_in_the_file(tmp_path):
    expected = ids(0, 6, 8, [0, 1, 2, 3])
    np.testing.assert_array_equal(read_labels(save(tmp_path / "grey.png", expected)), expected)
    np.testing.assert_array_equal(read_labels(save(tmp_path / "grey16.png", expected.astype(np.uint16))), expected)
    palette = Image.fromarray(expected)
    palette.putpalette([200, 0, 0] * 256)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "palette.png"), expected)
    # 2 bits a pixel, four ids a byte, which Pillow would stretch to 0, 85, 170, 255.
    quads = expected.reshape(-1, 4).astype(int)
    packed = bytes((quads << np.array([6, 4, 2, 0])).sum(axis=1).tolist())
    np.testing.assert_array_equal(read_labels(save_raw_png(tmp_path / "two.png", 8, 6, 2, 0, packed)), expected)


def test_colour_labels_come_as_colours_and_others_are_refused(tmp_path):
    pixels = picture(0, 6, 8)
    np.testing.assert_array_equal(read_labels(save(tmp_path / "rgb.png", pixels)), pixels)
    Image.new("F", (5, 4)).save(tmp_path / "float.tif")
    with pytest.raises(DatasetError, match=r"float\.tif.*must hold ids"):
        read_labels(tmp_path / "float.tif")
