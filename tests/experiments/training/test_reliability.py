"""A training survives kills at any operation, damaged checkpoints and full disks, and never ends in numbers that are
none."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.experiments.graph.artefacts import CURVES, Artefact
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.failures import TrainingError
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.layout import SCRATCH, partial_of
from tests.crashes import put, states, tree
from tests.experiments.training.line import LineTraining, Told, line


def result(artefact: Artefact) -> tuple[list[list[float]], dict[str, list[list[float]]]]:
    """Weights and curves of a whole artefact in which nothing else lies."""
    assert sorted(path.name for path in artefact.folder.iterdir()) == [
        CURVES,
        "line.npz",
        "manifest.json",
        "tensorboard",
    ]
    with np.load(artefact.folder / "line.npz") as archive:
        weights = [archive[name].ravel().tolist() for name in archive]
    curves = json.loads((artefact.folder / CURVES).read_text())
    assert len(curves.pop("steps_per_second")) == 3
    return weights, curves


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[float]], dict[str, list[list[float]]]]:
    """What comes of a training that nothing disturbs."""
    artefact = line(tmp_path_factory.mktemp("whole"))
    make([artefact], Progress())
    return result(artefact)


class Stopped(Exception):
    pass


def stop_at(wanted: int) -> LineTraining:
    def after(step: int, network: tf.keras.Model) -> None:
        if step == wanted:
            raise Stopped

    return LineTraining(after=after)


def stopped(root: Path, step: int = 5) -> Path:
    """A training that was stopped after so many steps; gives the folder of its checkpoints."""
    with pytest.raises(Stopped):
        make([line(root, stop_at(step))], Progress())
    return partial_of(line(root).folder) / SCRATCH / "checkpoints"


def test_a_kill_at_any_operation_changes_nothing(tmp_path: Path, whole: object) -> None:
    left = states(tmp_path, lambda: make([line(tmp_path)], Progress()))
    assert len(left) > 60, "there are so many moments"
    for state in left:
        put(state, tmp_path)
        make([line(tmp_path)], Progress())
        assert result(line(tmp_path)) == whole
        assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(("stop", "log_every"), [(5, 3), (5, 6), (3, 3), (5, 1)])
def test_a_training_that_goes_on_in_other_windows_takes_the_steps_that_are_left(
    tmp_path: Path, whole: tuple[list[list[float]], object], stop: int, log_every: int
) -> None:
    """`log_every` is no part of what a training is, so it may be another when it goes on."""
    stopped(tmp_path, stop)
    taken: list[int] = []
    training = LineTraining(after=lambda step, network: taken.append(step))
    training.schedule = replace(training.schedule, log_every=log_every)
    make([line(tmp_path, training)], Progress())
    assert taken == list(range(stop, 7)), "from the checkpoint before to the last"
    with np.load(line(tmp_path).folder / "line.npz") as archive:
        assert [archive[name].ravel().tolist() for name in archive] == whole[0]
    curves = json.loads((line(tmp_path).folder / CURVES).read_text())
    assert [curve[-1][0] for curve in curves.values()] == [6, 6, 6]


@pytest.mark.parametrize("poisoned", [1, 3, 4, 6])
def test_a_training_stops_at_the_first_loss_that_is_no_number(tmp_path: Path, poisoned: int) -> None:
    artefact = line(tmp_path, LineTraining(poisoned=poisoned))
    for _ in range(2):  # the second goes on at the checkpoint that was kept, and meets the same
        with pytest.raises(TrainingError) as stop:
            make([artefact], Progress())
        sentence = str(stop.value)
        assert (
            f"line lines/a has diverged: the loss is not finite at step {poisoned}, where the learning rate is 0.1"
            in sentence
        )
        assert "--set line.learning_rate=" in sentence
        kept = (poisoned - 1) // 2 * 2
        assert (f"the checkpoint of step {kept} is kept" if kept else "there is no checkpoint yet") in sentence
        assert not artefact.exists
    found = sorted(partial_of(artefact.folder).glob(f"{SCRATCH}/checkpoints/*"))
    assert [path.name for path in found][-1:] == ([f"step-{kept:09d}"] if kept else [])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_neither_a_checkpoint_nor_a_result(tmp_path: Path, value: float) -> None:
    """The loss of a step is computed before its weights are: the last step's are seen by no loss."""

    def spoil(step: int, network: tf.keras.Model) -> None:
        if step == 6:
            network.weights[0].assign([[value]])

    artefact = line(tmp_path, LineTraining(after=spoil))
    with pytest.raises(TrainingError, match=r"the weight dense.*/kernel:0 is not finite at step 6.*step 4 is kept"):
        make([artefact], Progress())
    assert not artefact.exists


