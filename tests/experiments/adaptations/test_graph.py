"""What adaptations make follows from the configuration, and leaves alone what there was without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.adaptations import ADAPTATIONS, AdaptationConfig
from dsr.experiments.adaptations.mixed import harder
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.artefacts import Artefact, closure, plan
from dsr.experiments.study import ORIGINAL, Study
from tests.experiments import studies

ALL = "adaptations=recalibrated,mixed,consistency"
POINT = "points=jpeg-quality40"


def study(work: Path, *overrides: str) -> Study:
    return Study(apply_overrides(studies.small(), [POINT, *overrides]), work)


def rivals(work: Path, *overrides: str) -> dict[str, Artefact]:
    """The segmenter behind each rival, by the rival's name."""
    one = study(work, *overrides)
    return {e.name: e.inputs["segmenter"] for e in map(one.evaluation, one.rivals())}


def test_names_of_the_registry_are_those_that_adaptations_bear() -> None:
    assert list(ADAPTATIONS) == ["recalibrated", "mixed", "consistency"]
    for name, adaptation in ADAPTATIONS.items():
        assert adaptation.name == name and adaptation == AdaptationConfig().of(name)
        assert adaptation.label and adaptation.needs


def test_each_adaptation_is_of_the_domains_that_it_is_for_and_tested_on_originals(tmp_path: Path) -> None:
    one = study(tmp_path, ALL, "restorers=gan,rdn-psnr", "seeds=2")
    found = {(c.configuration, c.train.restorer, c.adaptation, c.seed) for c in one.rivals()}
    expected = {("OO", None, "recalibrated"), ("RO", "gan", "recalibrated"), ("RO", "rdn-psnr", "recalibrated")}
    expected |= {("CO", None, name) for name in ADAPTATIONS}
    assert found == {(*case, seed) for case in expected for seed in (0, 1)}
    assert all(case.test == ORIGINAL for case in one.rivals())
    assert len({one.evaluation(case).name for case in one.rivals()}) == len(found)


def test_without_adaptations_there_is_no_rival_and_with_them_nothing_else_changes(tmp_path: Path) -> None:
    plain, adapted = study(tmp_path), study(tmp_path, ALL)
    assert plain.rivals() == []
    own = [e.fingerprint for e in plain.evaluations()]
    assert [e.fingerprint for e in adapted.evaluations()[: len(own)]] == own
    assert [e.of for e in adapted.evaluations()[len(own) :]] == adapted.rivals() != []
    assert all(case.adaptation is None for case in adapted.cases())


def test_a_recalibrated_segmenter_is_made_of_the_trained_one_and_the_originals_set_apart(tmp_path: Path) -> None:
    one = study(tmp_path, "adaptations=recalibrated")
    domain = Domain("C", one.degradations[0])
    made = one.adapted(domain, 0, "recalibrated")
    assert made.inputs == {"segmenter": one.segmenter(domain, 0), "original": one.shards(ORIGINAL, "restore")}
    assert made.batch is None and made.units == one.images("restore")


def test_a_consistent_one_sees_pairs_of_the_images_set_apart_and_a_mixed_one_none(tmp_path: Path) -> None:
    one = study(tmp_path, ALL)
    domain = Domain("C", one.degradations[0])
    trained = one.segmenter(domain, 0)
    consistent, mixed = (one.adapted(domain, 0, name) for name in ("consistency", "mixed"))
    assert {role: made.name for role, made in consistent.inputs.items()} == {
        "shards": "streets/train/jpeg-quality40",
        "original": "streets/restore/original",
        "compressed": "streets/restore/jpeg-quality40",
    }
    assert {role: made.name for role, made in mixed.inputs.items()} == {
        "shards": "streets/train/jpeg-quality40",
        "shards1": "streets/train/jpeg-quality40+jpeg-quality20",
        "shards2": "streets/train/jpeg-quality40+jpeg-quality10",
    }
    assert all(made.inputs == {"original": trained.inputs["shards"]} for made in list(mixed.inputs.values())[1:])
    for made in (consistent, mixed):
        assert (made.units, made.batch) == (trained.units, trained.batch), "at an equal number of steps"


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("adaptation.mixed.rungs=1", {"mixed"}),
        ("adaptation.consistency.weight=0.5", {"consistency"}),
        ("adaptation.consistency.warmup=0", {"consistency"}),
        ("restorer.images=7", {"consistency", "recalibrated"}),
        ("restorer.gan.steps=7", set()),
        ("segmenter.log_every=7", set()),
        ("segmenter.steps=7", {"consistency", "recalibrated", "mixed"}),
        ("seed=3", {"consistency", "recalibrated", "mixed"}),
    ],
)
def test_a_setting_changes_the_segmenters_that_it_belongs_to(override: str, changed: set[str], tmp_path: Path) -> None:
    made = [
        {name: one.adapted(Domain("C", one.degradations[0]), one.config.seed, name).fingerprint for name in ADAPTATIONS}
        for one in (study(tmp_path), study(tmp_path, override))
    ]
    assert {name for name in ADAPTATIONS if made[0][name] != made[1][name]} == changed
    assert len(set(made[0].values())) == len(ADAPTATIONS)


