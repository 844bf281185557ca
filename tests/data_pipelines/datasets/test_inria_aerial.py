from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets import DatasetError, open_source
from tests.data_pipelines.datasets.files import ids, picture, save, save_geotiff

CITIES = ("austin", "chicago", "kitsap", "tyrol-w", "vienna")
HIDDEN = ("bellingham", "bloomington", "innsbruck", "sfo", "tyrol-e")


@pytest.fixture()
def root(tmp_path):
    for city in CITIES:
        for number in (1, 10):
            save_geotiff(tmp_path / "train" / "images" / f"{city}{number}.tif", picture(number, 50, 50))
            save_geotiff(tmp_path / "train" / "gt" / f"{city}{number}.tif", ids(number, 50, 50, [0, 255]))
    for city in HIDDEN:
        save_geotiff(tmp_path / "test" / "images" / f"{city}1.tif", picture(0, 50, 50))
    return tmp_path


def cities(samples) -> set[str]:
    return {sample.key.split("/")[0].rstrip("0123456789") for sample in samples}


def test_four_cities_train_one_tests_and_the_others_restore(root):
    source = open_source("inria_aerial", root, tile=25, test_city="tyrol-w")
    assert cities(source.samples("train")) == set(CITIES) - {"tyrol-w"}
    assert cities(source.samples("test")) == {"tyrol-w"}
    assert cities(source.samples("restore")) == set(HIDDEN)
    assert source.read(source.samples("restore")[0])[1] is None


def test_tiles_put_together_are_the_image(root):
    source = open_source("inria_aerial", root, tile=25)
    tiles = [source.read(sample) for sample in source.samples("test") if sample.key.startswith("vienna10/")]
    assert len(tiles) == 4
    rows = [np.concatenate([tile[0] for tile in tiles[i : i + 2]], axis=1) for i in (0, 2)]
    np.testing.assert_array_equal(np.concatenate(rows), picture(10, 50, 50))
    rows = [np.concatenate([tile[1] for tile in tiles[i : i + 2]], axis=1) for i in (0, 2)]
    np.testing.assert_array_equal(np.concatenate(rows), ids(10, 50, 50, [0, 255]) // 255)


def test_tiles_that_do_not_divide_the_image_reach_its_edges(root):
    source = open_source("inria_aerial", root, tile=20)
    samples = [sample for sample in source.samples("train") if sample.key.startswith("austin1/")]
    assert len(samples) == 9
    np.testing.assert_array_equal(source.read(samples[-1])[0], picture(1, 50, 50)[30:, 30:])


def test_a_tile_larger_than_the_image_and_an_unknown_city_are_refused(root):
    source = open_source("inria_aerial", root)
    with pytest.raises(DatasetError, match=r"austin1\.tif: 50x50 is smaller than a tile; set tile to at most 50"):
        source.read(source.samples("train")[0])
    with pytest.raises(DatasetError, match="test_city must be one of austin"):
        open_source("inria_aerial", root, test_city="sfo")


def test_a_mask_with_other_values_is_refused(root):
    save(root / "train" / "gt" / "vienna1.tif", np.full((50, 50), 1, np.uint8))
    source = open_source("inria_aerial", root, tile=50)
    with pytest.raises(DatasetError, match=r"gt/vienna1\.tif: 2500 pixels hold ids"):
        source.read(source.samples("test")[0])


def test_an_image_that_cannot_be_cut_into_tiles_stays_one_sample_that_cannot_be_read(root):
    (root / "train" / "images" / "vienna1.tif").write_bytes(b"no image")
    source = open_source("inria_aerial", root, tile=25)
    (flawed,) = (sample for sample in source.samples("test") if sample.image.endswith("vienna1.tif"))
    with pytest.raises(DatasetError, match=r"images/vienna1\.tif: cannot be decoded"):
        source.read(flawed)


def test_more_tiles_than_anyone_wants_are_refused_before_they_are_listed(root):
    save_geotiff(root / "test" / "images" / "sfo1.tif", np.zeros((101, 101, 3), np.uint8))
    source = open_source("inria_aerial", root, tile=1)
    (flawed,) = (sample for sample in source.samples("restore") if sample.image.endswith("sfo1.tif"))
    with pytest.raises(DatasetError, match=r"sfo1\.tif: 101x101 makes more than 10000 tiles of 1; make tile larger"):
        source.read(flawed)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_tiles_of_a_turned_image_cover_what_is_shown(root, orientation):
    pixels, mask = picture(5, 40, 60), ids(5, 40, 60, [0, 255])
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(root / "train" / "images" / "vienna1.tif", pixels, exif=exif)
    save(root / "train" / "gt" / "vienna1.tif", mask, exif=exif)
    turns = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]
    source = open_source("inria_aerial", root, tile=20)
    tiles = [source.read(sample) for sample in source.samples("test") if sample.key.startswith("vienna1/")]
    assert len(tiles) == 6
    columns = np.rot90(pixels, turns).shape[1] // 20
    for number, upright in enumerate((np.rot90(pixels, turns), np.rot90(mask, turns) // 255)):
        rows = [np.concatenate([t[number] for t in tiles[i : i + columns]], axis=1) for i in range(0, 6, columns)]
        np.testing.assert_array_equal(np.concatenate(rows), upright)
