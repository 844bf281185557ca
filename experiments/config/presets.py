"""Studies by name. Each docstring says what it is for, its command, hardware, time and what came out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from dsr.experiments.config.overrides import ConfigError, nearest
from dsr.experiments.config.schema import DatasetConfig, OperatingPoint, RestorerConfig, SegmenterConfig, StudyConfig
from dsr.models.hyperprior.config import CodecTrainingConfig
from dsr.models.restorers.folder import SHIPPED
from dsr.models.restorers.gan_config import AdversarialConfig
from dsr.models.restorers.rdn_config import DenseConfig
from dsr.models.segmenter.config import DeepLabConfig


def demo() -> StudyConfig:
    """The whole chain on the built-in teaching set, in minutes on two CPU cores.

    `dsr run --preset demo`. Shows what the software does; its networks are tiny and its streets are drawn, so its
    numbers say nothing about real cameras.
    """
    return StudyConfig(
        name="demo",
        dataset=DatasetConfig(
            name="streets",
            options={"height": 128, "width": 256, "restore": 40, "train": 120, "test": 40},
        ),
        points=(OperatingPoint("bpg", 34), OperatingPoint("bpg", 42)),
        restorer=RestorerConfig(
            gan=dataclasses.replace(AdversarialConfig.tiny(), steps=300),
            rdn=dataclasses.replace(DenseConfig.tiny(), steps=300),
            checkpoint_every=100,
            log_every=25,
        ),
        segmenter=SegmenterConfig(
            network=DeepLabConfig.tiny(),
            steps=250,
            batch=8,
            crop_height=128,
            crop_width=192,
            scale_min=0.75,
            scale_max=1.5,
            optimizer="adam",
            learning_rate=2e-3,
            checkpoint_every=125,
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
        images_per_shard=20,
    )


def camvid() -> StudyConfig:
    """Real driving images at 480x360 (CamVid, SegNet's layout).

    Train on `train`, test on `test`, `val` set apart for the restorer.

    `dsr run --preset camvid --root CAMVID`: five segmenters, of some 40 minutes each on one CPU core (an estimate: 0.62
    core-hours), and two restorers, of some fifteen, which go on from the one that comes with dsr. Both pretrained
    networks (MobileNetV2, VGG-16) are downloaded by Keras; `--weights FILE --vgg FILE` takes them from disk.

    What steps of the segmenter give, as mIoU on `val` in the search that found the recipe: 63 with 1080, 68 with 2160,
    73 with 4320, 74 with 8640 (`--set segmenter.steps=8640`). `val` is easier than `test`: docs/camvid.md has the
    caveats, and the results of the recipe before it.
    """
    return StudyConfig(
        name="camvid",
        dataset=DatasetConfig.of("camvid"),
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


def paper() -> StudyConfig:
    """The paper's size on Cityscapes.

    Xception-65, output stride 16, the 45.6 M-parameter generator, 135k and 90k steps.

    `dsr run --preset paper --root CITYSCAPES --weights model.ckpt.index`, on GPUs. The paper starts Xception-65 from
    ImageNet weights, which Keras does not have; the error without `--weights` says where DeepLab's authors publish
    them. The paper's Table II has BPG at 0.045 to 0.128 bpp; the QPs here are a first guess, `dsr convert --target-bpp`
    finds those of a rate. Not run here: it needs days of a GPU.
    """
    return StudyConfig(
        name="paper",
        dataset=DatasetConfig.of("cityscapes"),
        points=tuple(OperatingPoint("bpg", qp) for qp in (34, 37, 40, 43)),
        restorer=RestorerConfig(gan=AdversarialConfig.paper(), rdn=DenseConfig.paper()),
        segmenter=SegmenterConfig(network=DeepLabConfig.paper()),
    )


PRESETS: dict[str, Callable[[], StudyConfig]] = {"demo": demo, "camvid": camvid, "paper": paper}


def preset(name: str) -> StudyConfig:
    """The study called `name`; raises ConfigError that names the nearest."""
    if name not in PRESETS:
        raise ConfigError(f'no preset "{name}"{nearest(name, PRESETS)}')
    return PRESETS[name]()
