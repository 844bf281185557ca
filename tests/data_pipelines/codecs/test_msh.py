"""The learned codec: self-contained bitstreams of any size, refused when anything is wrong, and alike on every
machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dsr.data_pipelines.codecs import CodecError, make_codec
from dsr.data_pipelines.codecs.msh import MshCodec, container, shipped
from dsr.data_pipelines.codecs.msh.coder import Coder, RangeCoder
from dsr.data_pipelines.codecs.search import find_quality
from dsr.experiments.tools.pack_codec import estimated_bits
from dsr.models.hyperprior.network import HyperpriorNetwork
from dsr.models.hyperprior.saved import load_hyperprior, read_hyperprior, save_hyperprior
from tests.data_pipelines.codecs.conftest import scene
from tests.hyperpriors import TINY, lively_network, saved_codec, scenes


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return saved_codec(tmp_path_factory.mktemp("codec"), quality=4)


@pytest.fixture(scope="module")
def codec(file) -> MshCodec:
    return MshCodec(model=str(file))


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
@given(height=st.integers(1, 140), width=st.integers(1, 140))
def test_a_picture_of_any_size_comes_back_as_the_network_gives_it(file, network, codec, height, width):
    pixels = scene(height, width)
    padded = np.pad(pixels, ((0, -height % 64), (0, -width % 64), (0, 0)), mode="edge")
    _, expected = estimated_bits(network, padded, read_hyperprior(file).hyper_synthesis)
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
    other = MshCodec(model=str(saved_codec(tmp_path, seed=1)))
    with pytest.raises(CodecError, match="another model"):
        other.decode(bitstream)


def test_absurd_sizes_are_refused_before_anything_is_decoded(codec, bitstream):
    for width, height, message in ((65535, 65535, "65535x65535"), (0, 67, "0x67"), (101, 0, "101x0")):
        forged = bitstream[:13] + struct.pack("<HH", width, height) + bitstream[17:]
        with pytest.raises(CodecError, match=message):
            codec.decode(sealed(forged))


def test_a_side_that_the_header_cannot_hold_is_refused(codec):
    with pytest.raises(CodecError, match="65535"):
        codec.encode(np.zeros((1, 65536, 3), np.uint8))


def test_a_graph_serves_all_sizes(codec, picture):
    coder = Coder(read_hyperprior(codec.file))
    for height, width in ((67, 101), (1, 1), (128, 30)):
        coder.decode(coder.encode(picture[:height, :width]))
    functions = (coder._analyse, coder._encode, coder._decode_z, coder._decode_y, coder._synthesise)
    assert [function.experimental_get_tracing_count() for function in functions] == [1] * 5


WORKER = """
import sys
import numpy as np
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
from dsr.data_pipelines.codecs.msh import MshCodec
from pathlib import Path
codec, folder = MshCodec(model=sys.argv[2]), Path(sys.argv[3])
pixels = np.load(folder / "pixels.npy")
(folder / f"{sys.argv[4]}.msh").write_bytes(codec.encode(pixels))
for path in sorted(folder.glob("*.msh")):
    codec.decode(path.read_bytes())
print(len(list(folder.glob("*.msh"))))
"""


def test_bitstreams_decode_to_the_same_latents_whatever_computes_the_convolutions(file, codec, tmp_path):
    """`decode` compares the latents with the encoder's checksum of them."""
    np.save(tmp_path / "pixels.npy", scene(130, 200))
    (tmp_path / "here.msh").write_bytes(codec.encode(scene(130, 200)))
    for count, (threads, onednn) in enumerate([("1", "1"), ("2", "0"), ("4", "1")], start=2):
        environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn}
        command = [sys.executable, "-c", WORKER, threads, str(file), str(tmp_path), f"{threads}-{onednn}"]
        assert subprocess.check_output(command, env=environment, text=True) == f"{count}\n"
    for path in tmp_path.glob("*.msh"):
        codec.decode(path.read_bytes())


def _decoded_with_threads(codec: MshCodec, bitstream: bytes) -> tuple[bytes, int, int]:
    pixels = codec.decode(bitstream)
    import tensorflow as tf

    return pixels.tobytes(), tf.config.threading.get_intra_op_parallelism_threads(), len(pickle.dumps(codec))


