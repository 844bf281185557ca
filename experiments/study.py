"""A study's artefacts: which shards, restorers, segmenters and evaluations follow from a configuration.

OO, OC and OR test the segmenter trained on originals, CO and CC the one trained on compressed images, RO the one
trained on restored images: a study trains 1 + (operating points) x (1 + restorers) segmenters. Nothing here imports
TensorFlow; the builders do, when they run.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dsr.data_pipelines.codecs import CodecError, msh
from dsr.data_pipelines.datasets import DatasetError
from dsr.data_pipelines.datasets.listing import counted
from dsr.data_pipelines.degradations import Degradation
from dsr.data_pipelines.received import read_header
from dsr.experiments import conversion, sources
from dsr.experiments.adaptations import AdaptationName
from dsr.experiments.config.bounds import check_numbers
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.config.schema import CONFIGURATIONS, ROLES, OperatingPoint, StudyConfig
from dsr.experiments.conversion import Converting
from dsr.experiments.domain import Case, Domain, seeded
from dsr.experiments.fleet.alike import File, alike
from dsr.experiments.graph.artefacts import Artefact, closure, fingerprints
from dsr.experiments.graph.identities import training_identity
from dsr.experiments.graph.progress import Progress
from dsr.experiments.trained_codec import TrainedCodec, is_trained
from dsr.experiments.training.shipped import build_shipped
from dsr.models.restorers.folder import SHIPPED
from dsr.models.restorers.registry import RESTORERS, RestorerName
from dsr.models.restorers.saved import SavedRestorer
from dsr.models.segmenter.config import DeepLabConfig
from dsr.tfrecords.conversions import compressed_identity, original_identity, received_identity, restored_identity
from dsr.tfrecords.manifest import Identity
from dsr.tfrecords.plan import select_samples

# Costs of the small presets on two cores, used in plans until the work folder holds a measurement of the same kind.
SECONDS_PER_IMAGE = {"O": 0.02, "C": 0.1, "R": 0.3}
SECONDS_PER_CODEC_MEGAPIXEL = 1.2
SECONDS_PER_SEGMENTER_MEGAPIXEL = 1.1
SECONDS_PER_EVALUATED_IMAGE = 0.1

PURPOSES = {"restore": "train codecs and restorers on", "train": "train segmenters on", "test": "test segmenters on"}
"""What the images of a role are for, as the end of a sentence."""

NO_POINTS = "points are empty: name one or more operating points, as --set points=bpg-qp40"

ORIGINAL = Domain("O")

FOLDER_NAME = re.compile(r"[^\s/\\.\x00-\x1f][^/\\\x00-\x1f\ud800-\udfff]{0,99}")

Method = TypeVar("Method", bound=Callable[..., Any])


def _once(method: Method) -> Method:
    """A method of a study that makes the answer to each question once, so that equal artefacts are one object."""

    @functools.wraps(method)
    def asked(self: Study, *question: Any) -> Any:
        answers = self._answers.setdefault(method.__name__, {})
        if question not in answers:
            answers[question] = method(self, *question)
        return answers[question]

    return asked  # type: ignore[return-value]  # same arguments, same result


class Study:
    """The graph of artefacts of one configuration in one work folder.

    Raises:
      DatasetError, CodecError, WeightsError, ConfigError: from the constructor, when dataset, codec or a file cannot be
        what the configuration says.
    """

    def __init__(
        self,
        config: StudyConfig,
        work: Path,
        converting: Converting | None = None,
        roles: Sequence[str] = ROLES,
    ) -> None:
        """`roles` are those that the dataset must have images for: not all, where not all is trained here."""
        self.config = config
        self.roles = tuple(roles)
        self.work = work
        self.converting = converting or Converting()
        check_numbers(config)
        if not FOLDER_NAME.fullmatch(config.name):
            raise ConfigError(f"{config.name!r} cannot be a study's name, which is a folder's: give one by --name")
        self._answers: dict[str, dict[Any, Any]] = {}
        self.source = config.dataset.open()
        self.degradations: tuple[Degradation, ...] = tuple(map(self.degradation, config.points))
        if self.came_compressed:
            self.degradations = (self._as_received(),)
        for role in self.roles:
            if role != "train" and self.split(role) in self.source.received:
                raise ConfigError(
                    f"split {self.split(role)} of {self.source.name} came compressed, and images of the role "
                    f"{role} must be originals: only those that segmenters train on may come compressed"
                )
        names = [degradation.point for degradation in self.degradations]
        if len(set(names)) < len(names):
            raise ConfigError(f"points {', '.join(names)} name an operating point twice; name each once")
        if not config.points and "train" in self.roles:
            raise ConfigError(NO_POINTS)
        missing = not config.restorers and "train" in self.roles
        if missing or len(set(config.restorers)) < len(config.restorers):
            raise ConfigError(f'restorers are "{", ".join(config.restorers)}"; name one or more, each once')
        if len(set(config.adaptations)) < len(config.adaptations):
            raise ConfigError(f'adaptations are "{", ".join(config.adaptations)}"; name each once')
        if "train" in self.roles:
            config.segmenter.network.check_weights()
        found = {role: self.images(role) for role in self.roles}
        wanted, apart = config.restorer.images, found.get("restore")
        if wanted is not None and apart is not None and wanted > apart:
            raise ConfigError(f"restorer.images is {wanted}, but only {apart} images are set apart for restorers")
        wanted, there = config.segmenter.images, found.get("train")
        if wanted is not None and there is not None and wanted > there:
            raise ConfigError(f"segmenter.images is {wanted}, but there are only {there} images to train segmenters on")

    def degradation(self, point: OperatingPoint) -> Degradation:
        """What an operating point does to images; raises UserError for a level or option that it does not have."""
        if is_trained(point):
            return TrainedCodec.at(point, self.config.codec, self.trained_codec().folder)
        return point.make()

    @property
    def came_compressed(self) -> bool:
        """Whether there are no originals of the images that segmenters train on: OO, OC and OR then cannot be had."""
        return "train" in self.roles and self.config.dataset.split("train") in self.source.received

    def _as_received(self) -> Degradation:
        """What does to other images what was done to those that came compressed."""
        split = self.config.dataset.split("train")
        files = []
        for sample in self.source.samples(split):
            with suppress(DatasetError, CodecError):  # converting says what is wrong
                bitstream = self.source.bitstream(sample)
                files.append(File(read_header(sample.image, bitstream), len(bitstream)))
        return alike(files, conversion.sample_pixels(self.source, self.split("restore")))

    @property
    def folder(self) -> Path:
        """Where its report is written; `dsr.experiments.stored_study.claim_folder` makes it."""
        return self.work / "studies" / self.config.name

    @property
    def seeds(self) -> range:
        """Of the segmenters of each training domain: equal ones start equal and see the same crops in every domain."""
        return range(self.config.seed, self.config.seed + self.config.seeds)

    def domains(self) -> list[Domain]:
        """Originals first, then at each operating point compressed images and those of each restorer."""
        found = [ORIGINAL]
        for degradation in self.degradations:
            found += [Domain("C", degradation), *(Domain("R", degradation, name) for name in self.config.restorers)]
        return found

    def cases(self, *configurations: str) -> list[Case]:
        """These configurations (all six if none is named) at all operating points, of one seed after the other.

        OO comes once, and those with restored images once for each restorer. Those that train on originals are left out
        where the images came compressed.

        Raises:
          ConfigError: one that is named would be left out.
        """
        wanted = [
            Case.of(configuration, degradation, name, seed)
            for seed in self.seeds
            for degradation in self.degradations
            for configuration in configurations or CONFIGURATIONS
            for name in self.config.restorers
        ]
        cases = [case for case in dict.fromkeys(wanted) if not self.came_compressed or case.train != ORIGINAL]
        if configurations and len({case.configuration for case in cases}) < len(set(configurations)):
            self.shards(ORIGINAL, "train")  # raises what is wrong
        return cases

    def evaluations(self) -> list[Artefact]:
        """Of all cases, rivals behind the others."""
        return [self.evaluation(case) for case in (*self.cases(), *self.rivals())]

    def rated(self, cases: Iterable[Case]) -> list[Artefact]:
        """The compressed test images at the operating points of cases, tested on them or not.

        Reports and plans take a point's rate from them, and know no point without.
        """
        degradations = dict.fromkeys(case.changed.degradation for case in cases)
        return [self.shards(Domain("C", one), "test") for one in degradations if one is not None]

    def rivals(self, *configurations: str) -> list[Case]:
        """The cases that test on originals, adapted in each way that is for them; of these configurations, or of all.

        Raises:
          ConfigError: there is no adaptation for what is named.
        """
        found = [
            dataclasses.replace(case, adaptation=name)
            for case in self.cases(*configurations)
            for name in self.config.adaptations
            if case.test == ORIGINAL and case.train.letter in self.config.adaptation.of(name).trained_on
        ]
        if configurations and not found:
            raise ConfigError(
                f"{', '.join(self.config.adaptations)} is not for {', '.join(configurations)}: an adaptation makes of "
                "CO, some of OO and RO too, another segmenter to be tested on originals"
            )
        return found

    def split(self, role: str) -> str:
        """The dataset's split that plays a role: the configuration's, or `val` for a `restore` that there is not.

        Raises ConfigError if there is no such split, saying which could be taken.
        """
        dataset, splits = self.config.dataset, self.source.splits
        taken = {dataset.split(other) for other in ROLES if other != role}
        free = [split for split in splits if split not in taken]
        split = dataset.split(role)
        if split not in splits and split == role == "restore" and "val" in free:
            return "val"
        if split not in splits:
            advice = f"say which with --set dataset.{role}={free[0]}" if free else f"make a split {split}"
            raise ConfigError(
                f"dataset {self.source.name} has no split {split} to {PURPOSES[role]}, only "
                f"{', '.join(splits)}: {advice}"
            )
        return split

    @_once
    def _check_labelled(self, role: str) -> None:
        """Raise ConfigError if no image of a role has a label, so that no segmenter can be trained or tested on it."""
        if not any(sample.label is not None for sample in self.source.samples(self.split(role))):
            raise ConfigError(
                f"dataset {self.source.name} has no labels in its split {self.split(role)} to {PURPOSES[role]}: dsr "
                "convert, train-codec and train-restorer need none; for images with label maps take --dataset folder"
            )

    def _check_unseen(self, case: Case, inputs: Iterable[Artefact]) -> None:
        """Raise ConfigError if an evaluation's networks see, as new, images that they or others learnt from.

        Restorers and codecs know the images that they were trained on: they would make better training images of them
        than of any others.
        """
        made = closure(inputs)
        helpers = _splits_of(one for one in made if one.group in ("restorers", "codecs"))
        seen = helpers | _splits_of(one for one in made if one.group == "segmenters")
        test, train = self.split("test"), self.split("train")
        if test in seen:
            free = [split for split in self.source.splits if split not in seen]
            advice = f"take other images with --set dataset.test={free[0]}" if free else "make another split"
            raise ConfigError(
                f"split {test} of {self.source.name} is learnt from, so a score on it says nothing of other images: "
                f"{advice}"
            )
        if case.train != ORIGINAL and train in helpers:
            free = [split for split in self.source.splits if split not in (test, train)]
            advice = f"take other images with --set dataset.restore={free[0]}" if free else "make another split"
            raise ConfigError(
                f"a restorer or codec is trained on split {train} of {self.source.name}, whose images it then changes "
                f"better than others for the segmenter to learn from: {advice}"
            )

    @_once
    def images(self, role: str) -> int:
        """How many images play a role."""
        found = len(self.source.samples(self.split(role)))
        limit = self.config.dataset.limit(role)
        return found if limit is None else min(found, limit)

    @_once
    def photographs(self, role: str) -> int:
        """How many image files they are cut from."""
        samples = select_samples(self.source.samples(self.split(role)), self.config.dataset.limit(role))
        return len({sample.image for sample in samples})

    @_once
    def shards(self, domain: Domain, role: str) -> Artefact:
        """The shards of a role's images in a domain."""
        build: Callable[..., None]
        inputs: dict[str, Artefact] = {}
        received = role == "train" and self.came_compressed
        notes: tuple[str, ...] = ()
        if domain.letter == "O":
            if received:
                raise ConfigError(
                    f"split {self.split(role)} of {self.source.name} came compressed, so there are no originals of "
                    "it, and OO, OC and OR cannot be had"
                )
            identity, notes = self._of_files(role, original_identity)
            build = partial(conversion.build_originals, self.source)
        elif domain.letter == "C" and received:
            identity, notes = self._of_files(role, received_identity)
            build = partial(conversion.build_received, self.source)
        elif domain.letter == "C":
            assert domain.degradation is not None
            inputs = {"original": self.shards(ORIGINAL, role)}
            identity = compressed_identity(inputs["original"].identity, domain.degradation)
            if isinstance(domain.degradation, TrainedCodec):
                inputs["codec"] = self.trained_codec()
                identity = dataclasses.replace(identity, inputs=fingerprints(inputs))
            build = partial(conversion.build_compressed, domain.degradation)
        else:
            assert domain.degradation is not None and domain.restorer is not None
            inputs = {
                "compressed": self.shards(Domain("C", domain.degradation), role),
                "restorer": self.restorer(domain.degradation, domain.restorer),
            }
            if not received:
                inputs["original"] = self.shards(ORIGINAL, role)
            identity = restored_identity(
                inputs["compressed"].identity,
                None if received else inputs["original"].identity,
                inputs["restorer"].identity,
                domain.restorer,
            )
            build = conversion.build_restored
        return Artefact(
            group="shards",
            root=self.work,
            identity=identity,
            of=domain,
            inputs=inputs,
            build=partial(build, convert=self.converting),
            thorough=self.converting.how.thorough,
            units=self.images(role),
            seconds_per_unit=SECONDS_PER_IMAGE[domain.letter],
            notes=notes,
        )

    def _test_shards(self, domain: Domain) -> Path | None:
        """The folder of the test images in a domain, if they are there already."""
        shards = self.shards(domain, "test")
        return shards.folder if shards.exists else None

    def _of_files(self, role: str, identity_of: Callable[..., Identity]) -> tuple[Identity, tuple[str, ...]]:
        """What the shards of a role are that are made from files, and what a plan says about them."""
        split, limit = self.split(role), self.config.dataset.limit(role)
        listed = identity_of(self.source, split, limit=limit, images_per_shard=self.config.images_per_shard)
        identity, notes = sources.compare(
            self.work, self.source, select_samples(self.source.samples(split), limit), listed
        )
        others = self.source.others(split)
        return identity, notes + ((f"leaves out {counted(others)}",) if others else ())

    @_once
    def restorer(self, degradation: Degradation, name: RestorerName) -> Artefact:
        """The network that restores what a degradation does to the images set apart."""
        restorer = RESTORERS[name]
        if restorer.folder is not None:
            return self._shipped(name, restorer.folder)

        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.restorer import build_restorer

            unseen = self._test_shards(Domain("C", degradation)), self._test_shards(ORIGINAL)
            build_restorer(self.config.restorer, name, self.config.seed, artefact, progress, unseen)

        training, images = self.config.restorer.training(name), self.config.restorer.images
        config = training_identity(restorer.identity(training), training.weight_file, self.config.seed)
        if images is not None:
            config["images"] = images
        inputs = {
            "original": self.shards(ORIGINAL, "restore"),
            "compressed": self.shards(Domain("C", degradation), "restore"),
        }
        return Artefact(
            group="restorers",
            root=self.work,
            identity=Identity(
                "restorer", f"{self.source.name}/{name}-{degradation.point}", config, fingerprints(inputs)
            ),
            of=Domain("R", degradation, name),
            inputs=inputs,
            build=build,
            units=training.steps,
            batch=training.batch,
            seconds_per_unit=restorer.seconds_per_megapixel
            * _heavier(training.multiply_adds, restorer.multiply_adds)
            * training.batch
            * training.patch**2
            / 1e6,
        )

    @_once
    def _shipped(self, name: RestorerName, folder: Path) -> Artefact:
        """A network that comes trained, the same for every degradation."""
        return Artefact(
            group="restorers",
            root=self.work,
            identity=Identity("restorer", f"{self.source.name}/{name}", SavedRestorer(folder).describe(), {}),
            of=ORIGINAL,
            inputs={},
            build=partial(build_shipped, folder),
            units=0,
            seconds_per_unit=0.0,
        )

    @_once
    def trained_codec(self) -> Artefact:
        """The learned codec, trained on the images set apart (paper, section V-A)."""

        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.codec import build_codec

            build_codec(training, self.config.seed, artefact, progress)

        training = self.config.codec
        if training.start == SHIPPED:
            training = dataclasses.replace(training, start=str(msh.SHIPPED))
        inputs = {"original": self.shards(ORIGINAL, "restore")}
        return Artefact(
            group="codecs",
            root=self.work,
            identity=Identity(
                "codec",
                f"{self.source.name}/{training.name}",
                training_identity(dataclasses.asdict(training), training.start, self.config.seed),
                fingerprints(inputs),
            ),
            of=ORIGINAL,
            inputs=inputs,
            build=build,
            units=training.steps,
            batch=training.batch,
            seconds_per_unit=SECONDS_PER_CODEC_MEGAPIXEL * training.batch * training.patch**2 / 1e6,
        )

    @_once
    def segmenter(self, domain: Domain, seed: int) -> Artefact:
        """DeepLabv3+ trained on a domain; the one trained on originals is the same for all operating points."""
        self._check_labelled("train")

        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.segmenter import build_segmenter

            unseen = self._test_shards(ORIGINAL)
            build_segmenter(self.config.segmenter, seed, self.source.table, artefact, progress, unseen)

        training = self.config.segmenter
        inputs = {"shards": self.shards(domain, "train")}
        return Artefact(
            group="segmenters",
            root=self.work,
            identity=Identity(
                "segmenter",
                f"{self.source.name}/{training.name}-{domain.word}{domain.suffix}{seeded(seed)}",
                training_identity(training.identity(), training.network.weights, seed),
                fingerprints(inputs),
            ),
            of=domain,
            inputs=inputs,
            build=build,
            units=training.steps,
            batch=training.batch,
            seconds_per_unit=SECONDS_PER_SEGMENTER_MEGAPIXEL
            * _heavier(training.network.multiply_adds, DeepLabConfig.small().multiply_adds)
            * (training.batch * training.crop_height * training.crop_width / 1e6),
        )

    @_once
    def adapted(self, domain: Domain, seed: int, adaptation: AdaptationName) -> Artefact:
        """What an adaptation makes of the segmenter of a domain and seed.

        Raises:
          ConfigError: it cannot be had at this operating point.
        """
        return self.config.adaptation.of(adaptation).adapt(self, self.segmenter(domain, seed))

    @_once
    def evaluation(self, case: Case) -> Artefact:
        """A segmenter on test shards."""
        self._check_labelled("test")

        def build(artefact: Artefact, progress: Progress) -> None:
            from dsr.experiments.training.evaluation import build_evaluation

            build_evaluation(self.config.segmenter, self.config.samples, self.source.table, artefact, progress)

        segmenter = self.segmenter(case.train, case.seed)
        if case.adaptation is not None:
            segmenter = self.adapted(case.train, case.seed, case.adaptation)
        inputs = {"segmenter": segmenter, "shards": self.shards(case.test, "test")}
        self._check_unseen(case, inputs.values())
        return Artefact(
            group="evaluations",
            root=self.work,
            identity=Identity(
                "evaluation",
                f"{self.source.name}/{case.name}",
                {"samples": self.config.samples},
                fingerprints(inputs),
            ),
            of=case,
            inputs=inputs,
            build=build,
            units=self.images("test"),
            seconds_per_unit=SECONDS_PER_EVALUATED_IMAGE,
        )


def _splits_of(networks: Iterable[Artefact]) -> set[str]:
    """The splits whose images networks learnt from, by themselves or through others."""
    return {one.identity.config["split"] for one in closure(networks) if "split" in one.identity.config}


def _heavier(multiply_adds: float, measured: float) -> float:
    """How many times as long a step takes as one of the network whose cost is known; small ones are no faster."""
    return max(1.0, multiply_adds / measured)