@pytest.mark.parametrize("name", ADAPTATIONS)
def test_images_with_labels_and_images_set_apart_are_told_apart(name: str, tmp_path: Path) -> None:
    numbers = ((), ("segmenter.images=7",), ("restorer.images=7",), ("segmenter.images=8", "restorer.images=7"))
    made = {
        one.adapted(Domain("C", one.degradations[0]), one.config.seed, name).fingerprint
        for one in (study(tmp_path, *overrides) for overrides in numbers)
    }
    assert len(made) == (4 if name != "mixed" else 3), "a mixed one sees nothing of those set apart"


def test_every_artefact_of_a_study_with_all_adaptations_has_a_folder_of_its_own(tmp_path: Path) -> None:
    one = study(tmp_path, ALL, "points=jpeg-quality40,bpg-qp40", "restorers=gan,rdn-psnr", "seeds=2")
    artefacts = closure(one.evaluations())
    assert len({a.folder for a in artefacts}) == len({a.fingerprint for a in artefacts}) == len(artefacts)


def test_a_plan_tells_what_an_adaptation_costs(tmp_path: Path) -> None:
    one = study(tmp_path, ALL)
    domain = Domain("C", one.degradations[0])
    seconds = {step.artefact.folder: step.seconds for step in plan(map(one.evaluation, one.rivals()))}
    plain = seconds[one.segmenter(domain, 0).folder]
    cost = {name: seconds[one.adapted(domain, 0, name).folder] for name in ADAPTATIONS}
    assert cost["mixed"] == plain and cost["consistency"] == pytest.approx(3 * plain)
    assert cost["recalibrated"] > 0
    kinds = {one.adapted(domain, 0, name).kind_of_work for name in ADAPTATIONS}
    assert len(kinds | {one.segmenter(domain, 0).kind_of_work}) == 1 + len(ADAPTATIONS)


def test_harder_rates_are_the_next_on_the_ladder_whichever_way_the_scale_goes() -> None:
    assert [c.quality for c in harder(make_codec("jpeg", 30), 2)] == [20, 10]
    assert [c.quality for c in harder(make_codec("bpg", 36), 2)] == [40, 44]
    assert [c.quality for c in harder(make_codec("bpg", 44, chroma="4:4:4"), 5)] == [48]
    assert harder(make_codec("bpg", 44, chroma="4:4:4"), 5)[0] == make_codec("bpg", 48, chroma="4:4:4")
    assert [c.quality for c in harder(OperatingPoint.parse("downsample2+bpg-qp41").make(), 1)] == [44]


@pytest.mark.parametrize("point", ["none", "blur-gaussian2", "bpg-qp48", "jpeg-quality5"])
def test_a_point_without_a_harder_rate_is_refused_before_any_work(point: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mixed compresses training images once more.*leave the adaptation out"):
        rivals(tmp_path, f"points={point}", "adaptations=mixed")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", ["mixed,mixed", "remixed"])
def test_adaptations_that_cannot_be_are_refused(names: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        study(tmp_path, f"adaptations={names}")


def test_a_configuration_that_is_not_tested_on_originals_has_no_adaptation(tmp_path: Path) -> None:
    one = study(tmp_path, "adaptations=mixed")
    assert one.rivals("CO") == [Case(Domain("C", one.degradations[0]), ORIGINAL, 0, "mixed")]
    for configuration in ("CC", "RO", "OO"):
        with pytest.raises(ConfigError, match=f"mixed is not for {configuration}"):
            one.rivals(configuration)
