"""Evaluations survive kills, and score nothing but the network that was trained, on the images that were stored."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from dsr.data_pipelines.datasets.labels import IGNORE, Label, LabelTable
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.artefacts import Artefact, fingerprints
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements.features import build_features
from dsr.experiments.training import evaluation
from dsr.experiments.training.evaluation import build_evaluation, load_segmenter, read_segmenter
from dsr.experiments.training.failures import TrainingError
from dsr.experiments.training.segmenter import WEIGHTS, SegmenterTraining
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.tfrecords.building import building
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import Identity
from dsr.tfrecords.reader import ShardSet
from tests.crashes import put, states, tree
from tests.experiments import studies
from tests.experiments.training.tiny import TINY
from tests.tfrecords.fakes import FakeSample, FakeSource, inline
from tests.tfrecords.writing import write_originals

TABLE = LabelTable(tuple(Label(n, n, f"class {n}", (n, n, n)) for n in range(12)))


@pytest.fixture(scope="module")
def config() -> SegmenterConfig:
    return apply_overrides(studies.small(), TINY).segmenter


def segmenter(root: Path) -> Artefact:
    identity = Identity("segmenter", "fake/deeplab", {"seed": 0})
    return Artefact("segmenters", root, identity, Domain("O"), {}, lambda *_: None, units=1, seconds_per_unit=1.0)


def save(network: tf.keras.Model, artefact: Artefact) -> None:
    with building(artefact.folder, artefact.identity) as build:
        network.save_weights(str(build.path / WEIGHTS))


@pytest.fixture(scope="module")
def network(config: SegmenterConfig) -> tf.keras.Model:
    return build_deeplab(config.network, TABLE.num_classes)


@pytest.fixture
def root(network: tf.keras.Model, tmp_path: Path) -> Path:
    """A work folder with a segmenter, and shards of four images."""
    save(network, segmenter(tmp_path))
    write_originals(FakeSource(4), "test", tmp_path / "made", images_per_shard=2, engine=inline)
    (tmp_path / "shards").mkdir()
    (tmp_path / "made").rename(shards(tmp_path, tmp_path / "made").folder)
    return tmp_path


def shards(root: Path, at: Path | None = None) -> Artefact:
    from dsr.tfrecords.conversions import original_identity

    named = original_identity(FakeSource(4), "test", images_per_shard=2)
    identity = Identity(named.kind, "test", named.config)
    return Artefact("shards", root, identity, Domain("O"), {}, lambda *_: None, units=4, seconds_per_unit=1.0)


def evaluated(root: Path, config: SegmenterConfig) -> Artefact:
    def build(artefact: Artefact, progress: Progress) -> None:
        build_evaluation(config, 2, TABLE, artefact, progress)

    return depending(root, "evaluations", build)


def features(root: Path, config: SegmenterConfig) -> Artefact:
    def build(artefact: Artefact, progress: Progress) -> None:
        build_features(config, TABLE, artefact, progress)

    return depending(root, "features", build)


def depending(root: Path, group: str, build: object) -> Artefact:
    inputs = {"segmenter": segmenter(root), "shards": shards(root)}
    identity = Identity(group, "fake/OO", {}, fingerprints(inputs))
    case = Case(Domain("O"), Domain("O"), 0)
    return Artefact(group, root, identity, case, inputs, build, units=4, seconds_per_unit=1.0)  # type: ignore[arg-type]


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place // 8 % len(data)] ^= 1 << place % 8
    path.write_bytes(data)


class VoidSource(FakeSource):
    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        pixels, label = super().read(sample)
        return pixels, None if label is None else np.full_like(label, IGNORE)


def test_images_without_a_labelled_pixel_are_neither_learnt_from_nor_scored(
    root: Path, config: SegmenterConfig
) -> None:
    folder = shards(root).folder
    shutil.rmtree(folder)
    write_originals(VoidSource(4), "test", folder, images_per_shard=2, engine=inline)
    with pytest.raises(ArtefactError, match="no pixel of its 4 images has a class"):
        make([evaluated(root, config)], Progress())
    with pytest.raises(ArtefactError, match="no pixel of its 4 images has a class"):
        SegmenterTraining(config, 0, TABLE, ShardSet(folder)).build()


def test_any_flipped_bit_in_the_weights_is_refused(root: Path, config: SegmenterConfig) -> None:
    path = segmenter(root).folder / WEIGHTS
    written = path.read_bytes()
    for place in random.Random(0).sample(range(8 * len(written)), 40):
        flip(path, place)
        for artefact in (evaluated(root, config), features(root, config)):
            with pytest.raises(ArtefactError, match=f"{WEIGHTS} is not the file that was written"):
                make([artefact], Progress())
            assert not artefact.exists
        path.write_bytes(written)


def test_weights_that_are_cut_missing_or_no_file_are_refused(root: Path, config: SegmenterConfig) -> None:
    path = segmenter(root).folder / WEIGHTS
    for damage, said in (
        (lambda: path.write_bytes(path.read_bytes()[:-100]), "has [0-9]+ bytes, not"),
        (path.unlink, "is missing"),
        (lambda: path.symlink_to("/dev/zero"), "is not the file that was written .it is no regular file"),
    ):
        damage()
        with pytest.raises(ArtefactError, match=f"{WEIGHTS} {said}.*once its folder is removed"):
            make([evaluated(root, config)], Progress())


@pytest.mark.parametrize(("value", "kind"), [(np.nan, evaluated), (np.inf, features)])
def test_weights_that_are_no_numbers_have_no_score(
    network: tf.keras.Model, config: SegmenterConfig, root: Path, value: float, kind: Callable[..., Artefact]
) -> None:
    weight = network.trainable_variables[3]
    before = weight.numpy()
    weight.assign(np.where(np.arange(before.size).reshape(before.shape) == 2, value, before))
    try:
        for name in (WEIGHTS, "manifest.json"):
            (segmenter(root).folder / name).unlink()
        save(network, segmenter(root))
    finally:
        weight.assign(before)
    artefact = kind(root, config)
    with pytest.raises(
        TrainingError, match=rf"{weight.name} is not finite, the training had diverged; remove .*train again"
    ):
        make([artefact], Progress())
    assert not artefact.exists


def test_damage_of_shards_that_tensorflow_meets_is_named(root: Path, config: SegmenterConfig) -> None:
    path = shards(root).folder / "shard-00001-of-00002.tfrecord"
    written = path.read_bytes()
    for place in random.Random(1).sample(range(8 * len(written)), 6):
        flip(path, place)
        for artefact in (evaluated(root, config), features(root, config)):
            with pytest.raises(ArtefactError, match=f"{path} is not the file that was written.*run dsr convert again"):
                make([artefact], Progress())
            assert not artefact.exists
        path.write_bytes(written)
    make([evaluated(root, config)], Progress())
    assert evaluated(root, config).manifest.summary["images"] == 4


def test_segmenters_that_take_turns_label_as_each_does_alone(
    root: Path, network: tf.keras.Model, config: SegmenterConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other, lost = tmp_path_factory.mktemp("other"), tmp_path_factory.mktemp("lost")
    second = build_deeplab(config.network, TABLE.num_classes)
    save(second, segmenter(other))
    second.trainable_variables[-1].assign(second.trainable_variables[-1] * np.nan)
    save(second, segmenter(lost))
    folders = [segmenter(place).folder for place in (root, other)]
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3), np.uint8)
    alone = [read_segmenter(config, TABLE, folder) for folder in folders]
    assert np.any(alone[0].label_map(image) != alone[1].label_map(image))
    for place in (0, 0, 1, 0, None, 0):
        if place is None:
            with pytest.raises(TrainingError, match="not finite"):
                load_segmenter(config, TABLE, segmenter(lost).folder)
            continue
        found, expected = load_segmenter(config, TABLE, folders[place]), alone[place]
        np.testing.assert_array_equal(found.label_map(image), expected.label_map(image))
        for ours, theirs in zip(found.feature_means(image), expected.feature_means(image)):
            np.testing.assert_array_equal(ours, theirs)


def test_a_kill_at_any_operation_changes_nothing(
    root: Path, config: SegmenterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = SimpleNamespace(label_map=lambda image: tf.cast(image[..., 0] // 22, tf.uint8))
    monkeypatch.setattr(evaluation, "load_segmenter", lambda *_: model)
    left = states(root, lambda: make([evaluated(root, config)], Progress()))
    whole, summary = tree(root), evaluated(root, config).manifest.summary
    assert len([name for name in whole if "prediction" in name]) == 2
    assert len(left) > 15, "there are so many moments"
    for state in left:
        put(state, root)
        make([evaluated(root, config)], Progress())
        assert evaluated(root, config).manifest.summary == summary
        now = tree(root)
        assert {name: data for name, data in now.items() if "evaluations" not in name or "prediction" in name} == {
            name: data for name, data in whole.items() if "evaluations" not in name or "prediction" in name
        }
        assert now.keys() == whole.keys()
