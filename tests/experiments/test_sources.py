"""A file that changed is noticed, whatever its size and its times say."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from dsr.data_pipelines.datasets.files import read_bytes
from dsr.experiments import conversion, sources
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.schema import DatasetConfig
from dsr.experiments.conversion import Converting
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import ORIGINAL, Study
from dsr.tfrecords.conversions import compressed_identity
from dsr.tfrecords.engine import How
from dsr.tfrecords.manifest import Manifest, records
from tests.data_pipelines.datasets.files import ids, picture, save
from tests.experiments import studies
from tests.tfrecords.fakes import inline


@pytest.fixture()
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for number in range(4):
        for split in ("train", "test", "restore"):
            save(folder / "images" / split / f"{number}.png", picture(number, 8, 12))
            save(folder / "labels" / split / f"{number}.bmp", ids(number, 8, 12, [0, 1]))
    (folder / "classes.csv").write_text("id,name\n0,a\n1,b\n")
    return folder


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written just now counts here as what was written long ago."""
    monkeypatch.setattr(sources, "_SETTLED", 0)


def study(root: Path, *overrides: str) -> Study:
    config = studies.small()
    config = apply_overrides(
        type(config)(**{**vars(config), "dataset": DatasetConfig.of("folder", str(root))}), ["points=none", *overrides]
    )
    return Study(config, root.parent / "work", Converting(How(engine=inline)))


def build(artefact: Artefact, root: Path) -> None:
    conversion.build_originals(study(root).source, artefact, Progress(), Converting(How(engine=inline)))


def edit(root: Path, number: int = 2) -> Path:
    """Another label in a file of the same size."""
    path = root / "labels" / "train" / f"{number}.bmp"
    size = path.stat().st_size
    save(path, 1 - ids(number, 8, 12, [0, 1]))
    assert path.stat().st_size == size
    return path


def labels(artefact: Artefact) -> list[list[int]]:
    found = []
    for record in records(artefact.folder):
        train_ids = record.train_ids()
        assert train_ids is not None
        found.append(train_ids.ravel().tolist())
    return found


def test_an_edited_label_of_the_same_size_makes_other_shards_and_all_that_follows(root: Path) -> None:
    before = study(root).shards(ORIGINAL, "train")
    build(before, root)
    old = labels(before)
    edit(root)
    changed = study(root)
    after = changed.shards(ORIGINAL, "train")
    assert after.fingerprint != before.fingerprint and after.folder != before.folder and not after.exists
    assert "1 of 8 source files changed" in after.notes[0] and "label/2.bmp" not in after.notes[0]
    assert "label/train/2.bmp" in after.notes[0]
    (codec,) = changed.degradations
    derived = compressed_identity(before.identity, codec)
    assert changed.shards(Domain("C", codec), "train").fingerprint != derived.fingerprint
    build(after, root)
    assert labels(before) == old and labels(after) == [old[0], old[1], [1 - i for i in old[2]], old[3]]
    assert changed.shards(ORIGINAL, "test").notes == ()


def test_what_did_not_change_has_the_name_of_its_listing_and_is_not_read_again(root: Path, monkeypatch) -> None:
    plain = study(root).shards(ORIGINAL, "train")
    build(plain, root)
    read: list[Path] = []

    def reading(path: Path, limit: int) -> bytes:
        read.append(path)
        return read_bytes(path, limit)

    monkeypatch.setattr("dsr.data_pipelines.datasets.file_source.read_bytes", reading)
    again = study(root).shards(ORIGINAL, "train")
    assert again.fingerprint == plain.fingerprint and read == []
    assert again.notes == ("its 8 source files are as they were (8 by size and time, 0 by SHA-256)",)
    os.utime(root / "images" / "train" / "1.png")
    again = study(root).shards(ORIGINAL, "train")
    assert again.fingerprint == plain.fingerprint and {path.name for path in read} == {"1.png", "1.bmp"}
    assert "7 by size and time, 1 by SHA-256" in again.notes[0]
    read.clear()
    assert study(root).shards(ORIGINAL, "train").fingerprint == plain.fingerprint and read == []


def test_times_that_were_set_back_hide_nothing(root: Path) -> None:
    plain = study(root).shards(ORIGINAL, "train")
    build(plain, root)
    path = root / "labels" / "train" / "2.bmp"
    times = path.stat()
    edit(root)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert study(root).shards(ORIGINAL, "train").fingerprint != plain.fingerprint


def test_files_that_were_written_just_now_are_read_again(root: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "_SETTLED", 3_600_000_000_000)
    plain = study(root).shards(ORIGINAL, "train")
    build(plain, root)
    for _ in range(2):
        assert "0 by size and time, 8 by SHA-256" in study(root).shards(ORIGINAL, "train").notes[0]


def test_the_old_content_has_its_old_name_again_and_the_new_keeps_its_own(root: Path) -> None:
    plain = study(root).shards(ORIGINAL, "train")
    build(plain, root)
    original = (root / "labels" / "train" / "2.bmp").read_bytes()
    path = edit(root)
    new = path.read_bytes()
    names = [study(root).shards(ORIGINAL, "train").fingerprint]
    for content in (original, new, original):
        path.write_bytes(content)
        names.append(study(root).shards(ORIGINAL, "train").fingerprint)
    assert names == [names[0], plain.fingerprint, names[0], plain.fingerprint]


