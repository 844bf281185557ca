"""A conversion may be killed at any moment: the next goes on, and what comes out is the same."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import Manifest
from tests.tfrecords.fakes import CountingSource, convert_until
from tests.tfrecords.writing import write_originals

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KILLS = 30


def digests(folder: Path) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in Manifest.load(folder).files.items()}


def entries(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def finished_shards(work: Path) -> dict[str, tuple[int, int]]:
    """Each shard whose result is on disk, with what changes if it is written again."""
    found = {}
    for folder in work.iterdir():
        whole = folder.suffix != ".partial"
        for path in folder.glob("*.tfrecord"):
            if whole or (folder / ".building" / f"{path.name}.json").exists():
                stat = path.stat()
                found[f"{folder.stem}/{path.name}"] = stat.st_ino, stat.st_mtime_ns
    return found


def test_30_kills_anywhere_in_three_stages_change_nothing(tmp_path: Path) -> None:
    # Processes forked from one that has imported everything: 60 of them take seconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tfrecords.fakes"])

    def run(*arguments: object) -> int | None:
        process = context.Process(target=convert_until, args=arguments)
        process.start()
        process.join()
        return process.exitcode

    operations = context.Value("i", 0)
    assert run(tmp_path / "reference", 0, operations) == 0
    reference = tmp_path / "reference"
    assert operations.value > 5 * KILLS, "there are many more moments than are tried"
    for moment in random.Random(0).sample(range(1, operations.value + 1), KILLS):
        work = tmp_path / f"killed at {moment}"
        assert run(work, moment) == -signal.SIGKILL
        before = finished_shards(work) if work.exists() else {}
        assert run(work, 0) == 0
        assert entries(work) == entries(reference), f"something is left or lost after a kill at {moment}"
        for stage in ("o", "c", "r"):
            assert digests(work / stage) == digests(reference / stage)
        after = finished_shards(work)
        assert before == {name: after[name] for name in before}, "a shard that was finished is made again"


CONVERT = (
    "import signal, sys; from pathlib import Path; from tests.tfrecords.fakes import *; from "
    "tests.tfrecords.writing import *\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job inherits it ignored
    "source = CountingSource(24, delay=float(sys.argv[3]), log=sys.argv[2])\n"
    "write_originals(source, 'test', Path(sys.argv[1]), images_per_shard=2, workers=2)"
)


def start(folder: Path, log: Path, delay: float = 0.02) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CONVERT, str(folder), str(log), str(delay)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_reads(log: Path, count: int) -> None:
    while not log.exists() or log.read_text().count("\n") < count:
        time.sleep(0.002)


def test_a_conversion_killed_at_any_moment_ends_with_the_same_digests(tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    log = tmp_path / "log"
    source = CountingSource(24, delay=0.02, log=str(log))
    write_originals(replace(source, delay=0.0), "test", reference, images_per_shard=2)
    log.unlink()
    moments = random.Random(3)
    kills = (1, 9, 19)
    for reads in kills:
        with start(tmp_path / "it", log) as process:
            wait_for_reads(log, reads)
            time.sleep(moments.uniform(0, 0.04))
            process.send_signal(signal.SIGKILL)
    write_originals(source, "test", tmp_path / "it", images_per_shard=2, workers=2)
    assert digests(tmp_path / "it") == digests(reference)
    assert entries(tmp_path / "it") == entries(reference)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it", "log", "reference"]
    # At most the shards in flight are done again: two of two images at each kill.
    assert log.read_text().count("\n") <= 24 + len(kills) * 2 * 2


def test_workers_die_with_their_killed_parent_in_the_middle_of_an_image(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start(tmp_path / "it", log, delay=60) as process:
        wait_for_reads(log, 2)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError("workers outlive the process that started them")


def test_ctrl_c_stops_all_processes_with_one_traceback(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start(tmp_path / "it", log, delay=0.1) as process:
        wait_for_reads(log, 9)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, errors = process.communicate(timeout=600)
    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1
    assert list((tmp_path / "it.partial").glob("shard-*"))
    assert not list((tmp_path / "it.partial").rglob("*.tmp"))


def test_the_second_of_two_conversions_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start(tmp_path / "it", log, delay=0.1) as process:
        wait_for_reads(log, 1)
        process.send_signal(signal.SIGSTOP)  # so that it does not end before the second has begun
        source = CountingSource(24, delay=0.1, log=str(log))
        try:
            with pytest.raises(ArtefactError, match=f"it is being made by process {process.pid} on"):
                write_originals(source, "test", tmp_path / "it", images_per_shard=2)
        finally:
            process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=600) == 0
    assert Manifest.load(tmp_path / "it").summary["images"] == 24
