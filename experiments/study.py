"""A study's artefacts: which shards, restorers, segmenters and evaluations follow from a configuration.

A study trains 1 + 2 x (operating points) segmenters: OO, OC and OR test the one trained on originals, CO and CC the one trained on
compressed images, RO the one trained on restored images. Nothing here imports TensorFlow; the builders do, when they run.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from data_pipelines.codecs import Codec
from experiments import conversion
from experiments.artefacts import Artefact
from experiments.configs import CONFIGURATIONS, ROLES, OperatingPoint, StudyConfig
from experiments.overrides import ConfigError
from experiments.progress import Progress
from tfrecords.converter import compressed_identity, original_identity
from tfrecords.manifest import Identity, Manifest

# Costs of the small presets on two cores, used in plans until the work folder holds a measurement of the same kind.
SECONDS_PER_IMAGE = {"original": 0.02, "compressed": 0.1, "restored": 0.3}
SECONDS_PER_RESTORER_MEGAPIXEL = 8.0
SECONDS_PER_SEGMENTER_MEGAPIXEL = 1.1
SECONDS_PER_EVALUATED_IMAGE = 0.1

NOT_IN_THE_RESULT = ("checkpoint_every", "log_every")
"""Training settings that change what is written down on the way but not the trained network."""

DOMAINS = {"O": "original", "C": "compressed", "R": "restored"}


def needs_point(configuration: str) -> bool:
    """Whether a configuration involves compression at all."""
    return configuration != "OO"


class Study:
    """The graph of artefacts of one configuration in one work folder.

    Raises:
      DatasetError, CodecError, WeightsError, ConfigError: from the constructor, when dataset, codec or a file cannot be what the
        configuration says.
    """

    def __init__(self, config: StudyConfig, work: Path, workers: int | None = None) -> None:
        self.config = config
        self.work = work
        self.workers = workers
        self.source = config.dataset.open()
        self.codecs: tuple[Codec, ...] = tuple(point.make() for point in config.points)
        names = [codec.point for codec in self.codecs]
        if len(set(names)) < len(names):
            raise ConfigError(f"points {', '.join(names)} name an operating point twice; name each once")
        config.segmenter.network.check_weights()
        for role in ROLES:
            self.images(role)

    @functools.cache  # noqa: B019 (a study lives as long as its process)
    def images(self, role: str) -> int:
        """How many images play a role."""
        found = len(self.source.samples(self.config.dataset.split(role)))
        limit = self.config.dataset.limit(role)
        return found if limit is None else min(found, limit)

    def shards(self, domain: str, role: str, codec: Codec | None = None) -> Artefact:
        """The shards of a role's images in a domain (O, C, R); C and R need the codec."""
        if domain == "O":
            return self.original(role)
        assert codec is not None, f"domain {domain} needs an operating point"
        return self.compressed(role, codec) if domain == "C" else self.restored(role, codec)

    @functools.cache  # noqa: B019
    def original(self, role: str) -> Artefact:
        """Original shards of a role."""
        dataset = self.config.dataset
        identity = original_identity(
            self.source, dataset.split(role), limit=dataset.limit(role), images_per_shard=self.config.images_per_shard
        )
        return self._shards(role, identity, {}, partial(conversion.build_originals, self.source))

    @functools.cache  # noqa: B019
    def compressed(self, role: str, codec: Codec) -> Artefact:
        """Compressed shards: bitstreams and the pixels they decode to."""
        original = self.original(role)
        identity = compressed_identity(original.identity, codec)
        return self._shards(role, identity, {"original": original}, partial(conversion.build_compressed, codec))

    @functools.cache  # noqa: B019
    def restored(self, role: str, codec: Codec) -> Artefact:
        """Restored shards: what the restorer makes of compressed ones."""
        inputs = {
            "compressed": self.compressed(role, codec),
            "original": self.original(role),
            "restorer": self.restorer(codec),
        }
        name = f"{inputs['compressed'].name}-{self.config.restorer.name}"
        identity = Identity("shards", name, {"domain": "restored"}, _fingerprints(inputs))
        return self._shards(role, identity, inputs, conversion.build_restored)

    def _shards(
        self, role: str, identity: Identity, inputs: dict[str, Artefact], build: Callable[..., None]
    ) -> Artefact:
        return Artefact(
            group="shards",
            root=self.work,
            identity=identity,
            inputs=inputs,
            build=partial(build, workers=self.workers),
            units=self.images(role),
            seconds_per_unit=SECONDS_PER_IMAGE[identity.config["domain"]],
        )

    @functools.cache  # noqa: B019
    def restorer(self, codec: Codec) -> Artefact:
        """The network that restores what this codec does to the images set apart."""

        def build(artefact: Artefact, progress: Progress) -> None:
            from experiments.restoration import build_restorer

            build_restorer(self.config.restorer, self.config.seed, artefact, progress)

        network = self.config.restorer.network
        inputs = {"original": self.original("restore"), "compressed": self.compressed("restore", codec)}
        return Artefact(
            group="restorers",
            root=self.work,
            identity=Identity(
                "restorer",
                f"{self.source.name}/{self.config.restorer.name}-{codec.point}",
                self._training_identity(self.config.restorer, network.vgg),
                _fingerprints(inputs),
            ),
            inputs=inputs,
            build=build,
            units=network.steps,
            seconds_per_unit=SECONDS_PER_RESTORER_MEGAPIXEL * network.batch * network.patch**2 / 1e6,
        )

    def segmenter(self, domain: str, codec: Codec | None = None) -> Artefact:
        """DeepLabv3+ trained on a domain; the one trained on originals is the same for all operating points."""
        return self._segmenter(domain, codec if domain != "O" else None)

    @functools.cache  # noqa: B019
    def _segmenter(self, domain: str, codec: Codec | None) -> Artefact:
        def build(artefact: Artefact, progress: Progress) -> None:
            from experiments.segmentation import build_segmenter

            build_segmenter(self.config.segmenter, self.config.seed, self.source.table, artefact, progress)

        training = self.config.segmenter
        inputs = {"shards": self.shards(domain, "train", codec)}
        suffix = f"-{codec.point}" if codec else ""
        return Artefact(
            group="segmenters",
            root=self.work,
            identity=Identity(
                "segmenter",
                f"{self.source.name}/{training.name}-{DOMAINS[domain]}{suffix}",
                self._training_identity(training, training.network.weights),
                _fingerprints(inputs),
            ),
            inputs=inputs,
            build=build,
            units=training.steps,
            seconds_per_unit=SECONDS_PER_SEGMENTER_MEGAPIXEL
            * (training.batch * training.crop_height * training.crop_width / 1e6),
        )

    def evaluation(self, configuration: str, codec: Codec | None = None) -> Artefact:
        """One of the six configurations: a segmenter on test shards. OO needs no operating point."""
        return self._evaluation(configuration, codec if needs_point(configuration) else None)

    @functools.cache  # noqa: B019
    def _evaluation(self, configuration: str, codec: Codec | None) -> Artefact:
        def build(artefact: Artefact, progress: Progress) -> None:
            from experiments.segmentation import build_evaluation

            build_evaluation(self.config.segmenter, self.config.samples, self.source.table, artefact, progress)

        train, test = tuple(configuration)
        inputs = {"segmenter": self.segmenter(train, codec), "shards": self.shards(test, "test", codec)}
        suffix = f"-{codec.point}" if codec else ""
        return Artefact(
            group="evaluations",
            root=self.work,
            identity=Identity(
                "evaluation",
                f"{self.source.name}/{configuration}{suffix}",
                {"samples": self.config.samples},
                _fingerprints(inputs),
            ),
            inputs=inputs,
            build=build,
            units=self.images("test"),
            seconds_per_unit=SECONDS_PER_EVALUATED_IMAGE,
        )

    def evaluations(self) -> list[Artefact]:
        """All configurations at all operating points, OO once."""
        return [self.evaluation("OO")] + [
            self.evaluation(configuration, codec)
            for codec in self.codecs
            for configuration in CONFIGURATIONS
            if needs_point(configuration)
        ]

    def _training_identity(self, training: Any, weights: str | None) -> dict[str, Any]:
        """The part of a training's configuration that its result depends on; a weight file counts by content, not by place."""
        config = {k: v for k, v in dataclasses.asdict(training).items() if k not in NOT_IN_THE_RESULT}
        return {**_by_content(config, weights), "seed": self.config.seed}


