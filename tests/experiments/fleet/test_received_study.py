"""A study of images that came compressed keeps them as they came, and has what can be had without originals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import DatasetError, open_source
from dsr.experiments import sources
from dsr.experiments.collecting import collect, report_of
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.schema import DatasetConfig
from dsr.experiments.costs import BYTES_PER_PIXEL, costs
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact, closure
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements.artefacts import measurements
from dsr.experiments.study import ORIGINAL, Study
from dsr.tfrecords.conversions import to_restored
from dsr.tfrecords.engine import How
from dsr.tfrecords.manifest import records
from tests.experiments import studies
from tests.experiments.fleet.conftest import picture
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY
from tests.tfrecords.fakes import FakeRestorer

HEIGHT, WIDTH = 128, 144


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset whose train images came as BPG and JPEG files, with originals of the other splits."""
    folder = tmp_path / "dataset"
    for split, count in (("train", 6), ("test", 3), ("restore", 4)):
        for number in range(count):
            pixels = picture(10 * count + number, WIDTH, HEIGHT)
            image = folder / "images" / split / f"{number}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            if split == "train":
                codec, suffix = (("bpg", ".bpg"), ("jpeg", ".jpg"))[number % 2]
                image.with_suffix(suffix).write_bytes(make_codec(codec, 38 if codec == "bpg" else 15).encode(pixels))
            else:
                Image.fromarray(pixels).save(image)
            label = folder / "labels" / split / f"{number}.png"
            label.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels[..., 0] > 128).astype(np.uint8)).save(label)
    (folder / "classes.csv").write_text("id,name\n0,dark\n1,bright\n")
    return folder


def received(root: Path, work: Path, split: str = "train") -> Study:
    tiny = [setting for setting in TINY if not setting.startswith("dataset")]
    config = apply_overrides(studies.small(), tiny)
    dataset = DatasetConfig("folder", str(root), options={"received": split})
    return Study(dataclasses.replace(config, dataset=dataset), work, HERE)


def test_compressed_shards_hold_what_came_and_what_it_decodes_to(root: Path, tmp_path: Path) -> None:
    study = received(root, tmp_path / "work")
    (alike,) = study.degradations
    shards = study.shards(Domain("C", alike), "train")
    make([shards], Progress())
    found = list(records(shards.folder))
    assert [record.key for record in found] == list("012345")
    for number, record in enumerate(found):
        codec, suffix = (("bpg", ".bpg"), ("jpeg", ".jpg"))[number % 2]
        sent = (root / "images" / "train" / f"{number}{suffix}").read_bytes()
        assert record.bitstream == sent
        assert np.array_equal(record.pixels(), make_codec(codec).decode(sent))
        quality, chroma = ((38, "4:2:0"), (15, "4:2:0"))[number % 2]
        said = {"codec": codec, "quality": quality, "chroma": chroma}
        assert record.provenance["measured"] == {"bytes": len(sent), **said}
    assert shards.manifest.summary["headers"] == [
        {"codec": "bpg", "quality": 38, "chroma": "4:2:0", "files": 3},
        {"codec": "jpeg", "quality": 15, "chroma": "4:2:0", "files": 3},
    ]
    assert shards.manifest.summary["psnr"] is None
    bits = 8 * sum(len(record.bitstream) for record in found)
    assert shards.manifest.summary["bpp"] == pytest.approx(bits / (6 * HEIGHT * WIDTH))


