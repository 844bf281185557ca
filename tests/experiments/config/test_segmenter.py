"""What of a segmenter's configuration is part of its name."""

from __future__ import annotations

import dataclasses

import pytest

from dsr.experiments.config.schema import SegmenterConfig

RECIPE = {"class_weights": "inverse_sqrt", "label_smoothing": 0.05, "warmup": 0.05, "backbone_rate": 0.5, "images": 20}


def test_what_a_recipe_does_not_use_is_not_part_of_its_identity() -> None:
    """So segmenters trained before there was a choice keep their names; everything else always is part of it."""
    config = SegmenterConfig()
    assert dataclasses.asdict(config).keys() - config.identity().keys() == RECIPE.keys()


@pytest.mark.parametrize("name", RECIPE)
def test_what_a_recipe_uses_is_part_of_its_identity(name: str) -> None:
    config = dataclasses.replace(SegmenterConfig(), **{name: RECIPE[name]})
    assert config.identity() == {**SegmenterConfig().identity(), name: RECIPE[name]}
