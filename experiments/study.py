"""A study's artefacts: which shards, restorers, segmenters and evaluations follow from a configuration.

OO, OC and OR test the segmenter trained on originals, CO and CC the one trained on compressed images, RO the one trained on
restored images: a study trains 1 + (operating points) x (1 + restorers) segmenters. Nothing here imports TensorFlow; the builders
do, when they run.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dsr.data_pipelines.codecs import Codec
from dsr.experiments import conversion
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.config.schema import CONFIGURATIONS, OBJECTIVES, ROLES, OperatingPoint, RestorerName, StudyConfig
from dsr.experiments.conversion import Converting
from dsr.experiments.domain import DOMAINS, Domain, needs_point, needs_restorer
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.tfrecords.conversions import compressed_identity, original_identity, restored_identity
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.manifest import Identity, Manifest

# Costs of the small presets on two cores, used in plans until the work folder holds a measurement of the same kind.
SECONDS_PER_IMAGE = {"original": 0.02, "compressed": 0.1, "restored": 0.3}
SECONDS_PER_RESTORER_MEGAPIXEL = {"gan": 8.0, "rdn-psnr": 6.0, "rdn-msssim": 6.0}
SECONDS_PER_CODEC_MEGAPIXEL = 1.2
SECONDS_PER_SEGMENTER_MEGAPIXEL = 1.1
SECONDS_PER_EVALUATED_IMAGE = 0.1

NOT_IN_THE_RESULT = ("checkpoint_every", "log_every")
"""Training settings that change what is written down on the way but not the trained network."""


class Study:
    """The graph of artefacts of one configuration in one work folder.

    What is restored is by default the work of the study's first restorer.

    Raises:
      DatasetError, CodecError, WeightsError, ConfigError: from the constructor, when dataset, codec or a file cannot be what the
        configuration says.
    """

    def __init__(self, config: StudyConfig, work: Path, converting: Converting | None = None) -> None:
        self.config = config
        self.work = work
        self.converting = converting or Converting()
        self.source = config.dataset.open()
        self.codecs: tuple[Codec, ...] = tuple(point.make() for point in config.points)
        names = [codec.point for codec in self.codecs]
        if len(set(names)) < len(names):
            raise ConfigError(f"points {', '.join(names)} name an operating point twice; name each once")
        if not config.restorers or len(set(config.restorers)) < len(config.restorers):
            raise ConfigError(f'restorers are "{", ".join(config.restorers)}"; name one or more, each once')
        if config.seeds < 1:
            raise ConfigError(f"seeds is {config.seeds}: a study needs one segmenter for each domain at least")
        config.segmenter.network.check_weights()
        for role in ROLES:
            self.images(role)
        wanted, found = config.restorer.images, self.images("restore")
        if wanted is not None and wanted > found:
            raise ConfigError(f"restorer.images is {wanted}, but only {found} images are set apart for restorers")

    @property
    def folder(self) -> Path:
        """Where its report is written."""
        return self.work / "studies" / self.config.name

    @functools.cache  # noqa: B019 (a study lives as long as its process)
    def images(self, role: str) -> int:
        """How many images play a role."""
        found = len(self.source.samples(self.config.dataset.split(role)))
        limit = self.config.dataset.limit(role)
        return found if limit is None else min(found, limit)

    def shards(
        self, domain: str, role: str, codec: Codec | None = None, restorer: RestorerName | None = None
    ) -> Artefact:
        """The shards of a role's images in a domain (O, C, R); C and R need the codec."""
        if domain == "O":
            return self.original(role)
        assert codec is not None, f"domain {domain} needs an operating point"
        return self.compressed(role, codec) if domain == "C" else self.restored(role, codec, restorer)

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

    def restored(self, role: str, codec: Codec, restorer: RestorerName | None = None) -> Artefact:
        """Restored shards: what a restorer makes of compressed ones."""
        return self._restored(role, codec, restorer or self.config.restorers[0])

    @functools.cache  # noqa: B019
    def _restored(self, role: str, codec: Codec, restorer: RestorerName) -> Artefact:
        inputs = {
            "compressed": self.compressed(role, codec),
            "original": self.original(role),
            "restorer": self.restorer(codec, restorer),
        }
        identity = restored_identity(
            inputs["compressed"].identity, inputs["original"].identity, inputs["restorer"].identity, restorer
        )
        return self._shards(role, identity, inputs, conversion.build_restored)

    def _shards(
        self, role: str, identity: Identity, inputs: dict[str, Artefact], build: Callable[..., None]
    ) -> Artefact:
        return Artefact(
            group="shards",
            root=self.work,
            identity=identity,
            inputs=inputs,
            build=partial(build, convert=self.converting),
            thorough=self.converting.thorough,
            units=self.images(role),
            seconds_per_unit=SECONDS_PER_IMAGE[identity.config["domain"]],
        )

    def restorer(self, codec: Codec, name: RestorerName | None = None) -> Artefact:
        """The network that restores what this codec does to the images set apart."""
        return self._restorer(codec, name or self.config.restorers[0])

    @functools.cache  # noqa: B019
    def _restorer(self, codec: Codec, name: RestorerName) -> Artefact:
        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.restorer import build_restorer

            build_restorer(self.config.restorer, name, self.config.seed, artefact, progress)

        training, images = self.config.restorer.training(name), self.config.restorer.images
        vgg = self.config.restorer.gan.vgg if name == "gan" else None
        config = self._training_identity({"network": dataclasses.asdict(training)}, vgg, self.config.seed)
        if name in OBJECTIVES:
            config["objective"] = OBJECTIVES[name]
        if images is not None:
            config["images"] = images
        inputs = {"original": self.original("restore"), "compressed": self.compressed("restore", codec)}
        return Artefact(
            group="restorers",
            root=self.work,
            identity=Identity("restorer", f"{self.source.name}/{name}-{codec.point}", config, _fingerprints(inputs)),
            inputs=inputs,
            build=build,
            units=training.steps,
            batch=training.batch,
            seconds_per_unit=SECONDS_PER_RESTORER_MEGAPIXEL[name] * training.batch * training.patch**2 / 1e6,
        )

    @functools.cache  # noqa: B019
    def trained_codec(self) -> Artefact:
        """The learned codec, trained on the images set apart (paper, section V-A)."""

        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.codec import build_codec

            build_codec(self.config.codec, self.config.seed, artefact, progress)

        training = self.config.codec
        inputs = {"original": self.original("restore")}
        return Artefact(
            group="codecs",
            root=self.work,
            identity=Identity(
                "codec",
                f"{self.source.name}/msh-quality{training.quality}",
                self._training_identity(dataclasses.asdict(training), training.start, self.config.seed),
                _fingerprints(inputs),
            ),
            inputs=inputs,
            build=build,
            units=training.steps,
            batch=training.batch,
            seconds_per_unit=SECONDS_PER_CODEC_MEGAPIXEL * training.batch * training.patch**2 / 1e6,
        )

    def segmenter(
        self, domain: str, codec: Codec | None = None, restorer: RestorerName | None = None, replicate: int = 0
    ) -> Artefact:
        """DeepLabv3+ trained on a domain; the one trained on originals is the same for all operating points.

        `replicate` counts the study's seeds: equal ones start equal and see the same crops in every domain.
        """
        return self._segmenter(domain, *self._origin(domain, codec, restorer), self.config.seed + replicate)

    @functools.cache  # noqa: B019
    def _segmenter(self, domain: str, codec: Codec | None, restorer: RestorerName | None, seed: int) -> Artefact:
        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.segmenter import build_segmenter

            build_segmenter(self.config.segmenter, seed, self.source.table, artefact, progress)

        training = self.config.segmenter
        inputs = {"shards": self.shards(domain, "train", codec, restorer)}
        return Artefact(
            group="segmenters",
            root=self.work,
            identity=Identity(
                "segmenter",
                f"{self.source.name}/{training.name}-{DOMAINS[domain]}{_suffix(codec, restorer)}{_seeded(seed)}",
                self._training_identity(dataclasses.asdict(training), training.network.weights, seed),
                _fingerprints(inputs),
            ),
            inputs=inputs,
            build=build,
            units=training.steps,
            batch=training.batch,
            seconds_per_unit=SECONDS_PER_SEGMENTER_MEGAPIXEL
            * (training.batch * training.crop_height * training.crop_width / 1e6),
        )

    def evaluation(
        self,
        configuration: str,
        codec: Codec | None = None,
        restorer: RestorerName | None = None,
        replicate: int = 0,
    ) -> Artefact:
        """One of the six configurations: a segmenter on test shards. OO needs no operating point."""
        return self._evaluation(configuration, *self._origin(configuration, codec, restorer), replicate)

    @functools.cache  # noqa: B019
    def _evaluation(
        self, configuration: str, codec: Codec | None, restorer: RestorerName | None, replicate: int
    ) -> Artefact:
        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.evaluation import build_evaluation

            build_evaluation(self.config.segmenter, self.config.samples, self.source.table, artefact, progress)

        train, test = tuple(configuration)
        inputs = {
            "segmenter": self.segmenter(train, codec, restorer, replicate),
            "shards": self.shards(test, "test", codec, restorer),
        }
        return Artefact(
            group="evaluations",
            root=self.work,
            identity=Identity(
                "evaluation",
                f"{self.source.name}/{configuration}{_suffix(codec, restorer)}{_seeded(self.config.seed + replicate)}",
                {"samples": self.config.samples},
                _fingerprints(inputs),
            ),
            inputs=inputs,
            build=build,
            units=self.images("test"),
            seconds_per_unit=SECONDS_PER_EVALUATED_IMAGE,
        )

    def evaluations(self) -> list[Artefact]:
        """All configurations at all operating points, of one seed after the other: OO once, those with restored images once for each
        restorer."""
        return [
            self.evaluation(configuration, codec, restorer, replicate)
            for replicate in range(self.config.seeds)
            for configuration, codec, restorer in self._evaluated()
        ]

    def _evaluated(self) -> list[tuple[str, Codec | None, RestorerName | None]]:
        return [("OO", None, None)] + [
            (configuration, codec, restorer)
            for codec in self.codecs
            for configuration in CONFIGURATIONS
            if needs_point(configuration)
            for restorer in (self.config.restorers if needs_restorer(configuration) else (None,))
        ]

    def _origin(
        self, domains: str, codec: Codec | None, restorer: RestorerName | None
    ) -> tuple[Codec | None, RestorerName | None]:
        """The codec and the restorer that images of these domains depend on; None for what they do not."""
        restorer = restorer or self.config.restorers[0]
        return codec if needs_point(domains) else None, restorer if needs_restorer(domains) else None

    def _training_identity(self, config: dict[str, Any], weights: str | None, seed: int) -> dict[str, Any]:
        """The part of a training's configuration that its result depends on; a weight file counts by content, not by place."""
        config = {k: v for k, v in config.items() if k not in NOT_IN_THE_RESULT}
        return {**_by_content(config, weights), "seed": seed}


def _suffix(codec: Codec | None, restorer: RestorerName | None) -> str:
    """What a name ends in: `-bpg-qp40`, `-bpg-qp40-rdn-psnr`. The paper's own restorer, `gan`, goes without saying."""
    return (f"-{codec.point}" if codec else "") + (f"-{restorer}" if restorer not in (None, "gan") else "")


def _seeded(seed: int) -> str:
    """What the name of a segmenter ends in, unless its seed is 0."""
    return f"-seed{seed}" if seed else ""


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
        try:
            manifest = Manifest.load(path.parent)
        except ArtefactError:
            continue  # damaged, or of another version of dsr: whoever needs it hears of it
        if manifest.config["domain"] == "compressed" and manifest.inputs["original"] in originals:
            newest = manifest if newest is None or manifest.created > newest.created else newest
    if newest is None:
        return study.config.points[0]
    codec = newest.config["codec"]
    return OperatingPoint(codec["name"], codec["quality"], codec["options"])


def domains(study: Study) -> list[Domain]:
    """Originals first, then at each operating point compressed images and those of each restorer."""
    found = [Domain("O")]
    for codec in study.codecs:
        found += [Domain("C", codec), *(Domain("R", codec, restorer) for restorer in study.config.restorers)]
    return found