@pytest.mark.parametrize("kind", ["label", "image"])
def test_a_file_that_changed_and_has_the_size_it_had_makes_other_shards(
    kind: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_SETTLED", 0)
    path = root / "labels" / "train" / "2.bmp" if kind == "label" else root / "images" / "train" / "1.jpg"
    if kind == "label":
        path.with_suffix(".png").unlink()
        Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(path)

    def shards() -> Artefact:
        study = received(root, tmp_path / "work")
        return study.shards(Domain("C", *study.degradations), "train")

    before = shards()
    make([before], Progress())
    assert shards().fingerprint == before.fingerprint
    assert shards().notes == ("its 12 source files are as they were (12 by size and time, 0 by SHA-256)",)
    old = path.read_bytes()
    path.write_bytes(old[:-60] + bytes([old[-60] ^ 1]) + old[-59:])
    after = shards()
    assert after.fingerprint != before.fingerprint and not after.exists
    assert f"{kind}/train/{path.name}" in after.notes[0]
    path.write_bytes(old)
    assert shards().fingerprint == before.fingerprint


def test_other_images_are_compressed_as_those_that_came(root: Path, tmp_path: Path) -> None:
    (alike,) = received(root, tmp_path / "work").degradations
    assert {(codec.point, count) for codec, count in zip(alike.codecs, alike.counts)} == {
        ("bpg-qp38", 3),
        ("jpeg-quality15", 3),
    }


@pytest.mark.tensorflow
def test_the_study_has_what_can_be_had_and_says_what_cannot(root: Path, tmp_path: Path) -> None:
    study = received(root, tmp_path / "work")
    assert [case.configuration for case in study.cases()] == ["CO", "RO", "CC"]
    make([study.evaluation(case) for case in study.cases("CO")], Progress())
    results = collect(study)
    assert [evaluation.configuration for evaluation in results.evaluations] == ["CO"]
    assert report_of(study, results).is_file()
    assert "features" not in {artefact.group for artefact in measurements(study)}
    for configuration in ("OO", "OC", "OR"):
        with pytest.raises(ConfigError, match="came compressed, so there are no originals"):
            study.cases(configuration)
    with pytest.raises(ConfigError, match="OO, OC and OR cannot be had"):
        study.shards(ORIGINAL, "train")


def test_its_plan_counts_what_is_stored_without_originals_to_train_on(root: Path, tmp_path: Path) -> None:
    study = received(root, tmp_path / "work")
    wanted = closure(study.evaluations())
    shards = [(artefact.of.letter, artefact.units) for artefact in wanted if artefact.group == "shards"]
    stored = sum(BYTES_PER_PIXEL[letter] * units for letter, units in shards) * HEIGHT * WIDTH
    assert shards and costs(study, wanted).bytes == pytest.approx(stored)


def test_what_came_is_restored_without_originals(root: Path, tmp_path: Path) -> None:
    study = received(root, tmp_path / "work")
    compressed = study.shards(Domain("C", *study.degradations), "train")
    make([compressed], Progress())
    planned = study.shards(Domain("R", *study.degradations, "gan"), "train")
    assert set(planned.inputs) == {"compressed", "restorer"}
    to_restored(compressed.folder, None, FakeRestorer(), planned.identity).write(tmp_path / "restored", How(1))
    pairs = list(zip(records(compressed.folder), records(tmp_path / "restored")))
    assert len(pairs) == 6
    for before, after in pairs:
        assert np.array_equal(after.pixels(), FakeRestorer()(before.pixels()))
        assert after.provenance["measured"] == {"bytes": len(before.bitstream)}
        assert after.label == before.label


def test_val_plays_restore_for_images_that_came_compressed_as_for_others(root: Path, tmp_path: Path) -> None:
    before = received(root, tmp_path / "work").degradations
    for kind in ("images", "labels"):
        (root / kind / "restore").rename(root / kind / "val")
    assert received(root, tmp_path / "work").degradations == before
    with pytest.raises(ConfigError, match="split val of folder came compressed, and images of the role restore must"):
        received(root, tmp_path / "work", "train,val")


@pytest.mark.parametrize("split", ["test", "restore"])
def test_originals_are_asked_for_where_they_are_needed(split: str, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"images of the role {split} must be originals"):
        received(root, tmp_path / "work", split)


def test_a_folder_that_is_not_there_did_not_come(root: Path) -> None:
    with pytest.raises(DatasetError, match="received=tain must name folders"):
        open_source("folder", str(root), received="tain")


def test_a_bad_bitstream_is_named(root: Path) -> None:
    (root / "images" / "train" / "0.bpg").write_bytes(b"BPG\xfb" + bytes(9))
    source = open_source("folder", str(root), received="train")
    sample, *others = source.samples("train")
    with pytest.raises(DatasetError, match=r"0\.bpg"):
        source.read(sample)
    assert all(source.read(other)[0].shape == (HEIGHT, WIDTH, 3) for other in others)
