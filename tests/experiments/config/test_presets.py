"""Studies by name: what the paper did, and what a few processor cores can do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.presets import PRESETS, preset
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import closure
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import ORIGINAL, Study
from dsr.experiments.summaries import ShardsSummary
from tests.experiments.studies import HERE


def test_the_papers_presets_have_both_codecs_at_four_points_and_all_its_restorers() -> None:
    studies = [preset(name) for name in PRESETS if name.startswith("paper-")]
    assert {study.dataset.name for study in studies} == {"cityscapes", "inria_aerial", "semantic_drone"}
    for study in studies:
        codecs = [point.codec for point in study.points]
        assert (codecs.count("bpg"), codecs.count("msh"), len(codecs)) == (4, 4, 8)
        assert study.restorers == ("gan", "rdn-psnr", "rdn-msssim")
        assert study.restorer.gan.generator.parameters == 45_603_971
        assert (study.restorer.gan.steps, study.restorer.rdn.steps, study.segmenter.steps) == (135_000, 200_000, 90_000)


def test_what_was_one_preset_names_those_that_it_became() -> None:
    with pytest.raises(ConfigError, match="there are: paper-cityscapes, paper-inria, paper-drone"):
        preset("paper")
    with pytest.raises(ConfigError, match='did you mean "camvid"'):
        preset("canvid")


def _aerial(path: Path, label: bool) -> None:
    """A GeoTIFF as they are published: uncompressed, in strips, with the tags of a map projection."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(path.name))
    pixels = random.integers(0, 256, (600, 700, 3), np.uint8)
    image = Image.fromarray(np.where(pixels[..., 0] < 128, 0, 255).astype(np.uint8) if label else pixels)
    tags = {33550: (0.3, 0.3, 0.0), 33922: (0.0, 0.0, 0.0, 6.2e5, 3.3e6, 0.0), 34735: (1, 1, 0, 1, 1024, 0, 1, 1)}
    image.save(path, tiffinfo=tags)


@pytest.mark.slow
def test_inria_resolves_and_converts_geotiffs_in_the_official_layout(tmp_path: Path) -> None:
    for city in ("austin", "chicago", "kitsap", "tyrol-w", "vienna"):
        _aerial(tmp_path / "train" / "images" / f"{city}1.tif", label=False)
        _aerial(tmp_path / "train" / "gt" / f"{city}1.tif", label=True)
    for city in ("bellingham", "bloomington", "innsbruck", "sfo", "tyrol-e"):
        _aerial(tmp_path / "test" / "images" / f"{city}1.tif", label=False)
    limits = [f"dataset.{role}_limit=2" for role in ("restore", "train")]
    given = [f"dataset.root={tmp_path}", "segmenter.network.weights=none", "restorer.gan.vgg=none", *limits]
    given += ["restorer.gan.weights.vgg=0", "points=jpeg-quality10"]
    study = Study(apply_overrides(preset("inria"), given), tmp_path / "work", HERE)
    segmenters = [artefact for artefact in closure(study.evaluations()) if artefact.group == "segmenters"]
    assert len(segmenters) == 3
    assert study.photographs("test") == 1 and study.images("test") == 4  # tiles of 500 that cover 700x600
    shards = [study.shards(Domain("C", *study.degradations), role) for role in ("restore", "train", "test")]
    make(shards, Progress())
    assert [one.summary(ShardsSummary).images for one in shards] == [2, 2, 4]
    assert {(s.height, s.width) for s in (one.summary(ShardsSummary) for one in shards)} == {(500, 500)}


def test_drone_takes_real_images_and_knows_that_they_are_few(shared: Path, tmp_path: Path) -> None:
    root = shared / "semantic_drone_sample"
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    given = [f"dataset.root={root}", "dataset.options.test=2", "dataset.options.restore=2", "restorer.gan.vgg=none"]
    given += ["segmenter.network.weights=none", "restorer.gan.weights.vgg=0", "dataset.test_limit=2"]
    study = Study(apply_overrides(preset("drone"), given), tmp_path / "work", HERE)
    assert [study.images(role) for role in ("restore", "train", "test")] == [24, 24, 2]
    assert study.photographs("train") == 2
    shards = study.shards(ORIGINAL, "test")
    make([shards], Progress())
    summary = shards.summary(ShardsSummary)
    assert (summary.images, summary.height, summary.width) == (2, 400, 600)
