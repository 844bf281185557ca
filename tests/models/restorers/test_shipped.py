"""The restorer that comes with dsr: what it computes, what it does to photographs, and going on from it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dsr.data_pipelines.codecs import make_codec
from dsr.models.metrics.fidelity import psnr
from dsr.models.metrics.perceptual import load_index
from dsr.models.pixels import to_unit
from dsr.models.restorers.errors import RestorerError
from dsr.models.restorers.folder import DISCRIMINATORS, GENERATOR, SHIPPED_FOLDER, digest, weights_file
from dsr.models.restorers.gan import AdversarialRestorer
from dsr.models.restorers.gan_config import AdversarialConfig, DiscriminatorConfig, GeneratorConfig, LossWeights
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.saved import load_network, read_start, save_network
from dsr.models.restorers.tiling import restore
from tests.models.restorers import numpy_generator

SMALL = AdversarialConfig(
    generator=GeneratorConfig(width=4, downsamplings=1, blocks=1),
    discriminator=DiscriminatorConfig(width=2, normalize_last=False),
    weights=LossWeights(vgg=0),
    vgg=None,
    patch=128,
)


@pytest.fixture(scope="module")
def shipped() -> tuple[tf.keras.Model, GeneratorConfig]:
    return load_network(SHIPPED_FOLDER)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small restorer with weights that no other has."""
    folder = tmp_path_factory.mktemp("trained")
    tf.keras.utils.set_random_seed(7)
    model = AdversarialRestorer(SMALL)
    for variable in model.trainable_variables:
        variable.assign(tf.random.normal(variable.shape))
    model.save_networks(folder)
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def arrays(folder: Path, part: str) -> dict[str, np.ndarray]:
    with np.load(weights_file(folder, part)) as archive:
        return dict(archive)


def starting(folder: Path | str) -> AdversarialConfig:
    return dataclasses.replace(SMALL, start=str(folder))


def test_it_is_the_base_size_and_every_weight_is_in_its_place(shipped):
    network, config = shipped
    base = AdversarialConfig.base()
    assert config == base.generator == GeneratorConfig(width=32, downsamplings=2, blocks=9, upsampling="resize")
    assert read_start("shipped") == (base.generator, base.discriminator)
    stored = arrays(SHIPPED_FOLDER, GENERATOR)
    assert set(stored) == {variable.name for variable in network.variables}
    assert network.count_params() == config.parameters == 2_853_187
    for variable in network.variables:
        np.testing.assert_array_equal(variable, stored[variable.name].astype(np.float32))


def test_its_weights_are_those_that_were_trained(shared):
    for part, prefix, file in (
        (GENERATOR, "", "generator"),
        (DISCRIMINATORS, "discriminator_1/", "discriminator_1"),
        (DISCRIMINATORS, "discriminator_4/", "discriminator_4"),
    ):
        stored = arrays(SHIPPED_FOLDER, part)
        with np.load(shared / f"weights/pretrained/gan_{file}.npz") as trained:
            assert {name for name in stored if name.startswith(prefix)} == {prefix + name for name in trained}
            for name in trained:
                np.testing.assert_array_equal(stored[prefix + name], trained[name])


