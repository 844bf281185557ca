"""Whatever is changed in an artefact is found, named, and repaired where it can be."""

from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsr.tfrecords import verify
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import frame, read_frames
from dsr.tfrecords.manifest import check, records
from dsr.tfrecords.verify import findings
from tests.tfrecords.fakes import CountingSource, FakeCodec, FakeSource, OtherDecoder, inline
from tests.tfrecords.writing import resign, write_compressed, write_originals

pytestmark = pytest.mark.slow


def found(*folders: Path, **how: object) -> list[str]:
    return list(findings(folders, workers=1, **how))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads in this process, which hundreds of examples take milliseconds for."""
    monkeypatch.setattr(verify, "run", lambda work, tasks, workers: inline(work, tasks))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_whole_artefacts_have_no_findings(converted: Path) -> None:
    domains = [converted / domain for domain in ("originals", "compressed", "restored")]
    told: list[tuple[int, int]] = []
    assert found(*domains, progress=lambda done, total: told.append((done, total))) == []
    assert told == [(done, 15) for done in range(1, 16)]  # three shards, statistics and errors of each
    assert found(converted / "compressed", decoder_of=lambda _: FakeCodec(8)) == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_flipped_bit_and_every_cut_in_any_file_is_found(
    converted: Path, tmp_path: Path, in_process: None, data: st.DataObject
) -> None:
    whole = contents(converted / "compressed")
    name = data.draw(st.sampled_from(sorted(name for name, content in whole.items() if content)), "file")
    position = data.draw(st.integers(0, len(whole[name]) - 1), "position")
    damaged = bytearray(whole[name])
    if data.draw(st.booleans(), "cut"):
        del damaged[position:]
    else:
        damaged[position] ^= 1 << data.draw(st.integers(0, 7), "bit")
    folder = tmp_path / "it"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(converted / "compressed", folder)
    (folder / name).write_bytes(damaged)
    (sentence,) = found(folder)
    assert str(folder / name) in sentence
    assert contents(folder) == {**whole, name: bytes(damaged)}, "verifying changes nothing"


def test_every_missing_file_and_every_two_that_are_swapped_are_found(
    converted: Path, tmp_path: Path, in_process: None
) -> None:
    whole = contents(converted / "compressed")
    for first in whole:
        folder = shutil.copytree(converted / "compressed", tmp_path / first)
        (folder / first).unlink()
        (sentence,) = found(folder)
        assert f"{first} is missing" in sentence
    for first, second in combinations(whole, 2):
        folder = shutil.copytree(converted / "compressed", tmp_path / f"{first} {second}")
        (folder / first).write_bytes(whole[second])
        (folder / second).write_bytes(whole[first])
        sentences = found(folder)
        told = {name for name in whole if any(str(folder / name) in sentence for sentence in sentences)}
        assert told == ({"manifest.json"} & {first, second} or {first, second})


def test_a_cut_that_the_manifest_was_made_to_fit_is_found_by_its_count(copied: Path) -> None:
    # The file is well formed and of the announced size, so that only the count tells.
    folder = copied / "compressed"
    shard = folder / "shard-00001-of-00003.tfrecord"
    *kept, _ = read_frames(shard)
    shard.write_bytes(b"".join(frame(record) for record in kept))
    with resign(folder) as content:
        content["files"][shard.name]["bytes"] = shard.stat().st_size
    check(folder)
    assert "shard-00001-of-00003.tfrecord holds 2 records where its manifest counts 3" in found(folder)[0]
    with pytest.raises(ArtefactError, match="holds 2 records where"):
        list(records(folder))


def test_bitstreams_that_decode_to_other_pixels_are_found(converted: Path, in_process: None) -> None:
    sentences = found(converted / "compressed", decoder_of=lambda _: OtherDecoder(8))
    assert len(sentences) == 3
    assert "shard-00000-of-00003.tfrecord: the bitstream of 'test/image 000' decodes to other pixels" in sentences[0]


def test_findings_of_all_artefacts_come_together(copied: Path, in_process: None) -> None:
    (copied / "originals" / "images.json").write_bytes(b"[]")
    (copied / "restored" / "manifest.json").unlink()
    sentences = found(copied / "originals", copied / "compressed", copied / "restored")
    assert len(sentences) == 2
    assert "restored/manifest.json is missing" in sentences[0]
    assert "originals/images.json has 2 bytes" in sentences[1]


SHARD = "shard-00001-of-00003.tfrecord"


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
@pytest.mark.parametrize("names", [[SHARD], ["images.json"], ["errors.jsonl"], [SHARD, "images.json", "errors.jsonl"]])
def test_converting_again_repairs_just_what_is_damaged(
    tmp_path: Path, in_process: None, names: list[str], damage: str
) -> None:
    source = FakeSource(10, broken=(0, 4))
    originals, folder = tmp_path / "o", tmp_path / "c"
    how = {"engine": inline, "thorough": True, "max_errors": 3}
    write_originals(source, "test", originals, images_per_shard=4, **how)
    write_compressed(originals, FakeCodec(8, fails_at=22), folder, **how)  # images 2, 5 and 8
    for repaired, write in (
        (originals, lambda: write_originals(source, "test", originals, images_per_shard=4, **how)),
        (folder, lambda: write_compressed(originals, FakeCodec(8, fails_at=22), folder, **how)),
    ):
        before, stats = contents(repaired), {path.name: path.stat() for path in repaired.iterdir()}
        for name in names:
            path = repaired / name
            if damage == "delete":
                path.unlink()
            else:
                data = bytearray(before[name])
                data[len(data) // 2] ^= 1
                path.write_bytes(data if damage == "flip" else data[:-1])
        assert found(repaired)
        write()
        assert contents(repaired) == before
        untouched = [name for name in before if name not in names and name.startswith(("shard-00000", "manifest"))]
        for name in untouched:
            assert (repaired / name).stat().st_ino == stats[name].st_ino or "errors.jsonl" in names


def test_only_the_images_of_damaged_shards_are_read_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    source = CountingSource(12, log=str(log))
    write_originals(source, "test", tmp_path / "it", images_per_shard=3, workers=1)
    (tmp_path / "it" / "shard-00002-of-00004.tfrecord").unlink()
    log.unlink()
    told: list[int] = []
    write_originals(
        source, "test", tmp_path / "it", images_per_shard=3, workers=1, progress=lambda state: told.append(state.images)
    )
    assert log.read_text().split() == ["test/image", "006", "test/image", "007", "test/image", "008"]
    assert told == [1, 2, 3]
    assert found(tmp_path / "it") == []


def test_what_cannot_be_made_as_it_was_is_refused_and_the_rest_kept(tmp_path: Path) -> None:
    write_originals(FakeSource(6), "test", tmp_path / "o", images_per_shard=2, engine=inline)

    class Changed(FakeCodec):
        """Another encoder under the same name."""

        def encode(self, pixels):
            return super().encode(pixels // 16 * 16)

    write_compressed(tmp_path / "o", FakeCodec(8), tmp_path / "c", engine=inline)
    before = contents(tmp_path / "c")
    (tmp_path / "c" / "shard-00001-of-00003.tfrecord").write_bytes(b"")
    with pytest.raises(ArtefactError, match="shard-00001-of-00003.tfrecord comes out differently"):
        write_compressed(tmp_path / "o", Changed(8), tmp_path / "c", engine=inline)
    assert contents(tmp_path / "c") == {**before, "shard-00001-of-00003.tfrecord": b""}


def test_training_opens_nothing_whose_counts_do_not_add_up(copied: Path) -> None:
    folder = copied / "compressed"
    with resign(folder) as content:
        content["files"][SHARD]["errors"] = 1
    with pytest.raises(ArtefactError, match=r"counts 1 errors in its shards and 0 in all"):
        check(folder)
    with resign(folder) as content:
        content["summary"]["errors"] = 1
    with pytest.raises(ArtefactError, match=r"counts 11 inputs in its shards and 10 in all"):
        check(folder)
    assert json.loads((folder / "images.json").read_text())
