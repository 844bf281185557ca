"""Trainings and evaluations on a disk that gets full or cannot be written end with a sentence, and go on when there is
room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.training.hdf5 import save_weights
from dsr.tfrecords.errors import ArtefactError
from tests.experiments.training.line import Told, line


def mount(options: str, folder: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.decode().strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("size=4k", disk)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def weights(root: Path) -> dict[str, np.ndarray]:
    with np.load(line(root).folder / "line.npz") as archive:
        return dict(archive)


def test_a_training_goes_on_with_every_bit_of_room_it_gets(disk: Path, tmp_path: Path) -> None:
    """At each size of the disk the training gets as far as it can, and no further run begins before what is kept."""
    make([line(tmp_path / "whole")], Progress())
    refused, went_on = 0, []
    for kilobytes in range(4, 1000, 16):
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)
        told = Told()
        try:
            make([line(disk)], told)
        except ArtefactError as error:
            assert "No space left on device; make room and run the same again" in str(error)
            assert str(disk) in str(error)
            refused += 1
        went_on += [int(text.partition("at step ")[2].partition(" ")[0]) for text in told.texts]
        if line(disk).exists:
            break
    assert line(disk).exists and refused > 3
    assert went_on and went_on == sorted(went_on)
    assert {name: array.tolist() for name, array in weights(disk).items()} == {
        name: array.tolist() for name, array in weights(tmp_path / "whole").items()
    }


@pytest.mark.parametrize("begun", [False, True])
def test_a_disk_that_cannot_be_written_is_one_sentence(disk: Path, begun: bool) -> None:
    if begun:
        subprocess.run(["mount", "-o", "remount,size=44k", disk], check=True)
        with pytest.raises(ArtefactError, match="No space"):
            make([line(disk)], Progress())
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(ArtefactError, match="cannot be (written|made): Read-only file system"):
        make([line(disk)], Progress())


def test_weights_are_whole_or_not_there(disk: Path) -> None:
    network = tf.keras.Sequential([tf.keras.layers.Dense(64, input_shape=(64,)) for _ in range(4)])
    path, scratch = disk / "a.weights.h5", disk / "scratch"
    scratch.mkdir()
    for kilobytes in range(4, 200, 4):
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)
        try:
            save_weights(network, path, scratch)
        except OSError as error:
            assert error.strerror == "No space left on device"
            assert os.listdir(disk) == ["scratch"] and not os.listdir(scratch)
        else:
            break
    written = network.get_weights()
    for variable in network.variables:
        variable.assign(tf.zeros_like(variable))
    network.load_weights(str(path))
    for ours, theirs in zip(network.get_weights(), written):
        np.testing.assert_array_equal(ours, theirs)
