"""The reference programs as encoder, played by stand-ins on PATH that call this package's codec."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.commands.bpg import command
from dsr.data_pipelines.codecs import CodecError, make_codec
from dsr.data_pipelines.codecs.bpg import libbpg, read_bpg, write_bpg
from tests.data_pipelines.codecs.conftest import scene

ROOT = Path(__file__).resolve().parents[3]

STAND_IN = """#!{python}
import sys
sys.path.insert(0, {root!r})
import numpy as np
from PIL import Image
from dsr.data_pipelines.codecs.bpg import read_bpg, write_bpg
arguments = sys.argv[1:]
if arguments == ["-h"]:
    print("BPG Image Encoder version 0.9.8")
    sys.exit(1)
options = dict(zip(arguments[:-1:2], arguments[1::2]))
if "-q" in options:
    pixels = np.array(Image.open(arguments[-1]))
    assert options["-m"] == "3", options
    chroma = {{"420": "4:2:0", "444": "4:4:4"}}[options["-f"]] if pixels.ndim == 3 else "gray"
    data = write_bpg(pixels, int(options["-q"]), chroma, "ultrafast")
    open(options["-o"], "wb").write(data)
else:
    Image.fromarray(read_bpg(open(arguments[-1], "rb").read()).rgb).save(options["-o"])
"""


def install(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder in front of PATH, and a temporary folder that must be empty at the end."""
    folder, temporary = tmp_path / "bin", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield folder
    assert not list(temporary.iterdir())


@pytest.fixture
def stand_ins(programs):
    for name in ("bpgenc", "bpgdec"):
        install(programs, name, STAND_IN.format(python=sys.executable, root=str(ROOT)))
    return programs


def test_how_large_a_decoded_picture_may_be_says_the_codec_and_not_pillow(stand_ins, monkeypatch):
    codec = make_codec("bpg", 25, encoder="libbpg", preset="3")
    bitstream = codec.encode(scene(20, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20 * 30 // 4)
    assert codec.decode(bitstream).shape == (20, 30, 3)


def test_a_decoder_that_writes_something_else_is_named(programs):
    install(programs, "bpgenc", "#!/bin/sh\n")
    install(programs, "bpgdec", '#!/bin/sh\necho none > "$2"\n')
    with pytest.raises(CodecError, match="bpgdec wrote no PNG file"):
        libbpg.decode(b"")


@pytest.mark.parametrize("chroma", ["4:2:0", "4:4:4", "gray"])
def test_the_programs_encode_and_decode(stand_ins, chroma):
    pixels = scene(20, 30)
    codec = make_codec("bpg", 25, encoder="libbpg", preset="3", chroma=chroma)
    bitstream = codec.encode(pixels)
    assert bitstream == write_bpg(pixels, 25, chroma, "ultrafast")
    assert np.array_equal(codec.decode(bitstream), read_bpg(bitstream).rgb)


def test_the_identity_names_the_program_and_its_version(stand_ins):
    described = make_codec("bpg", 25, encoder="libbpg").describe()
    assert described["versions"] == {"libbpg": "0.9.8"}
    assert described["options"]["encoder"] == "libbpg"
    assert described["options"]["preset"] == "8"


def test_absent_programs_are_named(programs):
    with pytest.raises(CodecError, match="bpgenc is not on PATH"):
        make_codec("bpg", encoder="libbpg")


def test_the_reason_of_a_failure_is_passed_on(stand_ins):
    codec = make_codec("bpg", encoder="libbpg", preset="3")
    for name in ("bpgenc", "bpgdec"):
        install(stand_ins, name, "#!/bin/sh\necho 'out of luck' >&2\nexit 3\n")
    with pytest.raises(CodecError, match="bpgenc failed with exit status 3: out of luck"):
        codec.encode(scene(8, 8))
    with pytest.raises(CodecError, match="bpgdec failed with exit status 3: out of luck"):
        codec.decode(write_bpg(scene(8, 8), 40))


def test_a_program_that_writes_nothing_is_found_out(stand_ins):
    codec = make_codec("bpg", encoder="libbpg", preset="3")
    install(stand_ins, "bpgenc", "#!/bin/sh\nexit 0\n")
    with pytest.raises(CodecError, match="wrote no file"):
        codec.encode(scene(8, 8))


def test_a_program_that_hangs_is_ended(stand_ins, monkeypatch):
    codec = make_codec("bpg", encoder="libbpg", preset="3")
    install(stand_ins, "bpgenc", "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(libbpg, "TIMEOUT", 0.2)
    with pytest.raises(CodecError, match="did not finish"):
        codec.encode(scene(8, 8))


def test_sizes_are_checked_before_the_program_sees_the_file(stand_ins):
    bitstream = write_bpg(scene(40, 40), 40)
    with pytest.raises(CodecError, match="40x40"):
        make_codec("bpg", encoder="libbpg", max_pixels=1000).decode(bitstream)


def test_options_of_the_other_encoder_are_refused(stand_ins):
    with pytest.raises(CodecError, match="preset must be one of 1, 2"):
        make_codec("bpg", encoder="libbpg", preset="slow")
    with pytest.raises(CodecError, match="chroma_qp_offset is for encoder=x265 only"):
        make_codec("bpg", encoder="libbpg", chroma_qp_offset=-2)
    with pytest.raises(CodecError, match="lossless is for encoder=x265 only"):
        make_codec("bpg", encoder="libbpg", lossless=True)


def test_the_command_says_what_the_programs_do_not_keep(stand_ins, tmp_path):
    Image.fromarray(scene(20, 30)).save(tmp_path / "in.png", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    arguments = ["encode", str(tmp_path / "in.png"), str(tmp_path / "out.bpg"), "--encoder", "libbpg", "--preset", "3"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "metadata are left out" in result.output
    assert read_bpg((tmp_path / "out.bpg").read_bytes()).header.extensions == ()
    assert "8 bits" in str(CliRunner().invoke(command, [*arguments, "--force", "--depth", "10"]).exception)
