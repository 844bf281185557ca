from __future__ import annotations

import base64
import io
import os

import numpy as np
import pytest
from PIL import Image

from dsr.experiments.analysis import pictures
from tests.experiments.analysis.example import CLASSES


def decoded(picture: pictures.Picture) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(picture.uri.split(",", 1)[1])))


def test_a_photograph_keeps_every_pixel(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (37, 53, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    picture = pictures.photograph(tmp_path / "photo.png")
    assert picture.uri.startswith("data:image/webp;base64,")
    assert (picture.width, picture.height, picture.cropped) == (53, 37, False)
    np.testing.assert_array_equal(np.asarray(decoded(picture).convert("RGB")), pixels)


def test_a_large_photograph_shows_its_centre_at_its_own_scale(tmp_path):
    height, width = pictures.CROP_HEIGHT + 20, pictures.CROP_WIDTH + 40
    across, down = np.meshgrid(np.arange(width) % 256, np.arange(height) % 256)
    pixels = np.stack([across, down, across ^ down], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    picture = pictures.photograph(tmp_path / "photo.png")
    assert picture.cropped
    np.testing.assert_array_equal(np.asarray(decoded(picture).convert("RGB")), pixels[10:-10, 20:-20])


def test_a_label_map_has_the_colours_of_its_classes_and_ignored_pixels_are_transparent(tmp_path):
    ids = np.random.default_rng(2).integers(0, len(CLASSES), (20, 30)).astype(np.uint8)
    ids[5:9, 3:12] = 255
    Image.fromarray(ids).save(tmp_path / "label.png")
    rgba = np.asarray(decoded(pictures.label_map(tmp_path / "label.png", CLASSES)).convert("RGBA"))
    np.testing.assert_array_equal(rgba[..., 3] == 0, ids == 255)
    for train_id, label in enumerate(CLASSES):
        assert (rgba[ids == train_id][:, :3] == label.color).all()


@pytest.mark.parametrize("content", [None, b"", b"not an image", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_an_unreadable_image_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(pictures.ReportError, match=r"broken\.png"):
        pictures.photograph(path)


def test_a_truncated_image_is_named(tmp_path):
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(pictures.ReportError, match=r"cut\.png"):
        pictures.photograph(path)


def test_a_train_id_without_a_class_is_refused(tmp_path):
    Image.fromarray(np.full((4, 4), len(CLASSES), np.uint8)).save(tmp_path / "label.png")
    with pytest.raises(pictures.ReportError, match=r"label\.png has the train id 4"):
        pictures.label_map(tmp_path / "label.png", CLASSES)


def test_only_png_is_read_whatever_the_name(tmp_path):
    """Pillow would start Ghostscript on an EPS."""
    for name, content in (("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), ("bmp", None)):
        path = tmp_path / f"{name}.png"
        if content is None:
            Image.new("RGB", (4, 4)).save(path, "BMP")
        else:
            path.write_bytes(content)
        with pytest.raises(pictures.ReportError, match=name):
            pictures.photograph(path)


def test_a_picture_that_claims_too_many_pixels_or_is_no_file_is_refused(tmp_path, monkeypatch):
    Image.new("L", (30, 30)).save(tmp_path / "large.png")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 899)
    with pytest.raises(pictures.ReportError, match="30x30 pixels"):
        pictures.photograph(tmp_path / "large.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(pictures.ReportError, match="no file"):
        pictures.photograph(tmp_path / "pipe.png")
