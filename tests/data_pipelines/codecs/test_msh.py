"""The learned codec: self-contained bitstreams of any size, refused when anything is wrong, and alike on every
machine."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dsr.data_pipelines.codecs import CodecError, make_codec
from dsr.data_pipelines.codecs.msh import SHIPPED, MshCodec, container
from dsr.data_pipelines.codecs.msh import codec as msh_codec
from dsr.data_pipelines.codecs.msh.coder import Coder, RangeCoder
from dsr.data_pipelines.codecs.search import find_quality
from dsr.experiments.tools.pack_codec import estimated_bits, trained_network
from dsr.models.hyperprior.config import QUALITIES
from dsr.models.hyperprior.network import HyperpriorNetwork
from dsr.models.hyperprior.saved import load_hyperprior, read_hyperprior
from dsr.models.metrics.fidelity import psnr
from tests.data_pipelines.codecs.conftest import scene
from tests.hyperpriors import TINY, saved_codec


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return saved_codec(tmp_path_factory.mktemp("codec"))


@pytest.fixture(scope="module")
def codec(file) -> MshCodec:
    return MshCodec(4, model=str(file))


@pytest.fixture(scope="module")
def network(file) -> HyperpriorNetwork:
    """The network of the file, in float32."""
    network = HyperpriorNetwork(TINY)
    load_hyperprior(file, network)
    return network


@pytest.fixture(scope="module")
def bitstream(codec, picture) -> bytes:
    return codec.encode(picture)


def sealed(data: bytes) -> bytes:
    """The bitstream with a checksum that fits what it holds."""
    end = container.OVERHEAD
    return data[: end - 4] + struct.pack("<I", zlib.crc32(data[: end - 4] + data[end:])) + data[end:]


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 140), width=st.integers(1, 140), quality=st.integers(1000, 6000))
def test_a_picture_of_any_size_comes_back_as_the_network_gives_it(file, network, height, width, quality):
    codec = MshCodec(quality / 1000, model=str(file))
    pixels = scene(height, width)
    padded = np.pad(pixels, ((0, -height % 64), (0, -width % 64), (0, 0)), mode="edge")
    _, expected = estimated_bits(network, padded, codec.quality, read_hyperprior(file).hyper_synthesis)
    decoded = codec.decode(codec.encode(pixels))
    assert decoded.dtype == np.uint8 and decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - expected[:height, :width]).max() <= 1


def test_the_header_costs_33_bytes(bitstream):
    parsed = container.parse(bitstream)
    assert (parsed.width, parsed.height) == (101, 67)
    assert len(bitstream) == container.OVERHEAD + len(parsed.z) + len(parsed.y) == 33 + len(parsed.z) + len(parsed.y)
    assert bytes(parsed) == bitstream


def test_every_flipped_bit_is_refused(codec, bitstream):
    rng = np.random.default_rng(0)
    for position in [*range(8 * container.OVERHEAD), *rng.integers(8 * len(bitstream), size=400)]:
        damaged = bytearray(bitstream)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(CodecError, match="msh"):
            codec.decode(bytes(damaged))


def test_every_cut_and_every_addition_is_refused(codec, bitstream):
    for length in range(len(bitstream)):
        with pytest.raises(CodecError, match="msh"):
            codec.decode(bitstream[:length])
    with pytest.raises(CodecError, match="cut or damaged"):
        codec.decode(bitstream + b"\0")


def test_forged_strings_with_a_right_checksum_are_refused_too(codec, bitstream):
    rng = np.random.default_rng(0)
    for _ in range(60):
        forged = bytearray(bitstream)
        for position in rng.integers(container.OVERHEAD, len(forged), size=4):
            forged[position] = rng.integers(256)
        if bytes(forged) != bitstream:
            with pytest.raises(CodecError, match="msh bitstream"):
                codec.decode(sealed(bytes(forged)))


def test_z_beyond_what_is_exact_is_refused(file, codec, bitstream):
    parsed = container.parse(bitstream)
    z = np.zeros((1, 2, 2, 8), np.int32)
    z[0, 0, 0, 0] = 128
    string = RangeCoder(read_hyperprior(file).z_tables).encode(tf.constant(z)).numpy()
    forged = container.Bitstream(parsed.model, 101, 67, string, parsed.y, parsed.latents)
    with pytest.raises(CodecError, match="string of z"):
        codec.decode(bytes(forged))


def test_entropy_parameters_that_differ_from_the_encoders_are_noticed(file, bitstream):
    saved = read_hyperprior(file)
    assert saved.fingerprint  # which stays that of the file
    last = saved.hyper_synthesis.convolutions[2]
    last.bias[-1] += 1 << int(last.shift[-1])  # one scale index, of one channel
    saved.arrays["digest"] = np.frombuffer(saved.hyper_synthesis.digest(), np.uint8)
    with pytest.raises(CodecError, match="msh bitstream"):
        Coder(saved).decode(container.parse(bitstream))


def test_a_machine_that_computes_otherwise_does_not_code(file, monkeypatch):
    inexact = tf.nn.conv2d
    monkeypatch.setattr(tf.nn, "conv2d", lambda *arguments: inexact(*arguments) * (1 + 2**-20))
    with pytest.raises(CodecError, match="not exact on integers"):
        Coder(read_hyperprior(file))


def test_a_bitstream_of_another_model_is_refused(bitstream, tmp_path):
    other = MshCodec(4, model=str(saved_codec(tmp_path, seed=1)))
    with pytest.raises(CodecError, match="another model"):
        other.decode(bitstream)


def test_a_bitstream_names_its_quality(file, codec, picture, bitstream):
    for quality in (1.0, 2.5, 5.999):
        other = MshCodec(quality, model=str(file))
        made = other.encode(picture)
        assert read_hyperprior(file).quality_of(container.parse(made).model) == quality
        assert np.array_equal(codec.decode(made), other.decode(made))
    for thousandths in (999, 6001):
        forged = bitstream[:11] + struct.pack("<H", thousandths) + bitstream[13:]
        with pytest.raises(CodecError, match="another model"):
            codec.decode(sealed(forged))


def test_absurd_sizes_are_refused_before_anything_is_decoded(codec, bitstream):
    for width, height, message in ((65535, 65535, "65535x65535"), (0, 67, "0x67"), (101, 0, "101x0")):
        forged = bitstream[:13] + struct.pack("<HH", width, height) + bitstream[17:]
        with pytest.raises(CodecError, match=message):
            codec.decode(sealed(forged))


def test_a_side_that_the_header_cannot_hold_is_refused(codec):
    with pytest.raises(CodecError, match="65535"):
        codec.encode(np.zeros((1, 65536, 3), np.uint8))


def test_a_graph_serves_all_sizes_and_qualities(codec, picture):
    coder = Coder(read_hyperprior(codec.file))
    for height, width, quality in ((67, 101, 4), (1, 1, 4), (128, 30, 1.5)):
        coder.decode(coder.encode(picture[:height, :width], quality))
    functions = (coder._analyse, coder._encode, coder._decode_z, coder._decode_y, coder._synthesise)
    assert [function.experimental_get_tracing_count() for function in functions] == [1] * 5


WORKER = """
import sys
import numpy as np
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
from dsr.data_pipelines.codecs.msh import container
from dsr.data_pipelines.codecs.msh.coder import Coder
from dsr.models.hyperprior.saved import read_hyperprior
from pathlib import Path
coder, folder = Coder(read_hyperprior(sys.argv[2])), Path(sys.argv[3])
pixels = np.load(folder / "pixels.npy")
(folder / f"{sys.argv[4]}.msh").write_bytes(bytes(coder.encode(pixels, 4)))
for path in sorted(folder.glob("*.msh")):
    coder.decode(container.parse(path.read_bytes()))
