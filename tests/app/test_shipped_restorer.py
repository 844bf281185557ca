"""The restorer that comes with dsr works wherever one does, without any training; and trainings go on from it."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest

from dsr.app.cli import cli
from dsr.app.commands.train_restorer import settings_to_start
from dsr.experiments.config.overrides import apply_overrides
from dsr.models.errors import UserError
from dsr.models.restorers.gan_config import AdversarialConfig
from dsr.tfrecords.manifest import Manifest, records
from tests.experiments import studies

pytestmark = pytest.mark.tensorflow

STREETS = [
    *(
        "--codec",
        "jpeg",
        "--quality",
        "10",
        "--set",
        "dataset.options.height=128",
        "--set",
        "dataset.options.width=128",
    ),
    *("--set", "dataset.options.restore=2", "--set", "dataset.options.test=4", "--set", "images_per_shard=1"),
]
TRAINED = [
    *(
        "--set",
        "restorer.gan.start=none",
        "--set",
        "restorer.gan.generator.width=4",
        "--set",
        "restorer.gan.generator.blocks=1",
    ),
    *("--set", "restorer.gan.discriminator.width=4", "--set", "restorer.gan.batch=1", "--set", "restorer.gan.steps=2"),
    *("--set", "restorer.log_every=1", "--workers", "1"),
]


TWO = ["--set", "points=bpg-qp34,bpg-qp42"]


def run(*arguments: object) -> None:
    cli([*map(str, arguments)], standalone_mode=False)


def newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def weights(folder: Path, part: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"{part}.npz") as archive:
        return dict(archive)


def restored(work: Path) -> Path:
    return newest(work / "shards" / "streets" / "test")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Restored by one worker."""
    work = tmp_path_factory.mktemp("work")
    run("convert", *STREETS, "--role", "test", "--restorer", "shipped", "--workers", "1", "--work", work)
    return work


def test_it_restores_shards_without_the_images_set_apart(converted: Path) -> None:
    shards = restored(converted)
    assert shards.name.startswith("jpeg-quality10-shipped-")
    assert Manifest.load(shards).summary["images"] == 4
    assert not (converted / "shards" / "streets" / "restore").exists()
    compressed = next(p for p in shards.parent.iterdir() if p.name.startswith("jpeg-quality10-") and p != shards)
    for before, after in zip(records(compressed), records(shards)):
        difference = np.abs(before.pixels().astype(int) - after.pixels())
        assert before.key == after.key and 0.5 < difference.mean() < 20


def test_any_number_of_workers_makes_the_same_shards(converted: Path, tmp_path: Path) -> None:
    run("convert", *STREETS, "--role", "test", "--restorer", "shipped", "--workers", "2", "--work", tmp_path)
    one, two = restored(converted), restored(tmp_path)
    assert one.name == two.name
    assert len(list(one.glob("*.tfrecord"))) == 4
    for shard in one.glob("*.tfrecord"):
        assert shard.read_bytes() == (two / shard.name).read_bytes()


def test_a_study_plans_no_training_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("run", "--restorer", "shipped", "--restorer", "gan", *TWO, "--dry-run", "--work", tmp_path)
    plan = capsys.readouterr().out
    assert plan.count("restorer streets/shipped ") == 1, "one for all operating points"
    assert "streets/train/bpg-qp42-shipped" in plan and "streets/RO-bpg-qp34-shipped" in plan


def test_status_lists_it(converted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("status", "--work", converted)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "streets/shipped-" in line)
    assert line.endswith("2,853,187 parameters")


def test_there_is_nothing_to_train_and_the_error_says_how_to_tune_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--start shipped"):
        run("train-restorer", *STREETS, "--restorer", "shipped", "--work", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small restorer's folder."""
    work = tmp_path_factory.mktemp("work")
    run("train-restorer", *STREETS, *TRAINED, "--work", work)
    return newest(work / "restorers" / "streets")


def test_a_training_goes_on_from_all_networks_of_a_trained_restorer(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With next to no learning rate it ends where it began, which is where the other ended."""
    still = [
        "--set",
        "restorer.gan.learning_rate=1e-12",
        "--set",
        "restorer.gan.steps=1",
        "--set",
        "restorer.log_every=1",
    ]
    arguments = ["--start", trained, *STREETS, *still, "--workers", "1", "--set", "restorer.gan.batch=1"]
    run("train-restorer", *arguments, "--work", tmp_path)
    begun = newest(tmp_path / "restorers" / "streets")
    for part in ("generator", "discriminators"):
        before, after = weights(trained, part), weights(begun, part)
        assert set(before) == set(after)
        for name in before:
            np.testing.assert_allclose(before[name], after[name], rtol=0, atol=1e-9)
    shown = capsys.readouterr().out
    assert "--set restorer.gan.generator.width=4 --set restorer.gan.generator.blocks=1" in shown
    capsys.readouterr()
    settings = shown.partition("other commands use it with ")[2].split()
    run(
        "convert",
        *STREETS,
        *still,
        "--set",
        "restorer.gan.batch=1",
        *settings,
        "--restorer",
        "gan",
        "--role",
        "test",
        "--work",
        tmp_path,
    )
    assert newest(tmp_path / "restorers" / "streets") == begun, "other commands find it by the settings shown"


def test_settings_to_start_give_the_size_of_the_shipped_networks() -> None:
    config = studies.small()
    gan = apply_overrides(config, settings_to_start(config.restorer.gan, "shipped")).restorer.gan
    base = AdversarialConfig.base()
    assert (gan.start, gan.generator, gan.discriminator) == ("shipped", base.generator, base.discriminator)
    assert gan.steps == config.restorer.gan.steps and gan.patch == config.restorer.gan.patch


def test_only_an_adversarial_restorer_has_a_start(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="rdn-psnr trains from random weights"):
        run("train-restorer", *STREETS, "--restorer", "rdn-psnr", "--start", "shipped", "--work", tmp_path)


def test_a_start_that_is_no_restorer_ends_in_one_sentence_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="generator.json"):
        run("train-restorer", *STREETS, "--start", tmp_path / "none", "--work", tmp_path / "work")
    assert not (tmp_path / "work").exists()
