"""A folder of images becomes label maps of a trained segmenter: the network's, whole, and never twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.experiments.deploy.errors import DeployError
from dsr.experiments.deploy.predicting import predicted_folder
from dsr.experiments.deploy.segmenters import CLASSES, SavedSegmenter, find_trained, read_table
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import Study
from dsr.tfrecords.manifest import Manifest
from tests.experiments.deploy.conftest import segmenter
from tests.experiments.fleet.conftest import contents


def images(tmp_path: Path, count: int = 3) -> Path:
    rng = np.random.default_rng(0)
    for number in range(count):
        path = tmp_path / "images" / f"day{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24 + number, 40, 3), np.uint8)).save(path)
    return tmp_path / "images"


def test_label_maps_are_what_the_network_says(study: Study, tmp_path: Path) -> None:
    source, folder = images(tmp_path), segmenter(study).folder
    predicted_folder(source, folder, "train").make(tmp_path / "out", 1, Progress())
    saved = SavedSegmenter(folder)
    network = saved.load().network
    for path in source.rglob("*.png"):
        name = path.relative_to(source)
        pixels = np.asarray(Image.open(path))
        logits = network(tf.constant(pixels[None], tf.float32) / 127.5 - 1).numpy()[0]
        found = np.asarray(Image.open(tmp_path / "out" / "labels" / name))
        assert found.shape == pixels.shape[:2]
        sure = np.sort(logits, -1)
        sure = sure[..., -1] - sure[..., -2] > 1e-4 * np.abs(logits).max()
        assert sure.any() and np.array_equal(found[sure], logits.argmax(-1)[sure])
        overlay = np.asarray(Image.open(tmp_path / "out" / "overlays" / name)).astype(int)
        colours = np.array([label.color for label in saved.table.classes])[found]
        assert np.abs(overlay - (pixels + colours) / 2).max() <= 0.5


def test_files_do_not_depend_on_the_number_of_workers_and_are_not_made_again(study: Study, tmp_path: Path) -> None:
    source, folder = images(tmp_path, 12), segmenter(study).folder
    for workers in (1, 2):
        predicted_folder(source, folder, "dataset").make(tmp_path / f"out{workers}", workers, Progress())
    assert contents(tmp_path / "out1") == contents(tmp_path / "out2")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out1").rglob("*.png")}
    predicted_folder(source, folder, "dataset").make(tmp_path / "out1", 1, Progress())
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out1").rglob("*.png")}


def test_the_command_finds_a_segmenter_by_its_name_and_tells_what_is_left_out(study: Study, tmp_path: Path) -> None:
    source = images(tmp_path)
    (source / "day0" / "0.png").write_bytes(b"\x89PNG broken")
    name = segmenter(study).name
    arguments = ["predict", str(source), str(tmp_path / "out"), "--segmenter", name, "--work", str(study.work)]
    run = CliRunner().invoke(cli, [*arguments, "--workers", "1"])
    assert run.exit_code == 0, run.output
    assert "2 images" in run.output and "left out 1 of 3" in run.output
    (error,) = map(json.loads, (tmp_path / "out" / "errors.jsonl").read_text().splitlines())
    assert error["file"] == "day0/0.png"
    assert not (tmp_path / "out" / "labels" / "day0" / "0.png").exists()


def test_a_segmenter_is_found_by_folder_and_by_every_form_of_its_name(study: Study) -> None:
    folder = segmenter(study).folder
    group = study.work / "segmenters"
    short = folder.name[:-9]
    for text in (str(folder), folder.relative_to(group).as_posix(), folder.name, f"streets/{short}", short):
        assert find_trained(text, "segmenter", study.work) == folder
    with pytest.raises(DeployError, match="dsr status"):
        find_trained("other", "segmenter", study.work)
    with pytest.raises(DeployError, match="holds a shards"):
        find_trained(str(segmenter(study).inputs["shards"].folder), "segmenter", study.work)


def test_classes_are_those_of_the_dataset_also_for_segmenters_that_do_not_say(study: Study, tmp_path: Path) -> None:
    folder = segmenter(study).folder
    assert read_table(folder).labels == study.source.table.labels
    work = tmp_path / "work"
    shutil.copytree(study.work, work)
    older = work / folder.relative_to(study.work)
    (older / CLASSES).unlink()
    manifest = Manifest.load(older)
    del manifest.files[CLASSES]
    manifest.save(older)
    assert read_table(older).labels == study.source.table.labels
    shutil.rmtree(work / "shards")
    with pytest.raises(DeployError, match="does not say what its classes are"):
        read_table(older)
