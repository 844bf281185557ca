from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dsr.data_pipelines.datasets import Sample
from dsr.data_pipelines.datasets.tiles import parts, spaced, windows


@given(st.integers(1, 400), st.data())
def test_parts_cover_the_whole_length_with_as_few_as_can(length, data):
    part = data.draw(st.integers(1, length))
    offsets = spaced(length, part)
    covered = np.zeros(length, bool)
    for offset in offsets:
        assert 0 <= offset <= length - part
        covered[offset : offset + part] = True
    assert covered.all()
    assert (len(offsets) - 1) * part < length


def test_the_papers_drone_patches_are_evenly_spaced():
    assert spaced(3000, 1200, 4) == [0, 600, 1200, 1800]
    assert spaced(2000, 800, 3) == [0, 600, 1200]
    assert spaced(5000, 1000) == [0, 1000, 2000, 3000, 4000]


def test_windows_go_row_by_row():
    assert windows([0, 5], [0, 3], 4, 2)[1] == (slice(0, 4), slice(3, 5))


def test_parts_of_all_images_are_sorted_by_key():
    keys = [part.key for part in parts([Sample("a", "a", None), Sample("a-b", "a-b", None)], lambda sample: 2)]
    assert keys == sorted(keys) and len(set(keys)) == 4
