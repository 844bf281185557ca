"""Measurements of the test images follow from shards and segmenter alone, and results compare the same images in all
domains."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.conversion import Converting
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements import artefacts as measurements
from dsr.experiments.measurements.files import FEATURES
from dsr.experiments.measurements.perceptual import SCORES
from dsr.experiments.measurements.shift import perceptual_results, shift_results
from dsr.experiments.results import Distances, Estimate
from dsr.experiments.study import ORIGINAL, Study
from dsr.experiments.training.evaluation import load_segmenter
from dsr.experiments.training.segmenter import WEIGHTS
from dsr.models.metrics.distances import frechet_distance
from dsr.models.metrics.perceptual import load_index
from dsr.models.restorers.saved import save_network
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.tfrecords.building import building
from dsr.tfrecords.engine import How
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import records
from tests.experiments import studies
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY

IMAGES = 5
OVERRIDES = [
    *TINY,
    "points=jpeg-quality10,none",
    f"dataset.options.test={IMAGES}",
    "dataset.options.width=192",
    "images_per_shard=2",
    "segmenter.network.batch_norm_momentum=0",
]


def measured(study: Study) -> list[Domain]:
    changing, nothing = study.degradations
    return [Domain("O"), Domain("C", changing), Domain("R", changing, "gan"), Domain("C", nothing)]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two operating points, one of which changes nothing, with all that is measured of them but the other's restored
    images.

    The networks are untrained: the segmenter's normalisations have seen the test images once, so that its features are
    of a usual size, and the restorer changes nothing.
    """
    config = apply_overrides(studies.small(), OVERRIDES)
    study = Study(config, tmp_path_factory.mktemp("work"), HERE)
    make([study.shards(ORIGINAL, "test")], Progress())
    segmenter, restorer = study.segmenter(ORIGINAL, 0), study.restorer(study.degradations[0], "gan")
    with building(segmenter.folder, segmenter.identity) as build:
        tf.keras.utils.set_random_seed(0)
        network = build_deeplab(config.segmenter.network, study.source.table.num_classes)
        images = np.stack([record.pixels() for record in records(study.shards(ORIGINAL, "test").folder)])
        network(images.astype(np.float32) / 127.5 - 1, training=True)
        network.save_weights(str(build.path / WEIGHTS))
    generator = config.restorer.gan.generator
    with building(restorer.folder, restorer.identity) as build:
        save_network(generator.build(), generator, build.path)
    make(
        [
            measure(study, domain)
            for domain in measured(study)
            for measure in (measurements.perceptual, measurements.features)
        ],
        Progress(),
    )
    return study


def rows(study: Study, domain: Domain) -> list[dict]:
    return json.loads((measurements.perceptual(study, domain).folder / SCORES).read_text())


def features(study: Study, domain: Domain) -> dict[str, np.ndarray]:
    with np.load(measurements.features(study, domain).folder / FEATURES, allow_pickle=False) as archive:
        return dict(archive)


def test_how_natural_drawings_look_is_not_asked(study: Study) -> None:
    groups = {a.group for a in measurements.measurements(study)}
    assert "features" in groups and "perceptual" not in groups


def test_every_domain_of_the_test_images_is_measured_by_both_measures(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(study.source), "teaching", False)
    found = measurements.measurements(study)
    names = {"original", *(f"{point}{end}" for point in ("jpeg-quality10", "none") for end in ("", "-gan"))}
    for group in ("perceptual", "features"):
        assert {a.name for a in found if a.group == group} == {f"streets/test/{name}" for name in names}
    made = [a for a in found if a.exists]
    assert len(made) == 2 * len(measured(study))
    assert {a.manifest.summary["images"] for a in made} == {IMAGES}


def test_scores_are_those_of_the_index_image_by_image_in_order_of_keys(study: Study) -> None:
    indexes = {name: load_index(name) for name in ("niqe", "hosa")}
    for domain in measured(study):
        expected = [
            {"key": record.key, **{name: index.score(record.pixels()) for name, index in indexes.items()}}
            for record in records(study.shards(domain, "test").folder)
        ]
        found = rows(study, domain)
        assert [row["key"] for row in found] == [row["key"] for row in expected]
        for name in indexes:  # not exactly: this process may have more threads for its sums
            np.testing.assert_allclose([row[name] for row in found], [row[name] for row in expected], rtol=1e-9)
        assert [row["key"] for row in expected] == sorted(row["key"] for row in expected)
        summary = measurements.perceptual(study, domain).manifest.summary
        assert summary["hosa"] == pytest.approx(np.mean([row["hosa"] for row in expected]))


def test_the_number_of_workers_changes_no_byte(study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.work / "shards", tmp_path / "shards")
    several = Study(study.config, tmp_path, Converting(How(workers=2)))
    make([measurements.perceptual(several, Domain("O"))], Progress())
    folders = (measurements.perceptual(one, Domain("O")).folder / SCORES for one in (study, several))
    assert len({folder.read_bytes() for folder in folders}) == 1


