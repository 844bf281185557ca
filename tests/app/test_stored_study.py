"""A study that was run is known by its name; what is given besides wins, and what contradicts is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dsr.app.cli import cli
from dsr.data_pipelines.codecs.msh.codec import SHIPPED
from dsr.experiments.analysis.report import write_report
from dsr.experiments.analysis.scaling import scaling_table
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.presets import preset
from dsr.experiments.config.settings import configured
from dsr.experiments.last_conversion import last_conversion, remember_conversion
from dsr.experiments.measurements.kept import SCALING
from dsr.experiments.stored_study import claim_folder, store, stored, stored_config
from dsr.experiments.study import Study
from tests.experiments.analysis import example

GIVEN = ["points=jpeg-quality10", "segmenter.steps=25", "seeds=2", "restorers=rdn-psnr"]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    store(Study(apply_overrides(preset("demo"), ["name=mine", *GIVEN]), tmp_path), "demo")
    return tmp_path


def printed(work: Path, *arguments: str) -> Any:
    result = CliRunner().invoke(cli, [*arguments, "--json", "--quiet", "--work", str(work)])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_name_of_a_study_stands_for_all_its_options(work: Path, tmp_path: Path) -> None:
    by_name = printed(work, "run", "mine", "--dry-run")
    repeated = [word for setting in ("name=mine", *GIVEN) for word in ("--set", setting)]
    assert by_name == printed(work, "run", "--dry-run", *repeated)
    assert by_name != printed(work, "run", "--dry-run")
    assert printed(work, "report", "mine", "--dry-run") == {
        "evaluations": 0,
        "of": 12,
        "folder": str(work / "studies" / "mine"),
    }
    assert printed(work, "status", "mine")["steps"][-1]["state"] == "to make"


def test_a_path_that_is_no_text_is_refused_in_one_sentence(tmp_path: Path) -> None:
    backbone = tmp_path / os.fsdecode(b"net\xff.h5")
    backbone.touch()
    study = Study(apply_overrides(preset("demo"), [f"segmenter.network.weights={backbone}"]), tmp_path)
    with pytest.raises(ConfigError, match=r"study\.toml .* no UTF-8 text; rename it"):
        store(study, "demo")


def test_a_point_s_model_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "mine").mkdir(parents=True)
    shutil.copyfile(SHIPPED, tmp_path / "here" / "mine" / "codec.npz")
    monkeypatch.chdir(tmp_path / "here")
    points = "points=downsample2+msh-quality3+model=mine,jpeg-quality7,msh-quality2+model=trained"
    made = Study(apply_overrides(preset("demo"), ["name=mine", points]), tmp_path / "work")
    store(made, "demo")
    alone = Study(dataclasses.replace(made.config, points=made.config.points[:1]), made.work)
    remember_conversion(alone)
    monkeypatch.chdir(tmp_path)
    again = Study(stored_config(made.work, "mine"), made.work)
    assert [one.point for one in again.degradations] == [one.point for one in made.degradations]
    assert last_conversion(again).make() == alone.degradations[0]


@pytest.mark.parametrize(
    "write",
    [
        lambda study: store(study, "demo"),
        claim_folder,
        remember_conversion,
        lambda study: SCALING.keep(study, [], scaling_table([])),
        lambda study: write_report(example.study(), study.folder),
    ],
)
def test_several_processes_may_write_the_same_file_of_a_study_at_once(
    write: Callable[[Study], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the hosts do that share a study, when they begin it and when they end it."""
    study = Study(apply_overrides(preset("demo"), ["points=jpeg-quality10"]), tmp_path)
    replace, begun = os.replace, []

    def beside(source: Path, target: Path) -> None:
        if not begun:
            begun.append(target)
            write(study)
        replace(source, target)

    monkeypatch.setattr(os, "replace", beside)
    write(study)
    assert begun and begun[0].stat().st_size > 0 and not list(study.folder.glob("*.tmp"))


def test_an_option_beside_the_name_wins(work: Path) -> None:
    keys = {s["key"]: s["value"] for s in printed(work, "config", "mine", "--set", "segmenter.steps=3")}
    assert (keys["segmenter.steps"], keys["seeds"], keys["name"]) == (3, 2, "mine")


@pytest.mark.parametrize(
    "option", [["--preset", "demo"], ["--dataset", "streets"], ["--root", "/"], ["--name", "yours"]]
)
def test_an_option_that_says_which_study_it_is_is_refused_beside_a_name(work: Path, option: list[str]) -> None:
    result = CliRunner().invoke(cli, ["run", "mine", *option, "--work", str(work)])
    assert result.exit_code == 2 and option[0] in result.output


def test_a_name_that_was_not_run_names_those_that_were(work: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["report", "mime", "--work", str(work)])
    assert isinstance(result.exception, ConfigError) and 'did you mean "mine"' in str(result.exception)
    with pytest.raises(ConfigError, match="no study"):
        stored(work, "../studies/mine")


def test_a_study_of_a_folder_is_found_again_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(4):
        (tmp_path / "photos" / f"{number}.png").write_bytes(b"")
    config = configured("demo", ["dataset.name=photos", "dataset.root=photos"])
    path = store(Study(config, tmp_path / "work"), "demo")
    assert path.parent.name == "photos"
    monkeypatch.chdir("/")
    assert stored_config(tmp_path / "work", "photos").dataset.open().samples("all")
    lines = CliRunner().invoke(cli, ["status", "--work", str(tmp_path / "work")]).output.splitlines()
    assert lines[1].split() == ["photos", "photos:", "downsample2+bpg-qp28;", "rdn-psnr;", "3", "seeds"]
    assert f'dataset.root = "{tmp_path / "photos"}"' in path.read_text()


def test_a_file_gives_what_no_option_gives(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('preset = "camvid"\ndataset.name = "streets"\nsegmenter.steps = 9\nseeds = 4\n')
    keys = {s["key"]: s["value"] for s in printed(tmp_path, "config", "--config", str(file), "--set", "seeds=5")}
    assert (keys["segmenter.steps"], keys["seeds"], keys["segmenter.batch"]) == (9, 5, 4)
    assert keys["dataset.restore"] == "restore" and keys["name"] == "streets"


def test_a_files_options_are_those_of_the_dataset_that_an_option_names(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('[dataset.options]\nignore_ids = "012"\n')
    settings = printed(tmp_path, "config", "--config", str(file), "--set", "dataset.name=folder")
    assert {s["key"]: s["value"] for s in settings}["dataset.options.ignore_ids"] == "012"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    for command in (
        ["run"],
        ["train", "--config", "RO"],
        ["convert"],
        ["rate-distortion"],
        ["train-codec"],
        ["evaluate"],
    ):
        printed(tmp_path / "work", *command, "--dry-run")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", ["demo", "paper-cityscapes", "camvid"])
def test_a_stored_study_names_no_file_of_this_installation(name: str, tmp_path: Path) -> None:
    config = dataclasses.replace(preset(name), dataset=preset("demo").dataset)
    config = apply_overrides(config, ["segmenter.network.weights=none"])
    text = store(Study(config, tmp_path), name).read_text()
    assert str(Path(SHIPPED).parents[1]) not in text
    assert Study(stored_config(tmp_path, config.name), tmp_path).trained_codec() is not None


def test_the_codec_that_comes_with_dsr_counts_by_its_content(tmp_path: Path) -> None:
    named, by_path = (
        Study(apply_overrides(preset("demo"), [f"codec.start={start}"]), tmp_path).trained_codec()
        for start in ("shipped", SHIPPED)
    )
    assert named.fingerprint == by_path.fingerprint
