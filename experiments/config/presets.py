"""Studies by name. Each docstring says what it is for, its command, hardware, time and what came out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from dsr.experiments.config.overrides import ConfigError, nearest
from dsr.experiments.config.schema import (
    DatasetConfig,
    OperatingPoint,
    RestorerConfig,
    SegmenterConfig,
    StudyConfig,
)
from dsr.experiments.trained_codec import TRAINED
from dsr.models.hyperprior.config import CodecTrainingConfig
from dsr.models.restorers.folder import SHIPPED
from dsr.models.restorers.gan_config import AdversarialConfig
from dsr.models.restorers.rdn_config import DenseConfig
from dsr.models.segmenter.config import DeepLabConfig


def demo() -> StudyConfig:
    """The whole chain on the built-in teaching set, in minutes on two CPU cores.

    `dsr run --preset demo`. Shows what the software does, with three seeds: a device that sends pictures of half the
    size, compressed, and a server that restores them with a network trained on sixty originals. The networks are tiny
    and the streets are drawn, so the numbers say nothing about real cameras: OO 44.1, CO 39.6 and RO 42.4 here, CO
    below OO by 4.4 (2.5 to 6.4), RO above CO by 2.7 (-1.1 to +6.6).
    """
    return StudyConfig(
        name="demo",
        dataset=DatasetConfig(
            name="streets",
            options={"height": 128, "width": 192, "zoom": 2.5, "restore": 60, "train": 160, "test": 40},
        ),
        points=(OperatingPoint("bpg", 28, before=["downsample2"]),),
        restorer=RestorerConfig(
            gan=dataclasses.replace(AdversarialConfig.tiny(), steps=300),
            rdn=dataclasses.replace(DenseConfig.tiny(), steps=300),
            checkpoint_every=100,
            log_every=25,
        ),
        restorers=("rdn-psnr",),
        segmenter=SegmenterConfig(
            network=DeepLabConfig.tiny(),
            steps=450,
            batch=4,
            crop_height=128,
            crop_width=192,
            scale_min=1.0,
            scale_max=1.5,
            optimizer="adam",
            learning_rate=1e-2,
            class_weights="inverse_sqrt",
            warmup=0.05,
            checkpoint_every=150,
            log_every=25,
        ),
        codec=CodecTrainingConfig(
            patch=128,
            batch=4,
            steps=200,
            learning_rate=1e-4,
            checkpoint_every=100,
            log_every=20,
        ),
        seeds=3,
        images_per_shard=20,
    )


def camvid() -> StudyConfig:
    """Real driving images at 480x360 (CamVid, SegNet's layout).

    Train on `train`, test on `test`, `val` set apart for the restorer.

    `dsr run --preset camvid --root CAMVID`: five segmenters, of some 65 minutes each on one CPU core (0.90 seconds a
    step, measured; what `--dry-run` says is less), and two restorers, of some fifteen, which go on from the one that
    comes with dsr. Both pretrained networks (MobileNetV2, VGG-16) are downloaded by Keras; `--weights FILE --vgg FILE`
    takes them from disk.

    What steps of the segmenter give, as mIoU on `val` in the search that found the recipe: 63 with 1080, 68 with 2160,
    73 with 4320, 74 with 8640 (`--set segmenter.steps=8640`). `val` is easier than `test`: docs/segmenter.md has the
    caveats, and the recipe before it.
    """
    return _small("camvid", DatasetConfig.of("camvid"))


def inria() -> StudyConfig:
    """Aerial images, buildings or not (INRIA; paper, Fig. 11), small enough for CPU cores.

    `dsr run --preset inria --root AerialImageDataset`: networks, recipe and hours are those of `camvid`, whose recipe
    was not searched for on aerial images. Of the tiles, 500x500 pixels each, it takes 600 of four cities to train on,
    300 of Vienna to test on and 100 of the five other cities for the restorer; the paper takes all, of a size that it
    does not give. Not run here on the real images, which have to be asked for.
    """
    dataset = dataclasses.replace(
        DatasetConfig.of("inria_aerial"), options={"tile": 500}, train_limit=600, test_limit=300, restore_limit=100
    )
    return _small("inria", dataset)


def drone() -> StudyConfig:
    """Gardens and houses from a drone, 20 classes (Semantic Drone Dataset; paper, Fig. 13), small enough for CPU cores.

    `dsr run --preset drone --root DRONE`: networks, recipe and hours are those of `camvid`, whose recipe was not
    searched for on such images. They are read at half the paper's size, 1500x1000 cut into 12 patches of 600x400; of
    the patches it takes 600 to train on, 300 to test on and 100 for the restorer, the paper all. With fewer than 400
    images, say how many are tested on and set apart: `--set dataset.options.test=2 --set dataset.options.restore=2`.
    """
    half = {"width": 1500, "height": 1000, "patch_width": 600, "patch_height": 400}
    dataset = dataclasses.replace(
        DatasetConfig.of("semantic_drone"), options=half, train_limit=600, test_limit=300, restore_limit=100
    )
    return _small("drone", dataset)


def paper_cityscapes() -> StudyConfig:
    """The paper's study of Cityscapes (Fig. 7, Tables II and III), at its size.

    `dsr run --preset paper-cityscapes --root CITYSCAPES --weights model.ckpt.index`, on GPUs: Xception-65 at output
    stride 16, the 45.6 M-parameter generator, both residual dense networks, 135k, 200k and 90k steps, BPG and msh at
    four points each. `--dry-run` says how many hours of a GPU and how much disk that is. Not run here.

    The paper starts Xception-65 from ImageNet weights, which Keras does not have; the error without `--weights` says
    where DeepLab's authors publish them. Its Table II has BPG at 0.045 to 0.128 bpp; the QPs and qualities here are a
    first guess, `dsr convert --target-bpp` finds those of a rate. How long it tunes msh to the dataset's images the
    paper does not say; 50k steps are ours.
    """
    return _paper("paper-cityscapes", DatasetConfig.of("cityscapes"))


def paper_inria() -> StudyConfig:
    """The paper's study of the INRIA Aerial Image Labeling (Fig. 11), at its size.

    `dsr run --preset paper-inria --root AerialImageDataset --weights model.ckpt.index`, on GPUs: all tiles of
    1000x1000 pixels of the 36 images of each city, networks, steps and points as in `paper-cityscapes`. Which city is
    tested on, how images are cut and what the rates are, the paper does not say. Not run here.
    """
    return _paper("paper-inria", DatasetConfig.of("inria_aerial"))


def paper_drone() -> StudyConfig:
    """The paper's study of the Semantic Drone Dataset (Fig. 13), at its size.

    `dsr run --preset paper-drone --root DRONE --weights model.ckpt.index`, on GPUs: 400 images at 3000x2000, each cut
    into 12 patches of 1200x800, networks, steps and points as in `paper-cityscapes`. What the rates are, the paper
    does not say. Not run here.
    """
    return _paper("paper-drone", DatasetConfig.of("semantic_drone"))


def _small(name: str, dataset: DatasetConfig) -> StudyConfig:
    """A study of photographs for two CPU cores: hours, not days."""
    return StudyConfig(
        name=name,
        dataset=dataset,
        points=(OperatingPoint("bpg", 36), OperatingPoint("bpg", 43)),
        restorer=RestorerConfig(
            # On from the restorer that comes with dsr: docs/restorer.md says how that compares.
            gan=dataclasses.replace(
                AdversarialConfig.base(), patch=128, batch=1, steps=1500, learning_rate=2e-4, start=SHIPPED
            ),
            rdn=dataclasses.replace(DenseConfig.small(), steps=3000),
            checkpoint_every=500,
            log_every=50,
        ),
        segmenter=SegmenterConfig(
            network=dataclasses.replace(
                DeepLabConfig.small(),
                aspp_width=128,
                decoder_width=128,
                low_level_width=48,
                weights="imagenet",
                freeze_batch_norm=False,
            ),
            steps=4300,
            batch=4,
            crop_height=288,
            crop_width=384,
            scale_min=0.75,
            scale_max=2.0,
            optimizer="adam",
            learning_rate=1e-3,
            weight_decay=4e-4,
            class_weights="inverse_sqrt",
            label_smoothing=0.05,
            warmup=0.05,
            backbone_rate=0.5,
            checkpoint_every=100,
            log_every=50,
        ),
        codec=CodecTrainingConfig(batch=4, steps=2000, checkpoint_every=500, log_every=50),
        images_per_shard=16,
    )


def _paper(name: str, dataset: DatasetConfig) -> StudyConfig:
    """Both codecs, of which msh is tuned to the images set apart (section V-A), and all three restorers."""
    return StudyConfig(
        name=name,
        dataset=dataset,
        points=(
            *(OperatingPoint("bpg", qp) for qp in (34, 37, 40, 43)),
            *(OperatingPoint("msh", quality, {"model": TRAINED}) for quality in (1, 2, 3, 4)),
        ),
        restorer=RestorerConfig(gan=AdversarialConfig.paper(), rdn=DenseConfig.paper()),
        restorers=("gan", "rdn-psnr", "rdn-msssim"),
        segmenter=SegmenterConfig(network=DeepLabConfig.paper()),
        codec=CodecTrainingConfig(start=SHIPPED, steps=50_000),
    )


PRESETS: dict[str, Callable[[], StudyConfig]] = {
    "demo": demo,
    "camvid": camvid,
    "inria": inria,
    "drone": drone,
    "paper-cityscapes": paper_cityscapes,
    "paper-inria": paper_inria,
    "paper-drone": paper_drone,
}


def preset(name: str) -> StudyConfig:
    """The study called `name`; raises ConfigError that names the nearest, or those that begin like it."""
    if name not in PRESETS:
        alike = [known for known in PRESETS if known.startswith(f"{name}-")]
        hint = f"; there are: {', '.join(alike)}" if alike else nearest(name, PRESETS)
        raise ConfigError(f'no preset "{name}"{hint}')
    return PRESETS[name]()
