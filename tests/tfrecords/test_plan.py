from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr.tfrecords.plan import Part, Shard, evenly, plan_shards, select_samples, shards_in_all
from tests.tfrecords.fakes import FakeSample

SAMPLES = [FakeSample(f"image {number:04d}", "") for number in range(300)]


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 9))
def test_every_image_is_in_one_shard_in_order_and_sizes_differ_by_one_at_most(count, images_per_shard, seed):
    listed = [SAMPLES[i] for i in np.random.default_rng(seed).permutation(count)]
    shards = plan_shards(select_samples(listed, None), images_per_shard)
    assert [sample for shard in shards for sample in shard.samples] == SAMPLES[:count]
    sizes = [shard.images for shard in shards]
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= images_per_shard
    assert [(shard.index, shard.of) for shard in shards] == [(i, len(shards)) for i in range(len(shards))]


@given(st.integers(0, 40), st.integers(0, 300))
def test_a_choice_is_spread_evenly_from_the_first_image_on(count, of):
    chosen = evenly(count, of)
    assert len(chosen) == min(count, of) and chosen[:1] in ([], [0])
    assert chosen == sorted(set(chosen)) and chosen[-1:] <= [of - 1]
    gaps = {after - before for before, after in zip(chosen, [*chosen[1:], of])}
    assert max(gaps, default=0) - min(gaps, default=0) <= 1


def test_a_limit_takes_the_images_that_it_always_took():
    assert [sample.key[-3:] for sample in select_samples(SAMPLES[:10], 3)] == ["000", "003", "006"]
    assert select_samples(SAMPLES[:10], 20) == SAMPLES[:10]


@pytest.mark.parametrize("of", [1, 99_999, 100_000, 187_500, 1_000_000])
def test_file_names_sort_like_the_shards_whatever_their_number(of):
    names = [Shard(index, of, 1).name for index in sorted({0, of // 10, of // 2, of - 1})]
    assert names == sorted(names)
    assert {shards_in_all(name) for name in names} == {shards_in_all(names[0] + ".json")} == {of}


@given(st.integers(1, 50), st.integers(1, 20))
def test_every_shard_belongs_to_one_part_and_parts_are_alike(count, of):
    shards = [Shard(index, count, 1) for index in range(count)]
    owned = [[shard for shard in shards if Part(number, of).owns(shard)] for number in range(1, of + 1)]
    assert sorted(shard.index for shards in owned for shard in shards) == list(range(count))
    assert max(map(len, owned)) - min(map(len, owned)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "3/", "-1/3", "3/16/2", "a/b", "1/10000000"])
def test_what_is_no_part_is_refused(text):
    assert str(Part.parse("3/16")) == "3/16"
    with pytest.raises(ValueError, match="such as 3/16"):
        Part.parse(text)


def test_keys_that_repeat_are_marked_also_across_two_shards():
    keys = ["a", "b", "b", "c", "d", "d", "d", "e"]
    shards = plan_shards([FakeSample(key, "") for key in keys], 2)
    assert [shard.repeated for shard in shards] == [{"b"}, {"b"}, {"d"}, {"d"}]
