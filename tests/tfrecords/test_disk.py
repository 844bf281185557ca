"""Full disks: foreseen, and survived."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import Manifest
from dsr.tfrecords.plan import plan_shards
from dsr.tfrecords.stages import Originals
from tests.tfrecords.fakes import FakeCodec, FakeSource, inline
from tests.tfrecords.writing import write_compressed, write_originals


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("shard-*"))


def test_the_estimate_is_near_what_is_written(tmp_path: Path) -> None:
    source = FakeSource(40)
    shards = plan_shards(sorted(source.samples("test"), key=lambda sample: sample.key), 4)
    write_originals(source, "test", tmp_path / "o", images_per_shard=4, engine=inline)
    assert Originals(source, "test").estimate(shards) == pytest.approx(size(tmp_path / "o"), rel=0.4)


def test_what_cannot_fit_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
        with pytest.raises(
            ArtefactError, match=r"o\.partial needs about 0\.0\d MB more and its disk has 0\.01 MB free"
        ):
            write_originals(FakeSource(40), "test", tmp_path / "o", engine=inline)
    assert list(tmp_path.iterdir()) == []
    write_originals(FakeSource(40), "test", tmp_path / "o", engine=inline)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=size(tmp_path / "o") - 1))
    with pytest.raises(ArtefactError, match="needs about"):
        write_compressed(tmp_path / "o", FakeCodec(8), tmp_path / "c", engine=inline)


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """No file may grow beyond `size`: what a full disk does, for those who cannot have one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.slow
@pytest.mark.parametrize("room", [100, 2_000, 12_000])
@pytest.mark.parametrize("workers", [None, 2])
def test_a_file_that_cannot_be_written_is_one_sentence_and_nothing_is_lost(
    tmp_path: Path, room: int, workers: int | None
) -> None:
    how = {"engine": inline} if workers is None else {"workers": workers}
    write_originals(FakeSource(12), "test", tmp_path / "whole", images_per_shard=3, engine=inline)
    if room == 12_000:  # each shard fits
        write_originals(FakeSource(12), "test", tmp_path / "o", images_per_shard=3, **how)
    else:
        with limited_files(room), pytest.raises(ArtefactError, match="cannot be (written|made): .*File too large"):
            write_originals(FakeSource(12), "test", tmp_path / "o", images_per_shard=3, **how)
        assert not list(tmp_path.rglob("shard*.tmp"))
        write_originals(FakeSource(12), "test", tmp_path / "o", images_per_shard=3, **how)
    assert Manifest.load(tmp_path / "o").files == Manifest.load(tmp_path / "whole").files


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_disk_that_fills_up_leaves_a_state_that_the_next_run_goes_on_from(
    tiny_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Originals, "estimate", lambda *_: 0.0)  # or it would not have begun
    with pytest.raises(ArtefactError, match="cannot be written: No space left on device; make room and run the same"):
        write_originals(FakeSource(60), "test", tiny_disk / "o", images_per_shard=3, engine=inline)
    kept = sorted(path.name for path in (tiny_disk / "o.partial").glob("*.tfrecord"))
    assert kept
    assert not list(tiny_disk.rglob("shard*.tmp"))
    before = {name: (tiny_disk / "o.partial" / name).stat().st_mtime_ns for name in kept}
    subprocess.run(["mount", "-o", "remount,size=1m", tiny_disk], check=True)
    write_originals(FakeSource(60), "test", tiny_disk / "o", images_per_shard=3, engine=inline)
    write_originals(FakeSource(60), "test", tmp_path / "whole", images_per_shard=3, engine=inline)
    assert Manifest.load(tiny_disk / "o").files == Manifest.load(tmp_path / "whole").files
    finished = {name: (tiny_disk / "o" / name).stat().st_mtime_ns for name in kept}
    assert sum(finished[name] != before[name] for name in kept) <= 1  # the one whose result did not fit any more
