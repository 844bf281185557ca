from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dsr.data_pipelines.datasets import DatasetError, open_source
from dsr.data_pipelines.datasets.streets.canvas import Canvas
from dsr.data_pipelines.datasets.streets.dataset import TABLE
from dsr.data_pipelines.datasets.streets.scene import Scene
from dsr.data_pipelines.datasets.streets.textures import LEVELS, SIZE, tiles

NAMES = [label.name for label in TABLE.classes]


@pytest.fixture(scope="module")
def scenes():
    source = open_source("streets")
    return [source.read(sample) for sample in source.samples("train")[:16]]


def digest(source, sample) -> str:
    image, label = source.read(sample)
    return hashlib.sha256(image.tobytes() + label.tobytes()).hexdigest()


@pytest.mark.slow
def test_an_image_does_not_depend_on_process_or_order():
    source = open_source("streets", height=60, width=80)
    samples = source.samples("train")[:4]
    here = [digest(source, sample) for sample in samples]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = list(pool.map(digest, [source] * 4, reversed(samples)))
    assert here == there[::-1]
    assert len(set(here)) == 4


def test_seed_split_and_index_each_give_another_image():
    source, other = (open_source("streets", height=60, width=80, seed=seed) for seed in (0, 1))
    digests = [digest(source, source.samples(split)[0]) for split in source.splits]
    digests += [digest(other, other.samples("train")[0]), digest(source, source.samples("train")[1])]
    assert len(set(digests)) == 5


def test_counts_do_not_change_the_images_nor_the_fingerprints_of_other_splits():
    few, many = open_source("streets", train=3), open_source("streets", train=30)
    assert few.samples("train") == many.samples("train")[:3]
    assert few.fingerprint("test") == many.fingerprint("test")
    assert few.fingerprint("train") != many.fingerprint("train")
    assert few.fingerprint("test") != open_source("streets", seed=1).fingerprint("test")
    assert pickle.loads(pickle.dumps(few)).fingerprint("test") == few.fingerprint("test")


@settings(max_examples=12, deadline=None)
@given(st.integers(16, 90), st.integers(16, 130), st.integers(0, 10**6))
def test_any_size_renders_with_every_pixel_labelled(height, width, seed):
    image, label = Scene(height, width, np.random.default_rng(seed)).render()
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    assert label.shape == (height, width) and label.dtype == np.uint8
    assert label.max() < TABLE.num_classes


def test_colour_and_class_of_every_pixel_come_from_the_same_mask(monkeypatch):
    paint = Canvas.paint

    def paint_the_class(self, window, mask, label, color, depth):
        paint(self, window, mask, label, np.broadcast_to(np.float32(label + 10), color.shape), depth)

    monkeypatch.setattr(Canvas, "paint", paint_the_class)
    for seed in range(4):
        scene = Scene(90, 120, np.random.default_rng(seed))
        _, label = scene.render()
        drawn = label != NAMES.index("sky")
        np.testing.assert_array_equal(scene.canvas.rgb[drawn], np.repeat(label[drawn][:, None] + 10.0, 3, axis=1))
        assert scene.canvas.rgb[~drawn].max() < 2


