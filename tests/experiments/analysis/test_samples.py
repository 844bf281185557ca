from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from dsr.experiments.analysis.pictures import ReportError
from dsr.experiments.analysis.report import write_report
from dsr.experiments.analysis.samples import gallery, image_ious, sample_views
from dsr.experiments.results import GalleryImage
from tests.experiments.analysis import example
from tests.experiments.analysis.example import CLASSES

ids = st.sampled_from(range(len(CLASSES)))


ids_or_none = st.one_of(ids, st.just(255))


@given(arrays.arrays(np.uint8, (4, 5), elements=ids_or_none), arrays.arrays(np.uint8, (4, 5), elements=ids_or_none))
def test_the_ious_of_an_image_are_those_of_sets_of_pixels(predicted, label):
    pixels = [(y, x) for y in range(4) for x in range(5) if label[y, x] != 255]
    expected = {}
    for number, one in enumerate(CLASSES):
        a = {place for place in pixels if predicted[place] == number}
        b = {place for place in pixels if label[place] == number}
        if a | b:
            expected[one.name] = len(a & b) / len(a | b)
    if expected:
        expected[""] = sum(expected.values()) / len(expected)
    assert image_ious(predicted, label, CLASSES) == pytest.approx(expected)


def test_a_sample_has_scores_of_each_measure_at_each_point(tmp_path):
    results = example.study(tmp_path, ("gan", "rdn-psnr"))
    (view,) = sample_views(results, 10**9)
    assert set(view.scores) == {"PSNR", "OO", "CO", "CC", "OC", "RO gan", "RO rdn-psnr", "OR gan", "OR rdn-psnr"}
    assert all(set(by_point) == set(example.POINTS) for by_point in view.scores.values())
    assert view.scores["PSNR"]["bpg-qp45"] == {"": 29.876}
    assert set(view.scores["CO"]["bpg-qp45"]) == {"", *(label.name for label in CLASSES)}


def test_a_sample_opens_on_compressed_beside_restored_at_the_hardest_compression(tmp_path):
    results = example.study(tmp_path)
    (view,) = sample_views(results, 10**9)
    assert [one.name for one in view.pair] == ["compressed, bpg-qp45", "restored, bpg-qp45"]
    for sample in results.samples:
        sample.restored = {}
    (view,) = sample_views(results, 10**9)
    assert [one.name for one in view.pair] == ["original", "compressed, bpg-qp45"]


@pytest.mark.parametrize("role", ["compressed", "CO"])
def test_a_picture_of_another_size_than_its_image_is_named(tmp_path, role):
    results = example.study(tmp_path)
    path = results.samples[0].images[role]
    with Image.open(path) as picture:
        smaller = picture.crop((0, 0, 9, 8))
    smaller.save(path)
    with pytest.raises(ReportError, match=rf"{role}\.png has 9x8 pixels, not 32x24"):
        write_report(results, tmp_path / "report")


def test_the_gallery_shows_what_was_chosen_small_and_in_order(tmp_path):
    results = example.study(tmp_path)
    path = results.samples[0].images["original"]
    results.gallery = [
        GalleryImage("b", path, {"bpg-qp45": 21.5, "bpg-qp37": 33.0}),
        GalleryImage("a", path, {"bpg-qp45": 22.5, "bpg-qp37": None}),
    ]
    tiles = gallery(results)
    assert [(tile.key, tile.psnr) for tile in tiles] == [("b", 21.5), ("a", 22.5)]
    assert tiles[1].scores == {"PSNR": {"bpg-qp45": {"": 22.5}}}
    assert tiles[0].picture.uri.startswith("data:image/webp;base64,")
