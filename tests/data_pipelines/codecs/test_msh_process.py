"""Where the learned codec computes: in processes of its own, which end with whoever started them, and whose bytes
depend on nobody."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dsr.data_pipelines.codecs.msh import MshCodec, process
from tests.data_pipelines.codecs.conftest import scene
from tests.hyperpriors import saved_codec

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def codec(tmp_path_factory) -> MshCodec:
    return MshCodec(5, model=str(saved_codec(tmp_path_factory.mktemp("codec"))))


def children() -> list[int]:
    """Idle ones of this process."""
    return [one._child.pid for one in process._processes.idle]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def ends_soon(pid: int) -> bool:
    deadline = time.monotonic() + 600
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


ALONE = """
import sys
import numpy as np
from pathlib import Path
from dsr.models.tensorflow_process import single_threaded
single_threaded()
from dsr.data_pipelines.codecs.msh.coder import Coder
from dsr.models.hyperprior.saved import read_hyperprior
bitstream = bytes(Coder(read_hyperprior(sys.argv[1])).encode(np.load(sys.argv[2]), 5))
Path(sys.argv[3]).write_bytes(bitstream)
"""


def test_it_encodes_as_a_process_with_one_thread_does(codec, tmp_path):
    pixels = scene(300, 400)
    np.save(tmp_path / "pixels.npy", pixels)
    paths = [codec.file, str(tmp_path / "pixels.npy"), str(tmp_path / "alone.msh")]
    subprocess.run([sys.executable, "-c", ALONE, *paths], check=True)
    assert codec.encode(pixels) == (tmp_path / "alone.msh").read_bytes()


def test_threads_have_a_child_each_and_no_more_than_there_are_cores(codec):
    pixels = scene(64, 64)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(codec.encode, [pixels] * 24))) == 1
    assert 1 <= len(children()) <= len(os.sched_getaffinity(0))


def _encode(codec: MshCodec, pixels: np.ndarray, connection: object) -> None:
    connection.send((codec.encode(pixels), children()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_daemons_and_forked_processes_have_their_own(codec, method):
    """The converter's workers are daemons, which multiprocessing allows no children."""
    pixels = scene(64, 80)
    expected, own = codec.encode(pixels), children()
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    worker = context.Process(target=_encode, args=(codec, pixels, there), daemon=True)
    worker.start()
    bitstream, started = here.recv()
    worker.join()
    assert bitstream == expected == codec.encode(pixels)
    assert started and not set(started) & set(own)
    assert all(map(ends_soon, started))


PARENT = """
import sys
from dsr.data_pipelines.codecs.msh import MshCodec, process
from tests.data_pipelines.codecs.conftest import scene
MshCodec(5, model=sys.argv[1]).encode(scene(64, 64))
print(process._processes.idle[0]._child.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_outlives_no_killed_parent(codec):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, codec.file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    assert ends_soon(pid)


def test_a_child_that_dies_is_named_and_replaced(codec):
    pixels = scene(40, 50)
    expected = codec.encode(pixels)
    for pid in children():
        os.kill(pid, signal.SIGKILL)
    while children():
        with pytest.raises(OSError, match="ran out of memory, or was killed for it: try fewer workers"):
            codec.encode(pixels)
    assert codec.encode(pixels) == expected


def test_a_bug_is_raised_with_its_traceback_and_the_child_goes_on(codec):
    codec.encode(scene(8, 8))
    child = process._processes.idle[-1]
    question = {"action": "encode", "file": codec.file, "model": codec._fingerprint, "quality": 5, "shape": [1, 2, 3]}
    with pytest.raises(RuntimeError, match="(?s)Traceback.*cannot reshape"):
        child.ask(question, b"12345")
    pixels = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    assert child.in_step and child.ask(question, pixels.tobytes())[1] == codec.encode(pixels)


def test_a_call_that_is_interrupted_leaves_no_answer_to_the_next(codec, monkeypatch):
    pixels = scene(30, 30)
    expected = codec.encode(pixels)
    before = children()

    class Interrupting:
        def __init__(self, connection):
            self.connection = connection

        def __getattr__(self, name):
            return getattr(self.connection, name)

        def recv_bytes(self):
            raise KeyboardInterrupt

    child = process._processes.idle[-1]
    monkeypatch.setattr(child, "_connection", Interrupting(child._connection))
    with pytest.raises(KeyboardInterrupt):
        codec.encode(scene(64, 64))
    assert set(before) - set(children()) == {child._child.pid} and not alive(child._child.pid)
    assert codec.encode(pixels) == expected


def test_no_module_of_the_working_folder_is_imported(codec, tmp_path):
    """`random.py` beside somebody's pictures is nothing to run."""
    (tmp_path / "elsewhere").mkdir()
    script = tmp_path / "elsewhere" / "script.py"
    repository = Path(__file__).parents[3]
    script.write_text(
        f"import sys; sys.path.append({str(repository)!r}); import numpy as np\n"
        "from dsr.data_pipelines.codecs.msh import MshCodec\n"
        "MshCodec(5, model=sys.argv[1]).encode(np.zeros((8, 8, 3), np.uint8))\n"
    )
    for name in ("random", "json", "signal", "tensorflow"):
        (tmp_path / f"{name}.py").write_text("import pathlib; pathlib.Path('imported').touch()\n")
    subprocess.run([sys.executable, str(script), codec.file], cwd=tmp_path, check=True)
    assert not (tmp_path / "imported").exists()
