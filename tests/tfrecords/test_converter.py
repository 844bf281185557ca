from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsr.models.errors import UserError
from dsr.models.metrics.fidelity import ms_ssim, psnr, to_db
from dsr.tfrecords.conversions import compressed_identity, original_identity
from dsr.tfrecords.engine import ConversionState
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import Manifest, records
from dsr.tfrecords.workers import WorkerError, run
from tests.tfrecords.fakes import BuggySource, CountingSource, DyingSource, FakeCodec, FakeRestorer, FakeSource, inline
from tests.tfrecords.writing import restored as restored_by
from tests.tfrecords.writing import write_compressed, write_originals, write_restored

ROOT = Path(__file__).parents[2]


def digests(folder: Path) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in Manifest.load(folder).files.items()}


def entries(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_originals_are_lossless_and_in_the_order_of_keys(converted: Path) -> None:
    source = FakeSource(10)
    samples = sorted(source.samples("test"), key=lambda sample: sample.key)
    for sample, record in zip(samples, records(converted / "originals")):
        pixels, label = source.read(sample)
        assert record.key == sample.key
        np.testing.assert_array_equal(record.pixels(), pixels)
        np.testing.assert_equal(record.train_ids(), label)
        assert record.bitstream == b""
    assert [record.key for record in records(converted / "originals")] == [sample.key for sample in samples]


def test_compressed_images_are_what_their_bitstreams_decode_to(converted: Path) -> None:
    codec = FakeCodec(8)
    pairs = list(zip(records(converted / "originals"), records(converted / "compressed")))
    assert len(pairs) == 10
    for original, compressed in pairs:
        assert compressed.bitstream == codec.encode(original.pixels())
        np.testing.assert_array_equal(compressed.pixels(), codec.decode(compressed.bitstream))
        assert (compressed.key, compressed.label) == (original.key, original.label)


def test_restored_images_are_what_the_restorer_makes_of_the_compressed(converted: Path) -> None:
    pairs = list(zip(records(converted / "compressed"), records(converted / "restored")))
    assert len(pairs) == 10
    for compressed, restored in pairs:
        np.testing.assert_array_equal(restored.pixels(), FakeRestorer(8)(compressed.pixels()))
        assert (restored.key, restored.label, restored.bitstream) == (compressed.key, compressed.label, b"")


def test_provenance_tells_all_that_an_image_went_through(converted: Path) -> None:
    origin = {"dataset": "fake", "split": "test", "image": "test/000.png", "part": 0}
    codec, restorer = {"name": "fake", "step": 8}, {"network": "fake", "step": 8}
    expected = {
        "originals": {**origin, "domain": "original"},
        "compressed": {**origin, "domain": "compressed", "codec": codec},
        "restored": {**origin, "domain": "restored", "codec": codec, "restorer": restorer},
    }
    for folder, provenance in expected.items():
        record = next(records(converted / folder))
        assert {**record.provenance, "measured": None} == {**provenance, "measured": None}
        rows = json.loads((converted / folder / "images.json").read_text())
        assert {"key": record.key, "height": 20, "width": 24, **record.provenance["measured"]} == rows[0]


def test_statistics_are_measured_on_what_was_written(converted: Path) -> None:
    originals = [record.pixels() for record in records(converted / "originals")]
    bits = [8 * len(record.bitstream) for record in records(converted / "compressed")]
    pixels = [image[..., 0].size for image in originals]
    for domain in ("compressed", "restored"):
        images = [record.pixels() for record in records(converted / domain)]
        summary = Manifest.load(converted / domain).summary
        similarity = np.mean([ms_ssim(a, b) for a, b in zip(images, originals)])
        expected = {
            "images": 10,
            "pixels": sum(pixels),
            "height": 22,
            "width": 25,
            "bpp": sum(bits) / sum(pixels),  # the rate of the set, which is not the mean of the rates
            "bpp_mean": np.mean(np.divide(bits, pixels)),
            "bpp_min": np.min(np.divide(bits, pixels)),
            "bpp_max": np.max(np.divide(bits, pixels)),
            "psnr": np.mean([psnr(a, b) for a, b in zip(images, originals)]),
            "identical": 0,
            "ms_ssim": similarity,
            "ms_ssim_db": to_db(float(similarity)),
            "images_per_s": 10 / summary["seconds"],
            "mb_per_s": 3 * sum(pixels) / 1e6 / summary["seconds"],
        }
        assert {**summary, **expected} == pytest.approx(summary, rel=1e-4)
    summary = Manifest.load(converted / "originals").summary
    assert summary["bpp"] == pytest.approx(
        sum(8 * len(record.image) for record in records(converted / "originals")) / sum(pixels)
    )
    assert (summary["psnr"], summary["ms_ssim"], summary["ms_ssim_db"]) == (None, None, None)


def test_every_image_has_its_row(converted: Path) -> None:
    rows = json.loads((converted / "compressed" / "images.json").read_text())
    assert [row["key"] for row in rows] == [record.key for record in records(converted / "compressed")]
    for row, compressed, original in zip(rows, records(converted / "compressed"), records(converted / "originals")):
        assert row["psnr"] == pytest.approx(psnr(compressed.pixels(), original.pixels()), abs=1e-4)
        assert (row["bytes"], row["height"], row["width"]) == (
            len(compressed.bitstream),
            original.height,
            original.width,
        )


def test_a_lossless_codec_has_identical_images_and_no_infinite_number(converted: Path, tmp_path: Path) -> None:
    summary = write_compressed(converted / "originals", FakeCodec(1), tmp_path / "lossless", engine=inline).summary
    assert (summary["identical"], summary["psnr"], summary["ms_ssim"], summary["ms_ssim_db"]) == (10, None, 1.0, None)


@pytest.mark.slow
def test_bytes_depend_neither_on_workers_nor_on_the_engine_nor_on_the_order_of_the_listing(
    converted: Path, tmp_path: Path
) -> None:
    for workers in (1, 2, 4):
        source = FakeSource(8, shuffled=workers)
        write_originals(source, "test", tmp_path / str(workers), images_per_shard=2, workers=workers)
    write_originals(FakeSource(8, shuffled=3), "test", tmp_path / "inline", images_per_shard=2, engine=inline)
    assert len(digests(tmp_path / "4")) == 6  # four shards, the statistics and the errors
    assert digests(tmp_path / "1") == digests(tmp_path / "2") == digests(tmp_path / "4") == digests(tmp_path / "inline")
    # What was converted in one process, in two others.
    originals, compressed = converted / "originals", converted / "compressed"
    write_compressed(originals, FakeCodec(8), tmp_path / "c", workers=2)
    write_restored(compressed, originals, FakeRestorer(8), tmp_path / "r", workers=2)
    assert digests(tmp_path / "c") == digests(compressed)
    assert digests(tmp_path / "r") == digests(converted / "restored")


def test_no_cluster_is_started_for_nothing(tmp_path: Path) -> None:
    """Where all shards are there and only a file about them is not; Spark cannot even have no tasks."""
    folder = tmp_path / "it"
    write_originals(FakeSource(4), "test", folder, engine=inline)
    whole = digests(folder)
    (folder / "images.json").unlink()
    asked: list[int] = []

    def cluster(work: Callable[[Any], Iterator[Any]], tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        asked.append(len(tasks))
        return inline(work, tasks)

    write_originals(FakeSource(4), "test", folder, engine=cluster)
    assert (folder / "images.json").is_file() and digests(folder) == whole
    assert not asked


def test_shards_are_planned_from_keys_alone(converted: Path) -> None:
    manifest = Manifest.load(converted / "originals")
    assert manifest.shards == [f"shard-0000{i}-of-00003.tfrecord" for i in range(3)]
    assert [manifest.files[name]["records"] for name in manifest.shards] == [3, 3, 4]
    assert entries(converted / "originals") == ["errors.jsonl", "images.json", "manifest.json", *manifest.shards]


def test_a_limit_takes_images_from_the_whole_split(tmp_path: Path) -> None:
    write_originals(FakeSource(10), "test", tmp_path / "it", limit=4, engine=inline)
    assert [record.key[-3:] for record in records(tmp_path / "it")] == ["000", "002", "005", "007"]


def test_identities_are_known_before_anything_is_made(converted: Path) -> None:
    original = original_identity(FakeSource(10), "test", images_per_shard=4)
    compressed = compressed_identity(original, FakeCodec(8))
    restored = restored_by(compressed, original, FakeRestorer(8))
    for folder, identity in {"originals": original, "compressed": compressed, "restored": restored}.items():
        assert Manifest.load(converted / folder).identity == identity
    assert compressed.name == "fake/test/fake-step8"


def test_what_is_there_is_not_made_again(converted: Path) -> None:
    before = (converted / "compressed" / "manifest.json").stat().st_mtime_ns
    manifest = write_compressed(converted / "originals", FakeCodec(8), converted / "compressed")
    assert manifest == Manifest.load(converted / "compressed")
    assert (converted / "compressed" / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(ArtefactError, match=r"config\.codec\.step is 8 there and 4 here"):
        write_compressed(converted / "originals", FakeCodec(4), converted / "compressed")


def test_progress_ends_at_the_total_and_counts_bytes_and_pixels(tmp_path: Path) -> None:
    told: list[ConversionState] = []
    summary = write_originals(FakeSource(10), "test", tmp_path / "it", images_per_shard=3, progress=told.append).summary
    assert [progress.images for progress in told] == list(range(1, 11))
    last = told[-1]
    assert last.pixels == summary["pixels"]
    assert 8 * last.bytes / last.pixels == pytest.approx(summary["bpp"])


def test_progress_of_an_engine_that_tells_of_shards_alone_ends_at_the_total(tmp_path: Path) -> None:
    def cluster(work: Callable[[Any], Iterator[Any]], tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        return (item for item in inline(work, tasks) if item[1] is None)

    told: list[ConversionState] = []
    folder = tmp_path / "it"
    summary = write_originals(
        FakeSource(10), "test", folder, images_per_shard=3, engine=cluster, progress=told.append
    ).summary
    assert [progress.images for progress in told] == [2, 5, 7, 10], "shards of two and three images"
    assert told[-1].pixels == summary["pixels"]
    assert 8 * told[-1].bytes / told[-1].pixels == pytest.approx(summary["bpp"])


def test_progress_counts_no_image_twice_of_a_shard_that_is_tried_again(tmp_path: Path) -> None:
    def cluster(work: Callable[[Any], Iterator[Any]], tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        yield from ((task, next(iter(work(task)))) for task in tasks)  # lost after an image of each
        yield from inline(work, tasks)

    told: list[ConversionState] = []
    write_originals(FakeSource(10), "test", tmp_path / "it", images_per_shard=3, engine=cluster, progress=told.append)
    assert told[-1].images == 10


def test_folders_of_another_domain_or_origin_are_refused(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="not original shards"):
        write_compressed(converted / "compressed", FakeCodec(), tmp_path / "x")
    other = tmp_path / "other"
    write_originals(FakeSource(10, seed=1), "test", other, images_per_shard=4, engine=inline)
    with pytest.raises(ArtefactError, match="was not made from"):
        write_restored(converted / "compressed", other, FakeRestorer(), tmp_path / "x")
    assert entries(tmp_path) == sorted(["other", *(f"other/{name}" for name in entries(other))])


def test_damaged_input_is_named_and_leaves_nothing(copied: Path, tmp_path: Path) -> None:
    shard = copied / "originals" / "shard-00000-of-00003.tfrecord"
    data = bytearray(shard.read_bytes())
    data[50] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ArtefactError, match=r"originals/shard-00000-of-00003.tfrecord: record 0 at byte 0 is damaged"):
        write_compressed(copied / "originals", FakeCodec(4), tmp_path / "x", engine=inline)
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "x.partial").exists()


def test_a_codec_that_fails_names_the_image_and_finished_shards_stay(tmp_path: Path) -> None:
    write_originals(FakeSource(4), "test", tmp_path / "o", images_per_shard=2, engine=inline)
    # Heights are 20, 21, 22, 20: an image of the second shard fails.
    with pytest.raises(UserError, match="image 'test/image 002': the codec does not like it"):
        write_compressed(tmp_path / "o", FakeCodec(8, fails_at=22), tmp_path / "x", workers=1)
    first, second = "shard-00000-of-00002.tfrecord", "shard-00001-of-00002.tfrecord"
    there = (tmp_path / "x.partial" / first).stat().st_ino
    assert not (tmp_path / "x.partial" / second).exists()
    write_compressed(tmp_path / "o", FakeCodec(8), tmp_path / "x", engine=inline)
    assert (tmp_path / "x" / first).stat().st_ino == there and (tmp_path / "x" / second).is_file()


def test_a_restorer_must_keep_the_size(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="image 'test/image 000': 24x20 pixels became .*must keep the size"):
        write_restored(
            converted / "compressed", converted / "originals", FakeRestorer(crop=1), tmp_path / "x", engine=inline
        )


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="split 'test' of fake has no images"):
        write_originals(FakeSource(0), "test", tmp_path / "x")
    assert entries(tmp_path) == []


def test_keys_are_never_file_names(tmp_path: Path) -> None:
    write_originals(FakeSource(2), "../../outside", tmp_path / "in" / "x", engine=inline)
    assert [record.key for record in records(tmp_path / "in" / "x")] == [f"../../outside/image 00{i}" for i in (0, 1)]
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"x"}


def test_a_worker_that_is_killed_is_one_clear_error(tmp_path: Path) -> None:
    before = multiprocessing.active_children()
    with pytest.raises(
        ArtefactError, match="worker process at shard-00000-of-00002.tfrecord was killed.*lack of memory"
    ):
        write_originals(DyingSource(4), "test", tmp_path / "x", images_per_shard=2, workers=1)
    assert multiprocessing.active_children() == before


def test_a_bug_in_a_worker_shows_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r'(?s)fakes\.py", line \d+, in read.*ZeroDivisionError: a bug'):
        write_originals(BuggySource(4), "test", tmp_path / "x", images_per_shard=2)
    assert entries(tmp_path) == []


