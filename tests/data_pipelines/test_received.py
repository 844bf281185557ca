"""Headers say what the encoder was told; what shows a picture is told by its bytes."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from dsr.data_pipelines.codecs import CODECS, CodecError, identify, make_codec
from dsr.data_pipelines.codecs.base import Inspection
from dsr.data_pipelines.codecs.bpg import container
from dsr.data_pipelines.received import decode, read_header, suffixes
from tests.experiments.fleet.conftest import picture

PIXELS = picture(1)


def inspect(bitstream: bytes) -> Inspection:
    codec = identify(bitstream)
    assert codec is not None
    return codec.inspect(bitstream)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "msh"])
def test_a_codec_is_known_by_its_bytes_and_decodes_as_it_does_itself(codec: str) -> None:
    bitstream = make_codec(codec).encode(PIXELS)
    header = inspect(bitstream)
    assert (header.codec, header.width, header.height) == (codec, 48, 32)
    assert np.array_equal(decode(header, bitstream), make_codec(codec).decode(bitstream))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("codec", ["jpeg", "webp", "bpg"])
def test_a_received_picture_is_turned_upright_as_viewers_show_it(codec: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    if codec == "bpg":
        plain = make_codec("bpg", 20).encode(PIXELS)
        header, hevc = container.parse(plain)
        payload = container.write_ue7(1) + container.write_ue7(len(exif.tobytes())) + exif.tobytes()
        flags = bytes([plain[4], plain[5] | 8])
        numbers = b"".join(map(container.write_ue7, (header.width, header.height, len(hevc), len(payload))))
        bitstream, stored = container.MAGIC + flags + numbers + payload + hevc, make_codec("bpg").decode(plain)
    else:
        buffer = io.BytesIO()
        Image.fromarray(PIXELS).save(buffer, codec.upper(), exif=exif)
        bitstream, stored = buffer.getvalue(), make_codec(codec).decode(buffer.getvalue())
    shown = Image.fromarray(stored)
    shown.getexif()[274] = orientation
    assert np.array_equal(decode(inspect(bitstream), bitstream), np.asarray(ImageOps.exif_transpose(shown)))


def test_another_codec_s_file_under_a_suffix_is_refused() -> None:
    with pytest.raises(CodecError, match=r"a/b\.bpg: holds a jpeg bitstream; give it the suffix \.jpg"):
        read_header("a/b.bpg", make_codec("jpeg").encode(PIXELS))
    assert read_header("a/b.JPEG", make_codec("jpeg").encode(PIXELS)).codec == "jpeg"


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "msh"])
def test_a_cut_bitstream_is_refused_in_one_way(codec: str) -> None:
    bitstream = make_codec(codec).encode(PIXELS)
    for length in (0, 3, 12, len(bitstream) // 2):
        with pytest.raises(CodecError):
            cut = bitstream[:length]
            decode(read_header("a" + suffixes(codec)[0], cut), cut)


def test_a_bpg_file_that_claims_a_monstrous_picture_is_refused_before_it_is_decoded() -> None:
    header, hevc = container.parse(make_codec("bpg").encode(PIXELS))
    liar = container.serialise(dataclasses.replace(header, width=1 << 20, height=1 << 20), hevc)
    with pytest.raises(CodecError, match="claims"):
        decode(inspect(liar), liar)