print(len(list(folder.glob("*.msh"))))
"""


def test_bitstreams_decode_to_the_same_latents_whatever_computes_the_convolutions(file, codec, tmp_path):
    """`decode` compares the latents with the encoder's checksum of them; here it is a process with one thread."""
    np.save(tmp_path / "pixels.npy", scene(130, 200))
    (tmp_path / "here.msh").write_bytes(codec.encode(scene(130, 200)))
    for count, (threads, onednn) in enumerate([("2", "0"), ("4", "1")], start=2):
        environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn}
        command = [sys.executable, "-c", WORKER, threads, str(file), str(tmp_path), f"{threads}-{onednn}"]
        assert subprocess.check_output(command, env=environment, text=True) == f"{count}\n"
    for path in tmp_path.glob("*.msh"):
        codec.decode(path.read_bytes())


def test_the_identity_is_the_models_content_and_not_its_place(file, codec, tmp_path):
    shutil.copy(file, tmp_path / "elsewhere.npz")
    elsewhere = MshCodec(4, model=str(tmp_path / "elsewhere.npz"))
    assert elsewhere == codec and elsewhere.describe() == codec.describe() and hash(elsewhere) == hash(codec)
    assert codec.describe()["options"] == {"model": "sha256:" + read_hyperprior(file).fingerprint.hex()}
    assert str(file) not in str(codec.describe()) and len(pickle.dumps(codec)) < 2000