@pytest.mark.slow
def test_a_callback_that_raises_stops_the_workers_and_keeps_what_is_done(tmp_path: Path) -> None:
    log = tmp_path / "log"
    # Reading is slow: the worker is still in the third shard when the parent has heard of its first image.
    source = CountingSource(12, delay=0.1, log=str(log))

    def stop(progress: ConversionState) -> None:
        if progress.images == 7:
            raise KeyboardInterrupt

    before = multiprocessing.active_children()
    with pytest.raises(KeyboardInterrupt):
        write_originals(source, "test", tmp_path / "x", images_per_shard=3, workers=1, progress=stop)
    assert multiprocessing.active_children() == before
    assert not list((tmp_path / "x.partial").rglob("*.tmp"))
    told: list[ConversionState] = []
    log.unlink()
    write_originals(source, "test", tmp_path / "x", images_per_shard=3, workers=1, progress=told.append)
    assert log.read_text().split("\n")[:-1] == [f"test/image {i:03d}" for i in range(6, 12)]
    assert told[0].images == 7


def interrupt_itself(task: int) -> Iterator[str]:
    os.kill(os.getpid(), signal.SIGINT)
    yield "unmoved"


def test_an_interrupt_is_for_the_parent_alone_to_answer() -> None:
    assert list(run(interrupt_itself, [1])) == [(1, "unmoved")]


class DiesOnArrival:
    """Cannot be unpickled in a worker, as what a script without a main guard defines."""

    def __reduce__(self) -> tuple:
        return os._exit, (3,)

    def __call__(self, task: str) -> Iterator[None]:
        yield None


def test_a_worker_that_does_not_start_is_one_clear_error() -> None:
    with pytest.raises(ArtefactError, match="worker process at some task ended with exit code 3"):
        list(run(DiesOnArrival(), ["some task"]))


def echo(task: int) -> Iterator[object]:
    yield os.environ["OPENBLAS_NUM_THREADS"]
    yield task


def test_tasks_are_all_done_whatever_their_number() -> None:
    assert list(run(echo, [])) == []
    items = list(run(echo, list(range(5)), workers=2))
    assert sorted(item for _, item in items if item != "1") == list(range(5))
    assert items.count((3, "1")) == 1
    assert all(item in ("1", task) for task, item in items)
