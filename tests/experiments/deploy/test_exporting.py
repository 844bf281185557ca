"""What is written for other runtimes gives what Keras gives, or is not kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from dsr.app.cli import cli
from dsr.experiments.deploy.bounds import BOUNDS, Bound
from dsr.experiments.deploy.errors import DeployError
from dsr.experiments.deploy.exporting import RestorerSubject, SegmenterSubject, export_model
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.restorers.rdn import build_rdn
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.saved import load_network, save_network
from dsr.tfrecords.errors import ArtefactError
from tests.experiments.deploy.conftest import segmenter, untrained_study
from tests.experiments.studies import FEW_LAYERS


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One whose segmenter is quickly read and converted, and has all kinds of layers that the others have."""
    return untrained_study(tmp_path_factory.mktemp("work"), *FEW_LAYERS, "segmenter.network.output_stride=8")


def shards(study: Study, role: str = "test") -> Path:
    return study.shards(ORIGINAL, role).folder


def export(study: Study, format: str, folder: Path) -> object:
    """By the command."""
    given = ["--segmenter", str(segmenter(study).folder), "--format", format, "--check", str(shards(study))]
    return CliRunner().invoke(cli, ["export-model", str(folder), *given, "--work", str(study.work)])


def image(height: int = 40, width: int = 56) -> np.ndarray:
    return np.random.default_rng(0).random((1, height, width, 3)).astype(np.float32) * 2 - 1


def test_a_saved_model_takes_any_size_and_gives_keras_logits(study: Study, tmp_path: Path) -> None:
    run = export(study, "savedmodel", tmp_path / "seg")
    assert run.exit_code == 0, run.output  # type: ignore[attr-defined]
    assert "have the same class" in run.output  # type: ignore[attr-defined]
    loaded = tf.saved_model.load(str(tmp_path / "seg")).signatures["serving_default"]
    network = SegmenterSubject(segmenter(study).folder).network
    assert loaded(image=image())["output"].numpy() == pytest.approx(network(image()).numpy(), abs=1e-4)


def test_an_onnx_file_takes_any_size_and_gives_keras_logits(study: Study, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'dsr[onnx]'")
    pytest.importorskip("tf2onnx", reason="needs tf2onnx: pip install 'dsr[onnx]'")
    onnx = pytest.importorskip("onnx")
    run = export(study, "onnx", tmp_path / "seg")
    assert run.exit_code == 0, run.output  # type: ignore[attr-defined]
    path = str(tmp_path / "seg" / "model.onnx")
    assert {entry.domain: entry.version for entry in onnx.load(path).opset_import}[""] == 17
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    network = SegmenterSubject(segmenter(study).folder).network
    (given,) = session.run(None, {"image": image()})
    assert given == pytest.approx(network(image()).numpy(), abs=1e-4)


def test_a_tflite_file_gives_keras_logits_at_the_size_of_the_shards(study: Study, tmp_path: Path) -> None:
    run = export(study, "tflite", tmp_path / "seg")
    assert run.exit_code == 0, run.output  # type: ignore[attr-defined]
    interpreter = tf.lite.Interpreter(str(tmp_path / "seg" / "model.tflite"))
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert taken["shape"].tolist() == [1, 32, 48, 3]
    interpreter.set_tensor(taken["index"], image(32, 48))
    interpreter.invoke()
    network = SegmenterSubject(segmenter(study).folder).network
    assert interpreter.get_tensor(given["index"]) == pytest.approx(network(image(32, 48)).numpy(), abs=1e-4)


@pytest.fixture(scope="module")
def restorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network with weights from a seed, which is written in a second."""
    tf.keras.utils.set_random_seed(1)
    config = RdnConfig(blocks=1, layers=1, growth=2, features=4)
    folder = tmp_path_factory.mktemp("restorer")
    network, rng = build_rdn(config), np.random.default_rng(0)
    for variable in network.variables:  # an untrained one leaves the image as it is
        variable.assign_add(rng.normal(0, 0.1, variable.shape))
    save_network(network, config, folder)
    return folder


def test_a_restorer_gives_keras_images(study: Study, restorer: Path, tmp_path: Path) -> None:
    subject = RestorerSubject(restorer)
    manifest = export_model(subject, "savedmodel", tmp_path / "out", shards(study), None, Progress())
    psnr = manifest.summary["psnr"]
    assert psnr is None or psnr > BOUNDS["savedmodel"].psnr
    loaded = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    network, _ = load_network(restorer)
    assert loaded(image=image())["output"].numpy() == pytest.approx(network(image()).numpy(), abs=1e-5)


def test_int8_is_calibrated_and_close(study: Study, restorer: Path, tmp_path: Path) -> None:
    arguments = shards(study), shards(study, "train"), Progress()
    manifest = export_model(RestorerSubject(restorer), "tflite-int8", tmp_path / "out", *arguments)
    assert BOUNDS["tflite-int8"].psnr < manifest.summary["psnr"] < 80
    details = tf.lite.Interpreter(str(tmp_path / "out" / "model.tflite")).get_tensor_details()
    assert sum(tensor["dtype"] == np.int8 for tensor in details) > 4


def test_what_is_beyond_the_bound_leaves_nothing(study: Study, restorer: Path, tmp_path: Path) -> None:
    arguments = shards(study), shards(study, "train"), Progress(), Bound(0.0, 1.0, psnr=200.0)
    with pytest.raises(DeployError, match="dB from Keras's, not 200 dB, so it is not kept"):
        export_model(RestorerSubject(restorer), "tflite-int8", tmp_path / "out", *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"agreement": 0.9989, "miou": 0.5, "keras_miou": 0.5}, "agrees with Keras on 99.89 % of the pixels, not 99.9"),
        ({"agreement": 0.9991, "miou": 0.502, "keras_miou": 0.5}, "50.20 % mIoU and Keras 50.00 %"),
        ({"agreement": 0.9991, "miou": 0.5005, "keras_miou": 0.5}, ""),
        ({"agreement": 1.0, "miou": None, "keras_miou": None}, ""),
    ],
)
def test_a_segmenters_bounds_are_on_classes_and_on_their_score(study: Study, found: dict, said: str) -> None:
    sentence = SegmenterSubject(segmenter(study).folder).refusal(found, BOUNDS["onnx"])
    assert said in sentence and bool(said) == bool(sentence)


def test_only_int8_is_calibrated(study: Study, restorer: Path, tmp_path: Path) -> None:
    subject = RestorerSubject(restorer)
    with pytest.raises(DeployError, match="--calibrate"):
        export_model(subject, "tflite-int8", tmp_path / "out", shards(study), None, Progress())
    with pytest.raises(DeployError, match="--calibrate"):
        export_model(subject, "tflite", tmp_path / "out", shards(study), shards(study, "train"), Progress())


def test_nothing_is_overwritten(study: Study, restorer: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(ArtefactError):
        export_model(RestorerSubject(restorer), "savedmodel", tmp_path / "out", shards(study), None, Progress())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