def test_qualities_are_real_and_counted_in_thousandths(file):
    assert MshCodec(2.5).point == "msh-quality2.5"
    assert MshCodec(2.50049, model=str(file)) == MshCodec(2.5, model=str(file)) != MshCodec(2.501, model=str(file))
    assert MshCodec(model=str(file)).quality == 3


def test_a_model_of_one_quality_brings_it(tmp_path):
    model = str(saved_codec(tmp_path, qualities=[4.75]))
    codec = make_codec("msh", model=model)
    assert codec.point == f"msh-quality4.75+model={codec.model[7:19]}"
    assert make_codec("msh", 4.75, model=str(tmp_path)) == make_codec("msh", model=model)
    with pytest.raises(CodecError, match="serves quality 4.75, not 5: .*train-codec --quality 5"):
        make_codec("msh", 5, model=model)


def test_a_quality_beyond_those_of_the_model_is_refused_with_its_range(file):
    for quality in (6.001, 8):
        with pytest.raises(CodecError, match=f"serves qualities 1 to 6, not {quality:g}"):
            make_codec("msh", quality, model=str(file))
    for quality in (0.999, 8.001, float("nan")):
        with pytest.raises(CodecError, match="a number from 1 to 8"):
            make_codec("msh", quality, model=str(file))


def test_a_higher_quality_takes_more_bits_also_between_whole_ones(file, picture):
    sizes = [len(MshCodec(quality, model=str(file)).encode(picture)) for quality in (1, 1.5, 2, 3.25, 3.5, 6)]
    assert sizes == sorted(set(sizes))


def test_ones_own_model_cannot_be_rebuilt_from_its_fingerprint(codec):
    described = codec.describe()
    with pytest.raises(CodecError, match="model=FOLDER/codec.npz"):
        make_codec("msh", described["quality"], **described["options"])


def test_a_file_that_changes_under_a_codec_is_noticed(file, tmp_path, picture):
    path = Path(shutil.copy(file, tmp_path / "codec.npz"))
    codec = MshCodec(model=str(path))
    saved_codec(tmp_path, seed=2)
    with pytest.raises(CodecError, match="has changed"):
        codec.encode(picture)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(CodecError, match="nowhere.npz"):
        make_codec("msh", model=str(tmp_path / "nowhere.npz"))


def test_the_models_of_earlier_releases_are_named(codec):
    """Frozen: whoever has their bitstreams is told which file decodes them."""
    old = "sha256:f7dc6d7d15048fe8023a8eab62396cf4d0b53735279b6fff5f6b035b96e07efb"
    with pytest.raises(CodecError, match=r"dsr 0\.3\.1 for quality 3.*quality3\.npz"):
        make_codec("msh", 3, model=old)
    parsed = container.Bitstream(bytes.fromhex("967197127c2bd644"), 8, 8, b"", b"", 0)
    with pytest.raises(CodecError, match=r"dsr 0\.3\.0 for quality 1"):
        codec.decode(bytes(parsed))


