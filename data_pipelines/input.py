"""From shards to the batches that networks train and are tested on.

The training datasets are endless, shuffled and augmented, and yet functions of (seed, step) alone: sample number n of a
training is image p of epoch e (n = e * images + p) in an order drawn for (seed, e), cut and mirrored by numbers drawn
for (seed, n). A run that starts at step k therefore sees what an uninterrupted one sees from step k on, and reads
nothing else: records are read where they lie, found by an index of the shards, so the order is of the whole set without
a shuffle buffer's memory, and the first batch does not wait for one to fill.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Union

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.data_pipelines.augmentation import random_patch, random_scaled_crop
from dsr.models.errors import UserError
from dsr.tfrecords import files
from dsr.tfrecords.converter import STATISTICS
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import BEFORE, find_records
from dsr.tfrecords.manifest import intact
from dsr.tfrecords.reader import ShardSet

Shards = Union[ShardSet, Sequence[ShardSet]]
Batch = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Share:
    """The part of each batch that one of several hosts reads: the `index`-th, from 0, of `of` equal ones."""

    index: int = 0
    of: int = 1


WHOLE = Share()


def training_dataset(
    shards: Shards,
    *,
    batch: int,
    crop: tuple[int, int],
    scale: tuple[float, float] = (0.5, 2.0),
    flip: bool = True,
    seed: int = 0,
    start_step: int = 0,
    share: Share = WHOLE,
    versions: Sequence[ShardSet] = (),
    chosen: NDArray[np.int64] | None = None,
) -> tf.data.Dataset:
    """Endless batches {"image": uint8 (batch, *crop, 3), "label": uint8 (batch, *crop)} for training a segmenter.

    `label` holds train ids, 255 where there is none. `scale` bounds the random scaling, `flip` mirrors half of the
    crops. The first batch is the one of step `start_step`. `versions` hold the images of `shards`, one set, in other
    domains: each sample is then of one of all these sets, each as likely, and the order of the images and their crops
    are what they are without. `chosen` are the places of the images to train on, all if None, see `subset`. Raises
    ArtefactError if a shard is damaged, or an image has no such version.
    """
    plain, images = _reader(shards)
    several = (*([shards] if isinstance(shards, ShardSet) else shards), *versions)
    version = _any_version(several, seed) if versions else lambda _, image: plain(image)
    places = np.arange(images) if chosen is None else chosen

    def sample(number: tf.Tensor, image: tf.Tensor) -> dict[str, tf.Tensor]:
        record = ShardSet.parse(version(number, tf.gather(places, image)))
        pixels, label = random_scaled_crop(
            record["image"], record["label"], crop=crop, scale=scale, flip=flip, seed=tf.stack([seed, number])
        )
        return {"image": pixels, "label": label}

    return _batches(_order(len(places), seed, start_step * batch), sample, batch, share)


def subset(shards: ShardSet, images: int, seed: int) -> NDArray[np.int64]:
    """The places (images,), rising, of so many images of a set, drawn by their keys and a seed.

    More images of the same seed contain fewer, and the same keys are drawn in every domain, also in one that lacks some
    images. All if there are no more.
    """

    def drawn(key: str) -> bytes:
        return hashlib.sha256(f"subset {seed} {key}".encode(errors="surrogateescape")).digest()

    keys = list(_sizes(shards))
    return np.sort(_places(shards, sorted(keys, key=drawn)[:images]))


def pair_dataset(
    compressed: ShardSet,
    original: ShardSet,
    *,
    batch: int,
    crop: int,
    images: int | None = None,
    seed: int = 0,
    start_step: int = 0,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Endless batches {"compressed", "original"}, both uint8 (batch, crop, crop, 3), for training a restorer.

    Both are the same window of the same image, in two domains, mirrored half of the time; of the first `images` in
    order of their keys, or of all. Originals that the codec left out are no pair. Raises ArtefactError if a compressed
    image has no original of its size, UserError if an image is smaller than the crop.
    """
    both = {"compressed": compressed, "original": original}
    shown = _paired(compressed, original, images)
    return _patches(both, shown, batch=batch, crop=crop, seed=seed, start_step=start_step, share=share)


