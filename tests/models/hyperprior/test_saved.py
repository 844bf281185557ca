"""The file of a trained codec: the same bytes for the same weights, plain data, clear words for damage and
hostility."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from dsr.models.hyperprior.config import LAMBDAS, SCALES, HyperpriorConfig, HyperpriorError
from dsr.models.hyperprior.network import HyperpriorNetwork, scale_of
from dsr.models.hyperprior.saved import PRECISION, Tables, load_hyperprior, read_hyperprior, save_hyperprior
from tests.hyperpriors import TINY, lively_network, saved_codec, scenes


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return saved_codec(tmp_path_factory.mktemp("codec"))


@pytest.fixture
def arrays(saved) -> dict[str, np.ndarray]:
    with np.load(saved) as archive:
        return dict(archive)


def test_saving_twice_gives_the_same_bytes(saved, tmp_path):
    assert saved_codec(tmp_path).read_bytes() == saved.read_bytes()


def test_a_folder_stands_for_the_file_in_it(saved):
    assert read_hyperprior(saved.parent).fingerprint == read_hyperprior(saved).fingerprint


def test_float_weights_come_back_in_half_precision_and_the_prior_as_it_was(saved):
    trained, loaded = lively_network(), HyperpriorNetwork(TINY)
    load_hyperprior(saved, loaded)
    for part in ("analysis", "synthesis", "hyper_analysis"):
        for before, after in zip(getattr(trained, part).weights, getattr(loaded, part).weights):
            assert np.array_equal(before.numpy().astype(np.float16), after.numpy())
    for before, after in zip(trained.prior.trainable_variables, loaded.prior.trainable_variables):
        assert np.array_equal(before, after)


def test_saving_what_was_loaded_keeps_transforms_and_nearly_keeps_the_hyper_synthesis(saved, tmp_path):
    network = HyperpriorNetwork(TINY)
    load_hyperprior(saved, network)
    again = read_hyperprior(save_hyperprior(network, tmp_path, scenes()))
    first = read_hyperprior(saved)
    assert all(np.array_equal(first.arrays[name], array) for name, array in again.arrays.items() if "kernel" not in name
               and "hyper_synthesis" not in name and name != "digest")  # fmt: skip
    z = np.random.default_rng(0).integers(-9, 10, (1, 4, 4, 8))
    (mean, _), (mean_again, _) = first.hyper_synthesis.reference(z), again.hyper_synthesis.reference(z)
    assert np.std(mean - mean_again) < 0.02 * np.std(mean)


def test_the_fingerprint_tells_every_array_and_the_qualities(saved, arrays, tmp_path):
    fingerprints = {read_hyperprior(saved).fingerprint}
    for name, array in arrays.items():
        if name.endswith((".cdf", ".offset")):
            continue
        changed = array.copy()
        changed[3 if name == "header" else (0,) * array.ndim] += 1
        np.savez(tmp_path / "changed.npz", **{**arrays, name: changed})
        fingerprints.add(read_hyperprior(tmp_path / "changed.npz").fingerprint)
    assert len(fingerprints) == 1 + len(arrays) - 4


def probabilities(tables: Tables, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols of a distribution and the probabilities that its table gives them."""
    starts = [*np.flatnonzero(tables.cdf == -PRECISION), len(tables.cdf)]
    table = tables.cdf[starts[index] + 1 : starts[index + 1]]
    found = np.diff(table)[:-1] / 2**PRECISION  # the last step is the escape
    return tables.offset[index] + np.arange(len(found)), found


def test_gains_come_back_as_they_were(saved):
    trained, loaded = lively_network(), HyperpriorNetwork(TINY)
    load_hyperprior(saved, loaded)
    np.testing.assert_allclose(loaded.log_gain, trained.log_gain, rtol=1e-6)
    np.testing.assert_allclose(loaded.log_inverse_gain, trained.log_inverse_gain, rtol=1e-6)