def test_the_same_scene_is_drawn_at_every_size():
    small, large = (Scene(size, size * 4 // 3, np.random.default_rng(3)).render()[1] for size in (90, 270))
    assert np.mean(small == large[1::3, 1::3]) > 0.93


def test_a_lens_of_zoom_2_sees_the_middle_of_the_same_scene_twice_as_large():
    wide, near = (Scene(120, 160, np.random.default_rng(3), zoom) for zoom in (1, 2))
    (_, seen), (_, larger) = wide.render(), near.render()
    # Each line of sight of the near picture, and the pixel of the wide one that has it.
    rows, columns = (
        np.searchsorted(wide.canvas.down, near.canvas.down),
        np.searchsorted(wide.canvas.across, near.canvas.across),
    )
    assert np.ptp(near.canvas.across) == pytest.approx(np.ptp(wide.canvas.across) / 2)
    assert np.mean(seen[np.ix_(rows, columns)] == larger) > 0.85


def test_a_zoom_is_part_of_what_an_image_is_and_scenes_without_one_keep_their_names():
    plain, one, two = open_source("streets"), open_source("streets", zoom=1), open_source("streets", zoom=2.5)
    assert plain.describe() == one.describe() and "zoom" not in plain.options()
    assert two.options()["zoom"] == 2.5 and two.fingerprint("train") != plain.fingerprint("train")
    assert digest(one, one.samples("train")[0]) == digest(plain, plain.samples("train")[0])
    for wrong in (0, -1, 5, float("nan"), "2", True):
        with pytest.raises(DatasetError, match="zoom is"):
            open_source("streets", zoom=wrong)


def test_every_class_appears_and_small_ones_are_small(scenes):
    share = np.bincount(np.concatenate([label.ravel() for _, label in scenes]), minlength=len(NAMES))
    share = share / share.sum()
    assert (share > 0.0005).all(), dict(zip(NAMES, share))
    for label in TABLE.classes:
        if label.small:
            assert share[label.train_id] < 0.03, label.name


def fineness(scenes, name: str) -> float:
    """Median over images of the Laplacian's deviation over the mean brightness inside a class, away from its edges."""
    values = []
    for image, label in scenes:
        grey = image.mean(axis=-1)
        inside = ndimage.binary_erosion(label == NAMES.index(name), iterations=2)
        if inside.sum() > 200:
            values.append(ndimage.laplace(grey)[inside].std() / grey[inside].mean())
    assert len(values) >= 3, name
    return float(np.median(values))


def mean_color(scenes, name: str) -> np.ndarray:
    return np.concatenate([image[label == NAMES.index(name)] for image, label in scenes]).mean(axis=0)


def test_classes_that_share_a_colour_differ_in_fine_texture(scenes):
    green = {name: fineness(scenes, name) for name in ("tree", "grass", "fence")}
    assert green["tree"] > 1.4 * green["grass"] and green["tree"] > 1.4 * green["fence"]
    assert np.abs(mean_color(scenes, "tree") - mean_color(scenes, "grass")).max() < 35
    assert np.abs(mean_color(scenes, "road") - mean_color(scenes, "pavement")).max() < 25
    assert fineness(scenes, "building") > 4 * fineness(scenes, "sky")


def test_asphalt_is_grainy_between_the_joints_of_smooth_slabs():
    grid = np.arange(0, 2.4, 0.012, dtype=np.float32)
    asphalt, slabs = (tiles()[name](grid[None], grid[:, None], 0.012) for name in ("asphalt", "slabs"))
    assert np.median(np.abs(ndimage.laplace(asphalt))) > 4 * np.median(np.abs(ndimage.laplace(slabs)))


def test_texture_fades_to_its_mean_with_distance_and_does_not_alias():
    where = np.random.default_rng(0).uniform(-50, 50, (2, 4000)).astype(np.float32)
    for name, tile in tiles().items():
        finest = tile.texels[: SIZE * SIZE]
        near, far = (tile(where[0], where[1], tile.texel * scale) for scale in (0.5, 2.0**LEVELS))
        assert set(np.unique(near)) <= set(np.unique(finest)), name
        np.testing.assert_allclose(far, finest.mean(), atol=1e-3, err_msg=name)


def test_things_shrink_with_depth_as_in_a_pinhole_camera():
    canvas = Canvas(480, 640, np.random.default_rng(0))
    heights = []
    for z in (8.0, 16.0, 32.0):
        view = canvas.upright(0.0, z, -1, 1, 0.0, 1.6)
        assert view is not None
        (rows, _), _, y = view
        heights.append(rows.stop - rows.start)
        assert y.max() <= 1.6 and y.min() >= 0
    assert heights[0] == pytest.approx(2 * heights[1], abs=2) and heights[1] == pytest.approx(2 * heights[2], abs=2)


def test_a_root_or_an_enormous_image_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="leave its root"):
        open_source("streets", tmp_path)
    with pytest.raises(DatasetError, match="more than 16 megapixels"):
        open_source("streets", height=50_000, width=50_000)
