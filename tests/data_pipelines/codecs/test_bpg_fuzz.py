"""Damaged BPG files: a short run of `dsr.experiments.benchmarks.bpg_fuzz`, which goes on for as long as one likes."""

from __future__ import annotations

import numpy as np

from dsr.experiments.benchmarks.bpg_fuzz import damaged, run_case, samples


def test_damaged_files_are_decoded_or_refused():
    files = samples()
    outcomes = [run_case(files[seed % len(files)], seed) for seed in range(1500)]
    assert 0 < outcomes.count("decoded") < 50
    assert len({outcome for outcome in outcomes if outcome != "decoded"}) > 10


def test_random_bytes_behind_a_right_header_are_decoded_or_refused():
    rng = np.random.default_rng(0)
    for data in samples():
        for seed in range(50):
            run_case(data[:20] + rng.bytes(400), seed)


def test_a_seed_always_does_the_same_damage():
    data = samples()[0]
    assert damaged(data, np.random.default_rng(7)) == damaged(data, np.random.default_rng(7)) != data
