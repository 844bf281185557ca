"""Headers say what the encoder was told; what shows a picture is told by its bytes."""

from __future__ import annotations

import base64
import dataclasses
import errno
import io
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import AvifImagePlugin, Image, ImageOps, Jpeg2KImagePlugin, JpegImagePlugin

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import CODECS, CodecError, identify, make_codec
from dsr.data_pipelines.codecs.avif import AvifCodec
from dsr.data_pipelines.codecs.base import Inspection
from dsr.data_pipelines.codecs.bpg import container, write_bpg
from dsr.data_pipelines.codecs.msh.container import Bitstream
from dsr.data_pipelines.datasets import open_source
from dsr.data_pipelines.received import decode, orientation, read_bitstream, read_header, suffixes
from dsr.models.errors import ReadError
from tests.data_pipelines.datasets.files import chunk
from tests.experiments.fleet.conftest import picture

PIXELS = picture(1)

DEEP_AVIF = base64.b85decode(
    "0000WW^{RQVRmU|00000VRmU|ZE0pPZE0a<O+hh20002_ZDn*}000000000lXk=`10000000000aA{+7000000000000000P-$ayb#i4$VQ"
    "yq>WpV%j000hfX>@G>000000RR919%*cEV*mgE07L))0RRC20003100AKY001Wd001ayX>Mi!000000RR918fk83WdZ;I000310AY48F+*="
    "`Z*l+t003%faB^?}002vAaAR)(000zeb8uw<00000002M$002M$000nhX?SS>000033JMAU000bOb}>VN089V?000wXZ)|dIV{CW;0ssO40"
    "ssI202gU+ZD9Za00000009621OWnr1ONa4FKuLDbP5Up00087|BYWb2r?NE0J;JTEKxxK00^{ZaLffNxc=t*hQSAb"
)
"""64x64 pixels of 10 bits, written by SVT-AV1."""


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


