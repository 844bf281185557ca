"""Trained networks as files for other runtimes, each compared with Keras on stored images before it gets its name.

All take an image as float32 RGB in [-1, 1], (1, H, W, 3), called `image`. A segmenter gives logits, (1, H, W, classes),
a restorer the restored image. SavedModel and ONNX take any size, TFLite that of the images it is compared on; the
adversarial generator as ONNX only sides that its multiple divides, as its reflection of indices is lost on the way.
"""

from __future__ import annotations

import math
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.data_pipelines.datasets import IGNORE
from dsr.experiments.deploy.bounds import BOUNDS, Bound
from dsr.experiments.deploy.errors import DeployError
from dsr.experiments.deploy.segmenters import SavedSegmenter
from dsr.experiments.graph.artefacts import CLASSES
from dsr.experiments.graph.progress import Progress
from dsr.experiments.scoring.counts import Counts, ImageCounts
from dsr.models.errors import UserError
from dsr.models.pixels import to_pixels, to_unit
from dsr.models.restorers.saved import SavedRestorer, load_network
from dsr.tfrecords.building import building
from dsr.tfrecords.errors import one_sentence
from dsr.tfrecords.files import write_atomically
from dsr.tfrecords.manifest import Identity, Manifest, check, records, release
from dsr.tfrecords.schema import Record, canonical_json

OPSET = 17

