"""An adversarial restorer, whose normalisation sees the whole image, as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.experiments.deploy.exporting import RestorerSubject, export_model
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.restorers.gan_config import GeneratorConfig
from dsr.models.restorers.saved import load_network, save_network


def test_a_generator_gives_keras_images_at_other_sizes_that_its_multiple_divides(study: Study, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'dsr[onnx]'")
    pytest.importorskip("tf2onnx", reason="needs tf2onnx: pip install 'dsr[onnx]'")
    tf.keras.utils.set_random_seed(1)
    config = GeneratorConfig(width=4, downsamplings=2, blocks=1)
    (tmp_path / "restorer").mkdir()
    save_network(config.build(), config, tmp_path / "restorer")
    shards = study.shards(ORIGINAL, "test").folder
    export_model(RestorerSubject(tmp_path / "restorer"), "onnx", tmp_path / "out", shards, None, Progress())
    session = runtime.InferenceSession(str(tmp_path / "out" / "model.onnx"), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, 36, 52, 3)).astype(np.float32) * 2 - 1
    network, _ = load_network(tmp_path / "restorer")
    (given,) = session.run(None, {"image": image})
    assert given == pytest.approx(network(image).numpy(), abs=1e-4)
