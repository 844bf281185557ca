"""Operating points are read as they are written, codecs and other degradations alike."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from dsr.data_pipelines.codecs import CODECS, codec_class
from dsr.data_pipelines.degradations import DEGRADATIONS, degradation_class
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.domain import Domain
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.stored_json import from_json
from dsr.experiments.study import Study
from dsr.tfrecords.manifest import records
from tests.experiments import studies
from tests.experiments.studies import HERE

TEXTS = [
    "bpg-qp40",
    "bpg-qp40+chroma=4:4:4",
    "none",
    "blur-gaussian2",
    "noise-shot50+seed=3",
    "downsample2+bpg-qp40+chroma=4:4:4",
    "blur-gaussian1.5+noise-read4+jpeg-quality20",
    "downsample2+blur-motion9",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_point_is_called_what_it_is_read_from(text: str) -> None:
    made = OperatingPoint.parse(text).make()
    again = OperatingPoint.parse(made.point).make()
    assert made == again and "/" not in made.point and " " not in made.point


def test_what_is_done_first_is_points_again_and_is_stored_as_texts() -> None:
    point = OperatingPoint.parse("blur-gaussian1.5+noise-shot50+seed=3+jpeg-quality20")
    assert point.stages_before == [OperatingPoint("blur-gaussian", 1.5), OperatingPoint("noise-shot", 50, {"seed": 3})]
    stored = json.loads(json.dumps(dataclasses.asdict(point)))
    assert stored["before"] == ["blur-gaussian1.5", "noise-shot50+seed=3"]
    assert from_json(OperatingPoint, stored) == point


def test_every_codec_and_degradation_can_be_a_point() -> None:
    for name in CODECS:
        scale = codec_class(name).scale
        assert OperatingPoint.parse(name if scale is None else f"{name}:{scale.default:g}").make().name == name
    for name in DEGRADATIONS:
        assert OperatingPoint.parse(f"{name}{degradation_class(name).scale.high:.0f}").make().level >= 8


@pytest.mark.parametrize("text", ["jpg-quality9", "blur-gaussian", "blur2", "", "+", "bpg-qp40+", "=", "downsample2+"])
def test_what_is_no_point_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        apply_overrides(studies.small(), [f"points={text or ','}+"])


def test_one_study_has_points_of_one_codec_with_other_options_and_degradations(tmp_path: Path) -> None:
    sizes = [f"dataset.options.{key}={value}" for key, value in {"height": 24, "width": 32}.items()]
    few = [f"dataset.options.{role}=1" for role in ("restore", "train", "test")]
    points = "jpeg-quality10,jpeg-quality10+chroma=4:4:4,blur-gaussian1,downsample2+jpeg-quality10"
    study = Study(apply_overrides(studies.small(), [*sizes, *few, f"points={points}"]), tmp_path, HERE)
    shards = [study.shards(Domain("C", degradation), "test") for degradation in study.degradations]
    make(shards, Progress())
    plain, full, blurred, small = (one.manifest.summary["bpp"] for one in shards)
    assert full > plain > small and blurred is None
    (record,) = records(shards[2].folder)
    assert record.bitstream == b"" and "degradation" in record.provenance
    assert not np.array_equal(record.pixels(), next(records(shards[0].folder)).pixels())