def test_a_file_of_the_first_version_decodes_what_it_always_did(tmp_path, picture):
    """It has no gains, and its bitstreams name it by its fingerprint alone."""
    with np.load(saved_codec(tmp_path, qualities=[4])) as archive:
        arrays = {name: archive[name] for name in archive.files if not name.startswith("gain.")}
    np.savez(tmp_path / "old.npz", **{**arrays, "header": np.array([1, 8, 12, 4], "<i4")})
    old = make_codec("msh", model=str(tmp_path / "old.npz"))
    bitstream = old.encode(picture)
    assert bitstream[5:13].hex() == old.model[len("sha256:") :][:16]
    network = HyperpriorNetwork(TINY, [4])
    load_hyperprior(tmp_path / "old.npz", network)
    padded = np.pad(picture, ((0, 128 - 67), (0, 128 - 101), (0, 0)), mode="edge")
    saved = read_hyperprior(tmp_path / "old.npz")
    _, expected = estimated_bits(network, padded, 4, saved.hyper_synthesis)
    assert np.abs(old.decode(bitstream).astype(int) - expected[:67, :101]).max() <= 1


def test_the_shipped_model_is_rebuilt_from_its_description():
    for quality in (1, 2.5, 6):
        codec = make_codec("msh", quality)
        described = codec.describe()
        assert make_codec("msh", described["quality"], **described["options"]) == codec


def test_one_file_of_12_megabytes_serves_all_qualities():
    assert [path.name for path in SHIPPED.parent.iterdir()] == [SHIPPED.name]
    assert SHIPPED.stat().st_size <= 12e6
    assert read_hyperprior(SHIPPED).qualities == QUALITIES


def test_a_file_is_read_once_for_many_bitstreams_and_again_when_it_changes(file, bitstream, tmp_path, monkeypatch):
    own, reads = Path(shutil.copy(file, tmp_path / "codec.npz")), []
    monkeypatch.setattr(msh_codec, "read_hyperprior", lambda path: reads.append(path) or read_hyperprior(path))
    first, _ = MshCodec(4, model=str(own)), MshCodec(3, model=str(own))
    assert reads == [own]
    shutil.copy(SHIPPED, own)
    assert MshCodec(4, model=str(own)).model == MshCodec(4).model != first.model
    for _ in range(3):
        MshCodec.inspect(bitstream)
    assert reads in ([own, own], [own, own, SHIPPED])
    own.unlink()
    with pytest.raises(CodecError, match="not a trained codec's file"):
        MshCodec(4, model=str(own))


@pytest.mark.parametrize("quality", [1, 3.5, 6])
def test_the_rate_is_within_a_percent_of_the_estimate_also_of_the_float_network(shared, quality):
    path = min((shared / "camvid" / "test").iterdir())
    pixels = np.array(Image.open(path).convert("RGB"))[:320, :448]
    saved = read_hyperprior(SHIPPED)
    network = trained_network(shared / "weights" / "pretrained" / "msh_variable_rate.npz")
    in_floats, decoded = estimated_bits(network, pixels, quality)
    in_integers, _ = estimated_bits(network, pixels, quality, saved.hyper_synthesis)
    codec = make_codec("msh", quality)
    bitstream = codec.encode(pixels)
    strings = 8 * (len(bitstream) - container.OVERHEAD)
    assert in_integers == pytest.approx(in_floats, rel=0.005)
    assert strings == pytest.approx(in_integers, rel=0.01)
    assert psnr(codec.decode(bitstream), pixels) == pytest.approx(psnr(decoded, pixels), abs=0.05)


def test_a_rate_is_met_within_a_percent(shared):
    paths = sorted((shared / "camvid" / "test").iterdir())[:40:20]
    pixels = [np.array(Image.open(path).convert("RGB"))[:192, :256] for path in paths]
    for target in (0.2, 0.5):
        found = find_quality("msh", target, pixels)
        assert found.bpp == pytest.approx(target, rel=0.01)
        bits = 8 * sum(len(found.codec.encode(image)) for image in pixels)
        assert found.bpp == bits / (2 * 192 * 256)


def test_a_rate_out_of_reach_is_refused_with_what_the_model_reaches(file, picture):
    for target in (0.001, 100):
        with pytest.raises(CodecError, match="cannot reach .* quality 1 gives .* quality 6 gives"):
            find_quality("msh", target, [picture], model=str(file))
