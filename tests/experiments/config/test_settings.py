"""Every key says what it is, and a configuration comes back from its file as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dsr.experiments.config.overrides import ConfigError, apply_overrides, flatten
from dsr.experiments.config.presets import PRESETS, preset
from dsr.experiments.config.schema import OperatingPoint, StudyConfig
from dsr.experiments.config.settings import MAX_BYTES, read_settings, settings, to_toml


def read(config: StudyConfig, name: str, folder: Path) -> StudyConfig:
    path = folder / "study.toml"
    path.write_text(to_toml(config, name), encoding="utf-8")
    base, overrides = read_settings(path)
    assert base == name
    return apply_overrides(preset(name), overrides)


@pytest.mark.parametrize("name", PRESETS)
def test_every_key_that_can_be_set_is_there_once_with_a_meaning(name: str) -> None:
    found = list(settings(preset(name)))
    free = {key for setting in found if (key := setting.key).startswith("dataset.options.")}
    assert [s.key for s in found if s.key not in free] == [k for k in flatten(preset(name)) if k != "dataset.options"]
    assert len(free) == len(preset(name).dataset.options)
    assert all(setting.meaning and setting.kind for setting in found)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    assert read(preset(name), name, tmp_path) == preset(name)


def test_what_was_set_comes_back_with_odd_characters_lists_and_options(tmp_path: Path) -> None:
    overrides = [
        'dataset.root=/data/my "photos", 2 #1\\x',
        "dataset.options.skip_others=true",
        "dataset.options.share=0.25",
        "dataset.options.folder=größe",
        "points=bpg-qp36+chroma=4:4:4,msh-quality2.5,blur-gaussian1.5,noise-shot1000000+seed=3,downsample2+bpg:36,none",
        "restorer.gan.discriminator.scales=1,2,8",
        "restorers=gan,rdn-psnr",
        "segmenter.learning_rate=1e-05",
        "restorer.images=7",
    ]
    config = apply_overrides(preset("demo"), overrides)
    again = read(config, "demo", tmp_path)
    assert again == config
    assert [point.make() for point in again.points] == [point.make() for point in config.points]


def test_the_path_of_a_codec_s_model_is_kept(tmp_path: Path) -> None:
    point = OperatingPoint("msh", 3, {"model": "/trained/a b, c+d=50%/codec.npz"})
    again = read(dataclasses.replace(preset("demo"), points=(point,)), "demo", tmp_path)
    assert again.points[0].options == point.options and again.points[0].quality == 3


def test_tables_are_read_as_dotted_keys(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'points = ["bpg-qp40"]\n[segmenter]\nsteps = 7\n[segmenter.network]\nwidth = 0.5\n'
    )
    base, overrides = read_settings(tmp_path / "a.toml")
    config = apply_overrides(preset("demo"), overrides)
    assert base is None
    assert (config.segmenter.steps, config.segmenter.network.width) == (7, 0.5)
    assert config.points == (OperatingPoint("bpg", 40.0),)


@pytest.mark.parametrize("content", [b"steps = ", b"\xff\xfe", b"preset = 3", b"[" * 5000, b"#" * (MAX_BYTES + 1)])
def test_what_is_no_file_of_settings_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        read_settings(path)


@pytest.mark.parametrize(
    "content", ["segmenter.stepps = 3", 'segmenter.steps = "many"', "segmenter.steps = 1979-05-27"]
)
def test_a_wrong_key_or_value_of_a_file_fails_as_one_of_set_does(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(content)
    with pytest.raises(ConfigError, match="segmenter.steps"):
        apply_overrides(preset("demo"), read_settings(tmp_path / "a.toml")[1])
