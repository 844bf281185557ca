from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dsr.tfrecords import building as module
from dsr.tfrecords import locks
from dsr.tfrecords.building import building, check_begun, finished
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import frame, read_frames
from dsr.tfrecords.manifest import Identity, Manifest, check, installed_versions, records
from tests.tfrecords.writing import resign

IDENTITY = Identity("trainings", "a training", {"network": {"width": 8}, "steps": 3}, {"shards": "f00"})
OTHER = replace(IDENTITY, config={"network": {"width": 16}, "steps": 3})
ROOT = Path(__file__).parents[2]


def make(folder: Path, identity: Identity = IDENTITY, text: str = "weights") -> Manifest:
    with building(folder, identity) as build:
        (build.path / "inner").mkdir(exist_ok=True)
        (build.path / "inner" / "weights").write_text(text)
        (build.scratch / "checkpoint").write_text("half of it")
        build.summary["loss"] = 0.5
    assert build.manifest is not None
    return build.manifest


def entries(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_whole_artefact_is_its_files_and_its_manifest(tmp_path: Path) -> None:
    manifest = make(tmp_path / "deep" / "down")
    assert entries(tmp_path / "deep") == ["down", "down/inner", "down/inner/weights", "down/manifest.json"]
    assert manifest == Manifest.load(tmp_path / "deep" / "down") == check(tmp_path / "deep" / "down")
    digest = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"  # `printf weights | sha256sum`
    assert manifest.files == {"inner/weights": {"bytes": 7, "sha256": digest}}
    assert manifest.identity == IDENTITY
    assert manifest.fingerprint == IDENTITY.fingerprint
    assert manifest.summary == {"loss": 0.5}
    assert manifest.versions == installed_versions()
    assert set(manifest.versions) >= {"python", "numpy", "tensorflow"}


def test_fingerprints_follow_content_and_not_order_or_name() -> None:
    turned = Identity("trainings", "other", {"steps": 3, "network": {"width": 8}}, {"shards": "f00"})
    assert turned.fingerprint == IDENTITY.fingerprint
    changed = [OTHER, replace(IDENTITY, kind="x"), replace(IDENTITY, inputs={}), replace(IDENTITY, config={})]
    assert len({identity.fingerprint for identity in [IDENTITY, *changed]}) == 5


def test_what_is_finished_is_found_and_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "it"
    assert finished(folder, IDENTITY) is None
    manifest = make(folder)
    assert finished(folder, IDENTITY) == manifest
    with pytest.raises(ArtefactError, match=r"config\.network\.width is 8 there and 16 here"):
        finished(folder, OTHER)
    with pytest.raises(ArtefactError, match="exists already"):
        make(folder, text="other")
    assert entries(tmp_path) == ["it", "it/inner", "it/inner/weights", "it/manifest.json"]
    check(folder)


def test_a_folder_of_the_user_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_text("x")
    with pytest.raises(ArtefactError, match="no finished artefact of dsr"):
        finished(tmp_path / "mine", IDENTITY)
    with pytest.raises(ArtefactError, match="exists already"):
        make(tmp_path / "mine")
    assert entries(tmp_path) == ["mine", "mine/photo.jpg"]


@pytest.mark.parametrize("part", ["", "1-of-2"])
def test_a_folder_of_the_user_that_is_called_as_one_in_the_making_is_not_touched(part: str, tmp_path: Path) -> None:
    (tmp_path / "it.partial").mkdir()
    (tmp_path / "it.partial" / "photo.jpg").write_text("x")
    said = r"it\.partial holds files that dsr did not write.*move it away"
    with pytest.raises(ArtefactError, match=said), building(tmp_path / "it", IDENTITY, part):
        pass
    with pytest.raises(ArtefactError, match="move it away"):
        check_begun(tmp_path / "it.partial", IDENTITY)
    assert entries(tmp_path) == ["it.partial", "it.partial/photo.jpg"]


def test_an_empty_folder_of_the_user_is_used(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty")
    check(tmp_path / "empty")


def test_an_interrupted_making_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "it"
    with pytest.raises(KeyboardInterrupt), building(folder, IDENTITY) as build:
        assert not build.resumed
        (build.scratch / "checkpoint").write_text("step 2")
        time.sleep(0.02)
        build.keep_time()
        raise KeyboardInterrupt
    assert finished(folder, IDENTITY) is None
    with building(folder, IDENTITY) as build:
        assert build.resumed
        assert (build.scratch / "checkpoint").read_text() == "step 2"
        assert build.seconds >= 0.02
    assert entries(tmp_path) == ["it", "it/manifest.json"]
    assert build.manifest is not None
    assert build.manifest.seconds >= 0.02


def test_work_of_another_configuration_is_refused_and_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), building(tmp_path / "it", IDENTITY) as build:
        (build.scratch / "checkpoint").write_text("days of work")
        raise KeyboardInterrupt
    with pytest.raises(
        ArtefactError, match=r"it\.partial holds an unfinished 'a training'.*width is 8 there and 16 here"
    ):
        make(tmp_path / "it", OTHER)
    assert (tmp_path / "it.partial/.building/checkpoint").read_text() == "days of work"


def test_a_failure_before_any_work_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), building(tmp_path / "it", IDENTITY):
        raise ZeroDivisionError
    assert entries(tmp_path) == []


@pytest.mark.parametrize("moment", ["before the rename", "after the rename"])
def test_a_crash_at_the_end_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    def crash(*_: object, **__: object) -> None:
        raise MemoryError

    where = (module.os, "rename") if moment == "before the rename" else (module.files, "remove")
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(*where, crash)
        make(tmp_path / "it")
    if moment == "before the rename":
        make(tmp_path / "it")
    assert finished(tmp_path / "it", IDENTITY) == check(tmp_path / "it")
    assert entries(tmp_path) == ["it", "it/inner", "it/inner/weights", "it/manifest.json"]


