"""`--restorer` chooses what restores in every command that deals with restorers, `--seeds` how often segmenters are
trained."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.experiments.config.presets import PRESETS, preset
from dsr.models.errors import UserError
from dsr.tfrecords.building import building
from dsr.tfrecords.manifest import Identity
from tests.experiments.planning import made_up

TWO = ("--set", "points=bpg-qp34,bpg-qp42", "--seeds", "1")


def output(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", ["gan", "rdn-psnr", "rdn-msssim"])
def test_the_plan_of_a_study_is_that_of_its_restorer(name: str, tmp_path: Path) -> None:
    plan = output("run", "--restorer", name, *TWO, "--dry-run", "--work", str(tmp_path))
    assert f"restorer streets/{name}-bpg-qp34" in plan and f"streets/train/bpg-qp42-{name}" in plan
    others = {"gan", "rdn-psnr", "rdn-msssim"} - {name}
    assert not any(f"-{other}" in plan or f"/{other}-" in plan for other in others)


def test_several_restorers_are_compared_in_one_study(tmp_path: Path) -> None:
    plan = output("run", "--restorer", "gan", "--restorer", "rdn-psnr", *TWO, "--dry-run", "--work", str(tmp_path))
    assert "restored by gan, rdn-psnr; seed 0" in plan
    for name in ("gan", "rdn-psnr"):
        assert f"restorer streets/{name}-bpg-qp34" in plan
    assert plan.count("evaluation streets/RO") == plan.count("evaluation streets/OR") == 2 * 2
    assert plan.count("evaluation streets/CO") == 2


def test_a_restorer_named_twice_ends_in_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["run", "--restorer", "gan", "--restorer", "gan", "--work", str(tmp_path)])
    assert isinstance(result.exception, UserError) and "each once" in str(result.exception)


@pytest.mark.usefixtures("small_preset")
def test_the_time_of_a_training_is_that_of_all_of_its_runs(tmp_path: Path) -> None:
    study = made_up.study(tmp_path, "name=demo", "points=bpg-qp36")
    (trained,) = (study.restorer(degradation, "gan") for degradation in study.degradations)
    with building(trained.folder, trained.identity) as build:
        build.summary.update(steps=300, seconds=2 * 3600, parameters=5, images=40)
    said = output("train-restorer", "--codec", "bpg", "--qp", "36", "--quiet", "--work", str(tmp_path))
    assert "300 steps in 2 h 00 min" in said


@pytest.fixture
def asked(tmp_path: Path) -> tuple[str, ...]:
    """The command that trains a restorer on three originals, for a fleet of three files."""
    originals, fleet = tmp_path / "originals", tmp_path / "fleet"
    originals.mkdir()
    fleet.mkdir()
    for number in range(3):
        image = Image.new("RGB", (64, 64), (80 * number, 40, 90))
        image.save(originals / f"{number}.png")
        image.save(fleet / f"{number}.jpg", quality=30)
    return "train-restorer", "--originals", str(originals), "--like", str(fleet), "--work", str(tmp_path / "work")


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("mine", "mine/manifest.json is missing: .*mine is no finished artefact"),
        ("other", "other.partial holds an unfinished 'other' made differently"),
        ("fleet/restorer", "lie in each other"),
    ],
)
def test_a_place_where_the_restorer_cannot_be_written_is_refused_before_it_is_trained(
    out: str, says: str, asked: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt), building(tmp_path / "other", Identity("restorer", "other", {})) as build:
        (build.path / "data").write_bytes(b"x")
        raise KeyboardInterrupt
    run = CliRunner().invoke(cli, [*asked, "--dry-run", "--out", str(tmp_path / out)])
    assert isinstance(run.exception, UserError) and re.search(says, str(run.exception))
    assert "restorer originals/gan-jpeg" in output(*asked, "--dry-run", "--out", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_originals_of_a_fleet_are_taken_without_what_is_skipped(asked: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "originals" / "film.mp4").write_bytes(b"no image")
    refused = CliRunner().invoke(cli, [*asked, "--dry-run"])
    assert isinstance(refused.exception, UserError) and "--skip-others" in str(refused.exception)
    assert "restorer originals/gan-jpeg-quality30" in output(*asked, "--skip-others", "--dry-run")


def test_seeds_repeat_every_segmenter_of_the_plan_and_no_restorer(tmp_path: Path) -> None:
    plan = output(
        "run", *TWO, "--restorer", "gan", "--seeds", "3", "--set", "seed=4", "--dry-run", "--work", str(tmp_path)
    )
    assert "seeds 4, 5, 6" in plan
    for seed in (4, 5, 6):
        assert f"evaluation streets/OO-seed{seed} " in plan
        assert f"evaluation streets/RO-bpg-qp42-seed{seed} " in plan
    assert plan.count(" segmenter streets/") == 3 * (1 + 2 * 2)
    assert plan.count(" restorer streets/") == 2


@pytest.mark.parametrize("command", ["run", "train"])
def test_without_the_option_there_are_as_many_seeds_as_the_help_says(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = dataclasses.replace(preset("demo"), seeds=2)
    monkeypatch.setitem(PRESETS, "demo", lambda: twice)
    asked = {"run": ["--set", "points=bpg-qp40"], "train": ["--config", "CO", "--codec", "bpg", "--qp", "40"]}
    plan = output(command, *asked[command], "--dry-run", "--work", str(tmp_path))
    assert plan.count("evaluation streets/CO-bpg-qp40") == 2
    assert "3 give error bars. [default: the preset's]" in " ".join(output(command, "--help").split())


@pytest.mark.parametrize("command", ["run", "report", "train", "evaluate"])
def test_fewer_than_one_seed_is_refused(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--seeds", "0"])
    assert result.exit_code == 2 and "--seeds" in result.output


def test_without_the_option_the_presets_one_restores_and_gan_is_trained(
    tmp_path: Path,
) -> None:
    arguments = ("run", "--dry-run", "--work", str(tmp_path))
    assert output(*arguments) == output(*arguments, "--restorer", preset("demo").restorers[0])
    training = ("train-restorer", "--codec", "jpeg", "--dry-run", "--work", str(tmp_path))
    assert output(*training) == output(*training, "--restorer", "gan")
    assert "restorer streets/gan-jpeg" in output(*training)


@pytest.mark.parametrize(
    ("command", "option"),
    [("run", "--restorer"), ("train", "--restorer"), ("train-restorer", "--restorer"), ("evaluate", "--restorer")]
    + [("report", "--restorer"), ("convert", "--restorer")],
)
def test_commands_name_the_restorers_that_there_are(command: str, option: str) -> None:
    result = CliRunner().invoke(cli, [command, option, "rdn"])
    assert result.exit_code == 2 and all(name in result.output for name in ("gan", "rdn-psnr", "rdn-msssim"))
