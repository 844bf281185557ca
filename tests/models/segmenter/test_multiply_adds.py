"""What configurations say that their networks compute is about what TensorFlow's graphs compute."""

from __future__ import annotations

import dataclasses

import pytest

from dsr.models.segmenter.config import DeepLabConfig
from dsr.models.segmenter.deeplab import build_deeplab
from tests.models.multiply_adds import counted

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet50"])
def test_a_segmenter_computes_about_what_its_backbone_says(backbone: str) -> None:
    config = dataclasses.replace(DeepLabConfig.paper(), backbone=backbone, weights="none")
    assert counted(build_deeplab(config, 19), 256, 256, 3) == pytest.approx(config.multiply_adds, rel=0.05)
