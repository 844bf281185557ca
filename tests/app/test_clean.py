"""`dsr clean` removes what no stored study needs, asks first, and leaves alone what is in use or behind a link."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dsr.app.cli import cli
from dsr.data_pipelines.codecs.msh.codec import SHIPPED
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.presets import preset
from dsr.experiments.stored_study import store
from dsr.experiments.study import ORIGINAL, Study
from dsr.tfrecords import files
from dsr.tfrecords.building import building
from dsr.tfrecords.layout import partial_of
from dsr.tfrecords.manifest import Identity


def clean(work: Path, *arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli, ["clean", "--work", str(work), *arguments], input=answer)


def make(folder: Path, identity: Identity) -> Path:
    with building(folder, identity) as build:
        (build.path / "data").write_bytes(b"x" * 1000)
    return folder


def leave(folder: Path, days: float) -> Path:
    """Begin an artefact, and leave it so many days ago."""
    with pytest.raises(KeyboardInterrupt), building(folder, Identity("shards", "n", {})) as build:
        (build.path / "data").write_bytes(b"x" * 1000)
        raise KeyboardInterrupt
    partial = partial_of(folder)
    for path in (*partial.rglob("*"), partial):
        os.utime(path, (time.time() - days * 86400,) * 2)
    return partial


@pytest.fixture
def study(tmp_path: Path) -> Study:
    small = ["dataset.options.height=32", "dataset.options.width=48"]
    found = Study(apply_overrides(preset("demo"), small), tmp_path / "work")
    store(found, "demo")
    return found


def test_a_file_that_goes_while_it_is_looked_at_stops_neither_clean_nor_status(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a checkpoint does of a training under way, when the next one is there."""
    leave(study.work / "restorers/old-12345678", 9)
    walk, names = os.walk, files.names
    monkeypatch.setattr(os, "walk", lambda top, **how: ((a, b, [*c, "gone"]) for a, b, c in walk(top, **how)))
    monkeypatch.setattr(files, "names", lambda folder: [*names(folder), "gone"])
    assert "old-12345678.partial" in clean(study.work, "--dry-run").output
    listed = CliRunner().invoke(cli, ["status", "--work", str(study.work)])
    assert listed.exit_code == 0 and "old-12345678.partial" in listed.output


def test_what_a_study_needs_stays_and_the_rest_goes_after_a_yes(study: Study) -> None:
    needed = study.shards(ORIGINAL, "test")
    make(needed.folder, needed.identity)
    alone = make(study.work / "shards/streets/test/jpeg-12345678", Identity("shards", "streets/test/jpeg", {}))
    old, young = (leave(study.work / f"restorers/{name}-12345678", days) for name, days in (("old", 9), ("young", 0)))
    before = sorted(study.work.rglob("*"))
    for result in (clean(study.work, "--dry-run"), clean(study.work, answer="n\n")):
        assert "jpeg-12345678" in result.output and "old-12345678.partial" in result.output
        assert "young" not in result.output and needed.folder.name not in result.output
        assert sorted(study.work.rglob("*")) == before
    result = clean(study.work, answer="y\n")
    assert result.exit_code == 0 and "removed 2 folders, " in result.output
    assert not alone.exists() and not old.exists()
    assert young.exists() and needed.exists


def test_asked_for_json_it_writes_nothing_else_on_standard_output(study: Study) -> None:
    make(study.work / "codecs/one-12345678", Identity("codec", "one", {}))
    result = clean(study.work, "--json", answer="y\n")
    assert [one["folder"] for one in json.loads(result.stdout)["removed"]] == [str(study.work / "codecs/one-12345678")]
    assert "codecs/one-12345678" in result.stderr and "Remove them?" in result.stderr


def test_an_unfinished_artefact_of_a_study_stays_however_old(study: Study) -> None:
    partial = leave(study.shards(ORIGINAL, "train").folder, 99)
    assert "0 folders" in clean(study.work, "--yes").output
    assert partial.exists()


def test_what_another_process_makes_stays(study: Study) -> None:
    folder = study.work / "codecs/one-12345678"
    with building(folder, Identity("codec", "one", {})) as build:
        (build.path / "data").write_bytes(b"x")
        result = clean(study.work, "--yes", "--older-than", "0")
        assert "stays: " in result.output and "removed 0 folders" in result.output
        assert (build.path / "data").exists()


def test_what_cannot_be_removed_is_told_and_not_counted(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a work folder that several users share."""
    finished = make(study.work / "codecs/one-12345678", Identity("codec", "one", {}))
    begun = leave(study.work / "codecs/two-12345678", 9)
    open_file = os.open

    def refuse(path: str, *how: int) -> int:
        if Path(path).name == "lock" and begun in Path(path).parents:
            raise PermissionError(13, "Permission denied", str(path))
        return open_file(path, *how)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
    result = clean(study.work, "--yes")
    assert result.exit_code == 0 and "removed 0 folders, 0 B" in result.output
    assert f"stays: {finished} cannot be removed whole" in result.output
    assert f"stays: {begun} cannot be written: Permission denied" in result.output


def test_nothing_behind_a_link_is_touched(study: Study, tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "elsewhere/one-12345678", Identity("codec", "one", {}))
    (study.work / "codecs").mkdir(parents=True)
    (study.work / "codecs/one-12345678").symlink_to(elsewhere)
    (study.work / "segmenters").symlink_to(elsewhere.parent)
    assert "0 folders" in clean(study.work, "--yes").output
    assert (elsewhere / "data").exists()


def test_what_a_report_stands_on_stays_also_where_nothing_else_is_known_of_the_study(study: Study) -> None:
    """As of a study that was run before settings were kept."""
    cited, other = (make(study.work / f"codecs/{n}-12345678", Identity("codec", n, {})) for n in ("cited", "other"))
    report = study.work / "studies" / "old" / "results.json"
    report.parent.mkdir()
    report.write_text(json.dumps({"artefacts": [{"folder": "codecs/cited-12345678"}]}))
    assert "removed 1 folders" in clean(study.work, "--yes").output
    assert cited.exists() and not other.exists()
    report.write_text("{")
    assert "nothing is removed" in str(clean(study.work, "--yes").exception)


def test_what_a_report_of_scores_stands_on_stays(study: Study) -> None:
    cited, other = (make(study.work / f"evaluations/{n}-12345678", Identity("evaluation", n, {})) for n in ("a", "b"))
    report = study.work / "scores" / "data" / "net" / "results.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"artefacts": [{"folder": "evaluations/a-12345678"}]}))
    assert "removed 1 folders" in clean(study.work, "--yes").output
    assert cited.exists() and not other.exists()


@pytest.mark.parametrize(
    "where", ["restorer.gan.start={}", "codec.start={}/data", "points=msh-quality3+model={}/msh.npz"]
)
def test_what_a_study_starts_from_by_its_path_stays(where: str, study: Study) -> None:
    named, other = (make(study.work / f"codecs/{n}-12345678", Identity("codec", n, {})) for n in ("named", "other"))
    shutil.copy(SHIPPED, named)
    store(Study(apply_overrides(study.config, [where.format(named)]), study.work), "demo")
    assert "removed 1 folders" in clean(study.work, "--yes").output
    assert named.exists() and not other.exists()


def test_nothing_goes_while_a_study_cannot_be_told(study: Study) -> None:
    alone = make(study.work / "codecs/one-12345678", Identity("codec", "one", {}))
    (study.folder / "study.toml").write_text("points = 3")
    result = clean(study.work, "--yes")
    assert result.exit_code == 1 and "nothing is removed" in str(result.exception)
    assert alone.exists()