def test_other_weights_of_an_index_are_another_artefact(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = measurements.perceptual(study, Domain("O")).fingerprint
    shutil.copytree(measurements.FOLDER, tmp_path / "weights")
    monkeypatch.setattr(measurements, "FOLDER", tmp_path / "weights")
    assert measurements.perceptual(study, Domain("O")).fingerprint == before
    with open(tmp_path / "weights" / "hosa.npz", "ab") as file:
        file.write(b"\0")
    assert measurements.perceptual(study, Domain("O")).fingerprint != before


def test_features_are_means_over_each_image_of_what_the_backbone_gives_to_the_decoder_and_to_the_pyramid(
    study: Study,
) -> None:
    training, table = study.config.segmenter, study.source.table
    network = load_segmenter(training, table, study.segmenter(ORIGINAL, 0).folder).network
    taken = tf.keras.Model(
        network.input, [network.get_layer(name).input for name in ("low_projection", "aspp_1x1")]
    )  # inputs of the layers behind the taps
    domain = Domain("C", study.degradations[0])
    found = features(study, domain)
    for number, record in enumerate(records(study.shards(domain, "test").folder)):
        maps = taken(record.pixels()[None].astype(np.float32) / 127.5 - 1)
        assert found["keys"][number] == record.key
        for name, one in zip(("low", "high"), maps):
            assert found[name].dtype == np.float32
            np.testing.assert_allclose(found[name][number], one.numpy()[0].mean((0, 1)), rtol=1e-4, atol=1e-5)


def test_all_domains_are_seen_by_the_first_segmenter_trained_on_originals(tmp_path: Path) -> None:
    several = Study(apply_overrides(studies.small(), [*OVERRIDES, "seeds=3"]), tmp_path)
    for domain in measured(several):
        assert measurements.features(several, domain).inputs["segmenter"] is several.segmenter(ORIGINAL, 0)


def test_compression_that_changes_nothing_shifts_nothing(study: Study) -> None:
    shift = shift_results(study)
    assert shift is not None
    by_name = {(entry.point, entry.domain): entry for entry in shift.domains}
    unchanged, changed = by_name["none", "compressed"], by_name["jpeg-quality10", "compressed"]
    for none, some in ((unchanged.frechet, changed.frechet), (unchanged.kernel, changed.kernel)):
        assert some.low < some.value < some.high
        assert max(map(abs, (none.value, none.low, none.high))) < 1e-6 * abs(some.value)
    assert changed.frechet.low > 0
    correlation = unchanged.correlation
    assert (correlation.slope, correlation.r2, correlation.rms) == (pytest.approx(1), pytest.approx(1), 0)
    assert correlation.activations == shift.original
    assert changed.correlation.rms > 0
    scores = {(entry.point, entry.domain): entry.hosa for entry in perceptual_results(study)}
    assert scores["none", "compressed"] == scores[None, "original"] != scores["jpeg-quality10", "compressed"]


def test_distances_compare_the_deep_features_and_a_restorer_that_changes_nothing_changes_no_distance(
    study: Study,
) -> None:
    shift = shift_results(study)
    assert shift is not None and shift.images == IMAGES
    compressed, restored = shift.domains[:2]
    original, other = (features(study, domain)["high"] for domain in measured(study)[:2])
    assert compressed.frechet.value == pytest.approx(frechet_distance(original, other), rel=1e-6)
    assert compressed.change is None and restored.frechet == compressed.frechet
    assert restored.change == Distances(Estimate(0, 0, 0), Estimate(0, 0, 0))
    assert shift_results(study) == shift


def test_only_images_that_every_domain_has_are_compared(study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.work, tmp_path, dirs_exist_ok=True)
    other = Study(study.config, tmp_path)
    domain = Domain("C", study.degradations[0])
    scores, seen = measurements.perceptual(other, domain), measurements.features(other, domain)
    fewer_rows = rows(other, domain)[1:]
    fewer_features = {name: array[1:] for name, array in features(other, domain).items()}
    for artefact in (scores, seen):
        shutil.rmtree(artefact.folder)
    with building(scores.folder, scores.identity) as build:
        (build.path / SCORES).write_text(json.dumps(fewer_rows))
    with building(seen.folder, seen.identity) as build:
        np.savez(build.path / FEATURES, **fewer_features)
    found = perceptual_results(other)
    assert {len(entry.hosa) for entry in found} == {IMAGES - 1}
    assert found[0].hosa == [row["hosa"] for row in rows(study, Domain("O"))[1:]]
    shift = shift_results(other)
    assert shift is not None and shift.images == IMAGES - 1


def test_what_is_not_measured_is_left_out(study: Study, tmp_path: Path) -> None:
    assert perceptual_results(Study(study.config, tmp_path)) == []
    assert shift_results(Study(study.config, tmp_path)) is None
    original = measurements.features(study, Domain("O"))
    shutil.copytree(original.folder, tmp_path / original.folder.relative_to(study.work))
    assert shift_results(Study(study.config, tmp_path)) is None  # originals alone are no shift


@pytest.mark.parametrize(
    ("measure", "name", "results"),
    [(measurements.perceptual, SCORES, perceptual_results), (measurements.features, FEATURES, shift_results)],
)
def test_a_damaged_measurement_is_named_and_not_read(
    measure: Callable[[Study, Domain], Artefact],
    name: str,
    results: Callable[[Study], object],
    study: Study,
    tmp_path: Path,
) -> None:
    copies = Study(study.config, tmp_path)
    for domain in (Domain("O"), Domain("C", study.degradations[0])):
        folder = measure(study, domain).folder
        shutil.copytree(folder, tmp_path / folder.relative_to(study.work))
    damaged = measure(copies, Domain("O")).folder / name
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ArtefactError, match=f"{name} is not the file that was written"):
        results(copies)
