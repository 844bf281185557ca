"""The names and fingerprints of all that the presets make stay as they are: whoever has a work folder keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsr.data_pipelines.codecs import Codec
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.presets import preset
from dsr.experiments.graph.artefacts import closure
from dsr.experiments.measurements.artefacts import measurements
from dsr.experiments.study import Study

FROZEN = Path(__file__).with_name("frozen_names.json")
RESTORERS = "restorers=gan,rdn-psnr,rdn-msssim"


def camvid(root: Path) -> None:
    for split in ("train", "val", "test"):
        for number in range(3):
            _file(root / split / f"{split}{number}.png", 100 + number)
            _file(root / f"{split}annot" / f"{split}{number}.png", 50 + number)


def cityscapes(root: Path) -> None:
    for split in ("train", "val", "train_extra"):
        for number in range(3):
            _file(root / "leftImg8bit" / split / "aachen" / f"aachen_{number}_leftImg8bit.png", 100 + number)
            if split != "train_extra":
                _file(root / "gtFine" / split / "aachen" / f"aachen_{number}_gtFine_labelIds.png", 50 + number)


def _file(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))


UNTUNED = ("codec.start=none", "codec.steps=600000")

STUDIES = {
    "demo": (None, [RESTORERS, "seeds=2", "points=bpg-qp34,jpeg-quality10,none"]),
    "camvid": (camvid, [RESTORERS]),
    # Of what was the preset `paper`: it had one codec, and none to tune.
    "paper-cityscapes": (
        cityscapes,
        ["points=bpg-qp34,bpg-qp37,bpg-qp40,bpg-qp43", "segmenter.network.weights=none", *UNTUNED],
    ),
}


def names(name: str, root: Path) -> dict[str, str]:
    """What a preset makes: "segmenter camvid/deeplab-..." -> fingerprint."""
    lay, overrides = STUDIES[name]
    if lay is not None:
        lay(root)
        overrides = [*overrides, f"dataset.root={root}"]
    study = Study(apply_overrides(preset(name), overrides), root / "work")
    targets = [*study.evaluations(), *measurements(study), study.trained_codec()]
    return {artefact.label: artefact.fingerprint for artefact in closure(targets)}


@pytest.fixture
def _any_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints hold the versions of the codecs' libraries and of dsr, which may change."""
    from dsr.data_pipelines.codecs.bpg import BpgCodec
    from dsr.data_pipelines.codecs.jpeg import JpegCodec
    from dsr.data_pipelines.codecs.pillow import PillowCodec

    for codec in (Codec, BpgCodec, PillowCodec, JpegCodec):
        monkeypatch.setattr(codec, "versions", lambda self: {})
    for module in ("dsr.tfrecords.conversions", "dsr.experiments.measurements.artefacts"):
        monkeypatch.setattr(f"{module}.release", lambda: "0.3")


@pytest.mark.usefixtures("_any_library")
@pytest.mark.parametrize("name", STUDIES)
def test_a_preset_makes_what_it_always_made(name: str, tmp_path: Path) -> None:
    assert names(name, tmp_path) == json.loads(FROZEN.read_text())[name]
