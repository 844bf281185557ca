"""What a study trains and makes follows from its configuration, and only from that."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import CodecError
from dsr.data_pipelines.datasets import DatasetError
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.presets import PRESETS
from dsr.experiments.config.schema import CONFIGURATIONS, DatasetConfig, OperatingPoint, StudyConfig
from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.artefacts import closure
from dsr.experiments.stored_study import claim_folder
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.restorers.errors import RestorerError
from dsr.models.restorers.registry import RESTORERS
from dsr.models.segmenter.errors import WeightsError
from tests.experiments import studies


def folders(config: StudyConfig, work: Path) -> dict[str, Path]:
    return {a.label: a.folder for a in closure(Study(config, work).evaluations())}


def test_a_study_trains_one_segmenter_and_two_more_for_each_operating_point(tmp_path: Path) -> None:
    for points in (("jpeg-quality10",), ("jpeg-quality10", "webp-quality5", "none")):
        config = dataclasses.replace(studies.small(), points=tuple(map(OperatingPoint.parse, points)))
        groups = [a.group for a in closure(Study(config, tmp_path).evaluations())]
        assert groups.count("segmenters") == 1 + 2 * len(points)
        assert groups.count("restorers") == len(points)
        assert groups.count("evaluations") == 1 + 5 * len(points)


def test_the_first_letter_is_the_training_domain_and_the_second_the_test_domain(tmp_path: Path) -> None:
    study = Study(studies.small(), tmp_path)
    codec = study.degradations[0]
    domain = {"O": "original", "C": codec.point, "R": f"{codec.point}-gan"}
    for configuration in ("OO", "CO", "RO", "CC", "OC", "OR"):
        evaluation = study.evaluation(Case.of(configuration, codec, "gan", 0))
        trained_on = evaluation.inputs["segmenter"].inputs["shards"]
        tested_on = evaluation.inputs["shards"]
        assert trained_on.name == f"streets/train/{domain[configuration[0]]}"
        assert tested_on.name == f"streets/test/{domain[configuration[1]]}"


def test_restorers_share_all_that_no_restorer_touches(tmp_path: Path) -> None:
    config = apply_overrides(studies.small(), ["points=jpeg-quality10", "restorers=gan,rdn-psnr,rdn-msssim"])
    study = Study(config, tmp_path)
    groups = [a.group for a in closure(study.evaluations())]
    assert (groups.count("segmenters"), groups.count("restorers")) == (1 + 1 + 3, 3)
    assert groups.count("evaluations") == len(study.evaluations()) == 4 + 2 * 3
    (codec,) = study.degradations
    for name in config.restorers:
        evaluation = study.evaluation(Case.of("RO", codec, name, 0))
        assert evaluation.inputs["segmenter"].inputs["shards"].name == f"streets/train/jpeg-quality10-{name}"
        assert (
            study.shards(Domain("R", codec, name), "test").inputs["restorer"].name == f"streets/{name}-jpeg-quality10"
        )
        assert study.evaluation(Case.of("CC", codec, name, 0)) is study.evaluation(Case.of("CC", codec, "gan", 0))
    names = [a.name for a in study.evaluations()]
    assert len(set(names)) == len(names) and "streets/OR-jpeg-quality10-rdn-msssim" in names


def test_a_study_with_one_restorer_is_part_of_one_with_several(tmp_path: Path) -> None:
    several = folders(apply_overrides(studies.small(), ["restorers=rdn-psnr,gan"]), tmp_path)
    for name in ("gan", "rdn-psnr"):
        one = folders(apply_overrides(studies.small(), [f"restorers={name}"]), tmp_path)
        assert one.items() < several.items()


def test_seeds_repeat_the_segmenters_and_nothing_that_they_are_trained_on(tmp_path: Path) -> None:
    config = apply_overrides(studies.small(), ["points=jpeg-quality10", "restorers=gan,rdn-psnr", "seeds=3"])
    study = Study(config, tmp_path)
    artefacts = closure(study.evaluations())
    groups = [a.group for a in artefacts]
    assert (groups.count("segmenters"), groups.count("restorers")) == (3 * (1 + 1 + 2), 2)
    assert groups.count("evaluations") == len(study.evaluations()) == 3 * (4 + 2 * 2)
    assert sorted(a.identity.config["seed"] for a in artefacts if a.group == "segmenters") == sorted([0, 1, 2] * 4)
    assert len({a.name for a in artefacts}) == len(artefacts)


def test_an_evaluation_tests_the_segmenter_of_its_seed_in_every_domain(tmp_path: Path) -> None:
    study = Study(apply_overrides(studies.small(), ["seed=5", "seeds=2"]), tmp_path)
    codec = study.degradations[0]
    assert list(study.seeds) == [5, 6]
    for seed in study.seeds:
        for configuration in ("OO", "CO", "RO", "CC", "OC", "OR"):
            segmenter = study.evaluation(Case.of(configuration, codec, "gan", seed)).inputs["segmenter"]
            assert segmenter is study.segmenter(Domain.of(configuration[0], codec, "gan"), seed)
            assert segmenter.identity.config["seed"] == seed


def test_a_study_with_fewer_seeds_is_part_of_one_with_more(tmp_path: Path) -> None:
    several = folders(apply_overrides(studies.small(), ["seeds=3"]), tmp_path)
    assert folders(studies.small(), tmp_path).items() < several.items()
    second = folders(apply_overrides(studies.small(), ["seed=1"]), tmp_path)
    evaluated = {label: folder for label, folder in second.items() if label == "evaluation streets/OO-seed1"}
    assert evaluated and evaluated.items() < several.items()


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("restorer.gan.steps=7", {"gan"}),
        ("restorer.rdn.steps=7", {"rdn-psnr", "rdn-msssim"}),
        ("restorer.images=7", {"gan", "rdn-psnr", "rdn-msssim"}),
        ("restorer.log_every=7", set()),
    ],
)
def test_a_setting_changes_the_restorers_that_it_belongs_to(key: str, changed: set[str], tmp_path: Path) -> None:
    before, after = Study(studies.small(), tmp_path), Study(apply_overrides(studies.small(), [key]), tmp_path)
    fingerprints = [
        {name: s.restorer(s.degradations[0], name).fingerprint for name in RESTORERS} for s in (before, after)
    ]
    assert {name for name in RESTORERS if fingerprints[0][name] != fingerprints[1][name]} == changed
    assert len(set(fingerprints[0].values())) == len(RESTORERS)


def test_the_restorer_sees_neither_training_nor_test_images(tmp_path: Path) -> None:
    study = Study(studies.small(), tmp_path)
    restorer = study.restorer(study.degradations[0], "gan")
    keys = {split: {s.key for s in study.source.samples(split)} for split in ("restore", "train", "test")}
    assert all("/restore/" in shards.name for shards in restorer.inputs.values())
    assert not keys["restore"] & (keys["train"] | keys["test"])


def test_changing_one_operating_point_changes_only_what_depends_on_it(tmp_path: Path) -> None:
    config = studies.small()
    before = folders(apply_overrides(config, ["points=jpeg-quality10,jpeg-quality20"]), tmp_path)
    after = folders(apply_overrides(config, ["points=jpeg-quality10,jpeg-quality30"]), tmp_path)
    changed = set(before.values()) - set(after.values())
    assert changed and all("jpeg-quality20" in folder.name for folder in changed)


@pytest.mark.parametrize("key", ["segmenter.checkpoint_every=7", "segmenter.log_every=5", "name=other"])
def test_what_does_not_change_the_result_does_not_change_a_fingerprint(key: str, tmp_path: Path) -> None:
    assert folders(studies.small(), tmp_path) == folders(apply_overrides(studies.small(), [key]), tmp_path)


@pytest.mark.parametrize("key", ["segmenter.steps=7", "seed=1", "segmenter.network.decoder_width=8"])
def test_what_changes_a_training_changes_its_fingerprint_but_no_shards(key: str, tmp_path: Path) -> None:
    before, after = folders(studies.small(), tmp_path), folders(apply_overrides(studies.small(), [key]), tmp_path)
    for label in before:
        if label.startswith("segmenter"):
            assert before[label] not in after.values()
        if label.startswith("shards") and "gan" not in label:
            assert before[label] == after[label]


def test_a_weight_file_counts_by_its_content_and_not_by_its_place(tmp_path: Path) -> None:
    fingerprints = []
    for name, content in (("a.h5", b"one"), ("b.h5", b"one"), ("c.h5", b"two")):
        (tmp_path / name).write_bytes(content)
        config = apply_overrides(studies.small(), [f"segmenter.network.weights={tmp_path / name}"])
        fingerprints.append(Study(config, tmp_path).segmenter(ORIGINAL, 0).fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("dataset.name=street", DatasetError),
        ("dataset.options.heigth=3", DatasetError),
        ("points=jpeg-quality900", CodecError),
        ("points=jpeg-quality9,jpeg:9", ConfigError),
        ("points=jpg-quality9", ConfigError),
        ("segmenter.network.weights=/no/such/file", WeightsError),
        ("restorer.gan.vgg=/no/such/file", ConfigError),
        ("restorers=gan,gan", ConfigError),
        ("restorers=", ConfigError),
        ("restorers=rdn", ConfigError),
        ("seeds=0", ConfigError),
        *((f"name={name}", ConfigError) for name in ("", "..", "../other", "/tmp/other", ".hidden", "a\nb", "n" * 200)),
        ("restorer.images=1000", ConfigError),
        ("restorer.images=0", RestorerError),
    ],
)
def test_a_study_that_cannot_be_fails_before_any_work(override: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        Study(apply_overrides(studies.small(), [override]), tmp_path).evaluations()
    assert not list(tmp_path.iterdir())


def test_two_datasets_share_no_folder_under_one_name(tmp_path: Path) -> None:
    def study(root: str) -> Study:
        (tmp_path / root).mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / root / "a.png")
        config = dataclasses.replace(studies.small(), dataset=DatasetConfig.of("photos", str(tmp_path / root)))
        return Study(config, tmp_path / "work")

    assert claim_folder(study("one")) == claim_folder(study("one")) == tmp_path / "work" / "studies" / "demo"
    with pytest.raises(ConfigError, match="is of other images .*--name"):
        claim_folder(study("two"))


def test_every_preset_can_be_written_down_and_its_docstring_gives_the_command() -> None:
    for name, make in PRESETS.items():
        assert make().name == name
        assert f"dsr run --preset {name}" in (make.__doc__ or "")
        assert make().to_json()["name"] == name


@pytest.mark.parametrize(
    ("settings", "case"),
    [
        (["dataset.test=train"], "OO"),
        (["dataset.test=restore"], "RO"),
        (["dataset.test=restore"], "OR"),
        (["dataset.test=restore", "points=msh-quality3+model=trained"], "OC"),
    ],
)
def test_images_that_a_network_learnt_from_are_not_tested_on(settings: list[str], case: str, tmp_path: Path) -> None:
    made = Study(apply_overrides(studies.small(), settings), tmp_path)
    (first, *_) = made.cases(case)
    with pytest.raises(ConfigError, match=r"split \w+ of streets is learnt from, .*--set dataset.test="):
        made.evaluation(first)


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (["restorers=gan"], {"RO"}),
        (["restorers=shipped"], set()),
        (["restorers=shipped", "points=msh-quality3+model=trained"], {"CO", "CC", "RO"}),
    ],
)
def test_images_that_a_restorer_or_codec_learnt_from_are_no_training_images_that_it_changed(
    settings: list[str], refused: set[str], tmp_path: Path
) -> None:
    """The server that trains on what a restorer made had no originals of them."""
    made = Study(apply_overrides(studies.small(), ["dataset.restore=train", *settings]), tmp_path)
    for configuration in CONFIGURATIONS:
        (case, *_) = made.cases(configuration)
        if configuration in refused:
            with pytest.raises(ConfigError, match=r"trained on split train of streets.*--set dataset.restore=restore"):
                made.evaluation(case)
        else:
            assert made.evaluation(case)


def test_what_no_network_of_a_case_learnt_from_may_be_tested_on(tmp_path: Path) -> None:
    made = Study(apply_overrides(studies.small(), ["dataset.test=restore", "restorers=shipped"]), tmp_path)
    assert made.evaluations()
    alone = Study(apply_overrides(studies.small(), ["dataset.test=train", "dataset.restore=train"]), tmp_path)
    assert alone.restorer(alone.degradations[0], "gan") and alone.shards(ORIGINAL, "test")


def test_a_study_without_an_operating_point_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="points"):
        Study(apply_overrides(studies.small(), ["points="]), tmp_path)
    for command in (["convert"], ["train", "--config", "CO"], ["scaling"], ["run"]):
        result = CliRunner().invoke(cli, [*command, "--set", "points=", "--dry-run", "--work", str(tmp_path)])
        assert isinstance(result.exception, ConfigError) and "points" in str(result.exception)
