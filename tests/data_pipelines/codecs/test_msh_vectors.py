"""The shipped model against what PyTorch computed with the same weights, in another layout and by another program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.data_pipelines.codecs.msh import SHIPPED
from dsr.experiments.tools.pack_codec import trained_network
from dsr.models.hyperprior.config import SCALES
from dsr.models.hyperprior.saved import read_hyperprior
from dsr.models.hyperprior.transforms import Transforms

QUALITIES = (1, 3.5, 6)


@pytest.fixture(scope="module")
def pretrained(shared: Path) -> Path:
    return shared / "weights" / "pretrained"


@pytest.fixture(scope="module")
def vectors(pretrained: Path) -> dict[str, np.ndarray]:
    with np.load(pretrained / "msh_variable_rate_vectors.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def pixels(vectors: dict[str, np.ndarray]) -> np.ndarray:
    return vectors["pixels"][None].astype(np.float32) / 255


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_network_computes_what_pytorch_did(pretrained, vectors, pixels, quality) -> None:
    network = trained_network(pretrained / "msh_variable_rate.npz")
    y = network.latents(pixels, quality)
    z = network.hyper_analysis(y)
    mean, index = network.entropy_parameters(tf.round(z))
    decoded = network.pixels(tf.round(y - mean) + mean, quality)
    for name, found in {"y": y, "z": z, "mean": mean, "index": index, "decoded": decoded}.items():
        np.testing.assert_allclose(found[0], vectors[f"q{quality:g}_{name}"], rtol=1e-5, atol=5e-5, err_msg=name)


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_shipped_file_codes_what_pytorch_did(vectors, pixels, quality) -> None:
    saved = read_hyperprior(SHIPPED)
    transforms = Transforms(saved)
    gain, inverse_gain = (np.exp(logarithm).astype(np.float32) for logarithm in saved.log_gains(quality))
    expected = {name: vectors[f"q{quality:g}_{name}"] for name in ("y", "z", "mean", "index", "decoded")}
    y = gain * transforms.analysis(pixels)[0]
    np.testing.assert_allclose(y, expected["y"], atol=0.05)  # of biases and GDN's parameters in float16
    np.testing.assert_allclose(transforms.hyper_analysis(expected["y"][None])[0], expected["z"], atol=0.01)
    mean, index = saved.hyper_synthesis.reference(np.round(expected["z"])[None])
    # In units of the step that is coded: a latent's mean, and its scale among 64.
    assert np.std(mean[0] - expected["mean"]) < 0.05
    assert np.std(index[0] - np.clip(np.round(expected["index"]), 0, SCALES - 1)) < 0.3
    latents = np.round(expected["y"] - expected["mean"]) + expected["mean"]
    decoded = transforms.synthesis(inverse_gain * latents[None])[0]
    np.testing.assert_allclose(decoded, expected["decoded"], atol=2 / 255)
