"""PyTorch reads what the shards hold, without TensorFlow, and goes on in the middle of a training as if it had not
stopped.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import records
from tests.tfrecords.fakes import FakeSource, convert_everything, inline
from tests.tfrecords.writing import write_originals

torch = pytest.importorskip("torch", reason="needs PyTorch, which is no dependency: see CONTRIBUTING.md")

from torch.utils.data import DataLoader

from dsr.torch import ShardDataset, Steps

IMAGES, BATCH, SIDE = 7, 3, 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of two or three images of slightly different sizes; every third has no label."""
    folder = tmp_path_factory.mktemp("shards") / "original"
    write_originals(FakeSource(IMAGES), "train", folder, images_per_shard=3, engine=inline)
    return folder


def crop(sample: dict[str, np.ndarray], random: np.random.Generator) -> dict[str, np.ndarray]:
    """A random window; in a module, because worker processes must import it."""
    top, left = (random.integers(0, side - SIDE + 1) for side in sample["label"].shape)
    return {name: array[top : top + SIDE, left : left + SIDE] for name, array in sample.items()}


def batches(folder: Path, workers: int, **steps: Any) -> list[dict[str, Any]]:
    data = ShardDataset(folder, crop)
    context = "spawn" if workers else None  # TensorFlow's threads, if another test started it, outlive no fork
    order = Steps(len(data), batch=BATCH, **steps)
    return list(DataLoader(data, batch_sampler=order, num_workers=workers, multiprocessing_context=context))


def same(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> bool:
    return len(some) == len(others) and all(
        torch.equal(one[name], other[name]) for one, other in zip(some, others) for name in ("image", "label")
    )


def test_an_item_is_what_the_record_holds(folder: Path) -> None:
    data = ShardDataset(folder)
    found = list(records(folder))
    assert len(data) == len(found) == IMAGES
    for item, record in zip(data, found):
        assert (item["image"].dtype, item["label"].dtype) == (torch.uint8, torch.int64)
        assert np.array_equal(item["image"].numpy().transpose(1, 2, 0), record.pixels())
        label = record.train_ids()
        if label is None:
            label = np.full((record.height, record.width), 255, np.uint8)
        assert np.array_equal(item["label"].numpy(), label)
    assert sum(record.train_ids() is None for record in found) == IMAGES // 3


def test_two_workers_give_the_batches_of_one_process(folder: Path) -> None:
    alone = batches(folder, 0, seed=5, end=6)
    assert alone[0]["image"].shape == (BATCH, 3, SIDE, SIDE) and alone[0]["label"].shape == (BATCH, SIDE, SIDE)
    assert same(batches(folder, 2, seed=5, end=6), alone)


@pytest.mark.parametrize("start", [1, 2, 5])
def test_a_training_that_goes_on_at_a_step_sees_what_an_uninterrupted_one_sees(folder: Path, start: int) -> None:
    assert same(batches(folder, 0, seed=1, start=start, end=8), batches(folder, 0, seed=1, end=8)[start:])


def test_every_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    drawn = list(itertools.chain(*Steps(IMAGES, batch=BATCH, seed=2, end=IMAGES)))  # three epochs
    assert [number for _, _, number in drawn] == list(range(3 * IMAGES))
    epochs = [[image for image, _, _ in drawn[e * IMAGES : (e + 1) * IMAGES]] for e in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(IMAGES))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    other = list(itertools.chain(*Steps(IMAGES, batch=BATCH, seed=3, end=IMAGES)))
    assert [image for image, _, _ in other] != [image for image, _, _ in drawn]


def test_an_image_comes_back_with_another_crop_in_the_next_epoch(folder: Path) -> None:
    data = ShardDataset(folder, crop)
    seen = {tuple(data[0, 0, number]["image"].flatten().tolist()) for number in range(20)}
    assert len(seen) > 5


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"start": -1}, {"images": 0}])
def test_steps_that_draw_nothing_are_refused(wrong: dict[str, int]) -> None:
    name = next(iter(wrong))
    with pytest.raises(ValueError, match=f"{name}={wrong[name]}"):
        Steps(**{"images": 5, "batch": 2, **wrong})


def test_without_an_end_it_goes_on() -> None:
    endless = Steps(IMAGES, batch=BATCH, start=10**9)
    assert [number for _, _, number in next(iter(endless))] == [3 * 10**9, 3 * 10**9 + 1, 3 * 10**9 + 2]
    with pytest.raises(TypeError):
        len(endless)
    assert (len(Steps(IMAGES, batch=BATCH, start=2, end=9)), len(Steps(IMAGES, batch=BATCH, start=9, end=2))) == (7, 0)


def test_damage_is_named(tmp_path: Path) -> None:
    convert_everything(tmp_path)
    shard = sorted((tmp_path / "r").glob("*.tfrecord"))[1]
    data = bytearray(shard.read_bytes())
    data[-9] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ArtefactError, match=f"{shard.name}.* is damaged"):
        list(ShardDataset(tmp_path / "r"))
    shard.unlink()
    with pytest.raises(ArtefactError, match=shard.name):
        ShardDataset(tmp_path / "r")


def test_tensorflow_is_not_needed(folder: Path) -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = None; from dsr.torch import ShardDataset; "
        f"print(len(list(ShardDataset({str(folder)!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"{IMAGES}\n", 0), done.stderr
