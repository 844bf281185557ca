"""What a Beam runner makes is what the processes of this machine make, to the byte, and so are the errors."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dsr.models.errors import UserError
from dsr.tfrecords.errors import ArtefactError
from tests.tfrecords.fakes import BuggyCodec, FakeCodec, FakeRestorer, FakeSource, TracedSource, readers
from tests.tfrecords.writing import files_of, write_compressed, write_originals, write_restored

pytest.importorskip("apache_beam", reason="the engine beam needs Apache Beam: pip install 'dsr[beam]'")

from dsr.tfrecords.beam import BeamEngine

pytestmark = pytest.mark.slow

IN_PROCESS = "--runner=DirectRunner --direct_running_mode=in_memory"
TWO_PROCESSES = "--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Options of a runner as clusters have it: a job server and a pool of workers, each a process of its own."""
    port_file = tmp_path_factory.mktemp("cluster") / "port"
    with socket.create_server(("127.0.0.1", 0)) as free:
        pool = free.getsockname()[1]
    commands = [
        ["apache_beam.runners.portability.local_job_service_main", f"--port_file={port_file}"],
        ["apache_beam.runners.worker.worker_pool_main", f"--service_port={pool}"],
    ]
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # the pool starts `python`
    with ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], env=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.enter_context(process)
            stack.callback(process.terminate)
        while not port_file.exists() or not port_file.read_text():
            assert process.poll() is None
            time.sleep(0.1)
        yield (
            f"--runner=PortableRunner --job_endpoint=127.0.0.1:{port_file.read_text()} "
            f"--environment_type=EXTERNAL --environment_config=127.0.0.1:{pool}"
        )


def test_two_processes_make_the_shards_of_the_local_engine(converted: Path, tmp_path: Path) -> None:
    trace = tmp_path / "processes"
    trace.mkdir()
    source = TracedSource(10, trace=str(trace))
    write_originals(source, "test", tmp_path / "made", images_per_shard=4, engine=BeamEngine(TWO_PROCESSES))
    assert files_of(tmp_path / "made") == files_of(converted / "originals")
    assert len(readers(trace)) == 2


def test_workers_of_a_cluster_make_the_shards_of_the_local_engine(
    cluster: str, converted: Path, tmp_path: Path
) -> None:
    engine = BeamEngine(cluster)
    originals = converted / "originals"
    write_compressed(originals, FakeCodec(8), tmp_path / "compressed", engine=engine)
    assert files_of(tmp_path / "compressed") == files_of(converted / "compressed")
    write_restored(tmp_path / "compressed", originals, FakeRestorer(8), tmp_path / "restored", engine=engine)
    assert files_of(tmp_path / "restored") == files_of(converted / "restored")


def test_what_fails_is_the_sentence_of_the_local_engine_and_can_be_gone_on_from(tmp_path: Path) -> None:
    write_originals(FakeSource(6), "test", tmp_path / "originals", images_per_shard=6, workers=1)
    sentences = []
    for name, engine in (("local", None), ("beam", BeamEngine(IN_PROCESS))):
        with pytest.raises(UserError) as caught:
            write_compressed(tmp_path / "originals", FakeCodec(8, fails_at=21), tmp_path / name, engine=engine)
        sentences.append(str(caught.value).replace(str(tmp_path / name), "FOLDER"))
    assert sentences[0] == sentences[1] and "the codec does not like it" in sentences[0]
    write_compressed(tmp_path / "originals", FakeCodec(8), tmp_path / "beam", engine=engine)
    write_compressed(tmp_path / "originals", FakeCodec(8), tmp_path / "local")
    assert files_of(tmp_path / "beam") == files_of(tmp_path / "local")


def test_a_bug_in_a_worker_ends_the_conversion_and_is_named(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="pipeline failed.*a bug"):
        write_compressed(converted / "originals", BuggyCodec(8), tmp_path / "made", engine=BeamEngine(IN_PROCESS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--runner=DirectRunner --direct_num_wrokers=2", "--direct_num_wrokers"),
        ("--direct_num_workers=many", "--direct_num_workers.*'many'"),
    ],
)
def test_options_that_beam_does_not_know_are_refused_before_the_start(options: str, message: str) -> None:
    with pytest.raises(ArtefactError, match=message) as caught:
        BeamEngine(options)
    assert "\n" not in str(caught.value)


def test_an_unknown_runner_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="Nonsense") as caught:
        write_originals(FakeSource(2), "test", tmp_path / "made", engine=BeamEngine("--runner=Nonsense"))
    assert "\n" not in str(caught.value)
