"""`dsr bpg encode`, `decode` and `info`."""

from __future__ import annotations

import os

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import ExifTags, Image, ImageCms

from dsr.app.commands.bpg import command
from dsr.data_pipelines.codecs.bpg import read_bpg, write_bpg
from dsr.models.errors import UserError
from tests.data_pipelines.codecs.conftest import scene
from tests.data_pipelines.codecs.test_bpg_vectors import KEPT
from tests.data_pipelines.datasets.files import chunk, save_raw_png


@pytest.fixture
def source(tmp_path, picture):
    path = tmp_path / "in.png"
    Image.fromarray(picture).save(path)
    return path


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=True)


def refused(*arguments):
    result = run(*arguments)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def test_encode_writes_what_the_codec_gives(source, tmp_path, picture):
    target = tmp_path / "out.bpg"
    result = run(
        "encode", source, target, "--qp", 30, "--preset", "fast", "--chroma", "4:4:4", "--chroma-qp-offset", -2
    )
    assert result.exit_code == 0, result.output
    assert target.read_bytes() == write_bpg(picture, 30, "4:4:4", "fast", -2)
    assert f"{8 * target.stat().st_size / (67 * 101):.4f} bits per pixel" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"in.png", "out.bpg"}


def test_decode_writes_the_pixels(source, tmp_path):
    run("encode", source, tmp_path / "out.bpg")
    result = run("decode", tmp_path / "out.bpg", tmp_path / "back.png")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "back.png") as image:
        assert np.array_equal(np.array(image), read_bpg((tmp_path / "out.bpg").read_bytes()).rgb)


def test_a_gray_image_gives_a_gray_picture(tmp_path):
    Image.fromarray(scene(20, 20)[:, :, 0]).save(tmp_path / "gray.png")
    run("encode", tmp_path / "gray.png", tmp_path / "gray.bpg")
    assert read_bpg((tmp_path / "gray.bpg").read_bytes()).header.pixel_format == "gray"


def test_alpha_is_kept_on_decoding_unless_dropped(tmp_path):
    vector = KEPT / "rgba_q36.bpg"
    kept = read_bpg(vector.read_bytes())
    for options, channels in (((), 4), (("--drop-alpha", "--force"), 3)):
        run("decode", vector, tmp_path / "out.png", *options)
        with Image.open(tmp_path / "out.png") as image:
            assert np.array_equal(np.array(image), np.dstack((kept.rgb, kept.alpha))[:, :, :channels])


def test_alpha_is_encoded_unless_dropped_or_opaque(tmp_path, picture):
    source, target = tmp_path / "in.png", tmp_path / "out.bpg"
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    for opaque, options, expected in ((True, (), False), (False, (), True), (False, ("--drop-alpha",), False)):
        alpha[:20] = 255 if opaque else 40
        Image.fromarray(np.dstack((picture, alpha))).save(source)
        assert run("encode", source, target, "--lossless", "--force", *options).exit_code == 0
        read = read_bpg(target.read_bytes())
        assert np.array_equal(read.rgb, picture)
        assert (read.alpha is not None) == expected
        assert read.alpha is None or np.array_equal(read.alpha, alpha)


PROFILES = {
    "RGB ": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "GRAY": b"\0\0\2\0" + bytes(12) + b"GRAYXYZ " + bytes(488),
}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_profile_and_exif_are_kept_and_given_back(tmp_path, picture, suffix):
    source, bpg, back = (tmp_path / name for name in (f"in{suffix}", "out.bpg", "back.png"))
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "camera"
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(picture).save(source, icc_profile=PROFILES["RGB "], exif=exif)
    assert run("encode", source, bpg).exit_code == 0
    output = run("info", bpg).output
    assert "EXIF (" in output and f"ICC profile ({len(PROFILES['RGB '])} bytes)" in output
    assert run("decode", bpg, back).exit_code == 0
    with Image.open(back) as image:
        assert image.size == (67, 101)  # turned upright
        assert image.info["icc_profile"] == PROFILES["RGB "]
        assert image.getexif()[ExifTags.Base.Model] == "camera"
        assert image.getexif()[ExifTags.Base.Orientation] == 1
    assert run("encode", source, bpg, "--drop-metadata", "--force").exit_code == 0
    assert read_bpg(bpg.read_bytes()).header.extensions == ()


@pytest.mark.parametrize(("mode", "profile"), [("L", "GRAY"), ("L", "RGB "), ("RGB", "GRAY"), ("RGB", "RGB ")])
def test_a_profile_of_other_pixels_is_left_out_with_a_word(tmp_path, mode, profile):
    image = Image.fromarray(scene(20, 20)).convert(mode)
    image.save(tmp_path / "in.png", icc_profile=PROFILES[profile])
    result = run("encode", tmp_path / "in.png", tmp_path / "out.bpg", "--lossless")
    assert result.exit_code == 0, result.output
    kept = (mode == "L") == (profile == "GRAY")
    assert ("profile is left out" in result.output) != kept
    run("decode", tmp_path / "out.bpg", tmp_path / "back.png")
    with Image.open(tmp_path / "back.png") as back:
        assert back.mode == mode
        assert np.array_equal(np.array(back), np.array(image))
        assert back.info.get("icc_profile") == (PROFILES[profile] if kept else None)


