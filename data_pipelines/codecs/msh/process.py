"""The coder in processes of its own, with one thread each: what it computes must not depend on who calls it.

The order in which floating-point sums are added depends on TensorFlow's number of threads, which is a setting of a
whole process that TensorFlow takes only before it starts. Callers are of many kinds (a converter's worker, Beam's, a
training's main process), so none of them computes. Each hands its image to a child process that has the right settings
from its start; as many callers as there are cores have one at the same time.

Parent and child speak over a socket: a line of JSON, then bytes. A child ends when the other end closes, so it outlives
no parent, however that ends.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsr.data_pipelines.codecs.base import CodecError
from dsr.models.errors import UserError
from dsr.tfrecords.workers import available_cores

if TYPE_CHECKING:
    from dsr.data_pipelines.codecs.msh.coder import Coder

_START = (
    "import sys; descriptor, sys.path[:] = int(sys.argv[1]), sys.argv[2:];"
    "from dsr.data_pipelines.codecs.msh.process import serve; serve(descriptor)"
)

_NO_MEMORY = "the process that computes msh ran out of memory, or was killed for it: try fewer workers"


def encode(file: str, model: str, quality: float, pixels: np.ndarray) -> bytes:
    """Encode by the model of a file.

    Args:
      file: of the model.
      model: its fingerprint, hexadecimal; another one is refused.
      quality: one that it serves.
      pixels: uint8 (height, width, 3), contiguous.

    Raises:
      CodecError: what `Coder` raises, or the file has changed.
      OSError: the process was killed, as it is when memory runs out.
    """
    question = {"action": "encode", "file": file, "model": model, "quality": quality, "shape": pixels.shape}
    with _idle_process() as process:
        return process.ask(question, pixels.data.cast("B"))[1]


def decode(file: str, model: str, bitstream: bytes) -> np.ndarray:
    """Decode to uint8 (height, width, 3), at the quality that the bitstream names.

    Arguments and errors as `encode`'s.
    """
    question = {"action": "decode", "file": file, "model": model}
    with _idle_process() as process:
        answer, pixels = process.ask(question, bitstream)
    return np.frombuffer(pixels, np.uint8).reshape(answer["shape"]).copy()


class _Process:
    """A child and this end of the socket."""

    def __init__(self) -> None:
        if importlib.util.find_spec("tensorflow") is None:  # a light core; said here, as a child could only die of it
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
        self._connection, theirs = Pipe()
        descriptor = theirs.fileno()
        self._child = subprocess.Popen(
            [sys.executable, "-c", _START, str(descriptor), *sys.path],
            pass_fds=[descriptor], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self.in_step = True

    def ask(self, question: dict[str, Any], data: Any) -> tuple[dict[str, Any], bytes]:
        """Send a question and some bytes; returns what comes back."""
        self.in_step = False
        try:
            self._connection.send_bytes(json.dumps(question).encode())
            self._connection.send_bytes(data)
            answer = json.loads(self._connection.recv_bytes())
            returned = self._connection.recv_bytes()
        except (EOFError, ConnectionError):
            raise ChildProcessError(_death(self._child.wait())) from None
        self.in_step = True
        if "refused" in answer:
            raise CodecError(answer["refused"])
        if "exhausted" in answer:
            raise ChildProcessError(_NO_MEMORY)
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer, returned

    def close(self) -> None:
        self._connection.close()
        if not self.in_step:
            self._child.kill()
        self._child.wait()


class _Processes:
    """Those that wait for work, and how many more there may be."""

    def __init__(self) -> None:
        self.idle: list[_Process] = []
        self.places = threading.BoundedSemaphore(available_cores())


_processes = _Processes()


def _forget() -> None:
    """A forked process starts its own: the others' answers go to their parent."""
    global _processes
    _processes = _Processes()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def _idle_process() -> Iterator[_Process]:
    processes = _processes
    with processes.places:
        try:
            process = processes.idle.pop()
        except IndexError:
            process = _Process()
        try:
            yield process
        finally:
            if process.in_step:
                processes.idle.append(process)
            else:
                process.close()


def _death(status: int) -> str:
    if status == -signal.SIGKILL:
        return _NO_MEMORY
    return f"the process that computes msh ended with status {status}; what it printed stands above"


def serve(descriptor: int) -> None:
    """The life of a child: question, answer, and so on until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end is the end of this
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    from dsr.models.tensorflow_process import single_threaded

    single_threaded()
    connection = Connection(descriptor)
    with suppress(EOFError, ConnectionError):
        while True:
            question = json.loads(connection.recv_bytes())
            data = connection.recv_bytes()
            try:
                answer, returned = _answer(question, data)
            except UserError as error:
                answer, returned = {"refused": str(error)}, b""
            except (MemoryError, tf.errors.ResourceExhaustedError):
                answer, returned = {"exhausted": True}, b""
            except Exception:  # noqa: BLE001 (whatever it is, the parent raises it)
                answer, returned = {"failed": traceback.format_exc()}, b""
            connection.send_bytes(json.dumps(answer).encode())
            connection.send_bytes(memoryview(returned).cast("B"))
    os._exit(0)  # TensorFlow's own end takes a second


def _answer(question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], Any]:
    from dsr.data_pipelines.codecs.msh import container

    coder = _coder(question["file"], question["model"])
    if question["action"] == "encode":
        pixels = np.frombuffer(data, np.uint8).reshape(question["shape"])
        return {}, bytes(coder.encode(pixels, question["quality"]))
    pixels = coder.decode(container.parse(data))
    return {"shape": pixels.shape}, pixels


@functools.lru_cache(maxsize=2)
def _coder(file: str, model: str) -> Coder:
    from dsr.data_pipelines.codecs.msh.coder import Coder
    from dsr.models.hyperprior.saved import read_hyperprior

    saved = read_hyperprior(Path(file))
    if saved.fingerprint.hex() != model:
        raise CodecError(f"codec msh: {file} has changed since the codec was made; make it anew")
    return Coder(saved)