def test_a_change_is_noticed_also_where_the_original_shards_were_deleted(root: Path) -> None:
    plain = study(root).shards(ORIGINAL, "train")
    build(plain, root)
    shutil.rmtree(plain.folder)
    assert study(root).shards(ORIGINAL, "train").fingerprint == plain.fingerprint
    edit(root)
    assert study(root).shards(ORIGINAL, "train").fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[]", b'{"first": {"a": 1}, "seen": {"image/1.png": [1]}}', b"\xff"]
)
def test_a_memory_that_is_lost_or_damaged_is_made_anew_from_the_shards(root: Path, content: bytes | None) -> None:
    plain = study(root).shards(ORIGINAL, "train")
    build(plain, root)
    (memory,) = (root.parent / "work" / "sources").rglob("*.json")
    memory.unlink()
    if content is not None:
        memory.write_bytes(content)
    assert "8 by SHA-256" in study(root).shards(ORIGINAL, "train").notes[0]
    edit(root)
    assert study(root).shards(ORIGINAL, "train").fingerprint != plain.fingerprint


def test_a_conversion_that_goes_on_makes_shards_of_changed_files_anew(root: Path) -> None:
    class StopError(Exception):
        pass

    def stopping(work, tasks):
        for task in tasks[:3]:
            for item in work(task):
                yield task, item
        raise StopError

    artefact = study(root, "images_per_shard=1").shards(ORIGINAL, "train")
    source = study(root).source
    with pytest.raises(StopError):
        conversion.build_originals(source, artefact, Progress(), Converting(How(engine=stopping)))
    edit(root, 1)
    done: list[int] = []

    def counting(work, tasks):
        done.extend(task.index for task in tasks)
        yield from inline(work, tasks)

    conversion.build_originals(source, artefact, Progress(), Converting(How(engine=counting)))
    assert done == [1, 3]
    for number, label in enumerate(labels(artefact)):
        raw = ids(number, 8, 12, [0, 1])
        assert label == (1 - raw if number == 1 else raw).ravel().tolist()
    assert study(root, "images_per_shard=1").shards(ORIGINAL, "train").fingerprint == artefact.fingerprint


def test_shards_say_which_files_they_were_made_from_and_how_large_the_images_are(root: Path) -> None:
    artefact = study(root).shards(ORIGINAL, "train")
    build(artefact, root)
    told = [json.loads(line) for line in (artefact.folder / "sources.jsonl").read_text().splitlines()]
    assert [(file["kind"], file["name"]) for file in told] == [
        (kind, f"train/{number}.{suffix}")
        for number in range(4)
        for kind, suffix in (("image", "png"), ("label", "bmp"))
    ]
    images = [path.stat().st_size for path in (root / "images" / "train").iterdir()]
    summary = Manifest.load(artefact.folder).summary
    assert summary["source"] == {"files": 8, "bytes": sum(images), "pixels": 4 * 8 * 12}
    assert "others" not in summary
    (artefact.folder / "sources.jsonl").write_text("")
    build(artefact, root)  # repairs
    assert [json.loads(line) for line in (artefact.folder / "sources.jsonl").read_text().splitlines()] == told


def test_what_is_left_out_stands_in_the_plan_and_in_the_manifest(root: Path) -> None:
    (root / "images" / "train" / "5.heic").touch()
    artefact = study(root, "dataset.options.skip_others=true").shards(ORIGINAL, "train")
    assert artefact.notes == ("leaves out 1 file or folder (images/train/5.heic: its suffix is not read)",)
    source = study(root, "dataset.options.skip_others=true").source
    conversion.build_originals(source, artefact, Progress(), Converting(How(engine=inline)))
    assert Manifest.load(artefact.folder).summary["others"] == {
        "number": 1,
        "names": ["images/train/5.heic: its suffix is not read"],
    }


def test_val_plays_restore_where_nothing_else_does(root: Path) -> None:
    for side in ("images", "labels"):
        (root / side / "restore").rename(root / side / "val")
    assert study(root).split("restore") == "val"
    assert study(root).source.samples("val")[0].image == "val/0.png"
    assert study(root).shards(ORIGINAL, "restore").name == "folder/val/original"
    for side in ("images", "labels"):
        shutil.rmtree(root / side / "test")
    with pytest.raises(
        ConfigError, match=r"no split test to test segmenters on, only train, val: .*--set dataset\.test=val"
    ):
        study(root)
    with pytest.raises(
        ConfigError, match=r"no split restore to train codecs and restorers on, only train, val: make a"
    ):
        study(root, "dataset.test=val")


def test_a_dataset_without_labels_is_refused_before_any_work(root: Path) -> None:
    config = studies.small()
    config = type(config)(**{**vars(config), "dataset": DatasetConfig.of("photos", str(root / "images"))})
    without = Study(config, root.parent / "work")
    with pytest.raises(ConfigError, match="dataset photos has no labels in its split all to test segmenters on"):
        without.evaluations()
    with pytest.raises(ConfigError, match="to train segmenters on"):
        without.segmenter(ORIGINAL, 0)
    assert without.shards(Domain("C", without.degradations[0]), "train").name.startswith("photos/all/")
    assert not (root.parent / "work").exists()