def flip(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 4
    path.write_bytes(data)


DAMAGE = {
    "first bit": lambda path: flip(path, 0),
    "middle bit": lambda path: flip(path, 0.5),
    "last bit": lambda path: flip(path, 1),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": Path.unlink,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a device": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("name", ["model.index", "model.data-00000-of-00001", "state.json", "digests.json"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(tmp_path: Path, name: str, whole: object) -> None:
    checkpoints = stopped(tmp_path / "begun")
    assert sorted(path.name for path in checkpoints.iterdir()) == ["step-000000002", "step-000000004"]
    for number, (what, damage) in enumerate(DAMAGE.items()):
        root = tmp_path / str(number)
        shutil.copytree(tmp_path / "begun", root)
        newest = root / checkpoints.relative_to(tmp_path / "begun") / "step-000000004"
        damage(newest / name)
        told = Told()
        make([line(root)], told)
        assert result(line(root)) == whole, what
        assert f"{newest} is damaged, and the checkpoint before it is taken" in told.texts[0], what
        assert "goes on at step 2 of 6" in told.texts[1], what


def test_if_all_checkpoints_are_damaged_it_is_said_what_to_delete(tmp_path: Path, whole: object) -> None:
    checkpoints = stopped(tmp_path)
    for path in checkpoints.iterdir():
        flip(path / "model.data-00000-of-00001", 0.5)
    with pytest.raises(ArtefactError, match=rf"damaged.*or delete {checkpoints} to begin anew"):
        make([line(tmp_path)], Progress())
    shutil.rmtree(checkpoints)
    make([line(tmp_path)], Progress())
    assert result(line(tmp_path)) == whole


def test_a_checkpoint_of_another_network_is_refused_by_name(tmp_path: Path) -> None:
    class Wider(LineTraining):
        def build(self) -> tf.keras.Model:
            model = super().build()
            model.network = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(1,))])
            return model

    checkpoints = stopped(tmp_path)
    with pytest.raises(ArtefactError, match="step-000000004 is a checkpoint of another network"):
        make([line(tmp_path, Wider())], Progress())
    assert (checkpoints / "step-000000004").is_dir()


@pytest.mark.parametrize("name", ["runs [1]", "a*b", "what?", "{a,b}", "back\\slash", "a b", "$HOME", "~", "été"])
def test_a_folder_of_any_name_holds_checkpoints(tmp_path: Path, name: str, whole: object) -> None:
    stopped(tmp_path / name)
    told = Told()
    make([line(tmp_path / name)], told)
    assert told.texts == ["line lines/a: goes on at step 4 of 6"]
    assert result(line(tmp_path / name)) == whole


def test_the_checkpoint_before_the_newest_is_kept_and_no_other(tmp_path: Path) -> None:
    there = [sorted(path.name for path in stopped(tmp_path / str(step), step).glob("*")) for step in (2, 3, 5)]
    assert there == [[], ["step-000000002"], ["step-000000002", "step-000000004"]]
    artefact = line(tmp_path / "5", stop_at(6))
    with pytest.raises(Stopped):
        make([artefact], Progress())
    checkpoints = partial_of(artefact.folder).relative_to(tmp_path / "5") / SCRATCH / "checkpoints"
    assert {name for name in tree(tmp_path / "5") if name.endswith("model.index")} == {
        f"{checkpoints}/step-{step:09d}/model.index" for step in (2, 4)
    }
