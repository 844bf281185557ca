"""Curves are grouped in TensorBoard and drawn in reports under the names that trainings really give them; what is shown
of images held out changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.plugins.hparams import plugin_data_pb2

from dsr.experiments.analysis.figures import curve_charts, curve_groups
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import CURVES, Artefact
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.experiments.study import ORIGINAL, Study
from dsr.experiments.training.board import HELD_OUT, tag_of
from dsr.models.hyperprior.config import CodecTrainingConfig, HyperpriorConfig
from dsr.models.hyperprior.network import HyperpriorTraining
from dsr.models.losses import TERMS
from dsr.models.restorers.gan_config import AdversarialConfig
from dsr.models.restorers.rdn_config import DenseConfig
from dsr.models.segmenter.consistency import ConsistentSegmenter
from tests.experiments import studies
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY, weights

EVERYWHERE = ["learning_rate", "steps_per_second"]


def names() -> dict[str, list[str]]:
    """Kind of network -> the names of its curves, as the models and the loop give them."""
    gan = AdversarialConfig.tiny().build()
    dense = DenseConfig.tiny().build("mse")
    codec = HyperpriorTraining(CodecTrainingConfig(HyperpriorConfig(8, 12), distortion="ms-ssim"), 0)
    segmenter = [m.name for m in ConsistentSegmenter(tf.keras.Sequential(), 2, weight=1.0, rising=0).metrics]
    restorer = dict.fromkeys([m.name for m in (*gan.metrics, *dense.metrics)] + list(TERMS) + [*gan.learning_rates()])
    return {
        "restorer": [*restorer, "steps_per_second", f"{HELD_OUT}psnr"],
        "segmenter": [*segmenter, "iou/road", "iou/sign symbol", f"{HELD_OUT}miou", *EVERYWHERE],
        "codec": [m.name for m in codec.metrics] + ["psnr", "rd_bpp_quality3", "rd_psnr_quality3", *EVERYWHERE],
    }


@pytest.mark.parametrize("kind", ["restorer", "segmenter", "codec"])
def test_every_curve_has_a_tag_of_its_own_in_a_group_and_a_word(kind: str) -> None:
    tags = [tag_of(kind, name) for name in names()[kind]]
    assert len({tag for tag, _ in tags}) == len(tags)
    assert all(tag.startswith(f"{kind}/") and tag.count("/") >= 2 and says for tag, says in tags)


def test_tags_are_those_that_the_documentation_names() -> None:
    assert tag_of("restorer", "d_original_1").tag == "restorer/discriminator/full/p_original"
    assert tag_of("restorer", "d_restored_4").tag == "restorer/discriminator/quarter/p_restored"
    assert tag_of("restorer", "generator_loss").tag == "restorer/loss/generator"
    assert tag_of("segmenter", "miou").tag == "segmenter/train/miou"
    assert tag_of("segmenter", "consistency").tag == "segmenter/loss/consistency"
    assert tag_of("line", "something") == ("line/something", "")


def test_charts_draw_every_curve_once_and_what_a_discriminator_says_together() -> None:
    curves = {name: [[0, 0.5], [10, 0.25]] for name in names()["restorer"]}
    groups = curve_groups(curves)
    assert sorted(name for group in groups for name in group) == sorted(curves)
    assert [sorted(group) for group in groups if len(group) > 1] == [
        [f"d_original_{scale}", f"d_restored_{scale}"] for scale in AdversarialConfig.tiny().discriminator.scales
    ]
    assert [drawn for drawn, _ in curve_charts(curves)] == groups


def shown(artefact: Artefact) -> dict[str, Any]:
    """Tag -> the last value that the events of a training have of it."""
    found: dict[str, Any] = {}
    for events in sorted((artefact.folder / "tensorboard").iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(events)):
            for value in event.summary.value:
                found[value.tag] = value
    return found


RDN = [f"network.{value}" for value in ("blocks=1", "layers=1", "growth=2", "features=4")] + ["patch=32", "steps=4"]
SETTINGS = [*TINY, *(f"restorer.rdn.{value}" for value in RDN), "restorers=rdn-psnr", "segmenter.steps=4"]


def trained(work: Path, *roles: str) -> list[Artefact]:
    """A restorer and a segmenter, made after the shards of these roles."""
    study = Study(apply_overrides(studies.small(), SETTINGS), work, HERE)
    (codec,) = study.degradations
    make([study.shards(domain, role) for domain in (ORIGINAL, Domain("C", codec)) for role in roles], Progress())
    made = [study.restorer(codec, "rdn-psnr"), study.segmenter(Domain("C", codec), 0)]
    make(made, Progress())
    return made


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[Artefact]:
    """Networks that are shown test images while they train."""
    return trained(tmp_path_factory.mktemp("seen"), "test")


def test_what_is_shown_of_held_out_images_changes_neither_weights_nor_curves(
    seen: list[Artefact], tmp_path: Path
) -> None:
    tags = "restorer/held_out/psnr", "segmenter/held_out/miou"
    for one, without, tag in zip(seen, trained(tmp_path), tags):
        assert one.fingerprint == without.fingerprint
        for a, b in zip(weights(one), weights(without)):
            np.testing.assert_array_equal(a, b)
        curves = [json.loads((made.folder / CURVES).read_text()) for made in (one, without)]
        assert all(curve.pop("steps_per_second") for curve in curves)
        assert curves[0] == curves[1]
        events = shown(one)
        assert tag in events and tag not in shown(without)
        assert events[tag].metadata.summary_description
        value = float(tf.make_ndarray(events[tag].tensor))
        assert 0 <= value <= 1 if "miou" in tag else 5 < value < 60


def test_the_settings_are_in_the_tab_of_hyperparameters(seen: list[Artefact]) -> None:
    _, segmenter = seen
    (value,) = [v for tag, v in shown(segmenter).items() if tag.endswith("session_start_info")]
    data = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    told = data.session_start_info.hparams
    config = apply_overrides(studies.small(), SETTINGS).segmenter
    assert told["optimizer"].string_value == config.optimizer != SegmenterConfig().optimizer
    assert told["steps"].number_value == 4
    assert told["input.shards"].string_value == "streets/train/jpeg-quality10"
    assert told["network.width"].number_value == config.network.width
