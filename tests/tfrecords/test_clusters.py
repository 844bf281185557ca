"""What the workers of a Spark or Dask cluster make is what the processes of this machine make, to the byte.

Each cluster is a real one, of two workers in processes of their own, one of which is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dsr.models.errors import UserError
from dsr.tfrecords import files
from dsr.tfrecords.clusters import attempt, raising, reason_of
from dsr.tfrecords.engine import Engine
from dsr.tfrecords.errors import ArtefactError
from tests.tfrecords.fakes import BuggyCodec, FakeCodec, FakeRestorer, FakeSource, TracedSource, readers
from tests.tfrecords.writing import files_of, write_compressed, write_originals, write_restored

pytestmark = pytest.mark.slow

SPARK = "local-cluster[2,1,1024]"


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """Workers import the classes of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        yield


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a Dask scheduler with two workers, as clusters have them."""
    pytest.importorskip("distributed", reason="the engine dask needs dask.distributed: pip install 'dsr[dask]'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    commands = [
        ["scheduler", "--host", address, "--no-dashboard"],
        ["worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"],
    ]
    with ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:]], stderr=subprocess.DEVNULL
            )
            stack.enter_context(process)
            stack.callback(process.terminate)
        yield address


@pytest.fixture(params=["spark", "dask"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "dask":
        address = request.getfixturevalue("scheduler")
        from dsr.tfrecords.dask import DaskEngine

        return DaskEngine(address)
    pytest.importorskip("pyspark", reason="the engine spark needs PySpark: pip install 'dsr[spark]'")
    if not shutil.which("java"):
        pytest.skip("the engine spark needs Java")
    from dsr.tfrecords.spark import SparkEngine

    return SparkEngine(SPARK)


def test_two_workers_make_the_shards_of_the_local_engine(engine: Engine, converted: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.mkdir()
    source = TracedSource(10, trace=str(trace))
    write_originals(source, "test", tmp_path / "originals", images_per_shard=4, engine=engine)
    assert files_of(tmp_path / "originals") == files_of(converted / "originals")
    assert len(readers(trace)) == 2


def test_compressed_and_restored_shards_are_those_of_the_local_engine(
    engine: Engine, converted: Path, tmp_path: Path
) -> None:
    write_compressed(converted / "originals", FakeCodec(8), tmp_path / "compressed", engine=engine)
    assert files_of(tmp_path / "compressed") == files_of(converted / "compressed")
    write_restored(
        tmp_path / "compressed", converted / "originals", FakeRestorer(8), tmp_path / "restored", engine=engine
    )
    assert files_of(tmp_path / "restored") == files_of(converted / "restored")


def test_a_killed_worker_costs_the_shards_in_flight_only(engine: Engine, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.mkdir()
    source = TracedSource(16, delay=0.3, trace=str(trace))
    killed = threading.Thread(target=kill_one_of, args=(trace,))
    killed.start()
    write_originals(source, "test", tmp_path / "made", images_per_shard=2, engine=engine)
    killed.join()
    write_originals(FakeSource(16), "test", tmp_path / "local", images_per_shard=2)
    assert files_of(tmp_path / "made") == files_of(tmp_path / "local")
    again = len(list(trace.iterdir())) - 16
    assert 1 <= again <= 4, "of two workers, each with a shard of two images in flight"


def kill_one_of(trace: Path) -> None:
    """Kill a process as soon as it reads while another one does."""
    while len(readers(trace)) < 2:
        time.sleep(0.02)
    last = max(trace.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    os.kill(int(last.name.split()[0]), signal.SIGKILL)


def test_what_fails_is_the_sentence_of_the_local_engine_and_can_be_gone_on_from(engine: Engine, tmp_path: Path) -> None:
    write_originals(FakeSource(6), "test", tmp_path / "originals", images_per_shard=6, workers=1)
    sentences = []
    for name, by in (("local", None), ("cluster", engine)):
        with pytest.raises(UserError) as caught:
            write_compressed(tmp_path / "originals", FakeCodec(8, fails_at=21), tmp_path / name, engine=by)
        sentences.append(str(caught.value).replace(str(tmp_path / name), "FOLDER"))
    assert sentences[0] == sentences[1] and "the codec does not like it" in sentences[0]
    write_compressed(tmp_path / "originals", FakeCodec(8), tmp_path / "cluster", engine=engine)
    write_compressed(tmp_path / "originals", FakeCodec(8), tmp_path / "local")
    assert files_of(tmp_path / "cluster") == files_of(tmp_path / "local")


def test_a_bug_in_a_worker_ends_the_conversion_and_is_named(engine: Engine, converted: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="failed.*a bug"):
        write_compressed(converted / "originals", BuggyCodec(8), tmp_path / "made", engine=engine)


def test_a_reason_is_the_last_line_of_python_not_of_java() -> None:
    said = (
        "Job aborted\nTraceback (most recent call last):\n  File x\nZeroDivisionError: a bug\n\n\tat org.apache(X.java)"
    )
    assert reason_of(RuntimeError(said)) == "ZeroDivisionError: a bug"
    assert reason_of(RuntimeError()) == "RuntimeError"


class Failing:
    """Work that every task of fails."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    def __call__(self, task: str) -> Iterator[None]:
        raise UserError(f"{task} cannot be done")
        yield


def test_of_tasks_that_fail_at_the_same_moment_one_sentence_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, flush, others = Failing(tmp_path), files._flush, ["b"]

    def meanwhile(descriptor: int, path: Path) -> None:
        if others:
            assert not attempt(work, others.pop())
        flush(descriptor, path)

    monkeypatch.setattr(files, "_flush", meanwhile)
    with pytest.raises(ArtefactError, match="^a cannot be done$"), raising(work, "Dask computation"):
        assert not attempt(work, "a")
    assert not others and not list(tmp_path.iterdir())
