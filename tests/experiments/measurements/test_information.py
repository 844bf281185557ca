"""What segmenters lose follows from their probabilities alone, and comes apart into information and shift."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from dsr.experiments.analysis.pictures import information_levels
from dsr.experiments.collecting import collect, report_of
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.domain import Case, Domain
from dsr.experiments.graph.artefacts import CURVES
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements import artefacts as measurements
from dsr.experiments.measurements.artefacts import cases_of_losses, losses, temperature
from dsr.experiments.measurements.files import LOSSES
from dsr.experiments.measurements.information import information_results, surprises
from dsr.experiments.study import ORIGINAL, Study
from dsr.experiments.summaries import EvaluationSummary, LossesSummary, TemperatureSummary
from dsr.experiments.training.evaluation import load_segmenter
from dsr.experiments.training.segmenter import WEIGHTS
from dsr.models.restorers.saved import save_network
from dsr.models.segmenter.deeplab import build_deeplab
from dsr.tfrecords.building import building
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import records
from tests.experiments import studies
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY

IMAGES, STRIDE = 5, 3
OVERRIDES = [
    *TINY,
    "points=jpeg-quality10,none",
    f"dataset.options.test={IMAGES}",
    "dataset.options.width=192",
    "images_per_shard=2",
    "segmenter.network.batch_norm_momentum=0",
    "segmenter.network.aspp_width=32",
    "segmenter.network.decoder_width=32",
]


def measured(study: Study) -> list[Case]:
    """All seven at the first point, and what needs no restorer at the second, where compression changes nothing."""
    changing, nothing = study.degradations
    first = [Case.of(name, changing, "gan", 0) for name in ("OO", "OC", "OR", "CO", "CC", "RO", "RR")]
    return first + [Case.of(name, nothing, "gan", 0) for name in ("OC", "CO", "CC")]


def last_layer_fitted(network: tf.keras.Model, last: tf.keras.layers.Layer, images: np.ndarray, study: Study) -> Any:
    """Its kernel and bias, by least squares to the labels: what tells pixels apart has a best temperature."""
    features = tf.keras.Model(network.input, last.input)(images.astype(np.float32) / 127.5 - 1).numpy()
    step = images.shape[1] // features.shape[1]
    classes = study.source.table.num_classes
    labels = np.stack([record.train_ids() for record in records(study.shards(ORIGINAL, "test").folder)])
    labels = labels[:, ::step, ::step].ravel()
    inputs = np.pad(features.reshape(len(labels), -1), ((0, 0), (0, 1)), constant_values=1)[labels < classes]
    found = np.linalg.lstsq(inputs, np.eye(classes)[labels[labels < classes]], rcond=None)[0]
    return [(5 * found[:-1]).reshape(last.kernel.shape), 5 * found[-1]]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The networks are untrained but for their last layer, and the restorer changes nothing.

    That of C at the second point is that of O. That of R is blind: it gives every pixel the same probabilities.
    """
    config = apply_overrides(studies.small(), OVERRIDES)
    study = Study(config, tmp_path_factory.mktemp("work"), HERE)
    make([study.shards(ORIGINAL, "test")], Progress())
    changing, nothing = study.degradations
    tf.keras.utils.set_random_seed(0)
    network = build_deeplab(config.segmenter.network, study.source.table.num_classes)
    images = np.stack([record.pixels() for record in records(study.shards(ORIGINAL, "test").folder)])
    network(images.astype(np.float32) / 127.5 - 1, training=True)
    last = network.get_layer("classes")
    kernel, bias = last_layer_fitted(network, last, images, study)
    drawn = np.random.default_rng(0)
    for domain, weights in (
        (ORIGINAL, [kernel, bias]),
        (Domain("C", nothing), [kernel, bias]),
        (Domain("C", changing), [kernel + drawn.normal(0, 0.1, kernel.shape), bias]),
        (Domain("R", changing, "gan"), [0 * kernel, np.linspace(-1, 2, len(bias))]),
    ):
        segmenter = study.segmenter(domain, 0)
        last.set_weights(weights)
        with building(segmenter.folder, segmenter.identity) as build:
            network.save_weights(str(build.path / WEIGHTS))
            (build.path / CURVES).write_text("{}")
            build.summary.update(steps=1, parameters=1, images=3, seconds=0.5)
    restorer, generator = study.restorer(changing, "gan"), config.restorer.gan.generator
    with building(restorer.folder, restorer.identity) as build:
        save_network(generator.build(), generator, build.path)
        (build.path / CURVES).write_text("{}")
        build.summary.update(steps=1, parameters=1, images=3, seconds=0.5)
    make([losses(study, case) for case in measured(study)], Progress())
    return study