@pytest.mark.parametrize("quality", [1, 2.5, 5.25, 6])
def test_the_file_gives_the_gains_of_the_network(saved, quality):
    network = lively_network()
    pixels = scenes(1).astype(np.float32) / 255
    log_gain, log_inverse_gain = read_hyperprior(saved).log_gains(quality)
    np.testing.assert_allclose(network.latents(pixels, quality), np.exp(log_gain) * network.analysis(pixels), rtol=1e-4)
    latents = np.ones((1, 2, 3, 12), np.float32)
    expected = network.synthesis((np.exp(log_inverse_gain) * latents).astype(np.float32))
    np.testing.assert_allclose(network.pixels(latents, quality), expected, rtol=1e-3, atol=1e-3)


def test_one_quality_is_cut_out_of_many_and_one_is_moved_to_others_by_the_root_of_lambda(saved, tmp_path):
    one = HyperpriorNetwork(TINY, [2.5])
    load_hyperprior(saved, one)
    pixels = scenes(1).astype(np.float32) / 255
    many = HyperpriorNetwork(TINY)
    load_hyperprior(saved, many)
    np.testing.assert_allclose(one.latents(pixels, 2.5), many.latents(pixels, 2.5), rtol=1e-4)

    save_hyperprior(one, tmp_path, scenes())
    assert read_hyperprior(tmp_path).qualities == (2.5,)
    load_hyperprior(tmp_path, many)
    step = np.exp(-many.log_gain.numpy())
    np.testing.assert_allclose(step[5] / step[2], np.sqrt(LAMBDAS["mse"][2] / LAMBDAS["mse"][5]), rtol=1e-4)
    moved = many.log_inverse_gain[5] - many.log_inverse_gain[2]
    np.testing.assert_allclose(moved, np.log(step[5] / step[2]), rtol=1e-4)


def test_an_identity_tells_model_and_quality(saved):
    model = read_hyperprior(saved)
    for quality in np.arange(1000, 6001) / 1000:
        assert model.quality_of(model.identity(quality)) == quality
    assert model.identity(2.5) == model.fingerprint[:6] + (2500).to_bytes(2, "little")
    for other in (bytes(8), model.fingerprint[:6] + bytes(2), model.fingerprint[:6] + (6001).to_bytes(2, "little")):
        assert model.quality_of(other) is None


def test_a_file_of_the_first_version_is_what_it_was(arrays, tmp_path):
    """Its fingerprint is that of releases up to 0.3, written out here, and by it alone its bitstreams name it."""
    first = {name: array for name, array in arrays.items() if not name.startswith("gain.")}
    first["header"] = np.array([1, 8, 12, 5], "<i4")
    np.savez(tmp_path / "codec.npz", **first)
    saved = read_hyperprior(tmp_path)
    digest = hashlib.sha256()
    for name, array in first.items():
        digest.update((b"" if name == "header" else f"{name} {array.shape} ".encode()) + array.tobytes())
    assert saved.fingerprint == digest.digest()
    assert saved.identity(5) == digest.digest()[:8] and saved.quality_of(digest.digest()[:8]) == 5
    assert saved.quality_of(bytes(8)) is None
    assert saved.qualities == (5,) and not np.any(saved.log_gains(5))
    load_hyperprior(tmp_path, HyperpriorNetwork(TINY))  # a start like any other


@pytest.mark.parametrize("index", [0, 20, SCALES - 1])
def test_tables_of_y_hold_the_normal_distributions_of_the_scales(saved, index):
    symbols, found = probabilities(read_hyperprior(saved).y_tables, index)
    sigma = float(scale_of(tf.constant(index)))
    expected = norm.cdf((symbols + 0.5) / sigma) - norm.cdf((symbols - 0.5) / sigma)
    np.testing.assert_allclose(found, expected, atol=5 * 2**-PRECISION)
    assert expected.sum() > 1 - 2**-8


def test_tables_of_z_hold_the_prior_of_each_channel(saved):
    prior = lively_network().prior
    for channel in range(TINY.filters):
        symbols, found = probabilities(read_hyperprior(saved).z_tables, channel)
        expected = prior.prob(tf.cast(symbols[:, None] * np.ones(TINY.filters), tf.float32))[:, channel]
        np.testing.assert_allclose(found, expected, atol=5 * 2**-PRECISION)


