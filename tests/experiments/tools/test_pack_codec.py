"""Packing trained weights from the command line, and what the benchmark takes for a convolution's work."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.benchmarks.msh import multiply_adds
from dsr.experiments.tools.pack_codec import main
from dsr.models.hyperprior.config import QUALITIES, HyperpriorConfig
from dsr.models.hyperprior.network import HyperpriorNetwork
from dsr.models.hyperprior.saved import float_weights, load_hyperprior, read_hyperprior
from tests.hyperpriors import TINY, lively_network, scenes


def test_packed_weights_are_measured_beside_the_float_network(tmp_path):
    network = lively_network()
    arrays = {name: variable.numpy() for name, variable in float_weights(network).items()}
    for layer in range(3):
        kernel, bias = network.hyper_synthesis.weights[2 * layer : 2 * layer + 2]
        arrays |= {f"hyper_synthesis.{layer}.kernel": kernel.numpy(), f"hyper_synthesis.{layer}.bias": bias.numpy()}
    np.savez(tmp_path / "weights.npz", **arrays)
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(scenes(2, 300, 280)):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    photos, output = str(tmp_path / "photos"), tmp_path / "msh.npz"
    arguments = ["--quality", "5.5", "--calibrate", photos, "--measure", photos]
    result = CliRunner().invoke(main, [str(tmp_path / "weights.npz"), *arguments, "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert read_hyperprior(output).qualities == QUALITIES
    loaded = HyperpriorNetwork(TINY)
    load_hyperprior(output, loaded)
    assert np.allclose(loaded.weights[0], network.weights[0], atol=1e-2)
    (real,) = re.findall(r"\| \*\*quality 5.5: all\*\* \| [\d.]+ \| [-+\d.]+% \| ([\d.]+) \|", result.output)
    codec = make_codec("msh", 5.5, model=str(output))
    bits = sum(8 * len(codec.encode(pixels)) for pixels in scenes(2, 300, 280)[:, :256, :256])
    assert float(real) == pytest.approx(bits / (2 * 256 * 256), abs=1e-4)
    assert "| quality 5.5: 0 (256x256) |" in result.output


def test_multiply_adds_are_those_of_tensorflows_profiler():
    config = HyperpriorConfig(8, 12)
    network = HyperpriorNetwork(config)

    @tf.function(input_signature=[tf.TensorSpec((1, 128, 192, 3))])
    def analysis(pixels: tf.Tensor) -> tf.Tensor:
        return network.hyper_synthesis(tf.round(network.hyper_analysis(network.analysis(pixels))))

    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    graph = analysis.get_concrete_function().graph
    profile = tf.compat.v1.profiler.profile(graph, options={**options, "output": "none"})
    # The profiler also counts additions of biases and square roots.
    assert profile.total_float_ops == pytest.approx(2 * multiply_adds(config, "encode", 192, 128), rel=0.15)
