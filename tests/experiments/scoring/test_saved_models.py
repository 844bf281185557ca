"""What needs TensorFlow: a SavedModel is scored through its signature, and restored images are scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.experiments.scoring.errors import ScoreError
from dsr.experiments.scoring.labelling import Labeller, Mapping
from dsr.experiments.scoring.networks import Preprocessing, open_network
from dsr.models.restorers.rdn import build_rdn
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.saved import save_network
from tests.experiments.scoring.test_networks import PIXELS, TABLE
from tests.experiments.scoring.test_study import mious, score, write_model


def test_a_saved_model_gets_normalised_values_in_its_layout(tmp_path: Path) -> None:
    image = tf.keras.Input((None, None, 3))
    model = tf.keras.Model(image, tf.keras.layers.Conv2D(3, 1, kernel_initializer="glorot_uniform")(image))
    model.export(str(tmp_path / "net"))
    how = Preprocessing((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), layout="nhwc")
    labeller = Labeller(open_network(str(tmp_path / "net"), how), "nhwc", Mapping.same(TABLE))
    wanted = model((PIXELS[None] / 127.5 - 1).astype(np.float32)).numpy()[0].argmax(-1)
    assert (labeller(PIXELS) == wanted).mean() > 0.99
    with pytest.raises(ScoreError, match="--layout nchw or nhwc"):
        open_network(str(tmp_path / "net"), Preprocessing())(PIXELS)


def test_one_that_does_not_say_what_shape_it_takes_gets_the_image(tmp_path: Path) -> None:
    module = tf.Module()
    signature = tf.function(lambda image: {"scores": image}, input_signature=[tf.TensorSpec(None, tf.float32, "image")])
    tf.saved_model.save(module, str(tmp_path / "net"), signatures=signature.get_concrete_function())
    given = open_network(str(tmp_path / "net"), Preprocessing(layout="nhwc"))(PIXELS)
    assert given == pytest.approx(PIXELS / 255)


def test_one_without_a_signature_is_refused(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "net"))
    with pytest.raises(ScoreError, match="no signature serving_default"):
        open_network(str(tmp_path / "net"), Preprocessing(layout="nhwc"))(PIXELS)


def test_restored_images_are_scored_with_any_trained_restorer(tmp_path: Path) -> None:
    tf.keras.utils.set_random_seed(1)
    config = RdnConfig(blocks=1, layers=1, growth=2, features=4)
    (tmp_path / "mine-restorer").mkdir()
    save_network(build_rdn(config), config, tmp_path / "mine-restorer")
    run = score(write_model(tmp_path), "--restorer", str(tmp_path / "mine-restorer"), "--points", "bpg-qp45")
    assert set(mious(run)) == {("OO", None), ("OC", "bpg-qp45"), ("OR", "bpg-qp45")}
    pairs = {(e["configuration"], e["minus"]): e["restorer"] for e in json.loads(run.stdout)["scores"]}
    assert pairs["OR", "OC"] == pairs["OR", "OO"] == "mine-restorer"
