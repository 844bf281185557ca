"""Numbers that make no sense are refused before any work, by a sentence that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsr.experiments.config.bounds import check_numbers
from dsr.experiments.config.overrides import apply_overrides, flatten
from dsr.experiments.config.presets import PRESETS, preset
from dsr.experiments.study import Study
from dsr.models.errors import UserError
from tests.experiments import studies

CONFIG = studies.small()
NUMBERS = {
    key: value
    for key, value in flatten(CONFIG).items()
    if isinstance(value, (int, float)) and not isinstance(value, bool)
}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_within_its_bounds(name: str) -> None:
    check_numbers(preset(name))


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e12", "1000000000000"])
def test_a_number_out_of_its_bounds_is_refused(key: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=key.rpartition(".")[2]):
        Study(apply_overrides(CONFIG, [f"{key}={value}"]), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "key",
    [
        *("images_per_shard", "dataset.train_limit", "seeds"),
        *("segmenter.checkpoint_every", "segmenter.log_every", "segmenter.batch", "segmenter.steps"),
        *("segmenter.crop_height", "segmenter.scale_min", "segmenter.learning_rate"),
        *("restorer.gan.batch", "restorer.gan.steps", "restorer.gan.learning_rate", "codec.batch"),
    ],
)
def test_nothing_of_what_there_must_be_some_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=key.rpartition(".")[2]):
        Study(apply_overrides(CONFIG, [f"{key}=0"]), tmp_path)


@pytest.mark.parametrize(
    "key, value",
    [
        *(("restorer.gan.decay_at", "80"), ("restorer.gan.decay_to", "10"), ("restorer.gan.beta_1", "1")),
        *(("restorer.rdn.decay_to", "10"), ("restorer.rdn.beta_2", "1")),
        *(("codec.decay_at", "1.5"), ("codec.decay_to", "2"), ("codec.gradient_norm", "0")),
        ("restorer.gan.discriminator.scales", "1,4,4"),
    ],
)
def test_what_a_training_would_take_for_something_else_is_refused(key: str, value: str, tmp_path: Path) -> None:
    """Shares above one, an Adam that forgets nothing, no length for gradients, two of what is told apart by name."""
    with pytest.raises(UserError, match=key.rpartition(".")[2]):
        Study(apply_overrides(CONFIG, [f"{key}={value}"]), tmp_path)


def test_scales_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="scale_min is larger"):
        Study(apply_overrides(CONFIG, ["segmenter.scale_min=2", "segmenter.scale_max=1"]), tmp_path)
