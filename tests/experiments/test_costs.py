"""What a plan says of GPU and disk is multiplication that can be done by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.costs import BYTES_PER_PIXEL, GPU_RATE, Costs, costs
from dsr.experiments.graph.artefacts import closure
from dsr.experiments.measurements.artefacts import losses
from dsr.experiments.study import Study
from dsr.models.segmenter.config import DeepLabConfig
from tests.experiments import studies

IMAGES = {"restore": 5, "train": 7, "test": 3}
SMALL = [
    *("dataset.options.height=40", "dataset.options.width=50", "points=jpeg-quality10", "seeds=1"),
    *(f"dataset.options.{role}={count}" for role, count in IMAGES.items()),
]


def of(work: Path, *overrides: str) -> Costs:
    study = Study(apply_overrides(studies.small(), [*SMALL, *overrides]), work)
    return costs(study, closure(study.evaluations()))


def test_a_study_stores_its_images_in_each_domain(tmp_path: Path) -> None:
    pixels = 40 * 50 * (IMAGES["train"] + IMAGES["test"])
    assert of(tmp_path, "restorers=shipped").bytes == pytest.approx(pixels * sum(BYTES_PER_PIXEL.values()))
    apart = 40 * 50 * IMAGES["restore"] * (BYTES_PER_PIXEL["O"] + BYTES_PER_PIXEL["C"])
    assert of(tmp_path, "restorers=gan").bytes == pytest.approx(pixels * sum(BYTES_PER_PIXEL.values()) + apart)


def test_what_exists_costs_nothing(tmp_path: Path) -> None:
    assert costs(Study(apply_overrides(studies.small(), SMALL), tmp_path), []) == Costs(0.0, 0.0)


def test_trainings_cost_by_steps_crops_and_networks(tmp_path: Path) -> None:
    given = ["segmenter.steps=10", "restorers=gan,rdn-psnr"]
    before = of(tmp_path, *given)
    config = apply_overrides(studies.small(), SMALL)
    segmenter, crops = config.segmenter, 10 * config.segmenter.batch
    each = 3 * segmenter.crop_height * segmenter.crop_width * segmenter.network.multiply_adds
    after = of(tmp_path, *given, "segmenter.steps=20")
    assert (after.gpu_seconds - before.gpu_seconds) * GPU_RATE == pytest.approx(4 * crops * each)  # O, C and two of R
    rdn = config.restorer.rdn
    longer = of(tmp_path, *given, f"restorer.rdn.steps={rdn.steps + 1}")
    step = 3 * rdn.batch * rdn.patch**2 * rdn.network.multiply_adds
    assert (longer.gpu_seconds - before.gpu_seconds) * GPU_RATE == pytest.approx(step)


def test_a_step_over_pairs_costs_that_of_three_crops(tmp_path: Path) -> None:
    given = ["segmenter.steps=10", "restorers=shipped"]
    twenty = ["segmenter.steps=20", "restorers=shipped"]
    plain, pairs = (
        of(tmp_path, *twenty, *adapted).gpu_seconds - of(tmp_path, *given, *adapted).gpu_seconds
        for adapted in ([], ["adaptations=consistency"])
    )
    assert pairs / plain == pytest.approx((3 + 3) / 3)  # O, C and R; consistency goes on from C


def test_losses_cost_what_evaluations_do(tmp_path: Path) -> None:
    study = Study(apply_overrides(studies.small(), [*SMALL, "restorers=shipped"]), tmp_path)
    (case,) = study.cases("CC")
    evaluated, lost = (costs(study, [one]).gpu_seconds for one in (study.evaluation(case), losses(study, case)))
    assert lost == evaluated > 0


def test_the_papers_segmenter_computes_what_was_published() -> None:
    published = 54.17e9  # Chen et al. 2018, Table 5: Xception with decoder, output stride 16, images of 513x513
    assert 513**2 * DeepLabConfig.paper().multiply_adds == pytest.approx(published, rel=0.01)


@pytest.fixture(scope="module")
def cityscapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cityscapes")
    for split, images in {"train": 3, "val": 2, "train_extra": 4}.items():
        for number in range(images):
            for folder, end in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
                path = root / folder / split / "aachen" / f"aachen_{number}_{end}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((64, 128, 3)[: 3 if folder == "leftImg8bit" else 2], 7, np.uint8)).save(path)
    return root


def test_the_papers_size_is_planned_without_weights_and_says_what_is_missing(cityscapes: Path, tmp_path: Path) -> None:
    asked = ["run", "--preset", "paper-cityscapes", "--dry-run", "--work", str(tmp_path / "work")]
    result = CliRunner().invoke(cli, [*asked, "--root", str(cityscapes)])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    segmenters = [line for line in lines if " segmenter cityscapes/" in line]
    assert len(segmenters) == 1 + 2 * 4 * (1 + 3)  # originals, and both codecs at four points: C and three of R
    assert sum(" codec cityscapes/msh " in line for line in lines) == 1
    assert sum(" restorer cityscapes/" in line for line in lines) == 8 * 3
    original, compressed = 3 + 2 + 4, 8 * (3 + 2 + 4)
    restored = 24 * (3 + 2)
    stored = 64 * 128 * (original * 1.16 + compressed * 0.68 + restored * 1.16)
    assert any(f"on disk about {stored / 1e6:.1f} MB" in line for line in lines)
    assert any("on one GPU about " in line and "H100" in line for line in lines)
    assert any("before it can start" in line and "model.ckpt.index" in line for line in lines)
    assert not (tmp_path / "work").exists()


def test_a_root_that_does_not_exist_is_an_error_before_any_plan(tmp_path: Path) -> None:
    asked = ["run", "--preset", "paper-cityscapes", "--dry-run", "--root", str(tmp_path / "none")]
    result = CliRunner().invoke(cli, asked)
    assert result.exit_code != 0 and "to make" not in result.output
