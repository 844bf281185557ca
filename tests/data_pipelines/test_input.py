"""The input pipelines on images whose pixels say which image they are of and where in it they lie."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf

from dsr.data_pipelines.augmentation import GRAY, random_scaled_crop
from dsr.data_pipelines.input import (
    Share,
    crop_pair_dataset,
    evaluation_dataset,
    pair_dataset,
    subset,
    training_dataset,
)
from dsr.models.errors import UserError
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import records
from dsr.tfrecords.reader import ShardSet
from tests.data_pipelines.coordinates import HEIGHT, WIDTH, Coordinates, Inverter
from tests.tfrecords.writing import write_compressed, write_originals

IMAGES = 11
PLAIN: dict[str, Any] = {"scale": (1.0, 1.0), "flip": False}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("shards")
    write_originals(Coordinates(IMAGES), "train", root / "original", images_per_shard=4)
    write_compressed(root / "original", Inverter(), root / "compressed")
    write_originals(Coordinates(3), "train", root / "other")
    return {name: root / name for name in ("original", "compressed", "other")}


@pytest.fixture(scope="module")
def original(folders: dict[str, Path]) -> ShardSet:
    return ShardSet(folders["original"])


def numbers(batches: tf.data.Dataset, count: int) -> list[int]:
    """Of which images the first `count` samples are."""
    samples = batches.unbatch().take(count).as_numpy_iterator()
    return [int(sample["image"][0, 0, 0]) for sample in samples]


def arrays(dataset: tf.data.Dataset, count: int) -> Iterator[dict[str, np.ndarray]]:
    return iter(dataset.take(count).as_numpy_iterator())


@pytest.mark.parametrize("start", [1, 4, 13])
def test_a_training_that_starts_at_a_step_sees_what_an_uninterrupted_one_sees(original: ShardSet, start: int) -> None:
    options: dict[str, Any] = {"batch": 3, "crop": (16, 20), "seed": 5}
    whole = list(arrays(training_dataset(original, **options), start + 6))
    resumed = list(arrays(training_dataset(original, **options, start_step=start), 6))
    for expected, got in zip(whole[start:], resumed):
        np.testing.assert_array_equal(got["image"], expected["image"])
        np.testing.assert_array_equal(got["label"], expected["label"])


def test_a_subset_contains_the_smaller_ones_of_its_seed_and_is_the_same_in_every_domain(
    folders: dict[str, Path], original: ShardSet
) -> None:
    compressed = ShardSet(folders["compressed"])
    chosen = [subset(original, images, 3).tolist() for images in range(1, IMAGES + 2)]
    for fewer, more in zip(chosen, chosen[1:]):
        assert set(fewer) <= set(more) and sorted(more) == more
    assert [len(one) for one in chosen] == [*range(1, IMAGES + 1), IMAGES]
    assert [subset(compressed, images, 3).tolist() for images in range(1, IMAGES + 2)] == chosen
    assert len({tuple(subset(original, 5, seed)) for seed in range(20)}) > 10
    shown = numbers(training_dataset(original, batch=1, crop=(40, 50), **PLAIN, chosen=subset(original, 4, 3)), 12)
    assert set(shown) == set(chosen[3]) and all(sorted(shown[i : i + 4]) == chosen[3] for i in (0, 4, 8))


def test_the_restorers_training_resumes_alike(folders: dict[str, Path], original: ShardSet) -> None:
    sets = ShardSet(folders["compressed"]), original
    whole = list(arrays(pair_dataset(*sets, batch=2, crop=8, seed=1), 9))
    resumed = list(arrays(pair_dataset(*sets, batch=2, crop=8, seed=1, start_step=6), 3))
    for expected, got in zip(whole[6:], resumed):
        np.testing.assert_array_equal(got["original"], expected["original"])


def test_the_shares_of_hosts_are_together_the_batches_of_one(original: ShardSet) -> None:
    options: dict[str, Any] = {"batch": 6, "crop": (16, 20), "seed": 5, "start_step": 3}
    shares = [list(arrays(training_dataset(original, **options, share=Share(i, 3)), 4)) for i in range(3)]
    for whole, *parts in zip(arrays(training_dataset(original, **options), 4), *shares):
        for name in ("image", "label"):
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), whole[name])


def test_every_epoch_shows_every_image_once_in_an_order_of_its_own(original: ShardSet) -> None:
    shown = numbers(training_dataset(original, batch=1, crop=(40, 50), **PLAIN, seed=1), 3 * IMAGES)
    epochs = [shown[i * IMAGES : (i + 1) * IMAGES] for i in range(3)]
    assert all(sorted(epoch) == list(range(IMAGES)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [*epochs, range(IMAGES)]}) == 4
    assert numbers(training_dataset(original, batch=1, crop=(40, 50), **PLAIN, seed=2), IMAGES) != epochs[0]


def test_several_sets_are_shuffled_as_one(folders: dict[str, Path], original: ShardSet) -> None:
    both = [original, ShardSet(folders["other"])]
    shown = numbers(training_dataset(both, batch=2, crop=(40, 50), **PLAIN), IMAGES + 3)
    assert sorted(shown) == sorted([*range(IMAGES), *range(3)])


def test_an_image_comes_back_with_other_crops_in_the_next_epoch(folders: dict[str, Path]) -> None:
    other = ShardSet(folders["other"])
    crops = [batch["image"][0] for batch in arrays(training_dataset(other, batch=1, crop=(8, 8)), 12)]
    assert len({crop.tobytes() for crop in crops}) == 12


def test_an_unscaled_crop_is_a_window_of_the_image(original: ShardSet) -> None:
    places = set()
    for batch in arrays(training_dataset(original, batch=4, crop=(9, 12), scale=(1.0, 1.0), flip=False), 10):
        for image, label in zip(batch["image"], batch["label"]):
            _, top, left = (int(value) for value in image[0, 0])
            y, x = np.mgrid[top : top + 9, left : left + 12]
            np.testing.assert_array_equal(image[..., 1], y)
            np.testing.assert_array_equal(image[..., 2], x)
            np.testing.assert_array_equal(label, x)
            places.add((top, left))
    assert len(places) > 30


def test_labels_go_with_their_pixels_through_scaling_and_mirroring(original: ShardSet) -> None:
    """A label is the x of the nearest pixel, the image's third channel the interpolated x: they differ by half a pixel
    at most."""
    steps = []
    for batch in arrays(training_dataset(original, batch=4, crop=(9, 12), seed=3), 25):
        x, labelled = batch["image"][..., 2].astype(int), batch["label"] != 255
        assert np.abs(x - batch["label"])[labelled].max() <= 1
        assert labelled.any()
        steps += list((x[:, 0, 8].astype(int) - x[:, 0, 0]) / 8)
    mirrored = [step < 0 for step in steps]
    assert 0.3 < np.mean(mirrored) < 0.7
    sizes = np.abs(steps)
    # Source pixels for each pixel of the crop: 1 / scale.
    assert 0.4 < sizes.min() < 0.75 and 1.5 < sizes.max() < 2.1


def test_beside_a_smaller_image_there_is_gray_without_labels(original: ShardSet) -> None:
    batch = next(arrays(training_dataset(original, batch=2, crop=(HEIGHT + 5, WIDTH + 7), **PLAIN), 1))
    x = np.arange(WIDTH)
    for image, label in zip(batch["image"], batch["label"]):
        np.testing.assert_array_equal(image[:HEIGHT, :WIDTH, 2], np.broadcast_to(x, (HEIGHT, WIDTH)))
        np.testing.assert_array_equal(label[:HEIGHT, :WIDTH], np.broadcast_to(x, (HEIGHT, WIDTH)))
        for beside in (np.s_[HEIGHT:], np.s_[:, WIDTH:]):
            assert (image[beside] == GRAY).all()
            assert (label[beside] == 255).all()


@pytest.mark.parametrize("number", range(6))
def test_a_random_crop_is_the_same_eagerly_and_in_a_graph(number: int) -> None:
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8))
    label = image[..., 0]

    def crop(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return random_scaled_crop(image, label, crop=(20, 24), scale=(0.5, 2.0), flip=True, seed=seed)

    seed = tf.constant([7, number], tf.int64)
    for eager, graph in zip(crop(seed), tf.function(crop)(seed)):
        np.testing.assert_array_equal(eager, graph)


def test_evaluation_gives_each_whole_image_in_order_of_keys(folders: dict[str, Path], original: ShardSet) -> None:
    batches = list(evaluation_dataset(original, batch=4).as_numpy_iterator())
    assert [len(batch["key"]) for batch in batches] == [4, 4, 3]
    samples = [sample for batch in batches for sample in zip(batch["key"], batch["image"], batch["label"])]
    for (key, image, label), record in zip(samples, records(folders["original"])):
        train_ids = record.train_ids()
        assert train_ids is not None
        assert key.decode() == record.key
        np.testing.assert_array_equal(image, record.pixels())
        np.testing.assert_array_equal(label, train_ids)


def test_a_pair_is_one_window_of_one_image_in_two_domains(folders: dict[str, Path], original: ShardSet) -> None:
    mirrored = set()
    for batch in arrays(pair_dataset(ShardSet(folders["compressed"]), original, batch=3, crop=8), 10):
        assert batch["original"].shape == (3, 8, 8, 3)
        np.testing.assert_array_equal(batch["compressed"], 255 - batch["original"])
        mirrored |= {int(image[0, 1, 2]) - int(image[0, 0, 2]) for image in batch["original"]}
    assert mirrored == {-1, 1}


def test_sets_of_other_images_make_no_pairs(folders: dict[str, Path], original: ShardSet) -> None:
    with pytest.raises(ArtefactError, match="do not hold the same images"):
        pair_dataset(ShardSet(folders["compressed"]), ShardSet(folders["other"]), batch=1, crop=8)


def test_an_original_that_the_codec_left_out_is_no_pair(
    folders: dict[str, Path], original: ShardSet, tmp_path: Path
) -> None:
    write_compressed(folders["original"], Inverter(refuses=4), tmp_path / "fewer", max_errors=1)
    shown = set()
    for batch in arrays(pair_dataset(ShardSet(tmp_path / "fewer"), original, batch=IMAGES - 1, crop=8), 2):
        np.testing.assert_array_equal(batch["compressed"], ~batch["original"])
        shown |= set(batch["original"][:, 0, 0, 0])
    assert shown == set(range(IMAGES)) - {4}


def test_a_patch_larger_than_an_image_is_refused(folders: dict[str, Path], original: ShardSet) -> None:
    with pytest.raises(UserError, match="41x41 do not fit into image '000' of 50x40"):
        pair_dataset(ShardSet(folders["compressed"]), original, batch=1, crop=41)


@pytest.fixture
def damaged(folders: dict[str, Path], tmp_path: Path) -> tuple[ShardSet, Path]:
    """Shards that were whole when they were opened."""
    shutil.copytree(folders["other"], tmp_path / "copy")
    shards = ShardSet(tmp_path / "copy")
    return shards, shards.paths[0]


def test_a_shard_that_ends_inside_a_record_is_refused_by_name(damaged: tuple[ShardSet, Path]) -> None:
    shards, path = damaged
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArtefactError, match=path.name):
        training_dataset(shards, batch=1, crop=(8, 8))


def test_a_shard_that_lacks_a_record_is_refused(damaged: tuple[ShardSet, Path]) -> None:
    shards, path = damaged
    data = path.read_bytes()
    path.write_bytes(data[: int.from_bytes(data[:8], "little") + 16])
    with pytest.raises(ArtefactError, match="1 records where its manifest counts 3"):
        training_dataset(shards, batch=1, crop=(8, 8))


def test_a_flipped_bit_in_an_image_stops_the_training(damaged: tuple[ShardSet, Path]) -> None:
    shards, path = damaged
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 12] ^= 1
    path.write_bytes(data)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(training_dataset(shards, batch=1, crop=(8, 8)).take(3))


class TestVersions:
    """Samples of one of several domains, and pairs of crops; `Inverter` makes negatives of the originals."""

    options: ClassVar[dict[str, Any]] = {"batch": 4, "crop": (16, 20), "seed": 5}

    def test_a_sample_is_that_of_a_training_without_versions_or_its_version(
        self, folders: dict[str, Path], original: ShardSet
    ) -> None:
        negative = ShardSet(folders["compressed"])
        plain = arrays(training_dataset(original, **self.options), 30)
        inverted = arrays(training_dataset(negative, **self.options), 30)
        mixed = arrays(training_dataset(original, versions=[negative], **self.options), 30)
        drawn = []
        for ours, one, other in zip(mixed, plain, inverted):
            np.testing.assert_array_equal(ours["label"], one["label"])
            for at in range(4):
                same = [bool(np.all(ours["image"][at] == version["image"][at])) for version in (one, other)]
                assert sum(same) == 1
                drawn.append(same[1])
        assert 40 < sum(drawn) < 80, "of 120, each as likely"

    def test_versions_follow_from_seed_and_step(self, folders: dict[str, Path], original: ShardSet) -> None:
        options = {**self.options, "versions": [ShardSet(folders["compressed"])]}
        whole = list(arrays(training_dataset(original, **options), 8))
        resumed = list(arrays(training_dataset(original, start_step=3, **options), 5))
        for expected, got in zip(whole[3:], resumed):
            np.testing.assert_array_equal(got["image"], expected["image"])

    def test_versions_of_other_images_are_refused(self, folders: dict[str, Path], original: ShardSet) -> None:
        with pytest.raises(ArtefactError, match="does not hold all images of"):
            training_dataset(original, versions=[ShardSet(folders["other"])], **self.options)

    def test_a_pair_is_one_crop_of_an_image_and_of_its_version(
        self, folders: dict[str, Path], original: ShardSet
    ) -> None:
        pairs = crop_pair_dataset(ShardSet(folders["compressed"]), original, scale=(0.5, 2.0), **self.options)
        seen = set()
        for batch in arrays(pairs, 12):
            inside = batch["inside"] == 0
            assert set(np.unique(batch["inside"])) <= {0, 255} and inside.any()
            # The negative of an interpolated value is the interpolated value of negatives, but for rounding.
            together = batch["compressed"].astype(int) + batch["original"]
            assert np.all(np.abs(together[inside] - 255) <= 1)
            seen |= {int(number) for number in np.unique(batch["original"][..., 0][inside])}
        assert len(seen) == IMAGES

    def test_pairs_resume_alike_and_stay_within_the_first_images(
        self, folders: dict[str, Path], original: ShardSet
    ) -> None:
        options = {**self.options, "scale": (1.0, 1.0), "images": 3}
        sets = ShardSet(folders["compressed"]), original
        whole = list(arrays(crop_pair_dataset(*sets, **options), 9))
        resumed = list(arrays(crop_pair_dataset(*sets, start_step=6, **options), 3))
        for expected, got in zip(whole[6:], resumed):
            np.testing.assert_array_equal(got["original"], expected["original"])
        assert {int(number) for batch in whole for number in np.unique(batch["original"][..., 0])} == {0, 1, 2}

    def test_pairs_of_different_images_are_refused(self, folders: dict[str, Path], original: ShardSet) -> None:
        with pytest.raises(ArtefactError, match="do not hold the same images"):
            crop_pair_dataset(original, ShardSet(folders["other"]), **self.options)
