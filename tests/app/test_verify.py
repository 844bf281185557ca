"""`dsr verify` finds what was emptied, renamed, moved and linked, and waits for nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from dsr.app.commands.verify import command
from dsr.experiments.graph.places import below
from dsr.tfrecords import verify
from dsr.tfrecords.building import building
from dsr.tfrecords.manifest import Identity
from tests.tfrecords.fakes import inline

IDENTITY = Identity("thing", "set/one", {"setting": 1})
OWN = f"set/one-{IDENTITY.fingerprint[:8]}"


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads in this process, which takes milliseconds."""
    monkeypatch.setattr(verify, "run", lambda work, tasks, workers: inline(work, tasks))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder with two artefacts."""
    for group in ("segmenters", "features"):
        with building(tmp_path / "work" / group / OWN, IDENTITY) as build:
            (build.path / "weights").write_bytes(os.urandom(1000))
            (build.path / "inner").mkdir()
            (build.path / "inner" / "more").write_bytes(b"more")
    return tmp_path / "work"


def findings(*paths: Path, work: Path) -> list[str]:
    result = CliRunner().invoke(command, [*map(str, paths), "--work", str(work), "--workers", "1"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    lines = result.output.splitlines()
    told = [line for line in lines if not line.endswith("findings") and not line.startswith("verify:")]
    assert result.exit_code == bool(told)
    return told


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_is_whole_has_no_findings_wherever_its_folder_is_reached(work: Path, tmp_path: Path) -> None:
    assert findings(work=work) == []
    assert findings(work / "segmenters" / OWN, work=tmp_path) == []
    (tmp_path / "link").symlink_to(work)
    assert findings(work=tmp_path / "link") == []
    assert len(below(tmp_path / "link")) == 2
    (work / "segmenters").rename(tmp_path / "big disk")
    (work / "segmenters").symlink_to(tmp_path / "big disk")
    (tmp_path / "big disk" / "set").rename(tmp_path / "bigger")
    (tmp_path / "big disk" / "set").symlink_to(tmp_path / "bigger")
    assert findings(work=work) == [] and len(below(work)) == 2
    flip(tmp_path / "bigger" / Path(OWN).name / "weights")
    (sentence,) = findings(work=work)
    assert f"{work}/segmenters/{OWN}/weights is not the file that was written" in sentence
    assert "there is nothing here that dsr made" in findings(tmp_path / "none", work=work)[0]


def test_a_flipped_bit_behind_a_link_is_found(work: Path, tmp_path: Path) -> None:
    artefact = work / "features" / OWN
    artefact.rename(tmp_path / "elsewhere")
    artefact.symlink_to(tmp_path / "elsewhere")
    assert findings(work=work) == []
    flip(tmp_path / "elsewhere" / "weights")
    (sentence,) = findings(work=work)
    assert f"{artefact}/weights is not the file that was written" in sentence
    shutil.rmtree(tmp_path / "elsewhere")
    (sentence,) = findings(work=work)
    assert f"{artefact}/manifest.json is missing" in sentence


def test_an_emptied_artefact_is_found(work: Path) -> None:
    artefact = work / "segmenters" / OWN
    for path in artefact.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (sentence,) = findings(work=work)
    assert f"{artefact}/manifest.json is missing" in sentence
    (artefact / "inner").mkdir()
    assert findings(work=work) == [sentence]


@pytest.mark.parametrize("name", ["set/one", "set/one-00000000", "set/other-{}", "group/{}", "one-{}", "set/x/one-{}"])
def test_a_renamed_artefact_is_found(work: Path, name: str) -> None:
    artefact = work / "segmenters" / OWN
    renamed = work / "segmenters" / name.format(IDENTITY.fingerprint[:8])
    renamed.parent.mkdir(parents=True, exist_ok=True)
    artefact.rename(renamed)
    (sentence,) = findings(work=work)
    assert sentence.startswith(f"{renamed} ")
    assert "holds another artefact" in sentence or f"name it {artefact} again" in sentence
    assert findings(work, work=work.parent) == [sentence], "also where the work folder is named"


def test_links_that_go_in_circles_end(work: Path) -> None:
    (work / "segmenters" / "set" / "loop").symlink_to(work)
    (work / "features" / "again").symlink_to(work / "features" / "again")
    assert findings(work=work) == []


@pytest.mark.parametrize("what", ["device", "pipe", "folder", "hole"])
@pytest.mark.parametrize("name", ["weights", "manifest.json"])
def test_nothing_waits_for_what_is_no_file(work: Path, name: str, what: str) -> None:
    path = work / "segmenters" / OWN / name
    path.unlink()
    if what == "device":
        path.symlink_to("/dev/zero")
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 43)
    (sentence,) = findings(work=work)
    assert str(path) in sentence
