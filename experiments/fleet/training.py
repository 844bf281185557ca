"""A restorer for a fleet: trained on originals compressed as its files are, judged by those held out, and portable."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from dsr.data_pipelines import received
from dsr.data_pipelines.datasets.originals import Originals
from dsr.experiments.config.schema import DatasetConfig, RestorerName, StudyConfig
from dsr.experiments.conversion import Converting, sample_pixels
from dsr.experiments.domain import Domain
from dsr.experiments.fleet.alike import Alike, File, alike
from dsr.experiments.fleet.errors import FleetError
from dsr.experiments.fleet.items import find_items
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.measurements.artefacts import perceptual
from dsr.experiments.study import ORIGINAL, Study
from dsr.experiments.summaries import PerceptualSummary, ShardsSummary
from dsr.tfrecords import files
from dsr.tfrecords.building import building, check_begun, finished, resolved
from dsr.tfrecords.integrity import damages
from dsr.tfrecords.layout import partial_of

BOARD = "tensorboard/"

HELD_OUT = "held_out"
"""Where the manifest of a portable restorer says what it does to images that it was not trained on."""


@dataclass(frozen=True)
class Quality:
    """Means over the images held out: PSNR (dB) and MS-SSIM to the originals, NIQE by itself; None where undefined."""

    psnr: Optional[float]
    ms_ssim: Optional[float]
    niqe: Optional[float]


@dataclass(frozen=True)
class FleetTraining:
    """The artefacts that it takes to have a restorer for a fleet.

    Attributes:
        study: Of the originals; it trains no segmenter.
        degradation: What compresses as the fleet's files are.
        name: Of the restorer.
    """

    study: Study
    degradation: Alike
    name: RestorerName

    @property
    def restorer(self) -> Artefact:
        return self.study.restorer(self.degradation, self.name)

    @property
    def targets(self) -> list[Artefact]:
        """All that is to be made."""
        domains = [Domain("C", self.degradation), Domain("R", self.degradation, self.name)]
        shards = [self.study.shards(domain, "test") for domain in domains]
        return [self.restorer, *shards, *(perceptual(self.study, domain) for domain in [ORIGINAL, *domains])]

    def measured(self) -> dict[str, Quality]:
        """What was measured of the images held out, when all is made: by `original`, `compressed` and `restored`."""
        domains = {"original": ORIGINAL, "compressed": Domain("C", self.degradation)}
        domains["restored"] = Domain("R", self.degradation, self.name)
        found = {}
        for word, domain in domains.items():
            shards = self.study.shards(domain, "test").summary(ShardsSummary)
            niqe = perceptual(self.study, domain).summary(PerceptualSummary).niqe
            found[word] = Quality(shards.psnr, shards.ms_ssim, niqe)
        return found


def fleet_training(
    config: StudyConfig, work: Path, converting: Converting, originals: Path, fleet: Path
) -> FleetTraining:
    """What a configuration's first restorer is for a fleet.

    Args:
        config: Its settings of the restorer count, and whether what is not read is skipped; neither its dataset nor
            its points.
        work: Folder for all that is made.
        converting: How shards are made.
        originals: Folder of images without labels, like those that the fleet's files show.
        fleet: Folder of received files.

    Raises:
        FleetError: a folder is missing or empty, or the fleet is of a kind that cannot be made. DatasetError: of the
            originals.
    """
    options = {name: value for name, value in config.dataset.options.items() if name == "skip_others"}
    source = Originals(originals, **options)
    degradation = alike(read_fleet(fleet), sample_pixels(source, "train"))
    dataset = dataclasses.replace(DatasetConfig.of(Originals.name, str(originals)), options=options)
    study = Study(dataclasses.replace(config, dataset=dataset, name="fleet"), work, converting)
    return FleetTraining(study, degradation, config.restorers[0])


def read_fleet(fleet: Path) -> list[File]:
    """What the files of a folder say of themselves; those that cannot be read, or hold something else, are left out."""
    found = []
    for item in find_items(fleet, received.all_suffixes()):
        try:
            bitstream = received.read_bitstream(fleet / item.name)
            found.append(File(received.read_header(item.name, bitstream), len(bitstream)))
        except (FleetError, received.CodecError):
            continue  # restoring says what is wrong
    return found


def check_place(training: FleetTraining, folder: Path) -> None:
    """Raise ArtefactError, before days of training, if the folder holds something else than this restorer."""
    identity = training.restorer.identity
    if finished(folder, identity) is None:
        check_begun(partial_of(resolved(folder)), identity)


def export_restorer(training: FleetTraining, folder: Path) -> None:
    """Write the trained restorer as a folder that needs nothing else, with what it was trained on and what it does.

    Raises:
        ArtefactError: the folder holds something else, or cannot be written.
    """
    artefact = training.restorer
    manifest = finished(folder, artefact.identity)
    if manifest is not None:
        for sentence in damages(folder, manifest.files, digests=True).values():
            raise FleetError(f"{sentence}; delete {folder} and write it anew")
        return
    with building(folder, artefact.identity) as build:
        for name in artefact.manifest.files:
            if not name.startswith(BOARD):
                files.make_folder((build.path / name).parent)
                shutil.copyfile(artefact.file(name), build.path / name)
        measured: dict[str, Any] = {word: dataclasses.asdict(q) for word, q in training.measured().items()}
        measured["images"] = training.study.images("test")
        build.summary.update(artefact.manifest.summary, **{HELD_OUT: measured})
