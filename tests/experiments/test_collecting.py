"""What a report is told of a study with several restorers and seeds; the networks are stand-ins, all else is made as
ever."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.app.commands import run
from dsr.app.request import Request
from dsr.experiments import collecting
from dsr.experiments.collecting import collect, collect_scores, other_results, report_of
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.artefacts import CURVES, Artefact, closure
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.results import Fidelity, Results, ScoredOn
from dsr.experiments.stored_json import from_json, load, to_json
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.errors import UserError
from dsr.models.restorers.registry import RESTORERS
from dsr.tfrecords.building import building
from dsr.tfrecords.layout import MANIFEST
from dsr.tfrecords.ledger import STATISTICS
from dsr.tfrecords.manifest import records
from dsr.tfrecords.png import encode_png
from tests.experiments import studies
from tests.experiments.studies import HERE

pytestmark = pytest.mark.slow

SIZE = 24
OVERRIDES = [
    *("points=jpeg-quality10,none", "restorers=rdn-psnr,gan,shipped,rdn-msssim", "seed=4", "seeds=2", "samples=2"),
    *(f"dataset.options.{side}={SIZE}" for side in ("height", "width")),
    *("dataset.options.restore=2", "dataset.options.train=3", "dataset.options.test=3"),
]


def stand_in(artefact: Artefact, score: float) -> None:
    """Make an artefact without training: restored shards are the compressed ones, predictions are empty."""
    with building(artefact.folder, artefact.identity) as build:
        if artefact.group == "shards":
            compressed = artefact.inputs["compressed"]
            for path in compressed.folder.iterdir():
                if path.name != MANIFEST:
                    shutil.copy(path, build.path)
            build.files.update(compressed.manifest.files)
            build.summary.update(compressed.manifest.summary)
        elif artefact.group == "evaluations":
            keys = [record.key for record in records(artefact.inputs["shards"].folder)][:2]
            for number in range(len(keys)):
                picture = encode_png(np.zeros((SIZE, SIZE), np.uint8))
                (build.path / f"prediction-{number}.png").write_bytes(picture)
            build.summary.update(images=3, miou=score, pixel_accuracy=1.0, per_class={}, samples=keys)
        else:
            (build.path / CURVES).write_text('{"loss": [[1, 0.5]]}')
            build.summary.update(steps=1, parameters=1, images=3, seconds=0.5)


def scores(study: Study) -> dict[str, float]:
    """A score of its own for each evaluation, by name."""
    return {evaluation.name: number / 100 for number, evaluation in enumerate(study.evaluations())}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    study = Study(apply_overrides(studies.small(), OVERRIDES), tmp_path_factory.mktemp("work"), HERE)
    expected = scores(study)
    for artefact in closure(study.evaluations()):
        trained = artefact.group == "restorers" and not artefact.inputs
        if not trained and (artefact.group != "shards" or artefact.identity.config["domain"] == "restored"):
            stand_in(artefact, expected.get(artefact.name, 0.0))
        else:
            make([artefact], Progress())
    return study


def test_every_evaluation_stands_with_its_point_restorer_and_seed(study: Study) -> None:
    expected = scores(study)
    results = collect(study)
    assert len(results.evaluations) == len(expected) == 2 * (1 + 2 * (3 + 2 * 4))
    for seed in (4, 5):
        for codec in study.degradations:
            for configuration in ("OO", "CO", "RO", "CC", "OC", "OR"):
                for name in study.config.restorers if "R" in configuration else [None]:
                    (found,) = [
                        entry.miou
                        for entry in results.evaluations
                        if entry.configuration == configuration
                        and entry.point == (None if configuration == "OO" else codec.point)
                        and entry.restorer == name
                        and entry.seed == seed
                    ]
                    case = Case.of(configuration, codec, name or "gan", seed)
                    assert found == expected[study.evaluation(case).name]


def test_every_training_stands_once_with_its_point_restorer_and_seed(study: Study) -> None:
    trainings = collect(study).trainings
    cases = [(t.kind, t.domain, t.point, t.restorer, t.seed) for t in trainings]
    points = [codec.point for codec in study.degradations]
    assert len(cases) == len(set(cases)) == len({t.name for t in trainings})
    assert set(cases) == {
        *(("restorer", None, point, name, 4) for point in points for name in RESTORERS if name != "shipped"),
        *(("segmenter", "O", None, None, seed) for seed in (4, 5)),
        *(("segmenter", "C", point, None, seed) for point in points for seed in (4, 5)),
        *(("segmenter", "R", point, name, seed) for point in points for name in RESTORERS for seed in (4, 5)),
    }


def test_points_have_the_fidelity_of_each_restorer_in_the_order_of_the_study(study: Study) -> None:
    for point, codec in zip(collect(study).points, study.degradations):
        assert list(point.restored) == ["rdn-psnr", "gan", "shipped", "rdn-msssim"]
        for name, fidelity in point.restored.items():
            summary = study.shards(Domain("R", codec, name), "test").manifest.summary
            assert fidelity == Fidelity(*(summary[key] for key in ("psnr", "ms_ssim", "ms_ssim_db", "identical")))


def test_samples_have_what_each_restorer_made_and_the_predictions_of_the_first_seed(study: Study) -> None:
    samples = collect(study).samples
    assert [sample.point for sample in samples] == ["jpeg-quality10"] * 2 + ["none"] * 2
    for sample in samples:
        assert set(sample.images) == {"original", "compressed", "label", "OO", "CO", "CC", "OC"}
        assert set(sample.restored) == set(RESTORERS)
        for name, images in sample.restored.items():
            assert set(images) == {"restored", "RO", "OR"}
            (codec,) = [codec for codec in study.degradations if codec.point == sample.point]
            first = study.evaluation(Case.of("RO", codec, name, 4)).folder
            assert Path(images["RO"]).parent == first
        paths = [
            *sample.images.values(),
            *(path for images in sample.restored.values() for path in images.values()),
        ]
        assert all(Path(path).is_file() for path in paths)


def test_a_prediction_is_shown_beside_its_own_image_where_a_domain_has_others(study: Study) -> None:
    """Another image may be lacking in each domain: of CC the first sample, the second is its first, then a third."""
    codec = study.degradations[0]
    evaluation = study.evaluation(Case.of("CC", codec, "gan", 4))
    manifest, keys = evaluation.manifest, evaluation.manifest.summary["samples"]
    try:
        dataclasses.replace(manifest, summary={**manifest.summary, "samples": [keys[1], "another"]}).save(
            evaluation.folder
        )
        first, second, *_ = collect(Study(study.config, study.work)).samples
    finally:
        manifest.save(evaluation.folder)
    assert (first.key, second.key) == tuple(keys)
    assert "CC" not in first.images and Path(second.images["CC"]).name == "prediction-0.png"
    assert Path(second.images["CO"]).name == "prediction-1.png"


def test_the_gallery_has_the_test_images_with_the_lowest_psnr_small_and_in_this_order(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "GALLERY", 2)
    monkeypatch.setattr(collecting, "THUMBNAIL", 12)
    jpeg, none = (study.shards(Domain("C", codec), "test").folder for codec in study.degradations)
    originals = {one.key: one.pixels().astype(float) for one in records(study.shards(ORIGINAL, "test").folder)}
    psnr = {one.key: 10 * np.log10(255**2 / np.mean((one.pixels() - originals[one.key]) ** 2)) for one in records(jpeg)}
    assert {one.key for one in records(none)} == set(psnr)
    gallery = collect(study).gallery
    assert [image.key for image in gallery] == sorted(psnr, key=lambda key: psnr[key])[:2]
    for image in gallery:
        assert image.psnr == {"jpeg-quality10": pytest.approx(psnr[image.key], abs=1e-3), "none": None}
        with Image.open(image.picture) as small:
            assert small.size == (12, 12)


def test_where_nothing_was_lost_there_is_no_gallery(study: Study) -> None:
    assert collect(Study(apply_overrides(study.config, ["points=none"]), study.work)).gallery == []


def test_another_study_is_found_by_its_name_its_folder_and_its_file(study: Study) -> None:
    results = collect(study)
    page = report_of(study, results)
    for name in (study.config.name, str(page.parent), str(page.parent / "results.json")):
        found = other_results(study, name)
        assert (found.evaluations, found.gallery) == (results.evaluations, results.gallery)
    longer = Study(apply_overrides(study.config, ["name=longer", "segmenter.steps=9"]), study.work)
    assert "Against demo" in report_of(longer, results, other_results(longer, "demo")).read_text()


@pytest.mark.parametrize("text, said", [(None, "no results of other"), ("{}", "holds no results"), ("[", "is damaged")])
def test_another_study_that_cannot_be_read_is_one_sentence(study: Study, text: str | None, said: str) -> None:
    folder = study.folder.parent / "other"
    folder.mkdir(exist_ok=True)
    (folder / "results.json").unlink(missing_ok=True)
    if text is not None:
        (folder / "results.json").write_text(text)
    with pytest.raises(UserError, match=said):
        other_results(study, "other")


@pytest.mark.parametrize("host", [0, 1])
def test_of_several_hosts_all_show_the_scores_and_the_first_alone_writes_the_report(
    study: Study, host: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": host}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    monkeypatch.setattr(Request, "study", lambda self: study)
    monkeypatch.setattr(run, "plan_and_make", lambda targets, console: None)  # all there is was made
    shutil.rmtree(study.folder, ignore_errors=True)
    result = CliRunner().invoke(cli, ["run"])
    assert result.exit_code == 0 and "jpeg-quality10" in result.stdout, result.output
    written = (study.folder / "report.html").exists(), (study.folder / "samples").exists()
    assert ("report: " in result.stdout, *written) == (host == 0,) * 3


def test_the_report_of_several_restorers_and_seeds_is_written_whole(study: Study) -> None:
    page = report_of(study, collect(study)).read_text()
    for words in ("RO rdn-psnr", "OR gan", "95 % interval", "Predictions are those of seed 4."):
        assert words in page


def test_a_study_of_fewer_seeds_and_restorers_is_reported_from_the_same_folder(study: Study) -> None:
    smaller = Study(apply_overrides(study.config, ["seeds=1", "restorers=gan", "points=none"]), study.work)
    results = collect(smaller)
    assert [(e.configuration, e.restorer, e.seed) for e in results.evaluations] == [
        (c, "gan" if "R" in c else None, 4) for c in ("OO", "CO", "RO", "CC", "OC", "OR")
    ]


def test_without_an_evaluation_there_is_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no evaluation"):
        collect(Study(studies.small(), tmp_path))


def test_what_a_case_was_not_tested_on_and_what_no_label_has_is_collected(study: Study, tmp_path: Path) -> None:
    """One compressed image is missing, as it could not be encoded; OC and CC are tested on two of three."""
    shutil.copytree(study.work, tmp_path, dirs_exist_ok=True)
    other = Study(study.config, tmp_path)
    degradation = other.degradations[0]
    cases = [case for case in other.cases() if case.test == Domain("C", degradation)]
    originals = [row["key"] for row in load(other.shards(ORIGINAL, "test").file(STATISTICS))]
    remake(
        other.shards(Domain("C", degradation), "test"), {STATISTICS: [{"key": key} for key in originals[1:]]}, images=2
    )
    classes = other.source.table.num_classes
    confusion = np.diag([0, *[1] * (classes - 1)]).tolist()
    for case in cases:
        remake(other.evaluation(case), {}, images=2, confusion=confusion)
    results = collect_scores(Study(study.config, tmp_path))
    assert [point.measured for point in results.points] == [ScoredOn(2, originals[:1]), ScoredOn(3, [])]
    lacking = {(case.configuration, case.changed.point, case.seed) for case in cases}
    for entry in results.evaluations:
        fewer = (entry.configuration, entry.point, entry.seed) in lacking
        assert entry.tested == (ScoredOn(2, originals[:1]) if fewer else ScoredOn(3, [])), entry
    assert results.dataset.unlabelled == [other.source.table.classes[0].name]
    assert from_json(Results, to_json(results)).evaluations == results.evaluations


def remake(artefact: Artefact, files: dict[str, object], **summary: object) -> None:
    """With these files alone, and this in its summary."""
    known = {**artefact.manifest.summary, **summary}
    shutil.rmtree(artefact.folder)
    with building(artefact.folder, artefact.identity) as build:
        for name, content in files.items():
            (build.path / name).write_text(json.dumps(content))
        build.summary.update(known)