def test_what_decoding_leaves_out_is_said(tmp_path, picture):
    (tmp_path / "xmp.bpg").write_bytes(write_bpg(picture, 40, extensions=((3, b"<x/>"), (77, b""))))
    assert "XMP, tag 77 left out" in run("decode", tmp_path / "xmp.bpg", tmp_path / "out.png").output


def test_ten_bits_are_written_if_wanted(source, tmp_path):
    run("encode", source, tmp_path / "out.bpg", "--depth", 10, "--qp", 10)
    assert read_bpg((tmp_path / "out.bpg").read_bytes()).header.depth == 10
    assert "lossless" in refused("encode", source, tmp_path / "b.bpg", "--depth", 10, "--lossless")
    for chroma in ("4:2:0", "4:2:2"):
        assert "lossless" in refused("encode", source, tmp_path / "b.bpg", "--chroma", chroma, "--lossless")


def test_what_the_reader_of_datasets_refuses_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    assert "16 bits" in refused("encode", tmp_path / "deep.png", tmp_path / "deep.bpg")
    Image.fromarray(scene(4, 4)).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert "CMYK" in refused("encode", tmp_path / "cmyk.jpg", tmp_path / "cmyk.bpg")


@pytest.mark.parametrize(("colour", "samples"), [(6, 4), (4, 2), (2, 3)])
def test_sixteen_bits_are_refused_whatever_their_transparency(tmp_path, colour, samples):
    transparent = () if colour != 2 else (chunk(b"tRNS", bytes(6)),)
    deep = save_raw_png(tmp_path / "deep.png", 2, 2, 16, colour, bytes(8 * samples), *transparent)
    for options in (("--drop-alpha",), ()):
        assert "16 bits" in refused("encode", deep, tmp_path / "deep.bpg", *options)


def test_nothing_is_overwritten_unless_forced(source, tmp_path):
    target = tmp_path / "out.bpg"
    target.write_bytes(b"precious")
    assert "--force" in refused("encode", source, target)
    assert target.read_bytes() == b"precious"
    assert run("encode", source, target, "--force").exit_code == 0
    assert read_bpg(target.read_bytes()).rgb.shape == (67, 101, 3)
    (tmp_path / "link.bpg").symlink_to(tmp_path / "to an unmounted disk")
    assert "--force" in refused("encode", source, tmp_path / "link.bpg")
    (tmp_path / "out.png").write_bytes(b"precious")
    assert "--force" in refused("decode", target, tmp_path / "out.png")


def test_what_is_no_file_is_not_replaced_even_if_forced(source, tmp_path):
    os.mkfifo(tmp_path / "pipe.bpg")
    assert "pipe.bpg is no file" in refused("encode", source, tmp_path / "pipe.bpg", "--force")
    assert (tmp_path / "pipe.bpg").is_fifo()


def test_forced_over_a_link_the_link_is_replaced_and_not_what_it_leads_to(source, tmp_path):
    (tmp_path / "kept").write_bytes(b"precious")
    for link, leads_to in (("out.bpg", "kept"), ("dangling.bpg", "absent")):
        (tmp_path / link).symlink_to(tmp_path / leads_to)
        assert run("encode", source, tmp_path / link, "--force").exit_code == 0
        assert not (tmp_path / link).is_symlink() and read_bpg((tmp_path / link).read_bytes())
    assert (tmp_path / "kept").read_bytes() == b"precious" and not (tmp_path / "absent").exists()


def test_a_name_may_be_as_long_as_the_file_system_has_names(source, tmp_path):
    target = tmp_path / f"{'n' * 251}.bpg"
    result = run("encode", source, target)
    assert result.exit_code == 0, result.exception
    assert {path.name for path in tmp_path.iterdir()} == {"in.png", target.name}


def test_info_tells_what_the_header_says(source, tmp_path):
    run("encode", source, tmp_path / "out.bpg", "--chroma", "4:2:2")
    output = run("info", tmp_path / "out.bpg").output
    for expected in ("101x67 pixels, 8 bits", "4:2:2", "ycbcr_bt601, full range", "length given", "bits per pixel"):
        assert expected in output


def test_a_damaged_file_is_named_and_leaves_no_output(source, tmp_path):
    run("encode", source, tmp_path / "out.bpg")
    data = (tmp_path / "out.bpg").read_bytes()
    (tmp_path / "cut.bpg").write_bytes(data[:100])
    for name in ("decode", "info"):
        arguments = [tmp_path / "cut.bpg"] + ([tmp_path / "cut.png"] if name == "decode" else [])
        assert "cut.bpg: BPG file is cut" in refused(name, *arguments)
    assert not (tmp_path / "cut.png").exists()


def test_inputs_that_are_no_images_and_outputs_that_cannot_be_are_refused(source, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    assert "cannot be decoded as an image" in refused("encode", tmp_path / "text.png", tmp_path / "out.bpg")
    assert "out.bpg cannot be written" in refused("encode", source, tmp_path / "absent" / "out.bpg")
    run("encode", source, tmp_path / "out.bpg")
    assert ".png" in refused("decode", tmp_path / "out.bpg", tmp_path / "out.jpg")
    assert "more than the 100 allowed" in refused(
        "decode", tmp_path / "out.bpg", tmp_path / "o.png", "--max-pixels", 100
    )