CALIBRATED_ON = 32
"""Images, spread evenly, that TFLite finds the ranges of int8 values on."""

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A written network: (1, H, W, 3) to (1, H, W, values)."""


class Subject(ABC):
    """A trained network, and how one that was written is compared with it.

    network: Keras's.
    described: What it is, for the identity of what is written.
    beside: Content of files that belong to it, by their names.
    """

    kind: str
    network: tf.keras.Model
    described: dict[str, Any]
    beside: dict[str, bytes]

    @abstractmethod
    def compare(self, pairs: Iterator[tuple[Record, NDArray[np.float32], NDArray[np.float32]]]) -> dict[str, Any]:
        """Of each record what Keras gives and what the written network gives: how alike they are."""

    @abstractmethod
    def refusal(self, found: dict[str, Any], bound: Bound) -> str:
        """What is beyond the bound, in words; empty if nothing is."""


class SegmenterSubject(Subject):
    """A trained segmenter: its folder."""

    kind = "segmenter"

    def __init__(self, folder: Path) -> None:
        saved = SavedSegmenter(folder)
        self.table, self.network = saved.table, saved.load().network
        self.described = {"segmenter": Manifest.load(folder).fingerprint}
        self.beside = {CLASSES: canonical_json(self.table.to_json()).encode()}

    def compare(self, pairs: Iterator[tuple[Record, NDArray[np.float32], NDArray[np.float32]]]) -> dict[str, Any]:
        classes, same, pixels = self.table.num_classes, 0, 0
        ours: dict[str, ImageCounts] = {}
        theirs: dict[str, ImageCounts] = {}
        for record, keras, written in pairs:
            labels = [logits[0].argmax(-1).astype(np.uint8) for logits in (keras, written)]
            same, pixels = same + int((labels[0] == labels[1]).sum()), pixels + labels[0].size
            truth = record.train_ids()
            if truth is None:
                truth = np.full(labels[0].shape, IGNORE, np.uint8)
            for counts, label in zip((ours, theirs), labels):
                counts[record.key] = ImageCounts.of(truth, label, classes)
        mious = [Counts.joined(counts).miou for counts in (ours, theirs)]
        keras_miou, miou = (None if math.isnan(value) else value for value in mious)
        return {"agreement": same / pixels, "miou": miou, "keras_miou": keras_miou}

    def refusal(self, found: dict[str, Any], bound: Bound) -> str:
        if found["agreement"] < bound.agreement:
            return (
                f"agrees with Keras on {100 * found['agreement']:.2f} % of the pixels, not {100 * bound.agreement:g} %"
            )
        if found["miou"] is not None and abs(found["miou"] - found["keras_miou"]) > bound.miou:
            scores = f"{100 * found['miou']:.2f} % mIoU and Keras {100 * found['keras_miou']:.2f} %"
            return f"scores {scores}, more than {100 * bound.miou:g} points apart"
        return ""


class RestorerSubject(Subject):
    """A trained restorer: its folder."""

    kind = "restorer"

    def __init__(self, folder: Path) -> None:
        self.network, _ = load_network(folder)
        self.described, self.beside = SavedRestorer(folder).describe(), {}

    def compare(self, pairs: Iterator[tuple[Record, NDArray[np.float32], NDArray[np.float32]]]) -> dict[str, Any]:
        squares, values = 0.0, 0
        for _, keras, written in pairs:
            apart = to_pixels(keras[0]).numpy().astype(np.float64) - to_pixels(written[0]).numpy()
            squares, values = squares + float((apart**2).sum()), values + apart.size
        return {"psnr": 10 * math.log10(255**2 * values / squares) if squares else None}

    def refusal(self, found: dict[str, Any], bound: Bound) -> str:
        if found["psnr"] is not None and found["psnr"] < bound.psnr:
            return f"restores images that are {found['psnr']:.1f} dB from Keras's, not {bound.psnr:g} dB"
        return ""


def export_model(
    subject: Subject,
    format: str,
    folder: Path,
    shards: Path,
    calibration: Optional[Path],
    progress: Progress,
    bound: Optional[Bound] = None,
) -> Manifest:
    """Write a network, and compare it with Keras's on all images of a folder of shards.

    Args:
        subject: What is written.
        format: One of `BOUNDS`.
        folder: New. It then holds the network, of a segmenter classes.json, and manifest.json with what was found.
        shards: Images to compare on; the labels of a segmenter's count.
        calibration: Shards for the ranges of tflite-int8.
        progress: Told after every image.
        bound: What is refused; None for that of the format.

    Raises:
        DeployError: the format cannot be made, or is beyond the bound: then nothing is left. ArtefactError: the folder
            exists, or cannot be written, or shards are damaged.
    """
    if (format == "tflite-int8") != (calibration is not None):
        raise DeployError("int8, and it alone, needs images to find the ranges of values on: give --calibrate SHARDS")
    manifest = check(shards)
    size = manifest.summary["height"], manifest.summary["width"]
    config = {"format": format, "dsr": release(), "of": subject.described, "bound": asdict(bound or BOUNDS[format])}
    inputs = {"shards": manifest.fingerprint}
    if calibration is not None:
        inputs["calibration"] = check(calibration).fingerprint
    identity = Identity("exported", f"{subject.kind}-{format}", config, inputs)
    with one_sentence(folder), building(folder, identity) as build:
        try:
            run = _written(subject.network, format, build.path, size, calibration)
            for name, content in subject.beside.items():
                write_atomically(build.path / name, content)
            with progress.meter(f"compare {format} with Keras", manifest.summary["images"]) as meter:
                found = subject.compare(_both(subject.network, run, shards, meter.update))
            wrong = subject.refusal(found, bound or BOUNDS[format])
            if wrong:
                raise DeployError(f"{folder}: the {format} network {wrong}, so it is not kept")
        except BaseException:
            for path in build.path.iterdir():
                if path != build.scratch:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            raise
        build.summary.update(images=manifest.summary["images"], **found)
    assert build.manifest is not None
    return build.manifest


def _written(
    network: tf.keras.Model, format: str, folder: Path, size: tuple[int, int], calibration: Optional[Path]
) -> Run:
    """The network in a format, written and read again."""
    try:
        return _WRITERS[format](network, folder, size, calibration)
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:  # converters have no base class of their errors
        raise DeployError(f"{format} cannot hold this network ({str(error)[:300]})") from error


def _both(
    network: tf.keras.Model, run: Run, shards: Path, told: Callable[[int], None]
) -> Iterator[tuple[Record, NDArray[np.float32], NDArray[np.float32]]]:
    for number, record in enumerate(records(shards), start=1):
        image = to_unit(record.pixels()[None]).numpy()
        yield record, network(image, training=False).numpy(), run(image)
        told(number)


def _signature(network: tf.keras.Model, height: Optional[int] = None, width: Optional[int] = None) -> Any:
    """The network as a TensorFlow function of one image."""

    @tf.function(input_signature=[tf.TensorSpec((1, height, width, 3), tf.float32, name="image")])
    def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"output": network(image, training=False)}

    return run


def _saved_model(network: tf.keras.Model, folder: Path, size: tuple[int, int], calibration: Optional[Path]) -> Run:
    module = tf.Module()
    module.network, run = network, _signature(network)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": run.get_concrete_function()})
    loaded = tf.saved_model.load(str(folder)).signatures["serving_default"]
    return lambda image: loaded(image=tf.constant(image))["output"].numpy()


def _onnx(network: tf.keras.Model, folder: Path, size: tuple[int, int], calibration: Optional[Path]) -> Run:
    try:
        import onnxruntime
        import tf2onnx
    except ModuleNotFoundError as error:
        raise DeployError(f"ONNX needs {error.name}: run pip install 'dsr[onnx]'") from None
    path = folder / "model.onnx"
    taken = tf.TensorSpec((1, None, None, 3), tf.float32, name="image")
    tf2onnx.convert.from_keras(network, input_signature=[taken], opset=OPSET, output_path=str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def _tflite(
    network: tf.keras.Model,
    folder: Path,
    size: tuple[int, int],
    calibration: Optional[Path],
    optimized: bool = False,
) -> Run:
    run = _signature(network, *size).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([run], network)
    if optimized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if calibration is not None:
        shards = calibration
        converter.representative_dataset = lambda: ([image] for image in _calibrating(shards, size))
    path = folder / "model.tflite"
    path.write_bytes(converter.convert())
    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()

    def interpreted(image: NDArray[np.float32]) -> NDArray[np.float32]:
        if image.shape[1:3] != size:
            raise DeployError(f"TFLite takes one size, and the shards have {size} and {image.shape[1:3]} pixels")
        interpreter.set_tensor(taken["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])

    return interpreted


def _calibrating(shards: Path, size: tuple[int, int]) -> Iterator[NDArray[np.float32]]:
    """Some images of shards, spread evenly, as the network takes them; those of another size are left out."""
    step = max(1, check(shards).summary["images"] // CALIBRATED_ON)
    for number, record in enumerate(records(shards)):
        if number % step == 0 and (record.height, record.width) == size:
            yield to_unit(record.pixels()[None]).numpy()


def _dynamic(network: tf.keras.Model, folder: Path, size: tuple[int, int], calibration: Optional[Path]) -> Run:
    return _tflite(network, folder, size, calibration, optimized=True)


_WRITERS: dict[str, Callable[[tf.keras.Model, Path, tuple[int, int], Optional[Path]], Run]] = {
    "savedmodel": _saved_model,
    "onnx": _onnx,
    "tflite": _tflite,
    "tflite-dynamic": _dynamic,
    "tflite-int8": _dynamic,
}
