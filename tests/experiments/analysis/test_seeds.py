from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dsr.experiments.analysis.seeds import BySeed

scores = st.floats(0, 1)
several = st.dictionaries(st.integers(0, 20), scores, min_size=2, max_size=12)


@given(several)
def test_mean_deviation_and_interval_agree_with_numpy_and_scipy(values):
    found = BySeed(values)
    sample = np.array(list(values.values()))
    assert found.n == len(sample)
    assert found.mean == pytest.approx(sample.mean())
    assert found.deviation == pytest.approx(sample.std(ddof=1), abs=1e-12)
    error = sample.std(ddof=1) / np.sqrt(len(sample))
    low, high = stats.t.interval(0.95, len(sample) - 1, loc=sample.mean(), scale=max(error, 1e-300))
    assert found.interval == pytest.approx((low, high), abs=1e-9)


def test_one_seed_has_a_mean_and_no_spread():
    one = BySeed({7: 0.5})
    assert (one.n, one.mean, one.deviation, one.interval) == (1, 0.5, None, None)


@given(several, st.lists(scores, min_size=21, max_size=21), scores)
def test_what_a_seed_does_to_both_cancels_in_their_difference(values, of_seed, apart):
    lower = BySeed({seed: value + of_seed[seed] for seed, value in values.items()})
    higher = BySeed({seed: value + apart for seed, value in lower.values.items()})
    difference = higher.minus(lower)
    assert difference is not None and difference.interval is not None
    assert difference.mean == pytest.approx(apart)
    assert difference.interval == pytest.approx((apart, apart))


@given(several, several)
def test_differences_pair_equal_seeds_and_change_their_sign_with_the_order(a, b):
    forward, backward = BySeed(a).minus(BySeed(b)), BySeed(b).minus(BySeed(a))
    common = set(a) & set(b)
    assert (forward is None) == (backward is None) == (not common)
    if forward is not None and backward is not None:
        assert set(forward.values) == common
        assert forward.mean == pytest.approx(np.mean([a[seed] - b[seed] for seed in common]))
        assert backward.values == {seed: -value for seed, value in forward.values.items()}


def test_nothing_cannot_be_subtracted():
    assert BySeed({0: 0.5}).minus(None) is None