def crop_pair_dataset(
    compressed: ShardSet,
    original: ShardSet,
    *,
    batch: int,
    crop: tuple[int, int],
    scale: tuple[float, float] = (0.5, 2.0),
    images: int | None = None,
    seed: int = 0,
    start_step: int = 0,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Endless batches {"compressed", "original", "inside"} for training a segmenter on images without labels.

    The first two are uint8 (batch, *crop, 3), the same crop of the same image in two domains, scaled and mirrored as
    `training_dataset` does it; "inside", uint8 (batch, *crop), is 255 beside the image and 0 in it. `images` and errors
    are those of `pair_dataset`, but that images may be smaller than the crop.
    """
    shown = _paired(compressed, original, images)
    readers = [_reader(shards)[0] for shards in (compressed, original)]
    places = [_places(shards, shown) for shards in (compressed, original)]

    def sample(number: tf.Tensor, image: tf.Tensor) -> dict[str, tf.Tensor]:
        records = [ShardSet.parse(read(tf.gather(place, image))) for read, place in zip(readers, places)]
        aligned = tf.concat([record["image"] for record in records], axis=-1)
        within = tf.zeros(tf.shape(aligned)[:2], tf.uint8)
        aligned, within = random_scaled_crop(
            aligned, within, crop=crop, scale=scale, flip=True, seed=tf.stack([seed, number])
        )
        return {"compressed": aligned[..., :3], "original": aligned[..., 3:], "inside": within}

    return _batches(_order(len(shown), seed, start_step * batch), sample, batch, share)


def patch_dataset(
    original: ShardSet, *, batch: int, crop: int, seed: int = 0, start_step: int = 0, share: Share = WHOLE
) -> tf.data.Dataset:
    """Endless batches of random windows, mirrored half of the time, for training a codec.

    Each is {"image": uint8 (batch, crop, crop, 3)}.

    Raises UserError if an image is smaller than the crop.
    """
    domains = {"image": original}
    return _patches(domains, _sizes(original), batch=batch, crop=crop, seed=seed, start_step=start_step, share=share)


def _patches(
    domains: dict[str, ShardSet],
    sizes: dict[str, tuple[int, int]],
    *,
    batch: int,
    crop: int,
    seed: int,
    start_step: int,
    share: Share,
) -> tf.data.Dataset:
    """The same window of the same image in each domain, by the domain's name; of the images in `sizes`."""
    key, smallest = min(sizes.items(), key=lambda item: min(item[1]))
    if min(smallest) < crop:
        raise UserError(
            f"patches of {crop}x{crop} do not fit into image {key!r} of {smallest[1]}x{smallest[0]} in "
            f"{next(iter(domains.values())).folder}: choose smaller patches"
        )
    readers = [_reader(shards)[0] for shards in domains.values()]
    places = [_places(shards, sizes) for shards in domains.values()]

    def sample(number: tf.Tensor, image: tf.Tensor) -> dict[str, tf.Tensor]:
        records = [read(tf.gather(place, image)) for read, place in zip(readers, places)]
        aligned = tf.concat([ShardSet.parse(record)["image"] for record in records], axis=-1)
        aligned = random_patch(aligned, size=crop, seed=tf.stack([seed, number]))
        aligned = tf.ensure_shape(aligned, (crop, crop, 3 * len(domains)))
        return dict(zip(domains, tf.split(aligned, len(domains), axis=-1)))

    return _batches(_order(len(sizes), seed, start_step * batch), sample, batch, share)


def evaluation_dataset(shards: ShardSet, batch: int = 1) -> tf.data.Dataset:
    """Batches of each image once, whole, in order of keys, the last one maybe smaller.

    Each is {"key": string (B,), "image": uint8 (B, H, W, 3), "label": uint8 (B, H, W)}. Images of several sizes need
    batch 1.
    """

    def sample(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        record = ShardSet.parse(serialized)
        return {name: record[name] for name in ("key", "image", "label")}

    samples = shards.serialized().map(sample, tf.data.AUTOTUNE, deterministic=True)
    return samples.batch(batch).prefetch(tf.data.AUTOTUNE)


def _batches(order: tf.data.Dataset, sample: Callable[..., Batch], batch: int, share: Share) -> tf.data.Dataset:
    """The share of each batch of the samples in this order; only those of the share are read."""
    size = batch // share.of
    if share.of > 1:
        own = slice(share.index * size, (share.index + 1) * size)
        order = order.batch(batch).map(lambda *numbers: [number[own] for number in numbers]).unbatch()
    options = tf.data.Options()
    options.deterministic = True
    samples = order.map(sample, tf.data.AUTOTUNE)
    return samples.batch(size, drop_remainder=True).prefetch(tf.data.AUTOTUNE).with_options(options)


def _order(images: int, seed: int, start: int) -> tf.data.Dataset:
    """(sample number, image), int64 scalars, from sample `start` on."""

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # Negative, to be apart from the sample numbers, which seed the augmentation.
        key = tf.stack([tf.constant(seed, tf.int64), -1 - number])
        order = tf.random.experimental.stateless_shuffle(tf.range(images, dtype=tf.int64), key, alg="philox")
        return tf.data.Dataset.from_tensor_slices(order)

    order = tf.data.Dataset.range(start // images, tf.int64.max).flat_map(epoch).skip(start % images)
    return tf.data.Dataset.zip((tf.data.Dataset.counter(start), order))


def _reader(shards: Shards) -> tuple[Callable[[tf.Tensor], tf.Tensor], int]:
    """A graph function from the number of an image to its serialized example, and how many images there are."""
    sets = [shards] if isinstance(shards, ShardSet) else shards
    paths = [str(path) for one in sets for path in one.paths]
    index = np.concatenate([_index(path, number) for number, path in enumerate(paths)])
    images = sum(one.num_images for one in sets)
    if len(index) != images:
        raise ArtefactError(
            f"{sets[0].folder} holds {len(index)} records where its manifest counts {images}; make it anew"
        )

    def read(image: tf.Tensor) -> tf.Tensor:
        file, before, length, behind = tf.unstack(tf.gather(index, image))
        one = tf.data.FixedLengthRecordDataset(tf.gather(paths, file), length, before, behind)
        return one.get_single_element()

    return read, images


def _index(path: str, number: int) -> NDArray[np.int64]:
    """For each record of a TFRecord file (`number`; bytes before the data, bytes of data, bytes behind)."""
    place = files.location(path)
    rows = [(number, start + BEFORE, length) for start, length in find_records(place)]
    index = np.array(rows, np.int64).reshape(-1, 3)
    behind = files.size(place) - index[:, 1] - index[:, 2]
    return np.column_stack([index, behind])


def _any_version(sets: Sequence[ShardSet], seed: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A graph function from sample number and image, as the first set counts them, to its example in one of the sets.

    Which one is drawn for (seed, sample number).
    """
    keys = _sizes(sets[0])
    for one in sets[1:]:
        if not keys.items() <= _sizes(one).items():
            raise ArtefactError(
                f"{one.folder} does not hold all images of {sets[0].folder}: convert one from the other"
            )
    read, _ = _reader(sets)
    before = np.cumsum([0, *(one.num_images for one in sets[:-1])])
    places = tf.constant(np.stack([start + _places(one, keys) for start, one in zip(before, sets)]))

    def version(number: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        # Negative, to be apart from the seeds of the augmentation.
        key = tf.stack([tf.constant(-1 - seed, tf.int64), number])
        drawn = tf.random.stateless_uniform([], key, 0, len(sets), tf.int64, alg="philox")
        return read(tf.gather_nd(places, tf.stack([drawn, image])))

    return version


def _paired(compressed: ShardSet, original: ShardSet, images: int | None) -> dict[str, tuple[int, int]]:
    """Key and size of the first `images` that are in both sets, or of all."""
    sizes = _sizes(compressed)
    if not sizes.items() <= _sizes(original).items():
        raise ArtefactError(
            f"{compressed.folder} and {original.folder} do not hold the same images: convert one from the other"
        )
    return dict(list(sizes.items())[:images])


def _places(shards: ShardSet, keys: Iterable[str]) -> NDArray[np.int64]:
    """Where in a set the images of these keys are."""
    places = {key: place for place, key in enumerate(_sizes(shards))}
    return np.array([places[key] for key in keys], np.int64)


def _sizes(shards: ShardSet) -> dict[str, tuple[int, int]]:
    """Key of each image, in order -> height and width."""
    path = intact(shards.folder, STATISTICS)
    try:
        return {row["key"]: (row["height"], row["width"]) for row in json.loads(path.read_bytes())}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{path} cannot be read ({error}); make the folder anew") from error
