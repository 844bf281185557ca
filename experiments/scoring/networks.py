"""A network of any framework as a function from pixels to what it gives for them.

FILE.onnx, read by ONNX Runtime; a folder of TensorFlow's SavedModel; or FILE.py:function, which is run.

The first two get one image at a time, (1, 3, H, W) or (1, H, W, 3), float32: pixels in [0, 1], less the mean, divided
by the standard deviation of each channel. Where the network takes uint8, it gets the pixels as they are. What they
give is a label map (integers), or a score of each class for each pixel, of any size.
"""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dsr.experiments.scoring.errors import ScoreError
from dsr.tfrecords import files
from dsr.tfrecords.integrity import sha256

Layout = Literal["nchw", "nhwc"]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to pixels before a network sees them.

    mean, std: Of each channel, R G B, of values in [0, 1].
    size: (height, width) that images are resized to, by Pillow's bilinear filter; None to leave them as they are.
    layout: Of the input, and of scores that come out.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    size: Optional[tuple[int, int]] = None
    layout: Layout = "nchw"

    def __post_init__(self) -> None:
        if not all(np.isfinite([*self.mean, *self.std])) or min(self.std) <= 0:
            raise ScoreError(f"--mean {self.mean} and --std {self.std}: three numbers each, those of --std above 0")

    def __call__(self, pixels: NDArray[np.uint8], raw: bool) -> NDArray[Any]:
        """A batch of one image; uint8 if `raw`, else float32.

        Args:
          pixels: uint8 (H, W, 3).
          raw: Whether the network takes the pixels as they are.
        """
        if self.size is not None and self.size != pixels.shape[:2]:
            pixels = np.asarray(Image.fromarray(pixels).resize(self.size[::-1], Image.Resampling.BILINEAR))
        values: NDArray[Any] = pixels
        if not raw:
            values = (pixels.astype(np.float32) / 255 - np.array(self.mean, np.float32)) / np.array(
                self.std, np.float32
            )
        return np.ascontiguousarray((values.transpose(2, 0, 1) if self.layout == "nchw" else values)[None])


class Network(ABC):
    """A network in a file.

    name: What reports call it.
    """

    name: str

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """JSON-able identity, as far as files tell it."""

    @abstractmethod
    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """What it gives for an image, without a batch's axis. Raises ScoreError."""


