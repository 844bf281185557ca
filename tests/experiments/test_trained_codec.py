"""The codec that a study trains itself is an operating point of it like any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import CodecError
from dsr.data_pipelines.codecs.msh import MshCodec
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.conversion import Converting, stored_codec
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.last_conversion import last_conversion
from dsr.experiments.study import Study
from dsr.experiments.trained_codec import TrainedCodec
from dsr.tfrecords.engine import How
from dsr.tfrecords.manifest import records
from tests.experiments import studies

POINTS = "points=jpeg-quality10,msh-quality2.5+model=trained"
TINY = [
    *(f"dataset.options.{key}={value}" for key, value in {"height": 64, "width": 64, "zoom": 1}.items()),
    *(f"dataset.options.{role}=2" for role in ("restore", "train", "test")),
    *(f"codec.{key}={value}" for key, value in {"patch": 64, "batch": 2, "steps": 2, "start": "none"}.items()),
    *("codec.network.filters=8", "codec.network.latents=8"),
]


def compressed(study: Study, role: str = "test") -> list[Artefact]:
    return [study.shards(Domain("C", degradation), role) for degradation in study.degradations]


def test_shards_follow_from_the_training_of_the_codec_and_those_of_other_codecs_do_not(tmp_path: Path) -> None:
    config = apply_overrides(studies.small(), [*TINY, POINTS])
    longer = apply_overrides(config, ["codec.steps=3"])
    before, after = (compressed(Study(each, tmp_path)) for each in (config, longer))
    assert set(before[1].inputs) == set(before[1].identity.inputs) == {"original", "codec"}
    assert before[0].fingerprint == after[0].fingerprint
    assert before[1].fingerprint != after[1].fingerprint
    assert before[1].name == "streets/test/msh-quality2.5+model=trained"
    assert Study(apply_overrides(config, [f"points={before[1].of.point}"]), tmp_path).degradations[0].level == 2.5


@pytest.mark.parametrize(
    "point",
    [
        *("msh-quality7+model=trained", "msh-quality0.5+model=trained", "downsample2+msh-quality2+model=trained"),
        "msh-quality2+model=trained+max_pixels=99",
    ],
)
def test_a_point_that_the_training_does_not_serve_is_refused_before_any_work(point: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Study(apply_overrides(studies.small(), [*TINY, f"points={point}"]), tmp_path)
    one = apply_overrides(studies.small(), [*TINY, "points=msh+model=trained", "codec.quality=5"])
    assert Study(one, tmp_path).degradations[0].point == "msh-quality5+model=trained"
    with pytest.raises(ConfigError, match="serves quality 5, not 4"):
        Study(apply_overrides(one, ["points=msh-quality4+model=trained"]), tmp_path)
    assert not list(tmp_path.iterdir())


def test_before_it_is_trained_the_codec_says_so(tmp_path: Path) -> None:
    (_, codec) = Study(apply_overrides(studies.small(), [*TINY, POINTS]), tmp_path).degradations
    with pytest.raises(ConfigError, match="not trained yet"):
        codec.degrade(np.zeros((64, 64, 3), np.uint8), "key")


@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_study_trains_its_codec_and_compresses_with_it(tmp_path: Path) -> None:
    config = apply_overrides(studies.small(), [*TINY, "points=msh-quality2.5+model=trained"])
    study = Study(config, tmp_path, Converting(How(workers=1)))
    (shards,), (degradation,) = compressed(study), study.degradations
    make([shards], Progress())
    codec = MshCodec(2.5, model=str(study.trained_codec().folder))
    assert isinstance(degradation, TrainedCodec) and degradation.codec == codec
    for record in records(shards.folder):
        assert np.array_equal(codec.decode(record.bitstream), record.pixels())
        assert record.provenance["codec"]["options"]["model"] == codec.model
    assert last_conversion(study) == dataclasses.replace(config.points[0])

    verified = CliRunner().invoke(cli, ["verify", "--deep", "--work", str(tmp_path), "--workers", "1"])
    assert verified.exit_code == 0, verified.output
    with pytest.raises(CodecError, match="not among what is verified"):
        stored_codec(shards.manifest, {})