@pytest.mark.parametrize("codec", ["avif", "jpeg2000", "jpeg"])
def test_no_memory_is_no_damage(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is left out as damaged stays left out; without memory the run ends, and goes on with more."""
    bitstream = make_codec(codec).encode(PIXELS)
    header = inspect(bitstream)

    def fail(*_: object) -> None:
        raise MemoryError

    reader = {"avif": AvifImagePlugin.AvifImageFile, "jpeg2000": Jpeg2KImagePlugin.Jpeg2KImageFile}.get(
        codec, JpegImagePlugin.JpegImageFile
    )
    with monkeypatch.context() as patch, pytest.raises((MemoryError, ReadError)):
        patch.setattr(reader, "load", fail)
        decode(header, bitstream)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(reader, "_open", fail)
        read_header(f"a{suffixes(codec)[0]}", bitstream)


def test_a_bitstream_of_another_model_is_refused_with_what_decodes_it() -> None:
    bitstream = bytes(Bitstream(bytes(8), 48, 32, b"", b"", 0))
    with pytest.raises(CodecError, match=r"000000000000.*make_codec\(\"msh\", model=FILE\)"):
        decode(inspect(bitstream), bitstream)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("codec", ["jpeg", "webp", "avif", "bpg"])
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


def test_a_bpg_file_that_is_transparent_is_refused_as_others_are_and_an_opaque_one_taken() -> None:
    alpha = np.full(PIXELS.shape[:2], 255, np.uint8)
    opaque = write_bpg(PIXELS, 20, alpha=alpha)
    assert np.array_equal(decode(inspect(opaque), opaque), make_codec("bpg").decode(opaque))
    alpha[:16] = 0
    transparent = write_bpg(PIXELS, 20, alpha=alpha)
    with pytest.raises(CodecError, match="has transparent pixels, whose colour is undefined"):
        decode(inspect(transparent), transparent)


def test_a_jpeg2000_file_that_lacks_a_tile_is_refused_and_the_tile_not_left_black() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG2000", no_jp2=True, tile_size=(32, 16))
    whole, parts = buffer.getvalue(), []
    at = whole.index(b"\xff\x90")
    while whole[at : at + 2] == b"\xff\x90":
        parts.append(slice(at, at + int.from_bytes(whole[at + 6 : at + 10], "big")))
        at = parts[-1].stop
    assert len(parts) == 4 and np.array_equal(decode(inspect(whole), whole), PIXELS)
    endless = bytearray(whole)  # the length of the last part may be left out
    endless[parts[3].start + 6 : parts[3].start + 10] = bytes(4)
    assert np.array_equal(decode(inspect(whole), bytes(endless)), PIXELS)
    for part in parts:
        lacking = whole[: part.start] + whole[part.stop :]
        with pytest.raises(CodecError, match="not a whole jpeg2000 bitstream: it has 3 of 4 tiles"):
            decode(inspect(lacking), lacking)


def with_metadata(codec: str) -> bytes:
    """A file with metadata that Pillow stumbles over."""
    plain = make_codec(codec).encode(PIXELS)
    if codec == "jpeg":
        return plain[:2] + b"\xff\xe2" + struct.pack(">H", 14) + b"ICC_PROFILE\0" + plain[2:]  # without a number
    bomb = chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(3 << 20)))
    damaged = chunk(b"tEXt", b"comment\0none")[:-4] + bytes(4)
    return plain[:33] + bomb + damaged + plain[33:]


@pytest.mark.parametrize("codec", ["none", "jpeg"])
def test_metadata_of_received_files_do_not_matter_whatever_they_are(codec: str) -> None:
    plain, bitstream = make_codec(codec).encode(PIXELS), with_metadata(codec)
    header = read_header("a" + suffixes(codec)[0], bitstream)
    assert header == inspect(plain)
    assert np.array_equal(decode(header, bitstream), decode(header, plain))
    assert orientation(codec, bitstream) == 1


def test_a_damaged_file_is_refused_by_its_name() -> None:
    bitstream = make_codec("none").encode(PIXELS)
    with pytest.raises(CodecError, match=r"^a/b\.png: .*its IDAT data have another checksum"):
        read_header("a/b.png", bitstream[:60] + b"?" + bitstream[61:])
    with pytest.raises(CodecError, match=r"^a/b\.avif: not a whole avif"):
        read_header("a/b.avif", DEEP_AVIF[:200])


def test_a_pipe_in_place_of_a_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.bpg")
    with pytest.raises(CodecError, match=r"p\.bpg: is no regular file but a pipe"):
        read_bitstream(tmp_path / "p.bpg")
    for command in (("decode",), ("bpg", "decode")):
        result = CliRunner().invoke(cli, [*command, str(tmp_path / "p.bpg"), str(tmp_path / "o.png")])
        assert isinstance(result.exception, CodecError)
    assert isinstance(CliRunner().invoke(cli, ["bpg", "info", str(tmp_path / "p.bpg")]).exception, CodecError)


def test_no_permission_is_no_damage_of_a_received_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "images" / "restore"
    folder.mkdir(parents=True)
    (folder / "a.bpg").write_bytes(make_codec("bpg").encode(PIXELS))
    (tmp_path / "classes.csv").write_text("id,name\n0,road\n")
    source = open_source("folder", tmp_path, received="restore")
    (sample,) = source.samples("restore")
    monkeypatch.setattr("dsr.data_pipelines.datasets.files._File", denied)
    with pytest.raises(ReadError, match="permission"):
        source.read(sample)


def denied(path: Path) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def box(kind: bytes, *payload: bytes) -> bytes:
    data = b"".join(payload)
    return struct.pack(">I", 8 + len(data)) + kind + data


def deep_jpeg2000(*depths: int) -> bytes:
    """A codestream that says how many bits the samples of its components have."""
    codestream = bytearray(make_codec("jpeg2000").encode(PIXELS))
    codestream[42:51:3] = (depth - 1 for depth in depths)
    return bytes(codestream)


def in_jp2(codestream: bytes, *described: bytes, components: int = 3) -> bytes:
    header = box(b"ihdr", struct.pack(">IIHBBBB", 32, 48, components, 7, 7, 0, 0)), *described
    kind = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return kind + box(b"jp2h", *header) + box(b"jp2c", codestream)


RGB_COLOURS = box(b"colr", bytes([1, 0, 0, 0, 0, 0, 16]))


@pytest.mark.parametrize(
    ("name", "bitstream", "depth"),
    [
        ("a.avif", DEEP_AVIF, 10),
        ("a.jp2", deep_jpeg2000(12, 12, 12), 12),
        ("a.jp2", deep_jpeg2000(8, 8, 16), 16),
        ("a.jp2", in_jp2(deep_jpeg2000(12, 12, 12), RGB_COLOURS), 12),
        ("a.jp2", deep_jpeg2000(4, 4, 4), 4),  # Pillow reads white as 240
    ],
)
def test_samples_of_other_than_8_bits_are_refused_and_not_cut(name: str, bitstream: bytes, depth: int) -> None:
    header = read_header(name, bitstream)
    with pytest.raises(CodecError, match=f"pixels of {depth} bits a sample"):
        decode(header, bitstream)


def test_a_box_around_a_codestream_of_8_bits_changes_nothing() -> None:
    codestream = make_codec("jpeg2000").encode(PIXELS)
    boxed = in_jp2(codestream, RGB_COLOURS)
    assert np.array_equal(decode(read_header("a.jp2", boxed), boxed), make_codec("jpeg2000").decode(codestream))


def test_a_jpeg_2000_file_with_a_palette_is_refused() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[..., 0] // 128).save(buffer, "JPEG2000", no_jp2=True)
    gray, palette = box(b"colr", bytes([1, 0, 0, 0, 0, 0, 17])), box(b"pclr", bytes([0, 2, 1, 7, 18, 255]))
    boxed = in_jp2(buffer.getvalue(), gray, palette, box(b"cmap", bytes([0, 0, 1, 0])), components=1)
    with pytest.raises(CodecError, match="palette"):
        decode(read_header("a.jp2", boxed), boxed)


def avif(primary: int, properties: list[bytes], associations: dict[int, list[int]], *more: bytes) -> bytes:
    """What describes the pictures of an AVIF file: items, by number, with their properties, counted from 1."""
    pairs = b"".join(struct.pack(">HB", item, len(own)) + bytes(own) for item, own in associations.items())
    described = box(b"ipco", *properties), box(b"ipma", bytes(4), struct.pack(">I", len(associations)), pairs)
    items = box(b"pitm", bytes(4), struct.pack(">H", primary)), box(b"iprp", *described), *more
    return box(b"ftyp", b"avif", bytes(4), b"avifmif1") + box(b"meta", bytes(4), *items)


def test_the_depth_of_an_avif_file_is_that_of_what_it_shows() -> None:
    """Not of a gain map beside it, and of a picture put together from tiles that of the tiles."""
    flat, deep, deepest = (box(b"av1C", bytes([0x81, 0, flags, 0])) for flags in (0x0C, 0x4C, 0x6C))
    size = box(b"ispe", bytes(12))
    tiled = box(b"iref", bytes(4), box(b"dimg", struct.pack(">4H", 1, 2, 2, 3)))
    assert AvifCodec.depth(avif(1, [size, flat, deep], {1: [1, 0x82], 2: [1, 0x83]})) == 8
    assert AvifCodec.depth(avif(2, [size, flat, deep], {1: [1, 0x82], 2: [1, 0x83]})) == 10
    assert AvifCodec.depth(avif(1, [deep, size, deepest], {3: [3], 1: [2], 2: [2, 1]}, tiled)) == 12
    assert AvifCodec.depth(avif(1, [flat], {1: [1]}) + b"what comes after it") == 8
    for unsaid in (avif(1, [flat], {2: [1]}), avif(1, [size], {1: [1]}), avif(1, [], {1: [1]})):
        with pytest.raises(ValueError, match="does not say"):
            AvifCodec.depth(unsaid)


def test_of_a_sequence_the_frames_count_too() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "AVIF", save_all=True, append_images=[Image.new("RGB", (48, 32), "red")])
    sequence = bytearray(buffer.getvalue())
    assert AvifCodec.depth(bytes(sequence)) == 8
    sequence[sequence.rfind(b"av1C") + 6] |= 0x40
    assert AvifCodec.depth(bytes(sequence)) == 10


@pytest.mark.parametrize("bitstream", [DEEP_AVIF, in_jp2(deep_jpeg2000(12, 12, 12), RGB_COLOURS)])
def test_hostile_boxes_are_decoded_or_refused_as_damage(bitstream: bytes) -> None:
    name = "a.avif" if bitstream is DEEP_AVIF else "a.jp2"
    rng = np.random.default_rng(0)
    for _ in range(200):
        hostile = np.frombuffer(bitstream, np.uint8).copy()
        hostile[rng.integers(12, 280, 2)] = rng.choice([0, 1, 8, 255], 2)
        with suppress(CodecError):
            decode(read_header(name, hostile.tobytes()), hostile.tobytes())
