"""Parts of one conversion, made by processes that do not know of each other."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from dsr.tfrecords import conversions
from dsr.tfrecords.building import building
from dsr.tfrecords.conversions import compressed_identity, original_identity
from dsr.tfrecords.converter import Conversion
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import Manifest
from dsr.tfrecords.plan import Part
from tests.tfrecords.fakes import INLINE, FakeCodec, FakeRestorer, FakeSource
from tests.tfrecords.writing import restored

STAGES = ("o", "c", "r")


def conversion(work: Path, stage: str, images: int = 10) -> Conversion:
    """One of the three stages; identities are known before anything is made, as in a study."""
    source, codec, restorer = FakeSource(images), FakeCodec(8), FakeRestorer(8)
    original = original_identity(source, "test", images_per_shard=2)
    lossy = compressed_identity(original, codec)
    if stage == "o":
        return conversions.to_originals(source, "test", images_per_shard=2, identity=original)
    if stage == "c":
        return conversions.to_compressed(work / "o", codec, identity=lossy)
    return conversions.to_restored(work / "c", work / "o", restorer, restored(lossy, original, restorer))


def write_part(work: Path, part: str, images: int = 10) -> None:
    for stage in STAGES:
        conversion(work, stage, images).write_part(work / stage, Part.parse(part), INLINE)


def finish(work: Path) -> None:
    for stage in STAGES:
        conversion(work, stage).finish(work / stage)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    for stage in STAGES:
        conversion(tmp_path / "whole", stage).write(tmp_path / "whole" / stage, INLINE)
    return tmp_path / "whole"


def test_parts_made_in_any_order_join_to_what_one_run_makes(tmp_path: Path, whole: Path) -> None:
    work = tmp_path / "parts"
    for part in ("3/3", "1/3", "2/3"):
        write_part(work, part)
    finish(work)
    assert contents(work) == contents(whole)
    for stage in STAGES:
        made, expected = Manifest.load(work / stage), Manifest.load(whole / stage)
        assert made.files == expected.files
        rates = ("seconds", "images_per_s", "mb_per_s")
        assert {k: v for k, v in made.summary.items() if k not in rates} == {
            k: v for k, v in expected.summary.items() if k not in rates
        }


@pytest.mark.slow
def test_parts_made_at_the_same_time_join_too(tmp_path: Path, whole: Path) -> None:
    work = tmp_path / "parts"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # so that only one process imports all this
    processes = [context.Process(target=write_part, args=(work, f"{number}/4")) for number in range(1, 5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    finish(work)
    assert contents(work) == contents(whole)


def test_finishing_names_the_parts_that_are_missing_or_damaged(tmp_path: Path, whole: Path) -> None:
    work = tmp_path / "parts"
    write_part(work, "2/4")
    with pytest.raises(ArtefactError, match="4 of 5 shards are missing or damaged, those of 1/4, 3/4, 4/4"):
        conversion(work, "o").finish(work / "o")
    for part in ("1/4", "3/4", "4/4"):
        write_part(work, part)
    shard = work / "o.partial" / "shard-00002-of-00005.tfrecord"
    data = bytearray(shard.read_bytes())
    data[40] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ArtefactError, match="1 of 5 shards are missing or damaged, those of 3/4"):
        conversion(work, "o").finish(work / "o")
    write_part(work, "3/4")
    finish(work)
    assert contents(work) == contents(whole)


def test_a_run_without_parts_makes_what_parts_left(tmp_path: Path, whole: Path) -> None:
    work = tmp_path / "parts"
    write_part(work, "2/4")
    before = (work / "o.partial" / "shard-00001-of-00005.tfrecord").stat().st_mtime_ns
    for stage in STAGES:
        conversion(work, stage).write(work / stage, INLINE)
    assert (work / "o" / "shard-00001-of-00005.tfrecord").stat().st_mtime_ns == before
    assert contents(work) == contents(whole)
    write_part(work, "1/4")  # nothing is left to do


def test_one_part_has_one_maker_and_who_joins_waits_for_none(tmp_path: Path) -> None:
    original = conversion(tmp_path, "o")
    with building(tmp_path / "o", original.identity, "1-of-2"):
        with pytest.raises(ArtefactError, match=r"part 1-of-2 of .*o is being made by process \d+ on "):
            original.write_part(tmp_path / "o", Part(1, 2), INLINE)
        with pytest.raises(ArtefactError, match=r"o is being made by process"):
            original.finish(tmp_path / "o")
        with pytest.raises(ArtefactError, match=r"o is being made by process"):
            original.write(tmp_path / "o", INLINE)
        original.write_part(tmp_path / "o", Part(2, 2), INLINE)
    with pytest.raises(ArtefactError, match="is being made in 2 parts"):
        original.write_part(tmp_path / "o", Part(1, 3), INLINE)
    with building(tmp_path / "o", original.identity), pytest.raises(ArtefactError, match="is being made by process"):
        original.write_part(tmp_path / "o", Part(1, 2), INLINE)


def test_a_part_of_another_configuration_is_refused(tmp_path: Path) -> None:
    write_part(tmp_path, "1/2")
    with pytest.raises(ArtefactError, match="config.dataset.count is 10 there and 12 here"):
        write_part(tmp_path, "2/2", images=12)


def test_a_part_of_compressed_shards_needs_that_part_of_the_originals_alone(tmp_path: Path) -> None:
    conversion(tmp_path, "o").write_part(tmp_path / "o", Part(1, 2), INLINE)
    conversion(tmp_path, "c").write_part(tmp_path / "c", Part(1, 2), INLINE)
    with pytest.raises(ArtefactError, match="part 2/2 of .*o is not finished; convert that first"):
        conversion(tmp_path, "c").write_part(tmp_path / "c", Part(2, 2), INLINE)