def test_reading_needs_no_tensorflow(saved):
    script = (
        "import sys; from dsr.models.hyperprior.saved import read_hyperprior;"
        f"read_hyperprior({str(saved)!r}).fingerprint; print('tensorflow' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"


def _truncated(data: bytes) -> bytes:
    return data[:-100]


def _flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0xFF]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize("damage", [_truncated, _flipped, lambda data: b"", lambda data: b"PK" + bytes(100)])
def test_a_damaged_file_is_refused_by_its_name(saved, tmp_path, damage):
    path = tmp_path / "codec.npz"
    path.write_bytes(damage(saved.read_bytes()))
    with pytest.raises(HyperpriorError, match="codec.npz"):
        read_hyperprior(path)


def test_a_missing_file_is_refused_by_its_name(tmp_path):
    with pytest.raises(HyperpriorError, match="nowhere.npz"):
        read_hyperprior(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("header", lambda a: a + np.array([1, 0, 0, 0, 0], np.int32)),
        ("header", lambda a: np.array([2, 1 << 30, 12, 1000, 6], np.int32)),
        ("header", lambda a: np.array([2, 8, 14, 1000, 6], np.int32)),
        ("header", lambda a: np.array([2, -8, 12, 1000, 6], np.int32)),
        ("header", lambda a: np.array([2, 8, 12, 1000, 7], np.int32)),
        ("header", lambda a: np.array([2, 8, 12, 4000, 6], np.int32)),
        ("header", lambda a: np.array([2, 8, 12, 999, 6], np.int32)),
        ("header", lambda a: np.array([2, 8, 12, 1000, 0], np.int32)),
        ("header", lambda a: np.array([2, 8, 12, 1000, -6], np.int32)),
        ("header", lambda a: np.array([1, 8, 12, 9], np.int32)),
        ("header", lambda a: np.array([2, 8, 12, 3], np.int32)),
        ("header", lambda a: np.array([1, 8, 12, 1000, 6], np.int32)),
        ("header", lambda a: a.astype(np.float64)),
        ("gain.log", lambda a: a + 100),
        ("gain.log_inverse", lambda a: np.full_like(a, np.inf)),
        ("gain.log", lambda a: a[1:]),
        ("analysis.0.kernel", lambda a: a.astype(np.float32)),
        ("analysis.0.kernel", lambda a: np.array([{}], object)),
        ("analysis.0.bias", lambda a: np.full_like(a, np.nan)),
        ("hyper_synthesis.1.bias", lambda a: a + 2**24),
        ("hyper_synthesis.1.shift", lambda a: np.full_like(a, -128)),
        ("hyper_synthesis.1.step", lambda a: -a),
        ("y.cdf", lambda a: a[:-1]),
        ("y.cdf", lambda a: a[::-1].copy()),
        ("y.cdf", lambda a: np.zeros_like(a)),
        ("y.cdf", lambda a: np.zeros(0, np.int32)),
        ("y.cdf", lambda a: np.zeros(2 << 20, np.int32)),
        ("z.cdf", lambda a: a[np.flatnonzero(a == -PRECISION)[1] :]),
        ("z.offset", lambda a: a[:-1]),
    ],
)
def test_arrays_that_are_none_of_a_codec_are_refused(arrays, tmp_path, name, change):
    path = tmp_path / "codec.npz"
    np.savez(path, **{**arrays, name: change(arrays[name])})
    with pytest.raises(HyperpriorError, match="codec.npz"):
        read_hyperprior(path)


def test_an_array_that_claims_to_be_huge_is_refused_before_it_is_made(saved, tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": (1 << 40,)})
    path = tmp_path / "codec.npz"
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.namelist():
            target.writestr(entry, header.getvalue() if entry == "y.cdf.npy" else source.read(entry))
    with pytest.raises(HyperpriorError, match="y.cdf"):
        read_hyperprior(path)


def test_weights_of_a_diverged_training_are_not_saved(tmp_path):
    network = lively_network()
    network.weights[3].assign(tf.fill(network.weights[3].shape, np.nan))
    with pytest.raises(HyperpriorError, match="diverged"):
        save_hyperprior(network, tmp_path, scenes())
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_size_is_not_loaded(saved):
    with pytest.raises(HyperpriorError, match="8 filters and 12 latents, not 16 and 12"):
        load_hyperprior(saved, HyperpriorNetwork(HyperpriorConfig(16, 12)))
