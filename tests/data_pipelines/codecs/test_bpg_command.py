"""`dsr bpg encode`, `decode` and `info`."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.commands.bpg import command
from dsr.data_pipelines.codecs.bpg import read_bpg, write_bpg
from dsr.models.errors import UserError
from tests.data_pipelines.codecs.conftest import scene


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


def test_alpha_is_kept_on_decoding_unless_dropped(shared, tmp_path):
    vector = shared / "bpg_vectors" / "rgba_q36"
    with Image.open(vector.with_suffix(".png")) as image:
        expected = np.array(image)
    for options, channels in (((), 4), (("--drop-alpha", "--force"), 3)):
        run("decode", vector.with_suffix(".bpg"), tmp_path / "out.png", *options)
        with Image.open(tmp_path / "out.png") as image:
            assert np.array_equal(np.array(image), expected[:, :, :channels])


def test_an_alpha_channel_is_left_out_with_a_word(tmp_path, picture):
    Image.fromarray(picture).convert("RGBA").save(tmp_path / "in.png")
    result = run("encode", tmp_path / "in.png", tmp_path / "out.bpg")
    assert result.exit_code == 0
    assert "alpha channel is left out" in result.output


def test_nothing_is_overwritten_unless_forced(source, tmp_path):
    target = tmp_path / "out.bpg"
    target.write_bytes(b"precious")
    assert "--force" in refused("encode", source, target)
    assert target.read_bytes() == b"precious"
    assert run("encode", source, target, "--force").exit_code == 0
    assert read_bpg(target.read_bytes()).rgb.shape == (67, 101, 3)
    (tmp_path / "out.png").write_bytes(b"precious")
    assert "--force" in refused("decode", target, tmp_path / "out.png")


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
    assert "cannot write" in refused("encode", source, tmp_path / "absent" / "out.bpg")
    run("encode", source, tmp_path / "out.bpg")
    assert ".png" in refused("decode", tmp_path / "out.bpg", tmp_path / "out.jpg")
    assert "more than the 100 allowed" in refused(
        "decode", tmp_path / "out.bpg", tmp_path / "o.png", "--max-pixels", 100
    )
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    assert "I;16" in refused("encode", tmp_path / "deep.png", tmp_path / "deep.bpg")
