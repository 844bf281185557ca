"""What a segmenter starts from, and what its loss weighs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.graph.artefacts import CURVES
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import ORIGINAL, Study
from dsr.experiments.training import loop
from dsr.experiments.training import segmenter as segmentation
from dsr.tfrecords.png import encode_png
from tests.experiments import few_layers, studies
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY, Killed, KilledAt
from tests.experiments.training.tiny import weights as saved_weights


class Labels:
    """Shards whose records hold these labels."""

    def __init__(self, labels: list[np.ndarray]) -> None:
        self.labels = labels

    def serialized(self) -> tf.data.Dataset:
        def example(label: np.ndarray) -> bytes:
            image = np.zeros((*label.shape, 3), np.uint8)
            values = {"key": b"k", "image": encode_png(image), "label": encode_png(label)}
            feature = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()
            }
            for name, size in zip(("height", "width"), label.shape):
                feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[size]))
            return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

        return tf.data.Dataset.from_tensor_slices([example(label) for label in self.labels])


def test_a_class_is_as_frequent_as_it_is_where_it_is_seen() -> None:
    rng = np.random.default_rng(0)
    choices = [[0, 1, 255], [0, 2, 4, 255], [1, 2]]  # class 3 is nowhere
    labels = [rng.choice(some, size=(7 + n, 9)).astype(np.uint8) for n, some in enumerate(choices)]
    labels.append(np.full((4, 4), 255, np.uint8))  # an image without labels
    expected = []
    for c in range(5):
        inside = [label for label in labels if any(pixel == c for pixel in label.flat)]
        own = sum(pixel == c for label in inside for pixel in label.flat)
        labelled = sum(pixel != 255 for label in inside for pixel in label.flat)
        expected.append(own / labelled if labelled else 0.0)
    found = segmentation.class_frequencies(Labels(labels), 5)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[3] == 0 and found.min() >= 0
    some = segmentation.class_frequencies(Labels(labels), 5, np.array([0, 2]))  # type: ignore[arg-type]
    whole = segmentation.class_frequencies(Labels([labels[0], labels[2]]), 5)  # type: ignore[arg-type]
    np.testing.assert_array_equal(some, whole)


def test_a_class_that_is_four_times_as_frequent_weighs_half_and_an_absent_one_nothing() -> None:
    weights = segmentation.inverse_sqrt(np.array([0.16, 0.04, 0.0, 1.0]))
    np.testing.assert_allclose(weights, [2.5, 5.0, 0.0, 1.0], rtol=1e-6)
    assert weights.dtype == np.float32


def test_a_recipe_enters_the_training_and_a_killed_one_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    """Two optimizers, whose state the checkpoint holds, and weights of the classes, counted anew, of a subset."""
    recipe = ["class_weights=inverse_sqrt", "label_smoothing=0.1", "warmup=0.4", "backbone_rate=0.5", "images=3"]
    config = apply_overrides(studies.small(), [*TINY, *(f"segmenter.{value}" for value in recipe)])
    whole, killed = (Study(config, tmp_path / name, HERE).segmenter(ORIGINAL, 0) for name in ("whole", "killed"))
    make([whole], Progress())
    make(killed.inputs.values(), Progress())
    with pytest.raises(Killed):
        killed.build(killed, KilledAt(5))
    make([killed], Progress())
    for ours, theirs in zip(saved_weights(killed), saved_weights(whole)):
        np.testing.assert_array_equal(ours, theirs)
    assert whole.manifest.summary["images"] == 3
    rates = json.loads((whole.folder / CURVES).read_text())["learning_rate"]
    shape = np.array([1, (3 / 4) ** 0.9, (1 / 4) ** 0.9])  # of the second, fourth and sixth step; two lead up
    np.testing.assert_allclose([rate for _, rate in rates], config.segmenter.learning_rate * shape, rtol=1e-5)


class Looked(Exception):
    pass


@pytest.mark.parametrize(
    ("pretrained", "frozen", "looked"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_statistics_of_a_pretrained_backbone_are_looked_after_unless_they_are_frozen(
    pretrained: bool, frozen: bool, looked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*TINY, f"segmenter.network.freeze_batch_norm={str(frozen).lower()}"]
    if pretrained:
        file = tmp_path / "weights.h5"
        few_layers.build(1.0, None, "").network.save_weights(file)
        overrides.append(f"segmenter.network.weights={file}")
    seen = []

    def look(backbone: tf.keras.Model, images: tf.Tensor) -> None:
        seen.append(images.numpy())
        assert backbone.name == "backbone"
        raise Looked

    def started(*_: object, **__: object) -> None:
        raise Looked

    monkeypatch.setattr(segmentation, "recalibrate_if_folded", look)
    monkeypatch.setattr(loop, "_fit", started)
    study = Study(apply_overrides(studies.small(), overrides), tmp_path / "work", HERE)
    with pytest.raises(Looked):
        make([study.segmenter(ORIGINAL, 0)], Progress())
    assert bool(seen) == looked
    if looked:
        assert seen[0].shape == (segmentation.CALIBRATION, 64, 64, 3) and seen[0].dtype == np.uint8