def test_worker_processes_decode_the_same_pixels_with_one_thread_each(codec, bitstream):
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        results = set(pool.map(_decoded_with_threads, [codec] * 2, [bitstream] * 2))
    ((pixels, threads, size),) = results
    assert threads == 1 and size < 2000
    assert tf.config.threading.get_intra_op_parallelism_threads() != 1
    here = codec.decode(bitstream)
    assert np.abs(np.frombuffer(pixels, np.uint8).reshape(here.shape).astype(int) - here).max() <= 1


def test_the_identity_is_the_models_content_and_not_its_place(file, codec, tmp_path):
    shutil.copy(file, tmp_path / "elsewhere.npz")
    elsewhere = MshCodec(model=str(tmp_path / "elsewhere.npz"))
    assert elsewhere == codec and elsewhere.describe() == codec.describe() and hash(elsewhere) == hash(codec)
    assert codec.describe()["options"] == {"model": "sha256:" + read_hyperprior(file).fingerprint.hex()}
    assert str(file) not in str(codec.describe())


def test_ones_own_model_brings_its_quality(file, codec):
    assert (codec.quality, codec.point) == (4, f"msh-quality4+model={codec.model[7:19]}")
    assert make_codec("msh", 4, model=str(file.parent)) == codec
    with pytest.raises(CodecError, match="trained for quality 4, not 5"):
        make_codec("msh", 5, model=str(file))


def test_ones_own_model_cannot_be_rebuilt_from_its_fingerprint(codec):
    described = codec.describe()
    with pytest.raises(CodecError, match="model=FOLDER/codec.npz"):
        make_codec("msh", described["quality"], **described["options"])


def test_a_file_that_changes_under_a_codec_is_noticed(file, tmp_path, picture):
    path = Path(shutil.copy(file, tmp_path / "codec.npz"))
    codec = MshCodec(model=str(path))
    saved_codec(tmp_path, quality=4, seed=2)
    with pytest.raises(CodecError, match="has changed"):
        codec.encode(picture)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(CodecError, match="nowhere.npz"):
        make_codec("msh", model=str(tmp_path / "nowhere.npz"))


def test_shipped_models_are_rebuilt_from_their_description():
    for quality in shipped():
        codec = make_codec("msh", quality)
        described = codec.describe()
        assert make_codec("msh", described["quality"], **described["options"]) == codec


def test_shipped_models_fit_into_12_megabytes():
    assert sum(path.stat().st_size for path in shipped().values()) <= 12e6


@pytest.mark.parametrize("quality", shipped())
def test_the_rate_is_within_a_percent_of_the_estimate(shared, quality):
    path = min((shared / "camvid" / "test").iterdir())
    pixels = np.array(Image.open(path).convert("RGB"))[:320, :448]
    saved = read_hyperprior(shipped()[quality])
    network = HyperpriorNetwork(saved.config)
    load_hyperprior(shipped()[quality], network)
    estimate, _ = estimated_bits(network, pixels, saved.hyper_synthesis)
    strings = 8 * (len(make_codec("msh", quality).encode(pixels)) - container.OVERHEAD)
    assert strings == pytest.approx(estimate, rel=0.01)


def test_a_rate_is_found_among_the_shipped_qualities(tmp_path, monkeypatch):
    monkeypatch.setattr("dsr.data_pipelines.codecs.msh.codec.SHIPPED", tmp_path)
    network = lively_network()
    for quality, factor in ((1, 0.1), (2, 4.0), (5, 3.0)):  # of y, so that each takes more bits than the one before
        network.analysis.layers[-1].kernel_parameter.assign(factor * network.analysis.layers[-1].kernel_parameter)
        save_hyperprior(network, tmp_path, quality, tf.constant(scenes()), f"quality{quality}.npz")
    pixels = scene(128, 192)
    rates = {quality: 8 * len(make_codec("msh", quality).encode(pixels)) / (128 * 192) for quality in shipped()}
    assert 1.1 * rates[1] < 1.05 * rates[2] < rates[5]
    for quality, rate in rates.items():
        assert find_quality("msh", rate, [pixels]).codec.quality == quality
    with pytest.raises(CodecError, match="only of 1, 2, 5: .*train-codec --quality 3"):
        make_codec("msh")