def _fingerprints(inputs: dict[str, Artefact]) -> dict[str, str]:
    return {role: artefact.fingerprint for role, artefact in inputs.items()}


def _by_content(config: dict[str, Any], weights: str | None) -> dict[str, Any]:
    """`config` with the path of a weight file replaced by its SHA-256; `imagenet` and `none` stay, Keras checks its downloads."""
    if weights in (None, "none", "imagenet"):
        return config
    try:
        digest = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(
            f"cannot read the weight file {weights}: {error.strerror}; give imagenet, none or a file"
        ) from None

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replace(item) for key, item in value.items()}
        return f"sha256:{digest}" if value == weights else value

    return replace(config)


def last_conversion(study: Study) -> OperatingPoint:
    """The operating point of the newest compressed shards of the study's dataset; the study's first point if there are none."""
    originals = {study.original(role).fingerprint for role in ROLES}
    newest: Manifest | None = None
    for path in (study.work / "shards" / study.source.name).glob("*/*/manifest.json"):
        manifest = Manifest.load(path.parent)
        if manifest.config["domain"] == "compressed" and manifest.inputs["original"] in originals:
            newest = manifest if newest is None or manifest.created > newest.created else newest
    if newest is None:
        return study.config.points[0]
    codec = newest.config["codec"]
    return OperatingPoint(codec["name"], codec["quality"], codec["options"])
