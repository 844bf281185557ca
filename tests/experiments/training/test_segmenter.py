"""What a segmenter starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.presets import preset
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import ORIGINAL, Study
from dsr.experiments.training import loop
from dsr.experiments.training import segmenter as segmentation
from tests.experiments.training.tiny import TINY


class Looked(Exception):
    pass


@pytest.mark.parametrize(
    ("pretrained", "frozen", "looked"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_statistics_of_a_pretrained_backbone_are_looked_after_unless_they_are_frozen(
    pretrained: bool, frozen: bool, looked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*TINY, f"segmenter.network.freeze_batch_norm={str(frozen).lower()}"]
    if pretrained:
        file = tmp_path / "weights.h5"
        tf.keras.applications.MobileNetV2((None, None, 3), 0.35, include_top=False, weights=None).save_weights(file)
        overrides.append(f"segmenter.network.weights={file}")
    seen = []

    def look(backbone: tf.keras.Model, images: tf.Tensor) -> None:
        seen.append(images.numpy())
        assert backbone.name == "backbone"
        raise Looked

    def started(*_: object, **__: object) -> None:
        raise Looked

    monkeypatch.setattr(segmentation, "recalibrate_if_folded", look)
    monkeypatch.setattr(loop, "_fit", started)
    study = Study(apply_overrides(preset("demo"), overrides), tmp_path / "work")
    with pytest.raises(Looked):
        make([study.segmenter(ORIGINAL, 0)], Progress())
    assert bool(seen) == looked
    if looked:
        assert seen[0].shape == (segmentation.CALIBRATION, 64, 64, 3) and seen[0].dtype == np.uint8
