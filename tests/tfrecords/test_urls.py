"""Conversions to an object store: no locks and no renames there, the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsr.tfrecords import files
from dsr.tfrecords.building import begun
from dsr.tfrecords.conversions import original_identity, to_originals
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import Manifest, check, records
from dsr.tfrecords.plan import Part
from tests.tfrecords.fakes import INLINE, FakeCodec, FakeRestorer, FakeSource, inline
from tests.tfrecords.object_store import object_store
from tests.tfrecords.writing import write_compressed, write_originals, write_restored


def write_everything(work: Path) -> None:
    write_originals(FakeSource(4, broken=(1,)), "test", work / "o", images_per_shard=2, max_errors=1, engine=inline)
    write_compressed(work / "o", FakeCodec(8), work / "c", engine=inline)
    write_restored(work / "c", work / "o", FakeRestorer(8), work / "r", engine=inline)


@pytest.mark.tensorflow
def test_an_artefact_in_a_store_is_the_same_made_resumed_joined_and_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_everything(tmp_path)
    with object_store(tmp_path) as (environment, objects):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        work = files.location("gs://bucket/work")
        write_everything(work)
        for stage in ("o", "c", "r"):
            assert check(work / stage).files == Manifest.load(tmp_path / stage).files
            assert [r.key for r in records(work / stage)] == [r.key for r in records(tmp_path / stage)]
        assert not [name for name in objects if ".building" in name or name.endswith(".tmp")]

        (shard,) = (name for name in objects if "/c/shard-00001" in name)
        whole = objects[shard]
        (work / "c" / "shard-00001-of-00002.tfrecord").write_bytes(whole[:-1])
        write_compressed(work / "o", FakeCodec(8), work / "c", engine=inline)
        assert objects[shard] == whole

        source = FakeSource(4)
        conversion = to_originals(source, "test", images_per_shard=2)
        conversion.write_part(work / "parts", Part(2, 2), INLINE)
        assert begun(work / "parts") == original_identity(source, "test", images_per_shard=2)
        with pytest.raises(ArtefactError, match="1 of 2 shards are missing"):
            conversion.finish(work / "parts")
        conversion.write_part(work / "parts", Part(1, 2), INLINE)
        assert conversion.finish(work / "parts").summary["images"] == 4
        write_originals(source, "test", tmp_path / "parts", images_per_shard=2, engine=inline)
        assert check(work / "parts").files == Manifest.load(tmp_path / "parts").files
