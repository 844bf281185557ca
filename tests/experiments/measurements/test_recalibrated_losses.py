"""What CO loses is parted by what recalibrating saves of it and of OO, image by image and seed by seed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.loss_differences import SHIFT_OF_CO
from dsr.experiments.measurements.artefacts import cases_of_losses, losses
from dsr.experiments.measurements.files import LOSSES
from dsr.experiments.measurements.information import information_results
from dsr.experiments.study import Study
from dsr.tfrecords.building import building
from tests.experiments import studies

SMALL = ["dataset.options.test=7", "dataset.options.train=8", "dataset.options.restore=6", "points=bpg-qp42"]
KEYS = np.array([f"test/{number}" for number in range(7)])
MEANS = {("OO", None): 0.50, ("OO", "recalibrated"): 0.45, ("CO", None): 0.60, ("CO", "recalibrated"): 0.52}
"""Bits of every pixel: recalibrating saves 0.05 where nothing was compressed, so 0.03 of the 0.10 were shift."""


def bits_between(work: Path, *left_out: tuple[str, str | None]) -> dict[tuple[str, str], float]:
    """The differences in a study in which all cases of MEANS but these were measured, three seeds each."""
    study = Study(apply_overrides(studies.small(), [*SMALL, "adaptations=recalibrated", "seeds=3"]), work)
    pixels = np.random.default_rng(1).integers(0, 50, (len(KEYS), study.source.table.num_classes))
    for case in cases_of_losses(study):
        which = case.configuration, case.adaptation
        if which in MEANS and which not in left_out:
            own = 0.01 * np.random.default_rng(case.seed).normal()  # of a seed, the same for all
            artefact = losses(study, case)
            for made in (artefact.inputs["temperature"], artefact):
                if not made.exists:
                    with building(made.folder, made.identity) as build:
                        nats = (MEANS[which] + own) * math.log(2) * pixels
                        np.savez(build.path / LOSSES, keys=KEYS, nats=nats, pixels=pixels)
                        build.summary.update(images=7, pixels=9, temperature=1.0, bits=1.0, miou=0.5, samples=[])
    found = information_results(study)
    assert found is not None
    return {(one.configuration, one.minus): one.bits.value for one in found.differences}


def test_what_recalibrating_saves_without_any_compression_is_no_shift(tmp_path: Path) -> None:
    bits = bits_between(tmp_path)
    assert bits["CO", "OO"] == pytest.approx(0.10)
    assert bits[SHIFT_OF_CO] == pytest.approx(0.03)
    assert bits["CO recalibrated", "OO recalibrated"] == pytest.approx(0.07)
    assert bits["OO", "OO recalibrated"] == pytest.approx(0.05) and bits["CO", "CO recalibrated"] == pytest.approx(0.08)


def test_without_a_recalibrated_bound_co_does_not_come_apart(tmp_path: Path) -> None:
    bits = bits_between(tmp_path, ("OO", "recalibrated"))
    assert ("CO", "OO") in bits and ("CO", "CO recalibrated") in bits
    assert SHIFT_OF_CO not in bits and ("CO recalibrated", "OO recalibrated") not in bits