@dataclass(frozen=True)
class OnnxNetwork(Network):
    """A network that ONNX Runtime runs on the processor."""

    path: Path
    preprocessing: Preprocessing
    output: Optional[str] = None

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.path.stem

    def describe(self) -> dict[str, Any]:
        described = {"kind": "onnx", "sha256": sha256(self.path), "output": self.output}
        return {**described, "preprocessing": _plain(self.preprocessing)}

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        runtime = self._runtime
        (wanted,) = runtime.get_inputs()
        batch = self.preprocessing(pixels, raw=wanted.type == "tensor(uint8)")
        _check_shape(self.path, batch, wanted.shape)
        try:
            (given,) = runtime.run(
                [_one_of(self.path, [o.name for o in runtime.get_outputs()], self.output)], {wanted.name: batch}
            )
        except ScoreError:
            raise
        except Exception as error:  # ONNX Runtime has no base class of its errors
            raise ScoreError(f"{self.path}: cannot be run on an image of {batch.shape} ({error})") from error
        return _without_batch(self.path, given)

    @cached_property
    def _runtime(self) -> Any:
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise ScoreError(f"{self.path} needs ONNX Runtime: run pip install 'dsr[onnx]'") from None
        try:
            runtime = onnxruntime.InferenceSession(str(self.path), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ScoreError(f"{self.path}: ONNX Runtime cannot read it ({error})") from error
        if len(runtime.get_inputs()) != 1:
            raise ScoreError(f"{self.path}: has {len(runtime.get_inputs())} inputs; give a network of one image")
        return runtime


@dataclass(frozen=True)
class SavedModelNetwork(Network):
    """The signature serving_default of a TensorFlow SavedModel."""

    folder: Path
    preprocessing: Preprocessing
    output: Optional[str] = None

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.folder.resolve().name

    def describe(self) -> dict[str, Any]:
        digests = {name: sha256(self.folder / name) for name in files.names(self.folder)}
        described = {"kind": "savedmodel", "files": digests, "output": self.output}
        return {**described, "preprocessing": _plain(self.preprocessing)}

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        import tensorflow as tf

        run = self._loaded.signatures["serving_default"]
        (wanted,) = run.structured_input_signature[1].items()
        batch = self.preprocessing(pixels, raw=wanted[1].dtype == tf.uint8)
        if wanted[1].shape.rank is not None:  # else it does not say
            _check_shape(self.folder, batch, list(wanted[1].shape))
        try:
            given = run(**{wanted[0]: tf.constant(batch)})
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise ScoreError(f"{self.folder}: cannot be run on an image of {batch.shape} ({error})") from error
        return _without_batch(self.folder, given[_one_of(self.folder, sorted(given), self.output)].numpy())

    @cached_property
    def _loaded(self) -> Any:
        import tensorflow as tf

        try:
            loaded = tf.saved_model.load(str(self.folder))
        except (OSError, ValueError, KeyError, RuntimeError, tf.errors.OpError) as error:
            raise ScoreError(f"{self.folder}: TensorFlow cannot read it ({error})") from error
        run = loaded.signatures.get("serving_default")
        if run is None or len(run.structured_input_signature[1]) != 1:
            raise ScoreError(f"{self.folder}: has no signature serving_default of one image; save it with one")
        return loaded


@dataclass(frozen=True)
class FunctionNetwork(Network):
    """A function in a Python file: uint8 RGB (H, W, 3) to a label map (h, w), or scores as the layout says.

    Its file is run, as any program that a user starts: what lies beside it can be imported.
    """

    path: Path
    function: str

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.path.stem}-{self.function}"

    def describe(self) -> dict[str, Any]:
        return {"kind": "function", "sha256": sha256(self.path), "function": self.function}

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        function = self._loaded
        try:
            with redirect_stdout(sys.stderr):  # standard output holds results only
                return np.asarray(function(pixels))
        except (Exception, SystemExit) as error:
            raise ScoreError(f"{self.path}:{self.function} fails ({type(error).__name__}: {error})") from error

    @cached_property
    def _loaded(self) -> Callable[[NDArray[np.uint8]], Any]:
        specification = importlib.util.spec_from_file_location(f"scored_{self.path.stem}", self.path)
        assert specification is not None and specification.loader is not None  # it ends in .py
        module = importlib.util.module_from_spec(specification)
        sys.modules[module.__name__] = module  # dataclasses look their module up there
        sys.path.insert(0, str(self.path.resolve().parent))
        try:
            with redirect_stdout(sys.stderr):
                specification.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise ScoreError(f"{self.path}: cannot be imported ({type(error).__name__}: {error})") from error
        found = getattr(module, self.function, None)
        if not callable(found):
            raise ScoreError(f"{self.path}: has no function {self.function}")
        return found


def open_network(text: str, preprocessing: Preprocessing, output: Optional[str] = None) -> Network:
    """The network in FILE.onnx, in the folder of a SavedModel, or FILE.py:function.

    Args:
      text: Which.
      preprocessing: Of the first two; a function gets the pixels as they are.
      output: Name of the output that counts; None for the only one.

    Raises:
      ScoreError: there is no such file, or it is none of the three.
    """
    path, _, function = text.rpartition(":")
    if path.endswith(".py") and function.isidentifier():
        if not Path(path).is_file():
            raise ScoreError(f"{path}: no such file; give FILE.py:function")
        if preprocessing != Preprocessing(layout=preprocessing.layout) or output is not None:
            raise ScoreError(f"{text} gets the pixels as they are: leave --mean, --std, --size and --output to it")
        return FunctionNetwork(Path(path), function)
    if (Path(text) / "saved_model.pb").is_file():
        return SavedModelNetwork(Path(text), preprocessing, output)
    if text.endswith(".onnx") and Path(text).is_file():
        return OnnxNetwork(Path(text), preprocessing, output)
    raise ScoreError(
        f"{text} is no network that can be scored: give an existing FILE.onnx, the folder of a SavedModel (with "
        "saved_model.pb), or FILE.py:function"
    )


def _plain(preprocessing: Preprocessing) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(preprocessing).items()}


def _check_shape(path: Path, batch: NDArray[Any], wanted: list[Any]) -> None:
    """ScoreError if a network that takes one size only is given another."""
    fits = len(wanted) == 4 and all(not isinstance(w, int) or w == have for w, have in zip(wanted, batch.shape))
    if not fits:
        raise ScoreError(
            f"{path}: takes {wanted} and is given {list(batch.shape)}: say --layout nchw or nhwc, and --size HxW if it "
            "takes one size only"
        )


def _one_of(path: Path, names: list[str], wanted: Optional[str]) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in names:
        raise ScoreError(f"{path}: has the outputs {', '.join(names)}; name one with --output")
    return wanted


def _without_batch(path: Path, given: NDArray[Any]) -> NDArray[Any]:
    if given.ndim < 3 or given.shape[0] != 1:
        raise ScoreError(f"{path}: gives {given.shape} for a batch of one image")
    return given[0]