def test_a_second_maker_hears_at_once_who_the_first_is(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from dsr.tfrecords.building import building; from dsr.tfrecords.manifest import Identity\n"
        "with building(Path(sys.argv[1]), Identity('trainings', 'x', {})): print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "it"], cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ArtefactError, match=f"being made by process {holder.pid} on {socket.gethostname()}"):
            make(tmp_path / "it")
        holder.send_signal(signal.SIGKILL)
    # The lock died with its holder.
    make(tmp_path / "it")


def test_a_process_without_standard_input_lets_its_locks_go(tmp_path: Path) -> None:
    """The first file that it opens has the descriptor 0."""
    code = (
        "import os, sys; from pathlib import Path; from dsr.tfrecords.building import building;"
        "from dsr.tfrecords.manifest import Identity; os.close(0);"
        "made = Path(sys.argv[1]) / 'made', Identity('thing', 'a', {})"
        "\nfor part in ('1-of-1', ''):"
        "\n    with building(*made, part) as build: (build.path / 'a').touch()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, check=True)
    assert check(tmp_path / "made").name == "a"


def test_a_lock_that_is_won_because_the_folder_was_just_finished_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = building(tmp_path / "it", IDENTITY)
    first.__enter__()
    lock = locks.fcntl.flock

    def finish_and_lock(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        first.__exit__(None, None, None)
        lock(descriptor, operation)

    monkeypatch.setattr(locks.fcntl, "flock", finish_and_lock)
    with pytest.raises(ArtefactError, match="exists already"):
        make(tmp_path / "it")
    assert entries(tmp_path) == ["it", "it/manifest.json"]


def test_a_folder_that_is_finished_just_before_its_lock_is_won_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def occupied(folder: Path) -> bool:
        monkeypatch.undo()
        make(folder)  # by another process, which is done when this one has looked
        return False

    monkeypatch.setattr(locks, "occupied", occupied)
    with (
        pytest.raises(ArtefactError, match="exists already"),
        building(tmp_path / "made", IDENTITY) as build,
    ):
        (build.path / "weights").write_text("other")
    assert check(tmp_path / "made").fingerprint == IDENTITY.fingerprint


def test_a_place_that_cannot_be_written_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtefactError, match="cannot be written: Not a directory"):
        make(tmp_path / "file" / "it")


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"format": 2}', "[" * 5000, '{"format": 2, "kind": 3}'],
    ids=["empty", "list", "no fields", "nested", "unknown"],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    make(tmp_path / "it")
    (tmp_path / "it" / "manifest.json").write_text(text)
    with pytest.raises(ArtefactError, match=r"it/manifest\.json is damaged"):
        Manifest.load(tmp_path / "it")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("files", {"../outside": {"bytes": 1, "sha256": ""}}),
        ("files", {"/etc/passwd": {"bytes": 1, "sha256": ""}}),
        ("files", {"weights": {"bytes": "7", "sha256": ""}}),
        ("files", {"weights": {"sha256": ""}}),
        ("files", {"weights": 7}),
        ("files", {"": {"bytes": 4096, "sha256": ""}}),
        ("files", {"nul\0": {"bytes": 1, "sha256": ""}}),
        ("files", {"surrogate\ud800": {"bytes": 1, "sha256": ""}}),
        ("inputs", []),
        ("seconds", "long"),
    ],
)
def test_a_hostile_manifest_is_refused(tmp_path: Path, field: str, value: object) -> None:
    make(tmp_path / "it")
    path = tmp_path / "it" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(ArtefactError, match=r"it/manifest\.json is damaged \((?!its checksum)"):
        check(tmp_path / "it")


def test_an_artefact_of_another_format_is_no_damage(tmp_path: Path) -> None:
    make(tmp_path / "it")
    path = tmp_path / "it" / "manifest.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(ArtefactError, match=r"it is of another version of dsr \(format 3, not 2\)"):
        check(tmp_path / "it")


def test_all_that_differs_is_told_at_once(tmp_path: Path) -> None:
    make(tmp_path / "it")
    other = Identity("trainings", "it", {"network": {"width": 16}, "steps": 4, "seed": 1}, {"shards": "f01"})
    with pytest.raises(ArtefactError) as refusal:
        finished(tmp_path / "it", other)
    for difference in (
        "config.network.width is 8 there and 16 here",
        "config.seed is null there and 1 here",
        "config.steps is 3 there and 4 here",
        'inputs.shards is "f00" there and "f01" here',
    ):
        assert difference in str(refusal.value)


def test_a_cheap_check_sees_missing_and_cut_files(copied: Path) -> None:
    shard = copied / "compressed" / "shard-00001-of-00003.tfrecord"
    *kept, _ = read_frames(shard)
    shard.write_bytes(b"".join(frame(record) for record in kept))
    with pytest.raises(ArtefactError, match=r"shard-00001-of-00003.tfrecord has \d+ bytes, not"):
        check(copied / "compressed")
    shard.unlink()
    with pytest.raises(ArtefactError, match="shard-00001-of-00003.tfrecord is missing"):
        check(copied / "compressed")
    with pytest.raises(ArtefactError, match="shard-00001-of-00003.tfrecord is missing"):
        next(records(copied / "compressed"))


def test_a_cheap_check_sees_counts_that_do_not_add_up(copied: Path) -> None:
    with resign(copied / "compressed") as content:
        content["files"]["shard-00001-of-00003.tfrecord"]["records"] -= 1
    with pytest.raises(ArtefactError, match=r"manifest\.json counts 9 images in its shards and 10 in all"):
        check(copied / "compressed")