def test_it_computes_what_appendix_b_says(shipped):
    """Against a reading of it in NumPy and float64, on noise in blocks, within a hundredth of a level of 255."""
    network, config = shipped
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (4, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    expected = numpy_generator.restored(arrays(SHIPPED_FOLDER, GENERATOR), pixels, config.downsamplings, config.blocks)
    found = network(to_unit(pixels[None]))[0].numpy()
    np.testing.assert_allclose(found, expected, atol=0.01 / 127.5)
    assert np.abs(expected - (pixels / 127.5 - 1)).mean() > 1 / 127.5


def test_a_driving_scene_looks_more_natural_and_stays_what_it_was(shipped, shared):
    """It never saw one. Of both indexes, smaller is more natural; how much over many images is in docs/restorer.md."""
    path = sorted((shared / "camvid" / "test").iterdir())[116]
    original = np.asarray(Image.open(path).convert("RGB"))
    codec = make_codec("bpg", 36)
    compressed = codec.decode(codec.encode(original))
    restored = restore(*shipped, compressed)
    for name, least in (("niqe", 0.3), ("hosa", 15)):
        index = load_index(name)
        assert index.score(restored) < index.score(compressed) - least
    assert psnr(original, compressed) - 2 < psnr(original, restored) < psnr(original, compressed)


def test_a_training_starts_with_the_weights_of_a_trained_one(trained):
    generator, discriminators = arrays(trained, GENERATOR), arrays(trained, DISCRIMINATORS)
    model = AdversarialRestorer(starting(trained))
    for variable in model.generator.variables:
        np.testing.assert_array_equal(variable, generator.pop(variable.name))
    for discriminator in model.discriminators:
        for variable in discriminator.variables:
            np.testing.assert_array_equal(variable, discriminators.pop(f"{discriminator.name}/{variable.name}"))
    assert not generator and not discriminators
    assert model.generator_optimizer.iterations == 0


def test_a_start_counts_by_its_content_and_not_by_its_place(trained, copy):
    fresh, begun, elsewhere = (c.identity() for c in (SMALL, starting(trained), starting(copy)))
    assert "start" not in fresh and begun == elsewhere != fresh
    assert str(trained) not in json.dumps(begun)
    values = arrays(copy, DISCRIMINATORS)
    np.savez(weights_file(copy, DISCRIMINATORS), **{name: 2 * value for name, value in values.items()})
    assert starting(copy).identity() != begun


def test_shipped_is_the_name_of_the_folder_in_the_package():
    base = AdversarialConfig.base()
    named, placed = (dataclasses.replace(base, start=start).identity() for start in ("shipped", str(SHIPPED_FOLDER)))
    assert named == placed
    assert named["start"][GENERATOR] == f"sha256:{digest(weights_file(SHIPPED_FOLDER, GENERATOR))}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generator": dataclasses.replace(SMALL.generator, blocks=2)}, "blocks is 1 there and 2 in restorer.gan.gen"),
        ({"discriminator": DiscriminatorConfig(width=2)}, "normalize_last is False there and True in restorer.gan.dis"),
        ({"discriminator": DiscriminatorConfig(2, (1, 2), False)}, r"scales is \[1, 4\] there and \[1, 2\]"),
    ],
)
def test_a_start_of_another_size_is_refused_before_anything_is_made(trained, changes, words):
    with pytest.raises(RestorerError, match=words):
        dataclasses.replace(starting(trained), **changes).identity()


def _without_discriminators(folder: Path) -> None:
    (folder / "discriminators.json").unlink()


def _without_weights(folder: Path) -> None:
    (folder / "discriminators.npz").unlink()


def _of_another_kind(folder: Path) -> None:
    save_network(RdnConfig.tiny().build(), RdnConfig.tiny(), folder)


@pytest.mark.parametrize("damage", [_without_discriminators, _without_weights, _of_another_kind])
def test_a_folder_that_no_training_can_start_from_is_refused_by_name(copy, damage):
    damage(copy)
    with pytest.raises(RestorerError, match=str(copy)) as error:
        starting(copy).identity()
    assert "start from" in str(error.value) or "give another folder" in str(error.value)


def _infinite(values: dict[str, np.ndarray]) -> None:
    values["discriminator_4/o/bias:0"][:] = np.inf


def _of_objects(values: dict[str, np.ndarray]) -> None:
    values["discriminator_4/o/bias:0"] = np.array([{}], object)


def _of_another_shape(values: dict[str, np.ndarray]) -> None:
    values["discriminator_4/o/bias:0"] = np.zeros(10**6, np.float32)


def _of_doubles(values: dict[str, np.ndarray]) -> None:
    values["discriminator_4/o/bias:0"] = np.zeros(1)


def _missing(values: dict[str, np.ndarray]) -> None:
    del values["discriminator_4/o/bias:0"]


@pytest.mark.parametrize("damage", [_infinite, _of_objects, _of_another_shape, _of_doubles, _missing])
def test_damaged_weights_to_start_from_are_refused_by_their_name(copy, damage):
    path = weights_file(copy, DISCRIMINATORS)
    values = arrays(copy, DISCRIMINATORS)
    damage(values)
    np.savez(path, **values)
    with pytest.raises(RestorerError, match="discriminators.npz"):
        AdversarialRestorer(starting(copy))


@pytest.mark.parametrize("part", [GENERATOR, DISCRIMINATORS])
def test_a_folder_that_describes_networks_of_other_sizes_is_refused_before_they_are_made(copy, part):
    """A gigantic network takes gigantic memory."""
    path = copy / f"{part}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "width": 2**20}))
    with pytest.raises(RestorerError, match=rf"{part}.npz: not the weights of the {part} beside it.*start from"):
        read_start(str(copy))