def logits_and_labels(study: Study, domain: Domain, tested: Domain, role: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Image by image, read without TensorFlow and asked for one at a time without a graph."""
    model = load_segmenter(study.config.segmenter, study.source.table, study.segmenter(domain, 0).folder)
    return [
        (model.network(record.pixels()[None].astype(np.float32) / 127.5 - 1).numpy()[0], record.train_ids())
        for record in records(study.shards(tested, role).folder)
    ]


def fitted(study: Study, domain: Domain) -> TemperatureSummary:
    artefact = temperature(study, study.segmenter(domain, 0), domain)
    assert artefact is not None
    return artefact.summary(TemperatureSummary)


def table(study: Study, case: Case) -> dict[str, np.ndarray]:
    with np.load(losses(study, case).folder / LOSSES, allow_pickle=False) as archive:
        return dict(archive)


def test_a_temperature_is_the_best_one_for_the_images_set_apart_in_the_domain_trained_on(study: Study) -> None:
    for domain in (ORIGINAL, Domain("C", study.degradations[0])):
        artefact = temperature(study, study.segmenter(domain, 0), domain)
        assert artefact is not None and artefact.inputs["shards"] is study.shards(domain, "restore")
        found = artefact.summary(TemperatureSummary)
        pairs = logits_and_labels(study, domain, domain, "restore")
        logits = np.concatenate([one[::STRIDE, ::STRIDE].reshape(-1, one.shape[-1]) for one, _ in pairs])
        labels = np.concatenate([one[::STRIDE, ::STRIDE].ravel() for _, one in pairs])
        logits, labels = logits[labels != 255].astype(np.float64), labels[labels != 255]

        def entropy(t: float, logits: np.ndarray = logits, labels: np.ndarray = labels) -> float:
            return -log_softmax(logits / math.exp(t), axis=1)[np.arange(len(labels)), labels].mean()

        best = minimize_scalar(entropy, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9})
        assert found.pixels == len(labels)
        assert found.temperature == pytest.approx(math.exp(best.x), rel=1e-3)


def test_losses_are_the_surprise_at_each_label_by_image_and_class(study: Study) -> None:
    case = Case.of("OC", study.degradations[0], "gan", 0)
    found, classes = table(study, case), study.source.table.num_classes
    warm = fitted(study, ORIGINAL).temperature
    assert found["nats"].dtype == np.float64 and found["nats"].shape == (IMAGES, classes)
    assert found["keys"].tolist() == [record.key for record in records(study.shards(case.test, "test").folder)]
    for number, (logits, label) in enumerate(logits_and_labels(study, ORIGINAL, case.test, "test")):
        surprise = -log_softmax(logits.astype(np.float64) / warm, axis=-1)
        for c in range(classes):
            assert found["pixels"][number, c] == (label == c).sum()
            assert found["nats"][number, c] == pytest.approx(surprise[label == c][:, c].sum(), rel=1e-4, abs=1e-3)
    summary = losses(study, case).summary(LossesSummary)
    assert summary.bits == pytest.approx(found["nats"].sum() / found["pixels"].sum() / math.log(2))


def test_a_blind_segmenter_loses_what_its_fixed_probabilities_say(study: Study) -> None:
    found, classes = table(study, Case.of("RR", study.degradations[0], "gan", 0)), study.source.table.num_classes
    warm = fitted(study, Domain("R", study.degradations[0], "gan"))
    surprise = -log_softmax(np.linspace(-1, 2, classes) / warm.temperature)
    np.testing.assert_allclose(found["nats"], found["pixels"] * surprise, rtol=1e-5)


def test_the_same_pass_scores_as_an_evaluation_does(study: Study) -> None:
    case = Case.of("CC", study.degradations[0], "gan", 0)
    make([study.evaluation(case)], Progress())
    expected = study.evaluation(case).summary(EvaluationSummary)
    found = losses(study, case).summary(LossesSummary)
    assert found.miou == pytest.approx(expected.miou, abs=1e-12)
    assert found.samples == expected.samples


def test_sample_images_keep_the_surprise_of_each_pixel(study: Study) -> None:
    case = Case.of("CO", study.degradations[0], "gan", 0)
    found, maps = table(study, case), surprises(study, case)
    assert list(maps) == losses(study, case).summary(LossesSummary).samples and len(maps) == study.config.samples
    labels = {record.key: record.train_ids() for record in records(study.shards(ORIGINAL, "test").folder)}
    for key, bits in maps.items():
        assert bits.dtype == np.float16 and (np.isnan(bits) == (labels[key] == 255)).all()
        number = found["keys"].tolist().index(key)
        assert np.nansum(bits.astype(np.float64)) * math.log(2) == pytest.approx(found["nats"][number].sum(), rel=1e-3)


def test_a_report_gets_a_map_of_each_sample_and_small_pictures_of_what_loses_most(study: Study) -> None:
    changing = study.degradations[0]
    both = [Case.of(name, changing, "gan", 0) for name in ("CC", "OO")]
    make([study.evaluation(case) for case in both], Progress())
    results = collect(study)
    compressed, original = (surprises(study, case) for case in both)
    samples = [sample for sample in results.samples if sample.point == changing.point]
    assert [sample.key for sample in samples] == list(compressed)
    for sample in samples:
        apart = compressed[sample.key].astype(np.float32) - original[sample.key].astype(np.float32)
        assert sample.information is not None
        np.testing.assert_array_equal(np.asarray(Image.open(sample.information)), information_levels(apart))
    assert results.information is not None
    originals = {record.key: record.pixels() for record in records(study.shards(ORIGINAL, "test").folder)}
    for images in results.information.images:
        assert set(images.pictures) == set(originals)  # there are fewer than are shown
        for key, path in images.pictures.items():
            small = np.asarray(Image.open(path))
            np.testing.assert_array_equal(small, originals[key])  # none is larger than the pictures may be
    report_of(study, results)


def test_made_again_the_losses_are_the_same_bytes(study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.work, tmp_path, dirs_exist_ok=True)
    again, case = Study(study.config, tmp_path, HERE), Case.of("CC", study.degradations[0], "gan", 0)
    for artefact in (losses(again, case), losses(again, case).inputs["temperature"]):
        shutil.rmtree(artefact.folder)
    make([losses(again, case)], Progress())
    for name in (LOSSES, "surprises.npz"):
        assert (losses(again, case).folder / name).read_bytes() == (losses(study, case).folder / name).read_bytes()


def test_results_have_every_case_and_every_difference_that_there_is(study: Study) -> None:
    results = information_results(study)
    assert results is not None and len(results.keys) == IMAGES
    assert [(one.configuration, one.point) for one in results.losses] == [
        *((name, None if name == "OO" else "jpeg-quality10") for name in ("OO", "OC", "OR")),
        ("OC", "none"),
        *((name, "jpeg-quality10") for name in ("CO", "CC", "RO", "RR")),
        *((name, "none") for name in ("CO", "CC")),
    ]
    first = [one for one in results.differences if one.point == "jpeg-quality10"]
    assert len(first) == 10 and all(one.seeds == 1 for one in first)
    by_pair = {(one.configuration, one.minus): one.bits.value for one in first}
    assert by_pair["OC", "OO"] == pytest.approx(by_pair["OC", "CC"] + by_pair["CC", "OO"], abs=1e-13)
    assert by_pair["OR", "OO"] == pytest.approx(by_pair["OR", "RR"] + by_pair["RR", "OO"], abs=1e-13)
    bits = {(one.configuration, one.point): one.bits for one in results.losses}
    assert by_pair["CC", "OO"] == pytest.approx(bits["CC", "jpeg-quality10"] - bits["OO", None], abs=1e-13)
    changed = results.images[0]
    weights = table(study, Case.of("CC", study.degradations[0], "gan", 0))["pixels"].sum(axis=1)
    assert np.average(changed.bits, weights=weights) == pytest.approx(by_pair["CC", "OO"])
    assert information_results(study) == results


def test_compression_that_changes_nothing_takes_nothing(study: Study) -> None:
    results = information_results(study)
    assert results is not None
    unchanged = [one for one in results.differences if one.point == "none"]
    assert len(unchanged) == 4  # without restored images
    for one in unchanged:
        assert (one.bits.value, one.bits.low, one.bits.high) == (0, None, None)  # of so few images without an interval
        assert all(bits is None or bits.value == 0 for bits in one.per_class.values())
    assert set(results.images[1].bits) == {0.0}


def test_images_that_not_every_case_has_are_left_out(study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.work, tmp_path, dirs_exist_ok=True)
    other = Study(study.config, tmp_path)
    artefact = losses(other, Case.of("CC", study.degradations[0], "gan", 0))
    fewer = {name: array[1:] for name, array in table(other, artefact.of).items()}  # type: ignore[arg-type]
    summary = dict(artefact.manifest.summary)
    shutil.rmtree(artefact.folder)
    with building(artefact.folder, artefact.identity) as build:
        np.savez(build.path / LOSSES, **fewer)
        build.summary.update(summary)
    found, whole = information_results(other), information_results(study)
    assert found is not None and whole is not None
    assert found.keys == whole.keys[1:] and found.images[0].bits == whole.images[0].bits[1:]
    assert all(one.miou is not None for one in whole.losses)
    assert all(one.miou is None for one in found.losses)  # they are of all images


def test_without_labels_set_apart_there_is_no_temperature(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Study(study.config, tmp_path)
    samples = bare.source.samples
    monkeypatch.setattr(
        bare.source,
        "samples",
        lambda split: [dataclasses.replace(s, label=None) if split == "restore" else s for s in samples(split)],
    )
    assert temperature(bare, bare.segmenter(ORIGINAL, 0), ORIGINAL) is None
    case = Case.of("OO", study.degradations[0], "gan", 0)
    assert set(losses(bare, case).inputs) == {"segmenter", "shards"}
    assert losses(bare, case).fingerprint != losses(study, case).fingerprint


def test_what_is_not_measured_is_left_out(study: Study, tmp_path: Path) -> None:
    other = Study(study.config, tmp_path)
    assert information_results(other) is None
    assert surprises(other, measured(study)[0]) == {}


def test_a_damaged_measurement_is_named_and_not_read(study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.work / "losses", tmp_path / "losses")
    shutil.copytree(study.work / "temperatures", tmp_path / "temperatures")
    other = Study(study.config, tmp_path)
    path = losses(other, measured(study)[0]).folder / LOSSES
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=f"{LOSSES} is not the file that was written"):
        information_results(other)


def test_a_recalibrated_segmenter_is_asked_too_at_a_temperature_of_originals(tmp_path: Path) -> None:
    study = Study(apply_overrides(studies.small(), [*OVERRIDES, "adaptations=recalibrated"]), tmp_path)
    adapted = [case for case in cases_of_losses(study) if case.adaptation]
    assert sorted(one.configuration for one in adapted) == ["CO", "CO", "OO"]  # CO at both points
    case = next(one for one in adapted if one.configuration == "CO")
    artefact = losses(study, case)
    assert artefact.inputs["segmenter"] is study.adapted(case.train, case.seed, "recalibrated")
    home = artefact.inputs["temperature"].inputs
    assert home["segmenter"] is artefact.inputs["segmenter"] and home["shards"] is study.shards(ORIGINAL, "restore")
    plain = losses(study, dataclasses.replace(case, adaptation=None))
    assert plain.name != artefact.name and plain.inputs["segmenter"] is study.segmenter(case.train, case.seed)


def test_every_case_of_a_study_is_measured_once_and_those_of_a_segmenter_follow_each_other(tmp_path: Path) -> None:
    study = Study(apply_overrides(studies.small(), [*OVERRIDES, "seeds=2", "restorers=gan,rdn-psnr"]), tmp_path)
    cases = cases_of_losses(study)
    assert len(cases) == len(set(cases)) == 2 * (1 + 2 * (3 + 2 * 3 + 1 - 1))
    segmenters = [(case.train, case.seed) for case in cases]
    changes = sum(a != b for a, b in zip(segmenters, segmenters[1:]))
    assert changes == len(set(segmenters)) - 1
    assert set(study.cases()) == {case for case in cases if case.configuration != "RR"}
    assert [a.of for a in measurements.measurements(study) if a.group == "losses"] == cases
